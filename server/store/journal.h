/* journal.h - the file that continues a base index: frames of operations, and the words readers follow.
 *
 * doc/FORMATS.md 3 has the bytes. Everything here is about one file: making it, mapping it, walking its frames,
 * adding frames. What the operations mean is view.c's knowledge; when a frame is durable and may be shown is
 * commit.c's.
 *
 * Frames form a chain: each one's checksum starts with that of the one before, so a frame is only valid in its
 * place behind its predecessor. The volatile words in the header page are used through the mapping and with
 * atomic loads and stores only; publish_end is stored with release order after the frames are durable.
 */
#ifndef US_STORE_JOURNAL_H
#define US_STORE_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/store/record.h"
#include "server/store/storeid.h"

#define JOURNAL_PAGE      4096u
#define JOURNAL_FRAME_MAX (1u << 20) /* a frame is closed when its ops reach this */
#define JOURNAL_OP_MAX \
	(JOURNAL_FRAME_MAX - 1024) /* so that the last op and the counters still fit */

struct journal_header {
	char magic[8];
	uint32_t version;
	uint32_t generation;
	struct storeid storeid;
	uint64_t salt;
	uint64_t base_serial;
	uint64_t reserved1;
	uint32_t crc;
	uint32_t reserved2;
	/* volatile words */
	uint64_t publish_end;
	uint64_t boot_tag;
	uint64_t epoch;
	uint64_t meta_pending;
	uint64_t meta_applied;
	uint64_t commits;
	uint64_t reserved3;
	uint64_t unborn_low, unborn_high;
	uint64_t hdr_tag;
	char reserved4[3952];
};
static_assert(sizeof(struct journal_header) == JOURNAL_PAGE, "doc/FORMATS.md 3.1");

enum journal_frame_flag { FRAME_FIRST = 1, FRAME_COMMIT = 2 };

struct journal_frame {
	uint32_t magic;
	uint32_t length;
	uint32_t count;
	uint32_t flags;
	uint64_t serial;
	int64_t time_ns;
	uint64_t highestmodseq;
	uint64_t lsn;
	uint32_t crc;
	uint32_t reserved[3];
};
static_assert(sizeof(struct journal_frame) == 64, "doc/FORMATS.md 3.2");

enum journal_op_kind {
	OP_RECORD = 1,
	OP_FLAGS,
	OP_UNLINK,
	OP_CACHEREF,
	OP_FLAGNAME,
	OP_ANNOT,
	OP_META,
	OP_COUNTERS,
	OP_FLAGHIST,
};

struct journal_op {
	uint16_t kind;
	uint16_t flags;
	uint32_t length;
};

struct op_record {
	struct journal_op op;
	struct record record;
};

struct op_flags {
	struct journal_op op;
	uint32_t uid, system_flags, internal_flags, reserved;
	uint64_t modseq;
	int64_t last_updated;
	uint64_t user_flags[2];
};
static_assert(sizeof(struct op_flags) == 56, "doc/FORMATS.md 3.3");

struct op_unlink {
	struct journal_op op;
	uint32_t low, high;
};

struct op_cacheref {
	struct journal_op op;
	uint32_t uid, length;
	uint64_t offset;
	uint32_t crc, version;
};

struct op_flagname {
	struct journal_op op;
	uint16_t bit, length;
	char name[]; /* padded */
};

#define OP_ANNOT_REMOVED UINT32_MAX
struct op_annot {
	struct journal_op op;
	uint32_t uid;
	uint16_t entry_length, user_length;
	uint64_t modseq;
	uint32_t value_length; /* OP_ANNOT_REMOVED: the annotation goes */
	uint32_t reserved;
	char text[]; /* entry, user, value, padding */
};
static_assert(sizeof(struct op_annot) == 32, "doc/FORMATS.md 3.3");

struct op_counters {
	struct journal_op op;
	struct counters counters;
};

struct op_flaghist {
	struct journal_op op;
	uint32_t uid, system_set, system_cleared, reserved;
	uint64_t modseq;
	int64_t time;
	uint64_t user_set[2], user_cleared[2];
};
static_assert(sizeof(struct op_flaghist) == 72, "doc/FORMATS.md 3.3");

/* The parts of an ANNOT op, checked against its length; false if they do not fit. value.ptr NULL: removed. */
bool op_annot_parts(const struct op_annot *op, struct span *entry, struct span *userid,
		    struct span *value);

struct journal {
	int fd; /* -1: not open */
	bool writable;
	struct journal_header *header; /* the mapping's start */
	size_t mapped;
	uint64_t size; /* the file had at least that when we last looked */
};

/* A place in the chain: behind which frame one stands. */
struct journal_position {
	uint64_t offset; /* where the next frame would begin */
	uint64_t serial; /* of the frame before it */
	uint32_t crc;    /* what the next frame's sum starts with */
};

/* Make mbox.jnl.<gen> without frames and fsync it. Its words are those of this boot: it may be used at once. */
int journal_create(int dir, uint32_t generation, const struct storeid *storeid,
		   uint64_t base_serial, uint64_t boot_tag, uint64_t epoch, struct us_err *err);
/* Open and map; US_ENOENT if that generation is gone (a compaction came between), US_ECORRUPT. A reader maps it
 * writable too where he may, since recovery can fall to anyone; `writable` says whether frames will be added. */
int journal_open(int dir, uint32_t generation, const struct storeid *storeid, bool writable,
		 struct journal *out, struct us_err *err);
/* Is it what that journal's fixed words must be? US_ECORRUPT. */
int journal_check_header(const struct journal_header *h, uint32_t generation,
			 const struct storeid *storeid, struct us_err *err);
void journal_close(struct journal *j);
struct journal_position journal_start(const struct journal *j);

/* The frame at *at if it is whole, valid and ends at or before `limit` (the file's size for UINT64_MAX): gives it and moves *at
 * behind it. 0: no frame there. 1: a frame, in *frame, valid until the mapping changes (journal_next may
 * change it). */
int journal_next(struct journal *j, struct journal_position *at, uint64_t limit,
		 const struct journal_frame **frame, struct us_err *err);

/* Walk the ops of a frame: NULL at the end. Each is whole and within the frame and as long as its kind needs; a
 * malformed one ends the walk with *bad set. `op` NULL starts. */
const struct journal_op *journal_op_next(const struct journal_frame *frame,
					 const struct journal_op *op, bool *bad);

/* Close `ops` (count of them, whole) into a frame and write it at *at, which moves behind it. Neither synced nor
 * published. */
int journal_write(struct journal *j, struct journal_position *at, const struct buf *ops,
		  uint32_t count, uint32_t flags, uint64_t highestmodseq, struct us_err *err);
int journal_sync(struct journal *j, struct us_err *err);

/* The words. */
uint64_t journal_publish_end(const struct journal *j);
void journal_publish(struct journal *j, uint64_t end); /* and count it */
uint64_t journal_word(const uint64_t *word);
void journal_set_word(uint64_t *word, uint64_t value);

void journal_name(uint32_t generation, char out[32]); /* "mbox.jnl.7" */

#endif
