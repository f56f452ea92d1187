/* account.c - see account.h. */
#include "server/csync/account.h"

#include "server/base/mem.h"
#include "server/csync/scripts.h"
#include "server/store/mailbox.h"
#include "server/store/mboxname.h"
#include "server/store/quota.h"
#include "server/store/snapshot.h"
#include "server/store/userdata.h"

int account_mailboxes(struct store *store, const struct span *names, size_t n, struct pool *pool,
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

int account_read(struct store *store, struct span userid, bool sieve_mailbox, struct pool *pool,
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
		rc = account_mailboxes(store, names, n, pool, &u, err);
	if (rc == 0)
		rc = add_quotas(store, pool, &u, err);
	if (rc == 0)
		rc = add_meta(store, sieve_mailbox, pool, &u, err);
	*exists = has_inbox(&u, buf_span(&inbox));
	*out = u;
	buf_free(&inbox);
	return rc;
}
