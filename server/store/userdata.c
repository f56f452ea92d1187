/* userdata.c - see userdata.h. */
#include "server/store/userdata.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"
#include "server/store/mboxname.h"
#include "server/store/meta/meta.h"
#include "server/store/quota.h"
#include "server/store/rows.h"

/* ---- subscriptions ------------------------------------------------------------------------------ */

int subscription_get(struct store *store, struct span userid, struct span name, struct us_err *err)
{
	struct buf key = BUF_INIT, payload = BUF_INIT;
	struct meta_stamp stamp;
	int rc;

	subscription_key(userid, name, &key);
	rc = meta_get(store_meta(store), META_SUBSCRIPTIONS, buf_span(&key), &payload, &stamp, err);
	buf_free(&key);
	buf_free(&payload);
	return rc;
}

static int change_subscription(struct store *store, struct span userid, struct span name, bool on,
			       struct us_err *err)
{
	struct store_change change = {CHANGE_SUB, userid, name};
	struct buf key = BUF_INIT, payload = BUF_INIT;
	struct meta_batch batch;
	int rc;

	subscription_key(userid, name, &key);
	buf_printf(&payload, "%%(TIME %lld)", (long long)store_now());
	meta_batch_init(&batch);
	if (on)
		meta_batch_put(&batch, META_SUBSCRIPTIONS, buf_span(&key), buf_span(&payload));
	else
		meta_batch_del(&batch, META_SUBSCRIPTIONS, buf_span(&key));
	rc = store_announce(store, &change, 1, err);
	if (rc == 0)
		rc = meta_commit(store_meta(store), &batch, META_DURABLE, err);
	meta_batch_fini(&batch);
	buf_free(&key);
	buf_free(&payload);
	return rc;
}

int subscription_set(struct store *store, struct span userid, struct span name, bool on,
		     struct us_err *err)
{
	int lock, rc = store_lock_user(store, userid, STORE_SHARED, &lock, err);

	if (rc < 0)
		return rc;
	rc = subscription_get(store, userid, name, err);
	if (rc >= 0)
		rc = (rc > 0) == on ? 0 : change_subscription(store, userid, name, on, err);
	store_unlock_namespace(&lock);
	return rc;
}

struct name_collector {
	struct pool *pool;
	size_t prefix;
	struct span *items;
	size_t n, cap;
};

static int collect_name(void *ctx, struct span key, struct span payload UNUSED,
			const struct meta_stamp *stamp UNUSED)
{
	struct name_collector *c = ctx;
	struct buf name = BUF_INIT;

	mboxname_from_key(span_from(key, c->prefix), &name);
	us_grow(&c->items, c->n, &c->cap, sizeof(c->items[0]));
	c->items[c->n++] = pool_span(c->pool, buf_span(&name));
	buf_free(&name);
	return 0;
}

/* Keep an array of n items of that size in the pool. */
static void *keep(struct pool *pool, void *items, size_t n, size_t size)
{
	void *kept = pool_alloc(pool, us_mul_size(n ? n : 1, size));

	if (n)
		memcpy(kept, items, n * size);
	free(items);
	return kept;
}

int subscriptions_list(struct store *store, struct span userid, struct pool *pool,
		       const struct span **out, size_t *n_out, struct us_err *err)
{
	struct name_collector c = {.pool = pool};
	struct buf prefix = BUF_INIT;
	int rc;

	subscription_key(userid, SPAN_NULL, &prefix);
	c.prefix = prefix.len;
	rc = meta_range_prefix(store_meta(store), META_SUBSCRIPTIONS, buf_span(&prefix), 0,
			       collect_name, &c, err);
	buf_free(&prefix);
	*out = keep(pool, c.items, c.n, sizeof(c.items[0]));
	*n_out = c.n;
	return rc < 0 ? rc : 0;
}

/* ---- seen -------------------------------------------------------------------------------------- */

