/* duplicate.h - what was delivered where: a second copy of a message into the same mailbox is not wanted.
 *
 * A mark (doc/FORMATS.md 9.2, table duplicates) is keyed by the Message-ID, the mailbox's uniqueid and the Date field, and names the record
 * it stands for. It rides in that record's own commit, so it cannot be there without it; and it counts only as long as the
 * record exists (expunged included), so it cannot swallow a message that nobody has.
 */
#ifndef US_STORE_DUPLICATE_H
#define US_STORE_DUPLICATE_H

#include <signal.h>
#include <stdint.h>

#include "server/base/err.h"
#include "server/base/span.h"
#include "server/store/mailbox.h"

struct meta_batch;
struct store;

/* Longer ones are never marked. */
#define DUPLICATE_ID_MAX 1000

/* Is this message in the mailbox, which is locked? 1 or 0. */
int duplicate_known(struct mailbox *m, struct span id, struct span date, struct us_err *err);
/* The same question before the lock is taken, as the answer will probably be: what it costs is paid then. 0 when well. */
int duplicate_foresee(struct mailbox *m, struct span id, struct span date, struct us_err *err);
/* Add to the metadata half of the commit that appends it: with uid it went into m. */
void duplicate_mark(struct meta_batch *batch, const struct mailbox *m, struct span id,
		    struct span date, uint32_t uid);

/* ---- all of them ----------------------------------------------------------------------------------- */

struct duplicate_entry {
	struct span id, uniqueid, date; /* good until fn returns */
	int64_t time;                   /* when it was delivered */
	uint32_t uid;
};
/* 0 go on, else the list ends with that. */
typedef int duplicate_fn(void *ctx, const struct duplicate_entry *entry, struct us_err *err);

/* Each mark in the order of keys: of ids, then of mailboxes. */
int duplicate_list(struct store *store, duplicate_fn *fn, void *ctx, struct us_err *err);

/* Forget old marks. keep_since: what of a mailbox's marks is young enough to stay, by its uniqueid (seconds; INT64_MIN: all of them). *seen
 * and *gone (out) count marks. A mark that is renewed meanwhile stays. */
struct duplicate_pruning {
	int64_t (*keep_since)(void *ctx, struct span uniqueid);
	void *ctx;
	const volatile sig_atomic_t *stop; /* ends it, early and well; may be NULL */
};
int duplicate_prune(struct store *store, const struct duplicate_pruning *how, uint64_t *seen,
		    uint64_t *gone, struct us_err *err);

#endif
