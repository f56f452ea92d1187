/* order.h - in what order the mailboxes of a pass are brought over, so that nothing is removed before what replaces it is there.
 *
 * A message moved from A to B is new in B and expunged in A: two mailboxes, two orders, and nobody can tell that they belong
 * together. So everything that comes goes first, in all mailboxes; then what goes:
 *
 *	1 whole		mailboxes that lose nothing
 *	2 additions	mailboxes that gain and lose, but for the last of them
 *	3 whole		that last one: one order is one change
 *	4 whole		the others that lose
 *	5 deletes	the caller's, if order_may_delete()
 *
 * If a mailbox that gains could not be brought over, nothing is taken from any other (what gains still goes): its message may
 * be the one.
 */
#ifndef US_RECONCILE_ORDER_H
#define US_RECONCILE_ORDER_H

#include <stdbool.h>
#include <stddef.h>

struct order_item {
	bool skip; /* nothing to do, or not possible */
	bool gains, losses;
};

enum order_part { ORDER_WHOLE, ORDER_ADDITIONS };

/* In the caller's storage; reads `items` as long as it is used. */
struct order {
	const struct order_item *items;
	size_t n, last_both; /* n: there is none */
	unsigned phase;
	size_t next;
	bool failed;
};

/* failed: something that gains is known to have failed already. */
void order_init(struct order *o, const struct order_item *items, size_t n, bool failed);
/* The next item and which part of it; false: that was all. The items of one phase do not depend on each other. */
bool order_next(struct order *o, size_t *item, enum order_part *part);
/* Nothing more is due before what is on its way has arrived: what comes next depends on it. */
bool order_must_wait(const struct order *o);
/* That item, which was given in this phase, could not be brought over. */
void order_failed(struct order *o, size_t item);
bool order_may_delete(const struct order *o);

#endif
