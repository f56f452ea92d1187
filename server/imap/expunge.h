/* expunge.h - take out what is \Deleted: EXPUNGE, UID EXPUNGE, CLOSE; and what was moved. */
#ifndef US_IMAP_EXPUNGE_H
#define US_IMAP_EXPUNGE_H

#include <stdint.h>

#include "server/base/err.h"

struct commit;
struct mailbox;
struct record;
struct selected;
struct uidset;

/* Expunge the messages with \Deleted, of `only` if it is not NULL; durable when it returns. Nothing is told:
 * selected_update() does. Gives how many. Rights are the caller's to check. */
int expunge_deleted(struct selected *sel, const struct uidset *only, struct us_err *err);
/* Expunge all of `uids` that are live, whatever their flags; the mailbox is locked, and stays it (MOVE). */
int expunge_moved(struct selected *sel, const struct uidset *uids, struct us_err *err);
/* Add to a commit of `m` that this message is expunged at `now`; with expunge_mode immediate its file goes, too. */
int expunge_one(struct mailbox *m, struct commit *c, const struct record *r, int64_t now,
		struct us_err *err);

#endif
