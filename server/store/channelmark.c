/* channelmark.c - see channelmark.h; the rows are in doc/FORMATS.md 9.2. */
#include "server/store/channelmark.h"

#include <stdlib.h>

#include "server/base/dlist.h"
#include "server/base/mem.h"
#include "server/store/meta/meta.h"

/* No key is empty: the nameless channel is written as sync_log_channels writes it. */
static struct span row_key(const char *channel)
{
	return *channel ? span_of(channel) : SPAN_LIT("\"\"");
}

static int read_row(struct span payload, struct channelmark *out, struct us_err *err)
{
	struct pool *pool = pool_new();
	struct dlist *row;
	int rc = dlist_parse(payload, pool, &row, err);

	if (rc == 0) {
		struct span reason;
		out->owes = dlist_get_str(row, "FULL", &reason);
		if (out->owes)
			buf_add_span(&out->reason, reason);
	}
	pool_free(&pool);
	return rc;
}

int channelmark_get(struct store *store, const char *channel, struct channelmark *out,
		    struct us_err *err)
{
	struct buf payload = BUF_INIT;
	struct meta_stamp stamp;
	int rc =
		meta_get(store_meta(store), META_CHANNELS, row_key(channel), &payload, &stamp, err);

	*out = (struct channelmark){.reason = BUF_INIT};
	if (rc == 0) {
		out->owes = true;
		buf_add_str(&out->reason, "new");
	} else if (rc > 0) {
		out->version = stamp.version;
		rc = read_row(buf_span(&payload), out, err);
	}
	buf_free(&payload);
	return rc < 0 ? rc : 0;
}

void channelmark_free(struct channelmark *mark)
{
	buf_free(&mark->reason);
}

static void put_row(struct meta_batch *batch, struct span key, const char *reason)
{
	struct buf payload = BUF_INIT;
	struct dlist_writer w = dlist_writer(&payload, true);

	dlist_put_kvlist(&w);
	dlist_put_ku64(&w, "SINCE", (uint64_t)store_now());
	if (reason)
		dlist_put_kstr(&w, "FULL", span_of(reason));
	dlist_put_close(&w);
	meta_batch_put(batch, META_CHANNELS, key, buf_span(&payload));
	buf_free(&payload);
}

int channelmark_owe(struct store *store, const char *channel, const char *reason,
		    struct us_err *err)
{
	struct meta_batch batch;
	int rc;

	meta_batch_init(&batch);
	put_row(&batch, row_key(channel), reason);
	rc = meta_commit(store_meta(store), &batch, META_DURABLE, err);
	meta_batch_fini(&batch);
	return rc;
}

struct marking {
	struct meta_batch batch;
	const char *reason;
	int n;
};

static int mark_row(void *ctx, struct span key, struct span payload UNUSED,
		    const struct meta_stamp *stamp UNUSED)
{
	struct marking *m = ctx;

	put_row(&m->batch, key, m->reason);
	m->n++;
	return 0;
}

int channelmark_owe_all(struct meta *meta, const char *reason, struct us_err *err)
{
	struct marking m = {.reason = reason};
	int rc;

	meta_batch_init(&m.batch);
	rc = meta_range(meta, META_CHANNELS, SPAN_NULL, SPAN_NULL, META_NO_PAYLOADS, mark_row, &m,
			err);
	if (rc == 0 && m.n)
		rc = meta_commit(meta, &m.batch, META_DURABLE, err);
	meta_batch_fini(&m.batch);
	return rc < 0 ? rc : m.n;
}

int channelmark_settle(struct store *store, const char *channel, const struct channelmark *mark,
		       struct us_err *err)
{
	struct meta_batch batch;
	int rc;

	meta_batch_init(&batch);
	meta_batch_expect(&batch, META_CHANNELS, row_key(channel), mark->version);
	put_row(&batch, row_key(channel), NULL);
	rc = meta_commit(store_meta(store), &batch, META_DURABLE, err);
	meta_batch_fini(&batch);
	return rc;
}

struct each {
	int (*fn)(void *ctx, const char *channel, struct us_err *err);
	void *ctx;
	struct us_err *err;
};

static int call_each(void *ctx, struct span key, struct span payload UNUSED,
		     const struct meta_stamp *stamp UNUSED)
{
	struct each *e = ctx;
	char *name = span_is(key, "\"\"") ? us_strdup("") : span_dup(key);
	int rc = e->fn(e->ctx, name, e->err);

	free(name);
	return rc;
}

int channelmark_each(struct store *store,
		     int (*fn)(void *ctx, const char *channel, struct us_err *err), void *ctx,
		     struct us_err *err)
{
	struct each e = {fn, ctx, err};

	return meta_range(store_meta(store), META_CHANNELS, SPAN_NULL, SPAN_NULL, META_NO_PAYLOADS,
			  call_each, &e, err);
}
