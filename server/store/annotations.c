/* annotations.c - see annotations.h. */
#include "server/store/annotations.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"
#include "server/store/commit.h"
#include "server/store/folder.h"
#include "server/store/folder_private.h"
#include "server/store/mboxname.h"
#include "server/store/meta/meta.h"
#include "server/store/rows.h"

struct collector {
	struct pool *pool;
	struct state_annotation *items;
	size_t n, cap;
	struct us_err *err;
};

static int collect(void *ctx, struct span key, struct span payload,
		   const struct meta_stamp *stamp UNUSED)
{
	struct collector *c = ctx;
	struct state_annotation a = {0};
	struct span entry, userid;
	int rc;

	if (!annotation_key_split(key, &entry, &userid))
		return us_fail(c->err, US_ECORRUPT, "a malformed key in the annotations");
	rc = annotation_row_decode(payload, c->pool, &a, c->err);
	if (rc < 0)
		return rc;
	a.entry = pool_span(c->pool, entry);
	a.userid = pool_span(c->pool, userid);
	us_grow(&c->items, c->n, &c->cap, sizeof(c->items[0]));
	c->items[c->n++] = a;
	return 0;
}

int annotations_list(struct store *store, const struct storeid *id, struct pool *pool,
		     const struct state_annotation **out, size_t *n_out, struct us_err *err)
{
	struct collector c = {.pool = pool, .err = err};
	struct buf prefix = BUF_INIT;
	int rc;

	annotation_key(id, SPAN_NULL, SPAN_NULL, &prefix);
	rc = meta_range_prefix(store_meta(store), META_ANNOTATIONS, buf_span(&prefix), 0, collect,
			       &c, err);
	buf_free(&prefix);
	if (rc >= 0 && c.n) {
		struct state_annotation *kept = pool_alloc(pool, us_mul_size(c.n, sizeof(*kept)));
		memcpy(kept, c.items, c.n * sizeof(*kept));
		*out = kept;
	} else {
		*out = NULL;
	}
	*n_out = rc >= 0 ? c.n : 0;
	free(c.items);
	return rc < 0 ? rc : 0;
}

struct annotations_all {
	struct pool *pool;
	struct storeid *ids; /* items[i] is of mailbox ids[i]; both are sorted as the table is */
	struct state_annotation *items;
	size_t n, cap_ids, cap_items;
	struct us_err *err;
	size_t most;
};

static int collect_of_all(void *ctx, struct span key, struct span payload,
			  const struct meta_stamp *stamp)
{
	struct annotations_all *all = ctx;
	struct collector one = {all->pool, all->items, all->n, all->cap_items, all->err};
	int rc = key.len > STOREID_SIZE
			 ? collect(&one, key, payload, stamp)
			 : us_fail(all->err, US_ECORRUPT, "a malformed key in the annotations");

	all->items = one.items;
	all->cap_items = one.cap;
	if (rc < 0)
		return rc;
	us_grow(&all->ids, all->n, &all->cap_ids, sizeof(all->ids[0]));
	memcpy(all->ids[all->n++].byte, key.ptr + 1, STOREID_SIZE);
	return all->n > all->most;
}

void annotations_all_free(struct annotations_all **all)
{
	if (!*all)
		return;
	pool_free(&(*all)->pool);
	free((*all)->ids);
	free((*all)->items);
	free(*all);
	*all = NULL;
}

int annotations_list_all(struct store *store, size_t most, struct annotations_all **out,
			 struct us_err *err)
{
	struct annotations_all *all = us_calloc(1, sizeof(*all));
	int rc;

	all->pool = pool_new();
	all->err = err;
	all->most = most;
	rc = meta_range_prefix(store_meta(store), META_ANNOTATIONS, SPAN_LIT("M"), 0,
			       collect_of_all, all, err);
	all->err = NULL;
	if (rc == 0)
		*out = all;
	else
		annotations_all_free(&all);
	return rc < 0 ? rc : rc == 0;
}

