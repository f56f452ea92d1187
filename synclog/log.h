/* log.h - the log of one channel: many processes append, one reader takes.
 *
 * <dir>/log is what writers append to. The reader renames it to log-<pid>, holds a kernel lock on that until every line is
 * done, and then removes it: whatever log-* lies there without a lock was left by one that died, and is taken up
 * first. Writers lock the file, look whether it is still the one under that name, and write; the reader renames
 * under the same lock, so no line can be lost in between.
 *
 * A position is (generation, offset): the generation counts the renames and is kept in the channel's state page,
 * changed under the lock.
 */
#ifndef US_SYNCLOG_LOG_H
#define US_SYNCLOG_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/base/span.h"

struct synclog_position {
	uint64_t generation, offset;
};

/* ---- writing ----------------------------------------------------------------------------------- */

struct synclog_writer; /* opaque */

/* Append to the log in `dir` (made if it is missing, with its parents). *generation is the word of the channel's
 * state page, borrowed; NULL: there is none, positions then have generation 0. Nothing is opened before the first
 * append. */
struct synclog_writer *synclog_writer_new(const char *dir, const uint64_t *generation);
void synclog_writer_free(struct synclog_writer **w);

/* Append whole lines with one write, in the file (not necessarily on the disk) before we return. All or nothing: what
 * part of them a full disk took is cut off again. *at (may be NULL) is the position behind them. Blocks at
 * most lock_ms for the lock (US_EBUSY). Retrying is safe: a line twice costs one comparison. */
int synclog_append(struct synclog_writer *w, struct span lines, unsigned lock_ms,
		   struct synclog_position *at, struct us_err *err);

/* ---- reading ----------------------------------------------------------------------------------- */

struct synclog_batch {
	char *path; /* of log-<pid>, or what was left */
	int fd;     /* locked */
	struct buf text;
	struct synclog_position end; /* behind its last line */
	bool left;                   /* by a reader that is gone: its generation is not known */
};

/* Take the oldest work there is: 1 and *out filled, 0 if there is none. `max`: a log larger than that many bytes gives
 * US_ELIMIT with *out filled but for text (a collapsed channel need not read it). *generation as above; raised
 * when the log is renamed. */
int synclog_take(const char *dir, uint64_t *generation, size_t max, struct synclog_batch *out,
		 struct us_err *err);
/* Take this very file (sync_client -f): it is locked, but never removed by synclog_done(). */
int synclog_take_file(const char *path, size_t max, struct synclog_batch *out, struct us_err *err);
/* Every line is done or set aside: remove it. */
int synclog_done(struct synclog_batch *batch, struct us_err *err);
/* Give it up: it stays and is taken first the next time. */
void synclog_release(struct synclog_batch *batch);

/* Bytes that wait in <dir>: log and every log-*. */
uint64_t synclog_backlog(const char *dir);

#endif
