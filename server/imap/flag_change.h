/* flag_change.h - change the flags of many messages of the selected mailbox: STORE, and the \Seen of a FETCH.
 *
 * All of them are one commit, durable when it returns. Only messages whose flags really change are touched: asking
 * for what is so already costs no write and raises no modseq. The \Seen of somebody who is not the owner is his
 * own (selected.h) and a change by itself, before the commit, which raises the modseq of the message all the same: his other
 * clients find it by that.
 */
#ifndef US_IMAP_FLAG_CHANGE_H
#define US_IMAP_FLAG_CHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/err.h"
#include "server/base/span.h"
#include "server/imap/selected.h"

enum flag_change_how { FLAGS_REPLACE, FLAGS_ADD, FLAGS_REMOVE };

struct flag_change {
	enum flag_change_how how;
	uint32_t system; /* FLAG_* of state.h */
	const struct span *keyword;
	size_t n_keywords;
	bool conditional;         /* UNCHANGEDSINCE: a message with a higher modseq */
	uint64_t unchanged_since; /* than this is left alone */
};

/* Has he the rights to set and clear all that is named? */
bool flag_change_allowed(const struct flag_change *change, uint32_t rights);

/* Carry it out on those of `uids` that are live. What REPLACE does not name it clears, as far as his rights go. *changed
 * gets the UIDs of messages that look different to this user now, *modified (NULL if not conditional) those left alone. On
 * failure nothing, or only his own \Seen, is done. */
int flag_change_run(struct selected *sel, const struct uidset *uids,
		    const struct flag_change *change, struct uidset *changed,
		    struct uidset *modified, struct us_err *err);

#endif
