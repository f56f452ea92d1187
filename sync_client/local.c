/* local.c - see local.h. */
#include "sync_client/local.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"
#include "server/csync/account.h"
#include "server/store/folder.h"
#include "server/store/mailbox.h"
#include "server/store/mboxname.h"
#include "server/store/meta/meta.h"

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
	return rc < 0 ? rc : account_mailboxes(store, names, found, pool, out, err);
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
