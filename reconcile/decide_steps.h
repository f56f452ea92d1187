/* decide_steps.h - the records one mailbox sends, divided into orders of a bounded size.
 *
 *	new records, by UID			changed ones, by modseq
 *	|<- batch ->|<- batch ->|<- rest	|<- batch ->|<- rest, final ->|
 *
 * New ones go first. Every order but the last is a partial update: it says an intermediate LAST_UID and HIGHESTMODSEQ and no
 * sums. As long as nothing waits but new records, that point is the whole truth, and when the link breaks the next pass goes on
 * from there. Where changed ones wait too, it says more than is true (an order may not say a HIGHESTMODSEQ below what it
 * carries, nor may the next): the pass itself remembers (`sure` in decide_mailbox.h), and after a break the sums tell.
 *
 * Changed records with one modseq (one STORE over a whole mailbox) cannot be told apart by such a point and stay together.
 */
#ifndef US_RECONCILE_DECIDE_STEPS_H
#define US_RECONCILE_DECIDE_STEPS_H

#include "reconcile/decide_mailbox.h"
#include "server/base/pool.h"

/* What has to be known of a record that goes over. */
struct steps_record {
	uint32_t uid;
	bool expunged;
	uint64_t modseq;
};

enum steps_extent {
	STEPS_WHOLE,
	STEPS_ADDITIONS, /* new records only: what must be there before anything is taken away */
};

struct step {
	uint32_t new_from, new_to;         /* new records with new_from < UID <= new_to */
	uint64_t changed_from, changed_to; /* others with changed_from < modseq <= changed_to */
	uint32_t last_uid;                 /* of the header, unless final */
	uint64_t highestmodseq;
	bool final;
};

struct steps_plan {
	struct step *steps;
	size_t n;
	bool gains;  /* live messages come to the replica */
	bool losses; /* messages that are live there may go */
};

/* `records` are all that decide_sends() chooses, in UID order; only read. batch 0: no limit. */
void decide_steps(const struct mailbox_decision *d, const struct steps_record *records, size_t n,
		  size_t batch, enum steps_extent extent, struct pool *pool,
		  struct steps_plan *out);

bool decide_step_has(const struct mailbox_decision *d, const struct step *step,
		     const struct state_record *r);
/* The header that step `i` is sent with. After a step that was not final it is also what the replica now is. replica NULL: it
 * was not there before. */
void decide_step_header(const struct mailbox_decision *d, const struct state_mailbox *replica,
			const struct steps_plan *plan, size_t i, struct state_mailbox *out);

#endif
