/* expire.h - old messages: those whose time is over are expunged, and what is left of expunged ones goes for good.
 *
 *	live --expire_messages()--> expunged --expire_purge()--> gone
 *	  ^				|
 *	  +---restore_messages()--------+	under a new UID
 *
 * Each works in turns: what is due is looked for without any lock, then at most so many messages are changed under the mailbox's,
 * which is let go before the next turn. Whoever calls may stop between turns. The mailbox is open and not locked.
 */
#ifndef US_STORE_EXPIRE_H
#define US_STORE_EXPIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/err.h"
#include "server/base/span.h"
#include "server/store/mailbox.h"

struct expire_turn {
	unsigned most; /* messages that are changed in one turn, at least 1 */
	uint32_t from; /* UID the next turn begins with; 0 at first */
	uint64_t done; /* messages, added up over the turns */
};

/* Which messages are too old: those sent before, by their Date field, or by INTERNALDATE if they have none that makes sense. */
struct expire_rule {
	int64_t before;
	bool by_savedate;  /* those that came into the mailbox before, instead */
	bool keep_flagged; /* not those with \Flagged */
};

/* Expunge what is too old. 1: there may be more, 0: that was all. */
int expire_messages(struct mailbox *m, const struct expire_rule *rule, struct expire_turn *turn,
		    struct us_err *err);
/* Messages expunged at or before that time leave the mailbox, and their files go. Those with files are counted. 1 or 0. */
int expire_purge(struct mailbox *m, int64_t at_or_before, struct expire_turn *turn,
		 struct us_err *err);

/* Can this message be had back: is it expunged, and its file still there as far as the record says? */
bool restore_is_possible(const struct record *r);

struct restore_options {
	bool clear_deleted;  /* without \Deleted */
	struct span keyword; /* with this one; empty: none */
};
struct restored {
	uint32_t uid, new_uid; /* in; out: 0 if it was not restored, and why: */
	int rc;
	struct us_err err;
};
/* Give these messages back under new UIDs, with all they had, in one commit; nothing is left under the old ones. What concerns one of
 * them only (US_ENOENT: no such message is expunged, or its file is gone; US_ECORRUPT; US_EQUOTA: there is no room) is
 * told in its entry. Gives how many came back; an error is that of all. */
int restore_messages(struct mailbox *m, struct restored *list, size_t n,
		     const struct restore_options *options, struct us_err *err);

#endif
