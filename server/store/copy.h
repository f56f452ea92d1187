/* copy.h - a message of one mailbox becomes one of another: its file linked, its flags, dates and annotations with it. */
#ifndef US_STORE_COPY_H
#define US_STORE_COPY_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/err.h"
#include "server/store/commit.h"
#include "server/store/mailbox.h"

/* What goes along. */
struct copy_what {
	uint32_t system_flags; /* all it gets */
	bool keywords;
	bool annotations;   /* those everybody sees, and `userid`'s */
	struct span userid; /* who copies */
	bool of_everybody;  /* the annotations of all others, too */
};

/* Add message *r of `from` (open; the record is its view's) to the mailbox of the commit, which may be `from` itself: then *r
 * and all other records are stale afterwards. What belongs to the old place (modseqs, savedate) is drawn anew.
 * Gives the new uid in *uid_out. */
int copy_message(struct commit *c, struct mailbox *from, const struct record *r,
		 const struct copy_what *what, uint32_t *uid_out, struct us_err *err);

#endif
