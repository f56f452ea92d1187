/* quota.h - limits of quota roots, and what is used under them.
 *
 * A root is a mailbox name; it governs itself and all below it down to the next root. What is used is never stored as
 * a sum: it is added up from what each mailbox's counters say, so it cannot drift.
 */
#ifndef US_STORE_QUOTA_H
#define US_STORE_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/store/state.h"
#include "server/store/store.h"

/* Limits of exactly that root: 1 and filled (root is not set), or 0. */
int quota_get(struct store *store, struct span root, struct state_quota *out, struct us_err *err);
/* Set all limits, making the root if need be. modseq 0: draw one. */
int quota_set(struct store *store, const struct state_quota *quota, struct us_err *err);
/* Remove the root: US_ENOENT. */
int quota_remove(struct store *store, struct span root, struct us_err *err);
/* The same, but only if no mailbox is under the root: 1 it is removed (would be, with dry_run), 0 it is in use. */
int quota_remove_unused(struct store *store, struct span root, bool dry_run, struct us_err *err);
/* Roots that are that name or below it, in list order. */
int quota_list_tree(struct store *store, struct span name,
		    int (*fn)(void *ctx, const struct state_quota *quota, struct us_err *err),
		    void *ctx, struct us_err *err);
/* The root that governs `name`: 1 and appended, or 0. */
int quota_root_of(struct store *store, struct span name, struct buf *root, struct us_err *err);
/* All roots from `prefix` on that begin with it. */
int quota_list(struct store *store, struct span prefix,
	       int (*fn)(void *ctx, const struct state_quota *quota, struct us_err *err), void *ctx,
	       struct us_err *err);
/* In the units of limits: KiB (rounded down), messages, KiB, mailboxes. */
struct quota_usage {
	uint64_t used[STATE_RESOURCES];
	uint64_t bytes; /* STORAGE before rounding */
	uint64_t
		annotation_bytes; /* values of annotations of live messages, and of the mailboxes */
};
int quota_usage(struct store *store, struct span root, struct quota_usage *out, struct us_err *err);
/* The same without the mailboxes' annotations, which cost a question to metad each. */
int quota_usage_of_messages(struct store *store, struct span root, struct quota_usage *out,
			    struct us_err *err);

/* Is more in use than these limits allow (of STORAGE and MESSAGE)? */
bool quota_is_over(const struct state_quota *limits, const struct quota_usage *used);

/* May so much be added below `name`? 0, or US_EQUOTA saying which resource. */
struct quota_wanted {
	uint64_t bytes, messages, annotation_bytes, folders;
};
int quota_check(struct store *store, struct span name, const struct quota_wanted *wanted,
		struct us_err *err);

#endif
