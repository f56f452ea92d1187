/* folder_private.h - what the files of folder.h share. */
#ifndef US_STORE_FOLDER_PRIVATE_H
#define US_STORE_FOLDER_PRIVATE_H

#include "server/store/folder.h"

void folder_expect(struct meta_batch *batch, struct span name, uint64_t version);
void folder_del_row(struct meta_batch *batch, struct span name);
void folder_put_serial(struct meta_batch *batch, struct span name, uint64_t serial);
uint64_t folder_next_modseq(const struct mailbox *m);
/* A failure is logged; who has no more to do about it may drop it. */
int folder_write_hdr(struct store *store, int dir, struct span name, const struct flag_names *names,
		     const struct counters *counters);
/* Remove the tombstone of a mailbox that comes back. */
int folder_forget_tombstone(struct store *store, struct meta_batch *batch, struct span uniqueid,
			    struct us_err *err);
/* Did metad perhaps carry out a batch that failed so (meta.h)? Then what its rows name must stay; if they never came to be it is found
 * as lost. */
bool folder_may_be_done(int rc);
/* Remember what the owner of `name` must stay above. */
int folder_raise_marks(struct store *store, struct meta_batch *batch, struct span name,
		       uint32_t uidvalidity, uint64_t modseq, struct us_err *err);

#endif