void annotations_all_of(const struct annotations_all *all, const struct storeid *id,
			const struct state_annotation **out, size_t *n_out)
{
	size_t low = 0, high = all->n, n = 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (storeid_cmp(&all->ids[middle], id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	while (low + n < all->n && storeid_cmp(&all->ids[low + n], id) == 0)
		n++;
	*out = n ? &all->items[low] : NULL;
	*n_out = n;
}

int annotation_get(struct store *store, const struct storeid *id, struct span entry,
		   struct span userid, struct buf *value, struct us_err *err)
{
	struct buf key = BUF_INIT, payload = BUF_INIT;
	struct pool *pool = pool_new();
	struct state_annotation a = {0};
	struct meta_stamp stamp;
	int rc;

	annotation_key(id, entry, userid, &key);
	rc = meta_get(store_meta(store), META_ANNOTATIONS, buf_span(&key), &payload, &stamp, err);
	if (rc > 0) {
		int bad = annotation_row_decode(buf_span(&payload), pool, &a, err);
		if (bad < 0)
			rc = bad;
		else
			buf_add_span(value, a.value);
	}
	buf_free(&key);
	buf_free(&payload);
	pool_free(&pool);
	return rc;
}

/* Of the mailbox itself. */
static int get_of_name(struct store *store, struct span name, struct span entry, struct buf *value,
		       struct us_err *err)
{
	struct pool *pool = pool_new();
	struct mailbox_row row;
	int rc = mailbox_row_get(store, name, pool, &row, NULL, NULL, err);

	if (rc > 0)
		rc = row.has_storeid
			     ? annotation_get(store, &row.storeid, entry, SPAN_LIT(""), value, err)
			     : 0;
	pool_free(&pool);
	return rc;
}

int annotation_inherited(struct store *store, struct span name, struct span entry,
			 struct buf *value, struct us_err *err)
{
	for (; name.len; name = mboxname_parent(name)) {
		int rc = get_of_name(store, name, entry, value, err);

		if (rc != 0)
			return rc;
	}
	return annotation_get(store, NULL, entry, SPAN_LIT(""), value, err);
}

static void put_one(struct meta_batch *batch, const struct storeid *id,
		    const struct state_annotation *a)
{
	struct buf key = BUF_INIT, payload = BUF_INIT;

	annotation_key(id, a->entry, a->userid, &key);
	if (a->value.ptr) {
		annotation_row_encode(a, &payload);
		meta_batch_put(batch, META_ANNOTATIONS, buf_span(&key), buf_span(&payload));
	} else {
		meta_batch_del(batch, META_ANNOTATIONS, buf_span(&key));
	}
	buf_free(&key);
	buf_free(&payload);
}

/* The options are the mailbox's and the annotations metad's: the latter ride in the former's frame. */
static int change_both(struct mailbox *m, const struct annotations_change *change,
		       struct meta_batch *batch, struct us_err *err)
{
	struct mailbox_row row = m->row;
	struct commit *c = NULL;
	struct counters *counters;
	int rc = commit_begin(m, &c, err);

	if (rc < 0)
		return rc;
	row.foldermodseq = row.lastmodseq = folder_next_modseq(m);
	row.mtime = store_now();
	folder_put_row(batch, buf_span(&m->name), &row);
	counters = commit_counters(c);
	(void)commit_modseq(c);
	counters->options = change->options;
	counters->pop3_show_after = change->pop3_show_after;
	commit_meta(c, batch, /* lazy */ false);
	rc = commit_finish(&c, err);
	if (rc == 0)
		rc = mailbox_refresh_row(m, err);
	if (rc == 0)
		folder_copy_row(m);
	return rc;
}

int annotations_change(struct mailbox *m, const struct annotations_change *change,
		       struct us_err *err)
{
	struct meta_batch batch;
	int rc;

	meta_batch_init(&batch);
	for (size_t i = 0; i < change->n; i++)
		put_one(&batch, &m->row.storeid, &change->set[i]);
	rc = change->has_counters ? change_both(m, change, &batch, err)
				  : folder_change(m, &m->row, &batch, err);
	meta_batch_fini(&batch);
	return rc;
}

int annotation_set(struct mailbox *m, struct span entry, struct span userid, struct span value,
		   struct us_err *err)
{
	struct state_annotation one = {entry, userid, value, 0};
	struct annotations_change change = {.set = &one, .n = 1};

	return annotations_change(m, &change, err);
}

int annotations_change_server(struct store *store, const struct state_annotation *set, size_t n,
			      struct us_err *err)
{
	struct store_change change = {CHANGE_ANNOTATION, SPAN_LIT(""), SPAN_NULL};
	struct meta_batch batch;
	/* The server's belong to nobody, as shared mailboxes do. */
	int lock, rc = store_lock_namespace(store, SPAN_LIT(""), STORE_SHARED, &lock, err);

	if (rc < 0)
		return rc;
	meta_batch_init(&batch);
	for (size_t i = 0; i < n; i++)
		put_one(&batch, NULL, &set[i]);
	rc = store_announce(store, &change, 1, err);
	if (rc == 0)
		rc = meta_commit(store_meta(store), &batch, META_DURABLE, err);
	meta_batch_fini(&batch);
	store_unlock_namespace(&lock);
	return rc;
}

int annotation_set_server(struct store *store, struct span entry, struct span userid,
			  struct span value, struct us_err *err)
{
	struct state_annotation one = {entry, userid, value, 0};

	return annotations_change_server(store, &one, 1, err);
}

static bool same_place(const struct state_annotation *a, const struct state_annotation *b)
{
	return span_eq(a->entry, b->entry) && span_eq(a->userid, b->userid);
}

static const struct state_annotation *find_place(const struct state_annotation *set, size_t n,
						 const struct state_annotation *a)
{
	for (size_t i = 0; i < n; i++)
		if (same_place(&set[i], a))
			return &set[i];
	return NULL;
}

void annotations_replace(struct meta_batch *batch, const struct storeid *id,
			 const struct state_annotation *have, size_t n_have,
			 const struct state_annotation *wanted, size_t n_wanted)
{
	for (size_t i = 0; i < n_have; i++) {
		struct state_annotation gone = {have[i].entry, have[i].userid, SPAN_NULL, 0};
		if (!find_place(wanted, n_wanted, &have[i]))
			put_one(batch, id, &gone);
	}
	for (size_t i = 0; i < n_wanted; i++) {
		const struct state_annotation *old = find_place(have, n_have, &wanted[i]);
		if (!old || !span_eq(old->value, wanted[i].value) ||
		    old->modseq != wanted[i].modseq)
			put_one(batch, id, &wanted[i]);
	}
}
