/* copy.h - a message of one mailbox becomes one of another: its file linked, its flags, dates and annotations with it. */
#ifndef US_IMAP_COPY_H
#define US_IMAP_COPY_H

#include <stdint.h>

#include "server/base/err.h"
#include "server/store/commit.h"
#include "server/store/mailbox.h"

/* Add message *r of `from` (open; the record is its view's) to the mailbox of the commit, with these system flags. What
 * belongs to the old place (modseqs, savedate) is drawn anew. Annotations are those everybody sees, and `userid`'s.
 * Gives the new uid in *uid_out. */
int copy_message(struct commit *c, struct mailbox *from, const struct record *r,
		 uint32_t system_flags, struct span userid, uint32_t *uid_out, struct us_err *err);

#endif
