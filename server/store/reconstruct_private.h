/* reconstruct_private.h - what the files of reconstruct.h share. */
#ifndef US_STORE_RECONSTRUCT_PRIVATE_H
#define US_STORE_RECONSTRUCT_PRIVATE_H

#include <sys/stat.h>

#include "server/base/pool.h"
#include "server/store/hdr.h"
#include "server/store/partition.h"
#include "server/store/reconstruct.h"
#include "server/store/rows.h"
#include "server/store/salvage.h"

/* What a message file is, and which file that was. */
struct message_sum {
	uint32_t uid; /* of its name */
	dev_t device;
	ino_t inode;
	int64_t ctime_ns, mtime_ns;
	struct record
		facts; /* size, guid, body_crc, header_size, sentdate, gmtime; cache_length and cache_crc of
				the payload it has */
};

struct message_sums {
	struct message_sum *items; /* by uid */
	size_t n, cap;
};

/* What is to be done to files, once it is decided and announced. */
struct file_step {
	enum { STEP_RENAME, STEP_REMOVE, STEP_SYNC } kind;
	const char *from, *to; /* in the pool */
};

struct work {
	struct store *store;
	struct span name;
	const struct reconstruct_options *options;
	struct reconstruct_report *report;
	struct pool *pool;
	struct mailbox_row row;
	uint64_t row_version, row_serial;
	struct partition *partition;
	int dir, lock;
	struct message_sums sums;
	struct salvage s;
	struct hdr hdr;
	bool has_hdr;
	uint64_t modseq;     /* of everything this run finds out; 0: not drawn */
	uint32_t known_last; /* the highest UID that is known to have been given */
	uint32_t last_uid;   /* that may have been, and was in this run */
	struct file_step *steps;
	size_t n_steps, cap_steps;
};

/* "user.bob uid 3 not found", to the caller's function and the log. */
void reconstruct_tell(const struct work *w, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* The modseq of what this run finds out. */
uint64_t reconstruct_modseq(struct work *w);

/* Read all message files, without any lock: what they are is remembered for the files that stay the same. */
void reconstruct_read_messages(struct work *w);
/* What a file is, from memory or read now. */
int reconstruct_sum(struct work *w, const char *file, const struct stat *st,
		    struct message_sum *out, struct us_err *err);
/* Bring records and files together, in w->s and w->steps. */
int reconstruct_match(struct work *w, struct us_err *err);
/* Carry w->steps out. */
int reconstruct_take_steps(struct work *w, struct us_err *err);

#endif
