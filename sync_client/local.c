/* local.c - see local.h. */
#include "sync_client/local.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"
#include "server/csync/scripts.h"
#include "server/store/folder.h"
#include "server/store/mailbox.h"
#include "server/store/mboxname.h"
#include "server/store/meta/meta.h"
#include "server/store/quota.h"
#include "server/store/snapshot.h"
#include "server/store/userdata.h"

/* ---- settling ---------------------------------------------------------------------------------- */

static int pass_namespace(struct store *store, struct span name, struct us_err *err)
{
	int lock, rc = store_lock_namespace(store, name, STORE_EXCLUSIVE, &lock, err);

	if (rc == 0)
		store_unlock_namespace(&lock);
	return rc;
}

/* A mailbox's lock is enough while it is there; if the name is gone, so may be the lock. */
static int settle_one(struct store *store, struct span name, struct us_err *err)
{
	struct mailbox *m = NULL;
	int rc = mailbox_open(store, name, &m, err);

	if (rc == 0)
		rc = mailbox_lock(m, err);
	mailbox_close(&m);
	return rc == US_ENOENT ? pass_namespace(store, name, err) : rc;
}

int local_settle_mailboxes(struct store *store, const struct span *names, size_t n,
			   struct us_err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = settle_one(store, names[i], err);
	return rc == 0 ? meta_barrier(store_meta(store), err) : rc;
}

int local_settle_user(struct store *store, struct span userid, struct us_err *err)
{
	struct buf inbox = BUF_INIT;
	int rc;

	if (userid.len)
		mboxname_user_inbox(userid, &inbox);
	rc = pass_namespace(store, buf_span(&inbox), err);
	buf_free(&inbox);
	return rc == 0 ? meta_barrier(store_meta(store), err) : rc;
}

/* ---- mailboxes --------------------------------------------------------------------------------- */

int local_mailboxes(struct store *store, const struct span *names, size_t n, struct pool *pool,
		    struct state_user *out, struct us_err *err)
{
	struct state_mailbox *list = pool_alloc(pool, us_mul_size(n ? n : 1, sizeof(*list)));
	size_t kept = 0;
	int rc = 0;

	for (size_t i = 0; rc >= 0 && i < n; i++) {
		struct mailbox *m;
		rc = snapshot_name(store, names[i], pool, &list[kept], &m, err);
		kept += rc > 0;
		mailbox_close(&m);
	}
	out->mailboxes = list;
	out->n_mailboxes = kept;
	return rc < 0 ? rc : 0;
}

struct tombstones {
	struct store *store;
	struct pool *pool;
	struct state_tombstone *items;
	size_t n, cap;
};

static int note_tombstone(void *ctx, struct span uniqueid, const struct tombstone_row *row,
			  struct us_err *err UNUSED)
{
	struct tombstones *t = ctx;

	us_grow(&t->items, t->n, &t->cap, sizeof(t->items[0]));
	t->items[t->n++] = (struct state_tombstone){.uniqueid = pool_span(t->pool, uniqueid),
						    .name = pool_span(t->pool, row->name),
						    .uidvalidity = row->uidvalidity,
						    .modseq = row->modseq,
						    .time = row->time};
	return 0;
}

int local_tombstones(struct store *store, struct span prefix, struct pool *pool,
		     struct state_user *out, struct us_err *err)
{
	struct tombstones t = {.store = store, .pool = pool};
	struct state_tombstone *kept;
	int rc = folder_list_tombstones(store, prefix, note_tombstone, &t, err);

	kept = pool_alloc(pool, us_mul_size(t.n ? t.n : 1, sizeof(*kept)));
	if (t.n)
		memcpy(kept, t.items, t.n * sizeof(*kept));
	free(t.items);
	out->tombstones = kept;
	out->n_tombstones = t.n;
	return rc < 0 ? rc : 0;
}

/* ---- users ------------------------------------------------------------------------------------- */

static int add_quotas(struct store *store, struct pool *pool, struct state_user *u,
		      struct us_err *err)
{
	struct state_quota *list = pool_alloc(pool, us_mul_size(u->n_mailboxes + 1, sizeof(*list)));
	size_t n = 0;
	int rc = 0;

	for (size_t i = 0; rc >= 0 && i < u->n_mailboxes; i++) {
		struct span root = u->mailboxes[i].quotaroot;
		size_t k = 0;
		while (k < n && !span_eq(list[k].root, root))
			k++;
		if (!root.ptr || k < n)
			continue;
		rc = quota_get(store, root, &list[n], err);
		n += rc > 0;
	}
	u->quotas = list;
	u->n_quotas = n;
	return rc < 0 ? rc : 0;
}

static bool has_inbox(const struct state_user *u, struct span inbox)
{
	for (size_t i = 0; i < u->n_mailboxes; i++)
		if (span_eq(u->mailboxes[i].name, inbox) && u->mailboxes[i].partition.ptr)
			return true;
	return false;
}

static int add_meta(struct store *store, bool sieve_mailbox, struct pool *pool,
		    struct state_user *u, struct us_err *err)
{
	int rc = subscriptions_list(store, u->userid, pool, &u->subscriptions, &u->n_subscriptions,
				    err);

	if (rc == 0)
		rc = seen_list(store, u->userid, pool, &u->seen, &u->n_seen, err);
	if (rc == 0 && !sieve_mailbox)
		rc = scripts_list(store, u->userid, pool, &u->sieve, &u->n_sieve, err);
	return rc;
}

int local_user(struct store *store, struct span userid, bool sieve_mailbox, struct pool *pool,
	       struct state_user *out, bool *exists, struct us_err *err)
{
	struct state_user u = {.userid = userid};
	const struct span *names;
	struct buf inbox = BUF_INIT;
	size_t n;
	int rc;

	mboxname_user_inbox(userid, &inbox);
	rc = snapshot_user_names(store, userid, pool, &names, &n, err);
	if (rc == 0)
		rc = local_mailboxes(store, names, n, pool, &u, err);
	if (rc == 0)
		rc = add_quotas(store, pool, &u, err);
	if (rc == 0)
		rc = add_meta(store, sieve_mailbox, pool, &u, err);
	if (rc == 0)
		rc = local_tombstones(store, buf_span(&inbox), pool, &u, err);
	*exists = has_inbox(&u, buf_span(&inbox));
	*out = u;
	buf_free(&inbox);
	return rc;
}
