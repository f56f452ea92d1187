/* wire_user.c - see wire_user.h. */
#include "reconcile/wire_user.h"

#include <stdlib.h>
#include <string.h>

#include "reconcile/wire_private.h"
#include "server/base/mem.h"

/* ---- taking in ----------------------------------------------------------------------------------- */

/* state's arrays are const for its readers; here they grow. */
static void *room(struct wire_user *u, const void *items, size_t n, size_t *cap, size_t size)
{
	return wire_grow(u->pool, (void *)items, n, cap, size);
}

static int compare(const void *a, const void *b)
{
	return span_cmp(*(const struct span *)a, *(const struct span *)b);
}

/* The list comes in one line. */
static void take_subscriptions(struct wire_user *u, const struct wire_names *names)
{
	struct span *sorted = pool_alloc(u->pool, us_mul_size(names->n, sizeof(*sorted)));

	if (names->n) {
		memcpy(sorted, names->names, names->n * sizeof(*sorted));
		qsort(sorted, names->n, sizeof(*sorted), compare);
	}
	u->state.subscriptions = sorted;
	u->state.n_subscriptions = names->n;
}

int wire_user_add(struct wire_user *u, const struct wire_item *item, struct us_err *err)
{
	struct state_user *s = &u->state;

	if (item->kind == WIRE_ITEM_MAILBOX) {
		struct state_mailbox *m =
			room(u, s->mailboxes, s->n_mailboxes, &u->cap_mailboxes, sizeof(*m));
		m[s->n_mailboxes++] = item->u.mailbox.state;
		s->mailboxes = m;
	} else if (item->kind == WIRE_ITEM_QUOTA) {
		struct state_quota *q = room(u, s->quotas, s->n_quotas, &u->cap_quotas, sizeof(*q));
		q[s->n_quotas++] = item->u.quota;
		s->quotas = q;
	} else if (item->kind == WIRE_ITEM_SEEN) {
		struct state_seen *seen = room(u, s->seen, s->n_seen, &u->cap_seen, sizeof(*seen));
		seen[s->n_seen++] = item->u.seen;
		s->seen = seen;
	} else if (item->kind == WIRE_ITEM_SIEVE) {
		struct state_sieve *sieve =
			room(u, s->sieve, s->n_sieve, &u->cap_sieve, sizeof(*sieve));
		sieve[s->n_sieve++] = item->u.sieve.script;
		s->sieve = sieve;
	} else if (item->kind == WIRE_ITEM_LSUB) {
		take_subscriptions(u, &item->u.names);
	} else {
		return us_fail(err, US_EPROTO, "an answer has a line that does not belong there");
	}
	return 0;
}

/* ---- giving out ---------------------------------------------------------------------------------- */

void wire_put_meta(struct dlist_writer *w, const struct state_user *user, bool sieve_mailbox)
{
	struct wire_item lsub = {.kind = WIRE_ITEM_LSUB,
				 .u.names = {user->subscriptions, user->n_subscriptions}};

	for (size_t i = 0; i < user->n_seen; i++) {
		struct wire_item item = {.kind = WIRE_ITEM_SEEN, .u.seen = user->seen[i]};
		wire_put_item(w, &item);
	}
	if (user->n_subscriptions)
		wire_put_item(w, &lsub);
	for (size_t i = 0; !sieve_mailbox && i < user->n_sieve; i++) {
		struct wire_item item = {.kind = WIRE_ITEM_SIEVE, .u.sieve.script = user->sieve[i]};
		wire_put_item(w, &item);
	}
}

void wire_put_user(struct dlist_writer *w, const struct state_user *user, bool sieve_mailbox)
{
	for (size_t i = 0; i < user->n_mailboxes; i++) {
		if (!wire_is_visible(&user->mailboxes[i], sieve_mailbox))
			continue;
		wire_begin_item(w, WIRE_ITEM_MAILBOX);
		wire_put_mailbox(w, &user->mailboxes[i], WIRE_REPLY);
		wire_end_item(w);
	}
	for (size_t i = 0; i < user->n_quotas; i++) {
		struct wire_item item = {.kind = WIRE_ITEM_QUOTA, .u.quota = user->quotas[i]};
		wire_put_item(w, &item);
	}
	wire_put_meta(w, user, sieve_mailbox);
}
