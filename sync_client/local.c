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

int local_by_uniqueid(struct store *store, const struct span *ids, size_t n, struct pool *pool,
		      struct state_user *out, struct us_err *err)
{
	struct span *names = pool_alloc(pool, us_mul_size(n + 1, sizeof(*names)));
	struct buf name = BUF_INIT;
	size_t found = 0;
	int rc = 0;

	for (size_t i = 0; rc >= 0 && i < n; i++) {
		buf_clear(&name);
		rc = mailbox_name_of_uniqueid(store, ids[i], &name, err);
		if (rc > 0)
			names[found++] = pool_span(pool, buf_span(&name));
	}
	buf_free(&name);
	return rc < 0 ? rc : local_mailboxes(store, names, found, pool, out, err);
}

/* 1 and *out filled, 0 if that mailbox is here or nothing is known of it. */
static int one_tombstone(struct store *store, struct span id, struct pool *pool,
			 struct state_tombstone *out, struct us_err *err)
{
	struct tombstone_row row;
	struct buf name = BUF_INIT;
	int rc = mailbox_name_of_uniqueid(store, id, &name, err);

	buf_free(&name);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = folder_tombstone(store, id, pool, &row, err);
	if (rc > 0)
		*out = (struct state_tombstone){.uniqueid = id,
						.name = row.name,
						.uidvalidity = row.uidvalidity,
						.modseq = row.modseq,
						.time = row.time};
	return rc;
}

int local_tombstones(struct store *store, const struct span *ids, size_t n, struct pool *pool,
		     struct state_user *out, struct us_err *err)
{
	struct state_tombstone *list = pool_alloc(pool, us_mul_size(n + 1, sizeof(*list)));
	size_t found = 0;
	int rc = 0;

	for (size_t i = 0; rc >= 0 && i < n; i++) {
		rc = one_tombstone(store, ids[i], pool, &list[found], err);
		found += rc > 0;
	}
	out->tombstones = list;
	out->n_tombstones = found;
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
	*exists = has_inbox(&u, buf_span(&inbox));
	*out = u;
	buf_free(&inbox);
	return rc;
}
