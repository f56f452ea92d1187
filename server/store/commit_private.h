/* commit_private.h - what commit.c (the parts) and commit_finish.c (the end) have in common. */
#ifndef US_STORE_COMMIT_PRIVATE_H
#define US_STORE_COMMIT_PRIVATE_H

#include "server/store/commit.h"

struct commit {
	struct mailbox *m;
	struct buf ops; /* of the frame that is being filled */
	uint32_t count;
	uint64_t tail_before;       /* ops of the journal when it began */
	struct journal_position at; /* behind the last frame written */
	bool wrote_frame;
	uint64_t modseq;
	int64_t now;
	bool appended, linked; /* messages came; names came */
	bool recount,
		find_low; /* first_unseen_* must be looked for: from where it was, from the start */
	uint32_t first_uid, high_uid; /* of the files that got names, for abort; 0: none */
	struct staged **unsynced;     /* their bytes are not on the disk */
	size_t n_unsynced, cap_unsynced;
	uint32_t *unlinked; /* UIDs whose files go with it */
	size_t n_unlinked, cap_unlinked;
	struct meta_batch *meta;
	bool meta_lazy;
	struct store_change also[8];
	size_t n_also;
};

/* Show an op in our view, and write it down. */
int commit_add_op(struct commit *c, const void *op, struct us_err *err);
/* Put first_unseen_* of the counters right, where parts left that to the end. */
void commit_settle_first_unseen(struct commit *c);
void commit_free(struct commit **commit);

#endif
