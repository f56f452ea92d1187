/* duplicate.c - see duplicate.h. */
#include "server/store/duplicate.h"

#include <string.h>

#include "server/base/mem.h"
#include "server/store/meta/meta.h"
#include "server/store/rows.h"

static bool can_be_marked(struct span id, struct span date)
{
	return id.len && id.len <= DUPLICATE_ID_MAX && date.len <= DUPLICATE_ID_MAX;
}

static int find_mark(struct mailbox *m, struct span id, struct span date, struct duplicate_row *out,
		     struct us_err *err)
{
	struct buf key = BUF_INIT, payload = BUF_INIT;
	struct meta_stamp stamp;
	int rc;

	duplicate_key(id, m->row.uniqueid, date, &key);
	rc = meta_get(store_meta(m->store), META_DUPLICATES, buf_span(&key), &payload, &stamp, err);
	if (rc > 0) {
		int bad = duplicate_row_decode(buf_span(&payload), out, err);
		rc = bad < 0 ? bad : 1;
	}
	buf_free(&key);
	buf_free(&payload);
	return rc;
}

int duplicate_known(struct mailbox *m, struct span id, struct span date, struct us_err *err)
{
	struct duplicate_row mark;
	int rc;

	us_assert(m->locked);
	if (!can_be_marked(id, date))
		return 0;
	rc = find_mark(m, id, date, &mark, err);
	if (rc <= 0)
		return rc;
	return storeid_cmp(&mark.storeid, &m->row.storeid) == 0 && view_find(&m->view, mark.uid);
}

int duplicate_foresee(struct mailbox *m, struct span id, struct span date, struct us_err *err)
{
	struct duplicate_row mark;
	int rc = can_be_marked(id, date) ? find_mark(m, id, date, &mark, err) : 0;

	return rc < 0 ? rc : 0; /* the row is remembered (meta.h), or that there is none */
}

void duplicate_mark(struct meta_batch *batch, const struct mailbox *m, struct span id,
		    struct span date, uint32_t uid)
{
	struct duplicate_row mark = {m->row.storeid, uid, store_now()};
	struct buf key = BUF_INIT, payload = BUF_INIT;

	if (!can_be_marked(id, date))
		return;
	duplicate_key(id, m->row.uniqueid, date, &key);
	duplicate_row_encode(&mark, &payload);
	meta_batch_put(batch, META_DUPLICATES, buf_span(&key), buf_span(&payload));
	buf_free(&key);
	buf_free(&payload);
}

/* ---- all of them ----------------------------------------------------------------------------------- */

struct listing {
	duplicate_fn *fn;
	void *ctx;
	struct us_err *err;
};

static int tell(void *ctx, struct span key, struct span payload,
		const struct meta_stamp *stamp UNUSED)
{
	struct listing *l = ctx;
	struct duplicate_entry entry = {0};
	struct duplicate_row row;
	int rc = duplicate_row_decode(payload, &row, l->err);

	if (rc < 0)
		return rc;
	if (!span_split(&key, '\0', &entry.id) || !span_split(&key, '\0', &entry.uniqueid))
		return us_fail(l->err, US_ECORRUPT, "a delivery mark's key has no three parts");
	entry.date = key;
	entry.time = row.time;
	entry.uid = row.uid;
	return l->fn(l->ctx, &entry, l->err);
}

int duplicate_list(struct store *store, duplicate_fn *fn, void *ctx, struct us_err *err)
{
	struct listing l = {fn, ctx, err};

	return meta_range(store_meta(store), META_DUPLICATES, SPAN_NULL, SPAN_NULL, 0, tell, &l,
			  err);
}

/* ---- pruning ------------------------------------------------------------------------------------------- */

#define PRUNE_AT_ONCE 500

struct prune {
	struct store *store;
	const struct duplicate_pruning *how;
	struct meta_batch batch;
	uint64_t waiting; /* marks in the batch */
	uint64_t seen, gone;
	struct us_err *err;
};

/* id NUL uniqueid NUL date */
static bool uniqueid_of_key(struct span key, struct span *uniqueid)
{
	const char *id_end = memchr(key.ptr, '\0', key.len);
	struct span rest = id_end ? span_from(key, (size_t)(id_end - key.ptr) + 1) : SPAN_NULL;
	const char *end = rest.len ? memchr(rest.ptr, '\0', rest.len) : NULL;

	if (!end)
		return false;
	*uniqueid = span_make(rest.ptr, (size_t)(end - rest.ptr));
	return true;
}

/* Old marks for a mailbox that is delivered to meanwhile may be renewed; then these stay for the next time. */
static int prune_some(struct prune *p)
{
	int rc = p->waiting ? meta_commit(store_meta(p->store), &p->batch, META_LAZY, p->err) : 0;

	if (rc == 0)
		p->gone += p->waiting;
	meta_batch_fini(&p->batch);
	meta_batch_init(&p->batch);
	p->waiting = 0;
	return rc == US_ECHANGED ? 0 : rc;
}

/* What makes no sense suppresses nothing and may go. */
static bool is_old_mark(const struct prune *p, struct span key, struct span payload)
{
	struct duplicate_row mark;
	struct span uniqueid;

	if (!uniqueid_of_key(key, &uniqueid) || duplicate_row_decode(payload, &mark, NULL) < 0)
		return true;
	return mark.time < p->how->keep_since(p->how->ctx, uniqueid);
}

static int look_at_mark(void *ctx, struct span key, struct span payload,
			const struct meta_stamp *stamp)
{
	struct prune *p = ctx;

	if (p->how->stop && *p->how->stop)
		return 1;
	p->seen++;
	if (!is_old_mark(p, key, payload))
		return 0;
	meta_batch_expect(&p->batch, META_DUPLICATES, key, stamp->version);
	meta_batch_del(&p->batch, META_DUPLICATES, key);
	return ++p->waiting == PRUNE_AT_ONCE ? prune_some(p) : 0;
}

int duplicate_prune(struct store *store, const struct duplicate_pruning *how, uint64_t *seen,
		    uint64_t *gone, struct us_err *err)
{
	struct prune p = {.store = store, .how = how, .err = err};
	int rc;

	meta_batch_init(&p.batch);
	rc = meta_range(store_meta(store), META_DUPLICATES, SPAN_NULL, SPAN_NULL, 0, look_at_mark,
			&p, err);
	if (rc >= 0)
		rc = prune_some(&p);
	meta_batch_fini(&p.batch);
	*seen = p.seen;
	*gone = p.gone;
	return rc;
}
