/* duplicate.c - see duplicate.h. */
#include "server/store/duplicate.h"

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

#define PRUNED_AT_ONCE 256

struct pruning {
	struct store *store;
	int64_t before;
	struct meta_batch batch;
	uint64_t n;
};

/* What comes back after a power cut is pruned the next time. */
static int prune_batch(struct pruning *p, struct us_err *err)
{
	uint32_t n = p->batch.n_items;
	int rc = n ? meta_commit(store_meta(p->store), &p->batch, META_LAZY, err) : 0;

	meta_batch_fini(&p->batch);
	meta_batch_init(&p->batch);
	p->n += rc == 0 ? n : 0;
	return rc;
}

static int prune_old(void *ctx, const struct duplicate_entry *entry, struct us_err *err)
{
	struct pruning *p = ctx;
	struct buf key = BUF_INIT;

	if (entry->time >= p->before)
		return 0;
	duplicate_key(entry->id, entry->uniqueid, entry->date, &key);
	meta_batch_del(&p->batch, META_DUPLICATES, buf_span(&key));
	buf_free(&key);
	return p->batch.n_items < PRUNED_AT_ONCE ? 0 : prune_batch(p, err);
}

int duplicate_prune(struct store *store, int64_t before, uint64_t *pruned, struct us_err *err)
{
	struct pruning p = {.store = store, .before = before};
	int rc;

	meta_batch_init(&p.batch);
	rc = duplicate_list(store, prune_old, &p, err);
	if (rc == 0)
		rc = prune_batch(&p, err);
	meta_batch_fini(&p.batch);
	*pruned = p.n;
	return rc;
}
