/* stage.h - message bodies on their way into mailboxes.
 *
 * A connection that brings messages has one directory stage/<session> on each partition it brings them to, and
 * holds a kernel lock on it. A body is written there once, its SHA-1 and checksum taken as it passes, and then
 * linked into as many mailboxes as want it. The directory goes with the connection; what a killed one left is
 * swept by the next that opens a stage.
 */
#ifndef US_STORE_STAGE_H
#define US_STORE_STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/checksum.h"
#include "server/base/err.h"
#include "server/base/span.h"
#include "server/store/partition.h"

struct stage; /* one connection's, on one partition; opaque */

int stage_open(struct partition *partition, struct stage **out, struct us_err *err);
void stage_close(struct stage **stage); /* removes the directory and all that is in it */
struct partition *stage_partition(const struct stage *stage);
int stage_dir(const struct stage *stage); /* its descriptor, borrowed */

/* A body that is being written, and then lies there. */
struct staged {
	struct stage *stage;
	char name[48]; /* in the stage's directory */
	int fd;
	uint64_t size;
	struct guid guid;
	uint32_t crc;
	struct guid_sum *sum; /* while it is written */
	bool synced;          /* its bytes are on the disk */
};

/* `name` NULL: one is made up. A body staged under that name before is replaced. */
int staged_begin(struct stage *stage, const char *name, struct staged *out, struct us_err *err);
int staged_write(struct staged *s, const void *data, size_t len, struct us_err *err);
/* All bytes are written: settle guid and crc, set the file's time (ns; 0: leave it). */
int staged_end(struct staged *s, int64_t internaldate_ns, struct us_err *err);
/* Set the file's time (ns; 0: leave it), unless it has other names: then it is another message's too, and keeps its. */
int staged_date(struct staged *s, int64_t internaldate_ns, struct us_err *err);
/* Make its bytes durable now, if they are not: what a commit would do later, with the mailbox locked. */
int staged_sync(struct staged *s, struct us_err *err);
/* Copy a body that lies on another partition into this stage, under a name that is made up. It stays to be synced. */
int staged_copy(struct stage *stage, const struct staged *from, struct staged *out,
		struct us_err *err);
/* Forget it: closes the descriptor; `remove` takes the file away too (otherwise it goes with the stage). */
void staged_drop(struct staged *s, bool remove);

/* Link or copy an existing file under a guid's name, after its SHA-1 was found to fit: US_ECORRUPT if not. */
int stage_adopt(struct stage *stage, int dir, const char *file, const struct guid *guid,
		struct us_err *err);
/* Open what lies there under a guid's name: US_ENOENT if nothing does. The guid is checked if it was not when it came. */
int stage_find(struct stage *stage, const struct guid *guid, struct staged *out,
	       struct us_err *err);
bool stage_has(struct stage *stage, const struct guid *guid);
/* Make all bodies staged so far durable, in one go. */
int stage_sync(struct stage *stage, struct us_err *err);
/* Remove everything staged, keep the stage (RESTART). */
int stage_clear(struct stage *stage, struct us_err *err);

/* Remove directories whose holders are gone. Gives how many went. */
unsigned stage_sweep(const struct partition *partition);

#endif
