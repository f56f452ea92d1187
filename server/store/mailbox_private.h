/* mailbox_private.h - the steps of opening a mailbox that recovery and commits share. */
#ifndef US_STORE_MAILBOX_PRIVATE_H
#define US_STORE_MAILBOX_PRIVATE_H

#include "server/store/mailbox.h"

/* Open mbox.lk if it is not. */
int mailbox_open_lock(struct mailbox *m, struct us_err *err);
/* Is mbox.idx still the one the view is of? */
bool mailbox_has_same_index(const struct mailbox *m);
/* Throw the view away and open what is published. */
int mailbox_reopen_view(struct mailbox *m, struct us_err *err);

/* Holding the mailbox lock: words of another boot or epoch; find the end of the chain, publish it. The view is
 * not open and stays so. */
int mailbox_recover(struct mailbox *m, struct us_err *err);
/* Holding the mailbox lock, with the view at publish_end: roll forward a durable commit that was not published, and
 * give metad the META ops it has not got. */
int mailbox_repair(struct mailbox *m, struct us_err *err);
/* Holding the mailbox lock: remove the files of UIDs from low to high, those that there are. False: one is left. */
bool mailbox_remove_files(struct mailbox *m, uint64_t low, uint64_t high);
/* Holding the mailbox lock: remove the files of messages that left, and of those that were unlinked, which whoever did that
 * died before he removed, or could not. To be done before the journal that tells of them is replaced. */
int mailbox_remove_left(struct mailbox *m, struct us_err *err);
/* Before a commit: is mbox.hdr there and as new as the row? Looked at once a boot and journal; else written again. */
void mailbox_check_hdr(struct mailbox *m);
/* Give metad every META op with a serial above the row's. */
int mailbox_apply_meta(struct mailbox *m, struct us_err *err);

#endif
