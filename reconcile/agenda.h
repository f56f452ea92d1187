/* agenda.h - the work of one batch as it goes on: what comes next, and what becomes of a piece that fails.
 *
 *	locked there, or by another client		back to the log
 *	a user's mailboxes, quota root			then the whole user is compared
 *	seen, subscription				then his meta data are, then the user
 *	shared mailboxes together			then each by itself
 *	mailboxes of several owners together		then each owner's by themselves
 *	anything else					set aside: it is tried again by itself, all others go on
 *	the link is lost				nothing: the batch is done again
 *
 * When something of an owner was set aside or written back, his removals are withheld: what they remove may not have been
 * replaced yet.
 *
 * A removed user may have been renamed: on a Cyrus UNUSER of the old name takes subscriptions and seen state that the new one
 * has inherited. So after a removal the users that were compared in this batch have their meta data compared once more.
 */
#ifndef US_RECONCILE_AGENDA_H
#define US_RECONCILE_AGENDA_H

#include "reconcile/coalesce.h"

enum agenda_fate {
	AGENDA_DONE,
	AGENDA_PROMOTED, /* something wider will be done instead */
	AGENDA_BACK,     /* its lines are to be written back to the log */
	AGENDA_ASIDE,    /* its lines are to be set aside */
	AGENDA_STOPPED,  /* the link is gone: the whole batch is to be done again */
};

struct agenda; /* opaque */

/* todo and what it points to are borrowed. together: mailboxes of several owners are one piece of work, as long as they are no more than
 * that; 0: each owner's are a piece. */
struct agenda *agenda_new(const struct coalesced *todo, size_t together);
void agenda_free(struct agenda **b);

/* The next piece, NULL: that was all. Valid until agenda_free(). If work->withheld it is not to be done: agenda_done() wants that code. */
const struct work *agenda_next(struct agenda *b);
/* What came of it: 0 or a US_E code. */
enum agenda_fate agenda_done(struct agenda *b, const struct work *work, int result);
/* The lines that stand for it. Valid until agenda_free(). */
const struct coalesce_line *agenda_lines(struct agenda *b, const struct work *work, size_t *n);

#endif
