/* meta.c - see meta.h: who answers, what is remembered, ranges as pages. */
#include "server/store/meta/meta.h"

#include <stdlib.h>
#include <time.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/wait.h"
#include "server/store/meta/ahead.h"
#include "server/store/meta/meta_private.h"

#define DEFAULT_WAIT_MS     60000
#define DEFAULT_CACHE_ROWS  4096
#define DEFAULT_MAX_REQUEST (64u << 20)
#define PAGE_ENTRIES        1000
#define TOOL_CACHE_BYTES    (8u << 20) /* the kernel keeps the rest */
#define LOOK_MS             1000

/* ---- opening ----------------------------------------------------------------------------------- */

/* While nobody listens and somebody else owns the tables, that may be a tool at its end or a metad at its beginning. */
static int find_or_own(struct meta *meta, bool no_rescue, struct us_err *err)
{
	const struct timespec pause = {0, 20 * 1000000};
	const struct engine_config tables = {.directory = meta->directory,
					     .cache_bytes = TOOL_CACHE_BYTES,
					     .no_rescue = no_rescue};
	int64_t deadline = wait_deadline_ms((int)meta->wait_ms);
	int rc;

	for (;;) {
		rc = client_try(meta->client, err);
		if (rc != US_ENOENT)
			return rc;
		rc = engine_open(&tables, &meta->engine, err);
		if (rc != US_EBUSY || !wait_left_ms(deadline))
			return rc;
		nanosleep(&pause, NULL);
	}
}

int meta_open(const struct meta_config *config, struct meta **out, struct us_err *err)
{
	struct meta *meta = us_calloc(1, sizeof(*meta));
	size_t rows = config->cache_rows ? config->cache_rows : DEFAULT_CACHE_ROWS;
	int rc = 0;

	meta->directory = us_strdup(config->directory);
	meta->wait_ms = config->wait_ms ? config->wait_ms : DEFAULT_WAIT_MS;
	meta->max_request = config->max_request ? config->max_request : DEFAULT_MAX_REQUEST;
	meta->client = client_new(config->socket, meta->wait_ms);
	meta->cache = rowcache_new(rows);
	meta->looked_ms = -LOOK_MS;
	if (config->may_own)
		rc = find_or_own(meta, config->no_rescue, err);
	meta->ops = meta->engine ? &meta_local_ops : &meta_client_ops;
	if (rc < 0)
		meta_close(&meta);
	else
		*out = meta;
	return rc;
}

struct meta *meta_of_engine(struct engine *engine)
{
	struct meta *meta = us_calloc(1, sizeof(*meta));

	meta->ops = &meta_local_ops;
	meta->engine = engine;
	meta->borrowed = true;
	meta->max_request = DEFAULT_MAX_REQUEST;
	return meta;
}

void meta_close(struct meta **meta)
{
	struct us_err err;

	if (!meta || !*meta)
		return;
	if (!(*meta)->borrowed && engine_close(&(*meta)->engine, &err) < 0)
		log_event(LOG_ERR, "meta.close.failed", LF_ERR(&err));
	client_free(&(*meta)->client);
	generations_close(&(*meta)->generations);
	rowcache_free(&(*meta)->cache);
	free((*meta)->directory);
	free(*meta);
	*meta = NULL;
}

void meta_after_fork(struct meta *meta)
{
	engine_forget(&meta->engine);
	client_after_fork(meta->client);
	meta->ops = &meta_client_ops;
}

/* ---- one row ----------------------------------------------------------------------------------- */

/* The generations to judge by, or NULL: then nothing is remembered. The file may come later than we do, and someone
 * may have removed it: both are noticed within a second. */
static const struct generations *look_at_generations(struct meta *meta)
{
	int64_t now = wait_clock_ms();
	struct us_err ignored; /* without it we ask each time */

	if (now - meta->looked_ms < LOOK_MS)
		return meta->generations;
	meta->looked_ms = now;
	if (meta->generations && !generations_are_linked(meta->generations))
		generations_close(&meta->generations);
	if (!meta->generations)
		(void)generations_map(meta->directory, &meta->generations, &ignored);
	return meta->generations;
}

static int get_remembered(struct meta *meta, enum meta_table table, struct span key,
			  struct buf *value, struct us_err *err)
{
	const struct generations *g = look_at_generations(meta);
	uint32_t hash = generations_hash(table, key);
	struct generation before;
	int rc;

	if (!g)
		return meta->ops->get(meta, table, key, value, err);
	before = generations_now(g, hash);
	rc = rowcache_find(meta->cache, table, key, hash, before, value);
	if (rc >= 0)
		return rc;
	rc = meta->ops->get(meta, table, key, value, err);
	if (rc >= 0)
		rowcache_keep(meta->cache, table, key, hash, before, rc > 0, buf_span(value));
	return rc;
}