int seen_get(struct store *store, struct span userid, struct span uniqueid, struct pool *pool,
	     struct state_seen *out, struct us_err *err)
{
	struct buf key = BUF_INIT, payload = BUF_INIT;
	struct meta_stamp stamp;
	int rc;

	seen_key(userid, uniqueid, &key);
	rc = meta_get(store_meta(store), META_SEEN, buf_span(&key), &payload, &stamp, err);
	if (rc > 0) {
		int bad = seen_row_decode(buf_span(&payload), pool, out, err);
		out->uniqueid = pool_span(pool, uniqueid);
		rc = bad < 0 ? bad : rc;
	}
	buf_free(&key);
	buf_free(&payload);
	return rc;
}

int seen_set(struct store *store, struct span userid, const struct state_seen *seen,
	     struct us_err *err)
{
	struct store_change change = {CHANGE_SEEN, userid, seen->uniqueid};
	struct buf key = BUF_INIT, payload = BUF_INIT;
	struct meta_batch batch;
	int lock, rc = store_lock_user(store, userid, STORE_SHARED, &lock, err);

	if (rc < 0)
		return rc;
	seen_key(userid, seen->uniqueid, &key);
	seen_row_encode(seen, &payload);
	meta_batch_init(&batch);
	meta_batch_put(&batch, META_SEEN, buf_span(&key), buf_span(&payload));
	rc = store_announce(store, &change, 1, err);
	if (rc == 0)
		rc = meta_commit(store_meta(store), &batch, META_DURABLE, err);
	meta_batch_fini(&batch);
	store_unlock_namespace(&lock);
	buf_free(&key);
	buf_free(&payload);
	return rc;
}

struct seen_collector {
	struct pool *pool;
	size_t prefix;
	struct state_seen *items;
	size_t n, cap;
	struct us_err *err;
};

static int collect_seen(void *ctx, struct span key, struct span payload,
			const struct meta_stamp *stamp UNUSED)
{
	struct seen_collector *c = ctx;
	struct state_seen row = {0};
	int rc = seen_row_decode(payload, c->pool, &row, c->err);

	if (rc < 0)
		return rc;
	row.uniqueid = pool_span(c->pool, span_from(key, c->prefix));
	us_grow(&c->items, c->n, &c->cap, sizeof(c->items[0]));
	c->items[c->n++] = row;
	return 0;
}

int seen_list(struct store *store, struct span userid, struct pool *pool,
	      const struct state_seen **out, size_t *n_out, struct us_err *err)
{
	struct seen_collector c = {.pool = pool, .err = err};
	struct buf prefix = BUF_INIT;
	int rc;

	seen_key(userid, SPAN_NULL, &prefix);
	c.prefix = prefix.len;
	rc = meta_range_prefix(store_meta(store), META_SEEN, buf_span(&prefix), 0, collect_seen, &c,
			       err);
	buf_free(&prefix);
	*out = keep(pool, c.items, c.n, sizeof(c.items[0]));
	*n_out = c.n;
	return rc < 0 ? rc : 0;
}

/* ---- the whole user ------------------------------------------------------------------------------ */

struct names {
	struct pool *pool;
	struct span *items;
	size_t n, cap;
};

static int collect_mailbox(void *ctx, struct span name, const struct mailbox_row *row UNUSED,
			   struct us_err *err UNUSED)
{
	struct names *names = ctx;

	us_grow(&names->items, names->n, &names->cap, sizeof(names->items[0]));
	names->items[names->n++] = pool_span(names->pool, name);
	return 0;
}

static int collect_root(void *ctx, const struct state_quota *quota, struct us_err *err)
{
	return collect_mailbox(ctx, quota->root, NULL, err);
}

/* Children first, the INBOX last: as long as it is there, the user is. */
static int remove_mailboxes(struct store *store, struct span inbox, enum folder_delete_mode mode,
			    struct pool *pool, struct us_err *err)
{
	struct names names = {.pool = pool};
	int rc = folder_list_tree(store, inbox, collect_mailbox, &names, err);

