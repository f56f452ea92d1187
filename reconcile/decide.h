/* decide.h - what every decision is given beside the two states.
 *
 * Each decision is a function of plain data (server/store/state.h): the same input gives the same plan, so every rule is a
 * row of doc/RECONCILE.md and a unit test. Nothing here reads a file, a socket or a clock. What plans point to lives in the
 * pool they were built in, or where the states do.
 */
#ifndef US_RECONCILE_DECIDE_H
#define US_RECONCILE_DECIDE_H

#include <stdbool.h>
#include <stddef.h>

#include "server/base/span.h"
#include "server/store/state.h"

struct decide_options {
	bool sieve_mailbox; /* scripts travel as mailboxes; else they are not looked at as such */
	bool force;      /* -O: the replica's higher values do not count, nothing is copied back */
	bool whole_user; /* the states are all of a user's, not a choice of mailboxes */
	bool conversations;        /* XCONVMODSEQ is compared */
	bool reverse_acls;         /* RACLMODSEQ is compared */
	struct span partition;     /* -p: where everything goes there; empty: each to its own */
	struct span deletedprefix; /* "DELETED" */
	size_t batch;              /* most new records in one order; 0: no limit */
};

/* The partition a mailbox has to be on over there. */
struct span decide_partition(const struct state_mailbox *local,
			     const struct decide_options *options);

/* An entry that exists only because it has children: a type with the flag "i". */
bool decide_is_entry(const struct state_mailbox *m);
/* Must it be left out, because scripts travel as commands on this link? */
bool decide_is_hidden(const struct state_mailbox *m, const struct decide_options *options);

/* Are these two sets equal? Whatever the order; entry, user and value count, modseqs do not. */
bool decide_same_annotations(const struct state_annotation *a, size_t n_a,
			     const struct state_annotation *b, size_t n_b);

#endif
