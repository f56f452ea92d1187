/* annotate_change.h - set annotations of many messages of the selected mailbox (STORE): one commit, durable when it returns. */
#ifndef US_IMAP_ANNOTATE_CHANGE_H
#define US_IMAP_ANNOTATE_CHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/err.h"
#include "server/imap/annotate.h"
#include "server/imap/selected.h"

struct annotate_change {
	struct annotate_values values;
	bool conditional; /* only messages unchanged since this modseq (RFC 7162, 3.1.3) */
	uint64_t unchanged_since;
};

/* Carry it out on those of `uids` that are live. *changed gets the UIDs of what was set, *modified of what the condition kept
 * from it. The rights were checked. US_EQUOTA; US_ELIMIT: a message would have too many. Nothing is done on failure. */
int annotate_change_run(struct selected *sel, const struct uidset *uids,
			const struct annotate_change *change, struct uidset *changed,
			struct uidset *modified, struct us_err *err);

/* What a message of the selected mailbox has, as its user sees it. */
struct annotate_source annotate_source_of(const struct selected *sel, uint32_t uid);

#endif