	for (size_t i = names.n; rc == 0 && i > 0; i--) {
		rc = folder_delete(store, names.items[i - 1], mode, err);
		if (rc == US_ENOENT)
			rc = 0;
	}
	free(names.items);
	return rc;
}

static int remove_quotas(struct store *store, struct span inbox, struct pool *pool,
			 struct us_err *err)
{
	struct names names = {.pool = pool};
	int rc = quota_list_tree(store, inbox, collect_root, &names, err);

	for (size_t i = 0; rc == 0 && i < names.n; i++) {
		rc = quota_remove(store, names.items[i], err);
		if (rc == US_ENOENT)
			rc = 0;
	}
	free(names.items);
	return rc;
}

static int collect_key(void *ctx, struct span key, struct span payload UNUSED,
		       const struct meta_stamp *stamp UNUSED)
{
	struct names *names = ctx;

	us_grow(&names->items, names->n, &names->cap, sizeof(names->items[0]));
	names->items[names->n++] = pool_span(names->pool, key);
	return 0;
}

static int drop_rows(struct store *store, int table, struct span prefix, struct pool *pool,
		     struct meta_batch *batch, struct us_err *err)
{
	struct names names = {.pool = pool};
	int rc = meta_range_prefix(store_meta(store), (enum meta_table)table, prefix,
				   META_NO_PAYLOADS, collect_key, &names, err);

	for (size_t i = 0; i < names.n; i++)
		meta_batch_del(batch, (enum meta_table)table, names.items[i]);
	free(names.items);
	return rc < 0 ? rc : 0;
}

/* Subscriptions and seen state go, a tombstone comes, in one batch. */
static int remove_rows_locked(struct store *store, struct span userid, struct pool *pool,
			      struct us_err *err)
{
	struct store_change change = {CHANGE_UNUSER, userid, SPAN_NULL};
	struct tombstone_row t = {.name = userid, .time = store_now()};
	struct buf prefix = BUF_INIT, key = BUF_INIT, payload = BUF_INIT;
	struct meta_batch batch;
	int rc;

	meta_batch_init(&batch);
	subscription_key(userid, SPAN_NULL,
			 &prefix); /* seen's prefix is the same: the id and a NUL */
	tombstone_key('U', userid, &key);
	tombstone_row_encode(&t, &payload);
	meta_batch_put(&batch, META_TOMBSTONES, buf_span(&key), buf_span(&payload));
	rc = drop_rows(store, META_SUBSCRIPTIONS, buf_span(&prefix), pool, &batch, err);
	if (rc == 0)
		rc = drop_rows(store, META_SEEN, buf_span(&prefix), pool, &batch, err);
	if (rc == 0)
		rc = store_announce(store, &change, 1, err);
	if (rc == 0)
		rc = meta_commit(store_meta(store), &batch, META_DURABLE, err);
	meta_batch_fini(&batch);
	buf_free(&prefix);
	buf_free(&key);
	buf_free(&payload);
	return rc;
}

/* Nobody subscribes in between, and whoever reads the line in the sync log waits for us. */
static int remove_rows(struct store *store, struct span userid, struct pool *pool,
		       struct us_err *err)
{
	int lock, rc = store_lock_user(store, userid, STORE_EXCLUSIVE, &lock, err);

	if (rc < 0)
		return rc;
	rc = remove_rows_locked(store, userid, pool, err);
	store_unlock_namespace(&lock);
	return rc;
}

int user_remove(struct store *store, struct span userid, enum folder_delete_mode mode,
		struct us_err *err)
{
	struct buf inbox = BUF_INIT;
	struct pool *pool;
	int rc;

