/* compact.h - fold a mailbox's journal into a new base index (doc/FORMATS.md 3.5). */
#ifndef US_STORE_COMPACT_H
#define US_STORE_COMPACT_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/err.h"
#include "server/store/mailbox.h"
#include "server/store/partition.h"

/* Write a new generation; the mailbox is locked. The view is of the new generation afterwards. */
int compact(struct mailbox *m, struct us_err *err);
/* The same, and these bits, which no record has, have no name any more. */
int compact_freeing(struct mailbox *m, const uint64_t bits[2], struct us_err *err);
/* Has the journal grown enough? */
bool compact_is_due(const struct mailbox *m);
/* The mailbox is locked and has just had a commit of so many ops: compact if that is due, and they are a small part of
 * the journal. Whoever changed ten thousand messages at once does not wait for a new generation as well; it is made by
 * the next small commit, or when somebody is idle. A failure is logged and leaves the old generation. */
void compact_after_commit(struct mailbox *m, uint64_t ops);
/* For one who has nothing else to do, and holds no lock: compact if that is due and nobody is writing just then. */
void compact_when_idle(struct mailbox *m);

/* Make the files of a new, empty mailbox in its directory, all durable but for their names. */
int compact_create(int dir, const struct storeid *storeid, struct span uniqueid,
		   const struct counters *counters, uint64_t boot_tag, struct partition *p,
		   struct us_err *err);

/* Write generation `generation` of a mailbox made of these records (UIDs ascending), names and annotations, and switch to it; what was
 * there of other generations is removed. A switch that cannot be made durable poisons `p`, where dir is. For
 * compaction, reconstruct and moves. */
struct generation {
	struct storeid storeid;
	struct span uniqueid;
	uint32_t number, cache_number;
	uint64_t serial;
	struct counters counters;
	const struct flag_names *names;
	const struct annots *annots;
	uint64_t n_records;
	struct index_source records;
	const struct buf *history; /* FLAGHIST ops to carry over, may be NULL */
	uint32_t n_history;
};
int generation_write(int dir, const struct generation *g, uint64_t boot_tag, struct partition *p,
		     struct us_err *err);

#endif
