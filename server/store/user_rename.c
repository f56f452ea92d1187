/* user_rename.c - see user_rename.h. */
#include "server/store/user_rename.h"

#include <stdlib.h>

#include "server/base/mem.h"
#include "server/store/acl.h"
#include "server/store/folder.h"
#include "server/store/mailbox.h"
#include "server/store/mboxname.h"
#include "server/store/quota.h"
#include "server/store/userdata.h"

int user_rename_acl(struct store *store, struct span name, struct span from, struct span to,
		    struct us_err *err)
{
	struct mailbox *m = NULL;
	struct buf acl = BUF_INIT;
	int rc = mailbox_open(store, name, &m, err);

	if (rc == 0)
		rc = mailbox_lock(m, err);
	if (rc == 0) {
		acl_rename(m->row.acl, from, to, &acl);
		if (!span_eq(buf_span(&acl), m->row.acl))
			rc = folder_set_acl(m, buf_span(&acl), err);
		mailbox_unlock(m);
	}
	buf_free(&acl);
	mailbox_close(&m);
	return rc;
}

struct move {
	struct store *store;
	struct pool *pool;
	struct span from, to; /* INBOXes, internal */
	struct state_quota *quotas;
	size_t n, cap;
};

/* The same name below the other INBOX; names elsewhere stay as they are. */
static struct span moved(const struct move *move, struct span name)
{
	if (!span_eq(name, move->from) && !mboxname_is_below(name, move->from))
		return name;
	name = span_from(name, move->from.len);
	return span_of(pool_printf(move->pool, "%.*s%.*s", SPAN_ARG(move->to), SPAN_ARG(name)));
}

static int collect_quota(void *ctx, const struct state_quota *quota, struct us_err *err UNUSED)
{
	struct move *move = ctx;

	if (!span_eq(quota->root, move->from) && !mboxname_is_below(quota->root, move->from))
		return 0;
	us_grow(&move->quotas, move->n, &move->cap, sizeof(move->quotas[0]));
	move->quotas[move->n] = *quota;
	move->quotas[move->n++].root = moved(move, pool_span(move->pool, quota->root));
	return 0;
}

static int copy_quotas(struct move *move, struct us_err *err)
{
	int rc = quota_list(move->store, move->from, collect_quota, move, err);

	for (size_t i = 0; rc == 0 && i < move->n; i++) {
		move->quotas[i].modseq = 0;
		rc = quota_set(move->store, &move->quotas[i], err);
	}
	free(move->quotas);
	return rc;
}

static int copy_subscriptions(struct move *move, struct span from, struct span to,
			      struct us_err *err)
{
	const struct span *names;
	size_t n = 0;
	int rc = subscriptions_list(move->store, from, move->pool, &names, &n, err);

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = subscription_set(move->store, to, moved(move, names[i]), true, err);
	return rc;
}

static int copy_seen(struct move *move, struct span from, struct span to, struct us_err *err)
{
	const struct state_seen *seen;
	size_t n = 0;
	int rc = seen_list(move->store, from, move->pool, &seen, &n, err);

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = seen_set(move->store, to, &seen[i], err);
	return rc;
}

int user_copy_data(struct store *store, struct span from, struct span to, struct us_err *err)
{
	struct move move = {.store = store, .pool = pool_new()};
	struct buf old = BUF_INIT, new = BUF_INIT;
	int rc;

	mboxname_user_inbox(from, &old);
	mboxname_user_inbox(to, &new);
	move.from = buf_span(&old);
	move.to = buf_span(&new);
	rc = copy_quotas(&move, err);
	if (rc == 0)
		rc = copy_subscriptions(&move, from, to, err);
	if (rc == 0)
		rc = copy_seen(&move, from, to, err);
	buf_free(&old);
	buf_free(&new);
	pool_free(&move.pool);
	return rc;
}
