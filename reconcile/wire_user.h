/* wire_user.h - the lines of GET USER, META and MAILBOXES as one struct state_user, and back. */
#ifndef US_RECONCILE_WIRE_USER_H
#define US_RECONCILE_WIRE_USER_H

#include "reconcile/wire_item.h"
#include "server/base/pool.h"
#include "server/store/state.h"

/* Grows while the lines come: begin with {.pool = pool}. state's arrays live in the pool, and its spans where the items' do. */
struct wire_user {
	struct pool *pool;
	struct state_user state;
	size_t cap_mailboxes, cap_quotas, cap_seen, cap_sieve;
};

/* Take in one line. Subscriptions are sorted. US_EPROTO: no such line belongs there. */
int wire_user_add(struct wire_user *user, const struct wire_item *item, struct us_err *err);

/* The lines themselves, in Cyrus's order. sieve_mailbox: the peer enabled it, so scripts are mailboxes; without it they are
 * lines. USER: mailboxes, quotas, and what META has: seen, subscriptions, scripts. */
void wire_put_user(struct dlist_writer *w, const struct state_user *user, bool sieve_mailbox);
void wire_put_meta(struct dlist_writer *w, const struct state_user *user, bool sieve_mailbox);

#endif
