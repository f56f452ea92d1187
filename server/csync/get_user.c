/* get_user.c - GET USER and GET META (csync-protocol 6).
 *
 * USER: a MAILBOX line for each of the user's mailboxes as it is looked at, then each quota root met, then, if a real mailbox is among
 * them, what META has. Nothing is gathered but quota roots: a user of 100,000 mailboxes takes no more memory than one of ten.
 */
#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"
#include "server/csync/csync_private.h"
#include "server/csync/scripts.h"
#include "server/store/quota.h"
#include "server/store/snapshot.h"
#include "server/store/userdata.h"

struct listing {
	struct csync_answer *a;
	struct pool *scratch; /* one mailbox's */
	struct state_quota *quotas;
	size_t n_quotas, cap_quotas;
	bool real; /* at least one mailbox that is more than a name */
};

static bool has_quota(const struct listing *l, struct span root)
{
	for (size_t i = 0; i < l->n_quotas; i++)
		if (span_eq(l->quotas[i].root, root))
			return true;
	return false;
}

/* Each root once, as it is met. */
static int note_quota(struct listing *l, struct span root, struct us_err *err)
{
	struct state_quota q;
	int rc;

	if (!root.ptr || has_quota(l, root))
		return 0;
	rc = quota_get(l->a->cs->store, root, &q, err);
	if (rc > 0) {
		q.root = pool_span(l->a->pool, root);
		us_grow(&l->quotas, l->n_quotas, &l->cap_quotas, sizeof(l->quotas[0]));
		l->quotas[l->n_quotas++] = q;
	}
	return rc < 0 ? rc : 0;
}

static int put_mailboxes(struct listing *l, struct span userid, struct us_err *err)
{
	const struct span *names;
	size_t n;
	int rc = snapshot_user_names(l->a->cs->store, userid, l->a->pool, &names, &n, err);

	for (size_t i = 0; rc >= 0 && i < n; i++) {
		struct state_mailbox m;
		rc = csync_put_mailbox(l->a, names[i], l->scratch, &m, err);
		if (rc > 0) {
			l->real |= !wire_is_entry(&m);
			rc = note_quota(l, m.quotaroot, err);
		}
		pool_clear(l->scratch);
	}
	return rc < 0 ? rc : 0;
}

static void put_quotas(struct listing *l)
{
	for (size_t i = 0; i < l->n_quotas; i++) {
		struct wire_item item = {.kind = WIRE_ITEM_QUOTA, .u.quota = l->quotas[i]};
		wire_put_item(&l->a->writer, &item);
		csync_push_much(l->a);
	}
}

static int put_meta(struct csync_answer *a, struct span userid, struct us_err *err)
{
	struct state_user user = {.userid = userid};
	int rc = subscriptions_list(a->cs->store, userid, a->pool, &user.subscriptions,
				    &user.n_subscriptions, err);

	if (rc == 0)
		rc = seen_list(a->cs->store, userid, a->pool, &user.seen, &user.n_seen, err);
	if (rc == 0 && !a->cs->sieve_mailbox)
		rc = scripts_list(a->cs->store, userid, a->pool, &user.sieve, &user.n_sieve, err);
	if (rc == 0)
		wire_put_meta(&a->writer, &user, a->cs->sieve_mailbox);
	return rc;
}

int csync_get_user(struct csync_answer *a, const struct wire_command *c, struct us_err *err)
{
	struct listing l = {.a = a, .scratch = pool_new()};
	int rc = c->u.name.len ? put_mailboxes(&l, c->u.name, err) : 0;

	if (rc == 0)
		put_quotas(&l);
	if (rc == 0 && l.real)
		rc = put_meta(a, c->u.name, err);
	free(l.quotas);
	pool_free(&l.scratch);
	return rc;
}

int csync_get_meta(struct csync_answer *a, const struct wire_command *c, struct us_err *err)
{
	return c->u.name.len ? put_meta(a, c->u.name, err) : 0;
}