int meta_get(struct meta *meta, enum meta_table table, struct span key, struct buf *payload,
	     struct meta_stamp *stamp, struct us_err *err)
{
	struct buf value = BUF_INIT;
	struct meta_stamp head;
	struct span rest;
	int rc;

	if (!key.len || key.len > META_KEY_MAX)
		return 0; /* no row can have it */
	rc = meta->engine ? meta->ops->get(meta, table, key, &value, err)
			  : get_remembered(meta, table, key, &value, err);
	if (rc > 0 && !value_split(buf_span(&value), &head, &rest))
		rc = us_fail(err, US_ECORRUPT, "metadata: a row of %s has no version",
			     meta_table_name(table));
	if (rc > 0) {
		buf_add_span(payload, rest);
		*stamp = head;
	}
	buf_free(&value);
	return rc;
}

void meta_forget(struct meta *meta, enum meta_table table, struct span key)
{
	if (meta->cache)
		rowcache_forget(meta->cache, table, key, generations_hash(table, key));
}

/* ---- ranges ------------------------------------------------------------------------------------ */

struct page_result {
	uint32_t n;      /* entries */
	struct buf next; /* the first key that can follow */
};

/* Call fn for every entry of a page. */
static int walk_page(struct span entries, struct page_result *result, meta_row_fn *fn, void *ctx,
		     struct us_err *err)
{
	struct span key, value, payload, last = SPAN_NULL;
	struct meta_stamp stamp;
	int rc;

	result->n = 0;
	while ((rc = entry_next(&entries, &key, &value, err)) > 0) {
		if (!value_split(value, &stamp, &payload))
			return us_fail(err, US_ECORRUPT, "metadata: a row has no version");
		rc = fn(ctx, key, payload, &stamp);
		if (rc)
			return rc;
		last = key;
		result->n++;
	}
	buf_clear(&result->next);
	buf_add_span(&result->next, last);
	buf_add_char(&result->next, '\0');
	return rc;
}

int meta_range(struct meta *meta, enum meta_table table, struct span first, struct span end,
	       unsigned flags, meta_row_fn *fn, void *ctx, struct us_err *err)
{
	struct page_result result = {.next = BUF_INIT};
	struct request r = {.kind = PACKET_RANGE, .table = table, .end = end, .most = PAGE_ENTRIES};
	struct buf entries = BUF_INIT;
	bool more = true;
	int rc = 0;

	if (!flags && ahead_may_be_asked(meta))
		return ahead_range(meta, table, first, end, fn, ctx, err);
	r.range_flags = flags & META_NO_PAYLOADS ? RANGE_KEYS_ONLY : 0;
	buf_add_span(&result.next, first);
	while (rc == 0 && more) {
		buf_clear(&entries);
		r.first = buf_span(&result.next);
		rc = meta->ops->page(meta, &r, &entries, err);
		if (rc == 0)
			rc = walk_page(buf_span(&entries), &result, fn, ctx, err);
		more = result.n == r.most || entries.len >= RANGE_PAGE_BYTES;
	}
	buf_free(&entries);
	buf_free(&result.next);
	return rc;
}

/* The first key behind all that begin with `prefix`: none (empty) if it is all 0xff. */
static void behind_prefix(struct span prefix, struct buf *out)
{
	buf_add_span(out, prefix);
	while (out->len && (unsigned char)out->data[out->len - 1] == 0xff)
		buf_truncate(out, out->len - 1);
	if (out->len)
		out->data[out->len - 1]++;
}

int meta_range_prefix(struct meta *meta, enum meta_table table, struct span prefix, unsigned flags,
		      meta_row_fn *fn, void *ctx, struct us_err *err)
{
	struct buf end = BUF_INIT;
	int rc;

	if (prefix.len > META_KEY_MAX)
		return 0;
	behind_prefix(prefix, &end);
	rc = meta_range(meta, table, prefix, buf_span(&end), flags, fn, ctx, err);
	buf_free(&end);
	return rc;
}

/* ---- changing ---------------------------------------------------------------------------------- */

int meta_commit(struct meta *meta, const struct meta_batch *batch, enum meta_durability durability,
		struct us_err *err)
{
	if (batch->bad)
		return us_fail(err, US_ELIMIT,
			       "a key is empty or above %u bytes, or a row above %u", META_KEY_MAX,
			       META_PAYLOAD_MAX);
	if (batch->items.len > meta->max_request)
		return us_fail(err, US_ELIMIT, "a batch of %zu bytes", batch->items.len);
	return meta->ops->commit(meta, batch, durability == META_LAZY, err);
}

int meta_barrier(struct meta *meta, struct us_err *err)
{
	return meta->ops->barrier(meta, err);
}

int meta_stat(struct meta *meta, struct buf *out, struct us_err *err)
{
	return meta->ops->stat(meta, out, err);
}
