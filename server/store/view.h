/* view.h - a mailbox's records as of one moment: a base index and the journal up to a publication.
 *
 *	mbox.idx   [ 1 2 3 5 8 ... ]		mapped, immutable
 *	journal     FLAGS 3, RECORD 9, ...	replayed up to publish_end
 *	view	    base, with `changed` over it and `appended` behind it
 *
 * A view does not move by itself: what it shows stays until view_advance(). The writer's view runs ahead of
 * what is published while he builds a commit (view_apply() of each op); if the commit fails it is thrown
 * away and opened again.
 *
 * The crc of a record was checked when it was taken in; it does not follow changes: whoever writes a record sums it.
 *
 * Appended UIDs are always higher than all before, so `appended` is sorted; records of the base that changed are
 * found through a small hash table.
 */
#ifndef US_STORE_VIEW_H
#define US_STORE_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/err.h"
#include "server/base/pool.h"
#include "server/store/annots.h"
#include "server/store/index.h"
#include "server/store/journal.h"
#include "server/store/record.h"

#define VIEW_RUN 64u /* records of the base that are passed over together; divides INDEX_BLOCK */

struct view {
	struct index_base base;
	struct journal journal;
	struct journal_position at; /* what of the journal is in the view */
	struct counters counters;
	struct flag_names names;
	struct pool *name_pool; /* names that came by the journal */
	struct annots annots;
	struct record *appended;
	size_t n_appended, cap_appended;
	struct record *changed; /* records of the base, as they are now */
	size_t n_changed, cap_changed;
	uint8_t *changed_runs; /* a bit for each run of the base that has such records */
	uint32_t *slots;       /* hash of uid -> index into changed, +1; 0: empty */
	size_t n_slots;        /* a power of two, or 0 */
	uint64_t tail_ops;    /* ops replayed or applied since the base: what compaction looks at */
	uint64_t meta_serial; /* newest frame with a META op seen, 0: none */
	uint32_t base_max_uid; /* no record of the base has a higher UID; 0: there is none */
	bool corrupt;          /* a record's checksum was wrong; it is left out */
};

/* Open what is published in directory `dir`. US_ENOENT: no mailbox there. US_ECORRUPT. US_ECHANGED: the journal's words are
 * of another boot or epoch and must be recovered first (mailbox.c). `writable` as in journal_open(). */
int view_open(struct view *v, int dir, const struct storeid *storeid, bool writable,
	      uint64_t boot_tag, uint64_t epoch, struct us_err *err);
/* The same without following the words: the base and an empty tail, at the journal's start. For recovery. */
int view_open_base(struct view *v, int dir, const struct storeid *storeid, bool writable,
		   struct us_err *err);
void view_close(struct view *v);

/* Take in what was published since. 1: something changed, 0: nothing. */
int view_advance(struct view *v, struct us_err *err);
/* Take in one frame, whose place is behind v->at; *at_after is the position behind it. */
int view_take_frame(struct view *v, const struct journal_frame *frame,
		    struct journal_position after, struct us_err *err);
/* Take in one op of a frame with that serial. COUNTERS replaces the counters; no other op touches them: a writer
 * keeps them right himself (commit.c) and ends with a COUNTERS op. */
int view_apply(struct view *v, const struct journal_op *op, uint64_t serial, struct us_err *err);

/* The record with that uid, expunged ones too; NULL: none. Valid until the view changes. */
const struct record *view_find(struct view *v, uint32_t uid);
/* Walk in UID order from `uid` on: each call gives the next record, NULL at the end. */
struct view_walk {
	uint64_t base;   /* next record of the base */
	size_t appended; /* next appended one */
	uint64_t since;  /* runs without anything above this modseq are passed over */
};
struct view_walk view_walk(const struct view *v, uint32_t from_uid);
/* Of these only records with a modseq above `since` need be given (others may be). */
struct view_walk view_walk_since(const struct view *v, uint32_t from_uid, uint64_t since);
const struct record *view_next(struct view *v, struct view_walk *walk);
/* Every record is looked at: can a new base be made of them? One without a damaged record would make its loss look intended. */
bool view_is_sound(struct view *v);
const struct record *view_next_live(struct view *v, struct view_walk *walk);

/* Find counters.first_unseen_* again after records at or above `from_uid` changed. */
void view_find_first_unseen(struct view *v);

#endif
