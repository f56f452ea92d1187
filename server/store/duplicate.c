/* duplicate.c - see duplicate.h. */
#include "server/store/duplicate.h"

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
