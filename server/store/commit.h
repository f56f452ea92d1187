/* commit.h - change one mailbox: begin, add parts, finish (durable and published) or abort.
 *
 *	mailbox_lock(m)
 *	commit_begin(m, &c)
 *	commit_append(c, ...) commit_put(c, ...) commit_annotate(c, ...) ...	nobody sees any of it
 *	commit_finish(c)	files durable, observer told, frame written and synced, published, metadata
 *	mailbox_unlock(m)
 *
 * The writer's own view runs ahead while parts are added; abort, or a part that failed, throws it away. After a
 * failed sync the partition is poisoned. What finish() reports as failed may still come to be if only the metadata half
 * failed: the next holder of the lock completes it.
 *
 * How it is made durable is commit_finish.c's secret: message files and their names, then one fdatasync of the
 * journal. A redo log shared by the partition can take its place without a caller noticing.
 */
#ifndef US_STORE_COMMIT_H
#define US_STORE_COMMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/err.h"
#include "server/store/mailbox.h"
#include "server/store/record.h"
#include "server/store/stage.h"

struct meta_batch;
struct commit; /* opaque */

/* m is locked and stays the caller's. */
int commit_begin(struct mailbox *m, struct commit **out, struct us_err *err);

/* The modseq of this commit: one above the mailbox's highest. The first call draws it and raises HIGHESTMODSEQ, and XCONVMODSEQ with
 * it unless that is 0; a commit that never asks (a replica's, which brings modseqs with it) leaves both to commit_counters(). */
uint64_t commit_modseq(struct commit *c);

/* Counters the caller may set: uidvalidity, highestmodseq, createdmodseq, deletedmodseq, xconvmodseq, raclmodseq,
 * options, last_uid, last_append, pop3_*, recentuid, recenttime. All others are kept here. */
struct counters *commit_counters(struct commit *c);

/* Where an appended message's bytes come from: a staged body, or another mailbox's file. */
struct commit_source {
	struct staged *staged;   /* or */
	struct mailbox *mailbox; /* same partition or not: linked or copied */
	uint32_t uid;
	bool none; /* an expunged record without a file (replica) */
};
/* Add a message. Zero fields of *r are filled: uid (next), modseq, createdmodseq, last_updated, savedate (now), size,
 * guid and body_crc (of the source). uid must be above every uid there is. `cache`: payload for the cache file,
 * may be empty. *uid_out may be NULL. */
int commit_append(struct commit *c, const struct record *r, const struct commit_source *source,
		  struct span cache, uint32_t *uid_out, struct us_err *err);

/* Give an existing message this record (uid tells which; file and cache fields are taken from the old one). With
 * RECORD_UNLINKED its file is removed after the commit. */
int commit_put(struct commit *c, const struct record *r, struct us_err *err);

/* Expunge a message, the record being the view's or a copy; with expunge_mode immediate its file goes, too. */
int commit_expunge(struct commit *c, const struct record *r, struct us_err *err);

/* Bit of a keyword, given to it if it has none: US_ELIMIT when all 128 are in use, or for a name above 65,535 bytes. */
int commit_flag_bit(struct commit *c, struct span name, unsigned *bit, struct us_err *err);

/* Set (value.ptr NULL: remove) one annotation of a message; the record's sums follow. Its modseq and the record's
 * are the caller's to raise. US_ELIMIT: entry or user are above 65,535 bytes, or the value above half a MiB. */
int commit_annotate(struct commit *c, uint32_t uid, struct span entry, struct span userid,
		    struct span value, uint64_t modseq, struct us_err *err);

/* The expunged records low..high leave the mailbox; their files are removed after the commit. */
int commit_unlink(struct commit *c, uint32_t low, uint32_t high, struct us_err *err);

/* The metadata half: borrowed until finish. `lazy`: it can wait to be durable in metad, as it is in the journal. */
void commit_meta(struct commit *c, struct meta_batch *batch, bool lazy);
/* Tell the observer of this too; spans are borrowed until finish. MAILBOX (and APPEND) of the mailbox itself is
 * always told. */
void commit_also(struct commit *c, struct store_change change);

/* Both free the commit. */
int commit_finish(struct commit **c, struct us_err *err);
void commit_abort(struct commit **c);

/* Finish several, of different mailboxes of one store, sharing their syncs and the observer's call. All are freed. Each has its
 * own result in `rc` and `err`, as commit_finish() gives it: one that fails takes no other with it, but for a failed
 * sync (all of that partition) and an observer that says no (all). */
struct commit_end {
	struct commit *commit; /* NULL afterwards */
	int rc;
	struct us_err err;
};
void commit_finish_all(struct commit_end *list, size_t n);

/* Put the cached form of messages back where it was lost: no change anybody needs to hear of. Messages that are not there any
 * more are passed over. */
struct commit_cached {
	uint32_t uid;
	struct span payload;
};
int commit_cache(struct mailbox *m, const struct commit_cached *list, size_t n, struct us_err *err);

#endif
