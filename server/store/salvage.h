/* salvage.h - everything good of a mailbox directory, whatever state its index, journal and annotations are in.
 *
 * Every checksum covers a piece; a piece whose sum fits is kept, whatever became of its neighbours, and one with a single
 * flipped bit is mended (mend.h). What is lost is told as ranges of UIDs whose records may be among it, so that the
 * files of messages can be told from files that nobody should be here.
 */
#ifndef US_STORE_SALVAGE_H
#define US_STORE_SALVAGE_H

#include "server/base/err.h"
#include "server/store/annots.h"
#include "server/store/history.h"
#include "server/store/record.h"
#include "server/store/storeid.h"

struct salvage_range {
	uint32_t low, high;
	int64_t time_ns; /* of an UNLINK op */
};

struct salvage_ranges {
	struct salvage_range *items;
	size_t n, cap;
};

enum salvage_name_source {
	NAME_UNKNOWN,
	NAME_DOUBTFUL, /* from a part of the index whose sum is wrong */
	NAME_CERTAIN,
};

struct salvage {
	struct pool *pool;      /* of names and batches */
	struct record *records; /* UIDs ascending; gone ones left out */
	size_t n, cap;
	struct flag_names names;
	uint8_t name_source[USER_FLAGS];
	struct annots annots;
	struct counters counters; /* newest that was readable; zero if none was */
	bool has_counters;
	bool counters_are_newest;  /* nothing was committed after them */
	uint64_t serial;           /* highest seen */
	uint32_t generation;       /* highest that any file has */
	uint32_t cache_generation; /* of a cache that can go on; 0: there is none */
	struct history history;
	/* META ops that metad may lack: above the serial that was asked for. Batches in their encoded form. */
	struct salvage_meta {
		uint64_t serial;
		struct span batch;
	} * metas;
	size_t n_metas, cap_metas;
	/* FLAGS ops for records that are lost; by UID, the newest last (`reserved` counts them). */
	struct op_flags *orphans;
	size_t n_orphans, cap_orphans;
	struct salvage_ranges unlinked; /* by UNLINK ops */
	struct salvage_ranges lost;     /* records that may have been here */
	/* What was wrong. */
	bool base_lost;           /* the index has no header that could be believed */
	bool base_was_empty;      /* the journal says that nothing was in it */
	bool names_lost;          /* keywords of the base */
	bool damaged;             /* anything: the files must be written anew */
	unsigned bad_records;     /* of the index */
	unsigned bad_frames;      /* of the journal; 1 for a journal that is not there */
	bool annots_are_doubtful; /* no sum vouched for their file */
	unsigned bad_annots;      /* messages whose annotations are lost */
	unsigned mended;          /* flipped bits */
	/* A file that is there could not be opened, or the directory not listed: there is more here than was seen. */
	struct us_err unread;
};

struct salvage_place {
	int dir;
	const struct storeid *id;
	uint64_t boot_tag, epoch; /* as they are now: what to believe of the journal's words */
	uint64_t serial;          /* newest META op that metad has */
};
/* out is to be given to salvage_fini(). Never fails: at worst nothing is left. Holding the mailbox's lock. */
void salvage_directory(const struct salvage_place *place, struct salvage *out);
void salvage_fini(struct salvage *s);

/* Where in records the first one with at least this uid is. */
size_t salvage_lower_bound(const struct salvage *s, uint32_t uid);
struct record *salvage_find(struct salvage *s, uint32_t uid);
/* Insert in UID order, or replace. */
void salvage_put(struct salvage *s, const struct record *r);
/* May a record with this uid be among what is lost? */
bool salvage_may_have_lost(const struct salvage *s, uint32_t uid);
/* When an UNLINK op took this uid out; 0: none did. */
int64_t salvage_unlink_time(const struct salvage *s, uint32_t uid);
/* What the journal says of the flags of a lost record; NULL: nothing. */
const struct op_flags *salvage_orphan(const struct salvage *s, uint32_t uid);

#endif
