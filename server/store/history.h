/* history.h - flag changes that outlive the journal they were made in.
 *
 * Two copies of a mailbox that were both changed can be merged flag by flag as long as both know when each flag changed. A new
 * generation of the files therefore begins with FLAGHIST ops for the changes of the last day: the newest 10,000 or a little more.
 */
#ifndef US_STORE_HISTORY_H
#define US_STORE_HISTORY_H

#include "server/base/buf.h"
#include "server/store/journal.h"
#include "server/store/record.h"

struct history {
	struct buf ops; /* FLAGHIST */
	uint32_t n;
	int64_t since; /* older changes are forgotten */
};

void history_init(struct history *h);
void history_fini(struct history *h);
/* `op` of a journal is about to be applied: keep what it says of flags. before: the record it changes, NULL if there
 * is none. */
void history_note(struct history *h, const struct record *before, const struct journal_op *op);

/* These bits will mean something else: forget what was said of them. */
void history_forget(struct history *h, const uint64_t bits[2]);

#endif
