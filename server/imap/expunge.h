/* expunge.h - take out what is \Deleted: EXPUNGE, UID EXPUNGE, CLOSE; and what was moved. */
#ifndef US_IMAP_EXPUNGE_H
#define US_IMAP_EXPUNGE_H

#include <stdint.h>

#include "server/base/err.h"

struct selected;
struct uidset;

/* Expunge the messages with \Deleted, of `only` if it is not NULL; durable when it returns. Nothing is told:
 * selected_update() does. Gives how many. Rights are the caller's to check. */
int expunge_deleted(struct selected *sel, const struct uidset *only, struct us_err *err);
/* Expunge all of `uids` that are live, whatever their flags; the mailbox is locked, and stays it (MOVE). */
int expunge_moved(struct selected *sel, const struct uidset *uids, struct us_err *err);

#endif