	if (!userid.len)
		return 0;
	pool = pool_new();
	mboxname_user_inbox(userid, &inbox);
	rc = remove_mailboxes(store, buf_span(&inbox), mode, pool, err);
	if (rc == 0)
		rc = remove_quotas(store, buf_span(&inbox), pool, err);
	if (rc == 0)
		rc = remove_rows(store, userid, pool, err);
	buf_free(&inbox);
	pool_free(&pool);
	return rc;
}

int user_tombstone(struct store *store, struct span userid, struct tombstone_row *out,
		   struct us_err *err)
{
	struct pool *pool = pool_new();
	struct buf key = BUF_INIT, payload = BUF_INIT;
	struct meta_stamp stamp;
	int rc;

	tombstone_key('U', userid, &key);
	rc = meta_get(store_meta(store), META_TOMBSTONES, buf_span(&key), &payload, &stamp, err);
	if (rc > 0) {
		int bad = tombstone_row_decode(buf_span(&payload), pool, out, err);
		rc = bad < 0 ? bad : rc;
		out->name = userid; /* the pool goes */
		out->n_former = 0;
	}
	buf_free(&key);
	buf_free(&payload);
	pool_free(&pool);
	return rc;
}

struct user_lister {
	int (*fn)(void *ctx, struct span userid, struct us_err *err);
	void *ctx;
};

static int list_if_inbox(void *ctx, struct span name, const struct mailbox_row *row,
			 struct us_err *err)
{
	struct user_lister *l = ctx;
	struct buf userid = BUF_INIT;
	int rc = 0;

	if (mboxname_is_inbox(name) && mailbox_row_is_real(row) &&
	    mboxname_owner(name, NULL, &userid))
		rc = l->fn(l->ctx, buf_span(&userid), err);
	buf_free(&userid);
	return rc;
}

int users_list(struct store *store, int (*fn)(void *ctx, struct span userid, struct us_err *err),
	       void *ctx, struct us_err *err)
{
	struct user_lister l = {fn, ctx};

	return folder_list(store, SPAN_NULL, list_if_inbox, &l, err);
}

struct named_lister {
	struct user_lister l;
	struct buf name, userid;
	struct us_err *err;
};

static int list_if_named_so(void *ctx, struct span key, struct span payload UNUSED,
			    const struct meta_stamp *stamp UNUSED)
{
	struct named_lister *n = ctx;

	buf_clear(&n->name);
	buf_clear(&n->userid);
	mboxname_from_key(key, &n->name);
	if (!mboxname_is_inbox(buf_span(&n->name)) ||
	    !mboxname_owner(buf_span(&n->name), NULL, &n->userid))
		return 0;
	return n->l.fn(n->l.ctx, buf_span(&n->userid), n->err);
}

int users_list_named(struct store *store,
		     int (*fn)(void *ctx, struct span userid, struct us_err *err), void *ctx,
		     struct us_err *err)
{
	struct named_lister n = {{fn, ctx}, BUF_INIT, BUF_INIT, err};
	int rc = meta_range(store_meta(store), META_MAILBOXES, SPAN_NULL, SPAN_NULL,
			    META_NO_PAYLOADS, list_if_named_so, &n, err);

	buf_free(&n.name);
	buf_free(&n.userid);
	return rc;
}

struct removed_lister {
	int (*fn)(void *ctx, struct span id, struct us_err *err);
	void *ctx;
	struct us_err *err;
};

static int list_removed(void *ctx, struct span key, struct span payload UNUSED,
			const struct meta_stamp *stamp UNUSED)
{
	struct removed_lister *l = ctx;

	return l->fn(l->ctx, span_from(key, 1), l->err);
}

int userdata_list_removed(struct store *store, char kind,
			  int (*fn)(void *ctx, struct span id, struct us_err *err), void *ctx,
			  struct us_err *err)
{
	struct removed_lister l = {fn, ctx, err};

	return meta_range_prefix(store_meta(store), META_TOMBSTONES, span_make(&kind, 1),
				 META_NO_PAYLOADS, list_removed, &l, err);
}
