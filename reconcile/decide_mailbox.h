/* decide_mailbox.h - one mailbox, by its header: is it the same on both sides, and if not, what goes over?
 *
 *	nothing differs									MAILBOX_SAME
 *	only the sums differ, and ours were not counted yet				MAILBOX_RECOUNT
 *	replica ahead (LAST_UID, HIGHESTMODSEQ), or records it may have are gone here	MAILBOX_FULL
 *	anything else differs								MAILBOX_SEND
 *
 * What goes over are the records changed since the replica's HIGHESTMODSEQ and all above its LAST_UID; decide_steps.h divides
 * them. The replica's uidvalidity, raclmodseq and foldermodseq are taken here if they are higher: they may only rise.
 */
#ifndef US_RECONCILE_DECIDE_MAILBOX_H
#define US_RECONCILE_DECIDE_MAILBOX_H

#include <stdint.h>

#include "reconcile/decide.h"

enum mailbox_step { MAILBOX_SAME, MAILBOX_SEND, MAILBOX_RECOUNT, MAILBOX_FULL };

struct mailbox_decision {
	enum mailbox_step step;
	uint32_t take_uidvalidity;                   /* 0: nothing to take */
	uint64_t take_raclmodseq, take_foldermodseq; /* likewise */
	struct state_mailbox header;                 /* to be sent; points into the local state */
	uint64_t since;                              /* records with a higher modseq go over */
	uint64_t reached;   /* HIGHESTMODSEQ there, which no order may lower */
	uint32_t above_uid; /* records with a higher UID go over in any case: they are new there */
	/* Records with a modseq above `since` were removed here for good: no higher one may be said to be reached yet. */
	bool gaps;
};

enum mailbox_look {
	MAILBOX_FIRST =
		1u
		<< 0, /* the first attempt: it says on which state of the replica it is based, and looks
				  * whether an ordinary update can succeed at all */
	MAILBOX_RECOUNTED = 1u << 1, /* local's sums were counted from its records just now */
	MAILBOX_ON_THE_WAY =
		1u
		<< 2, /* what the replica says is a point between two steps: there is more to send */
};

#define MAILBOX_ALL_SURE UINT64_MAX

/* replica NULL: it is not there. sure: changes above this modseq were not sent, whatever the replica's HIGHESTMODSEQ says by now
 * (it may rise with the records of a partial update); MAILBOX_ALL_SURE: nothing is known. look: bits of the above. */
void decide_mailbox(const struct state_mailbox *local, const struct state_mailbox *replica,
		    uint64_t sure, const struct decide_options *options, unsigned look,
		    struct mailbox_decision *out);

/* Does this record of ours go over? */
bool decide_sends(const struct mailbox_decision *d, uint32_t uid, uint64_t modseq);
/* Does its body, unless the replica has it already? */
bool decide_sends_body(const struct mailbox_decision *d, const struct state_record *r);

#endif
