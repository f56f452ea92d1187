/* engine.h - the tables as their one owner works on them: metad for all, or a tool for itself.
 *
 *	engine_apply()	checks what a batch expects, gives it a version, commits it: seen by reads, not durable
 *	engine_flush()	one flush of the log makes durable all that was applied before
 *
 * Whoever answers others gives no answer, to a batch or to a read, between the two: what is not durable is not
 * visible. A lazy batch does not ask for a flush; it gets the next one, or engine_tend()'s, within a second.
 *
 * After a failure to write (engine_failed()) every call fails, and nothing may be answered with success that was not flushed
 * before. Close the engine and open it again: that recovers.
 */
#ifndef US_STORE_META_ENGINE_H
#define US_STORE_META_ENGINE_H

#include "server/store/meta/backup.h"
#include "server/store/meta/batch.h"
#include "server/store/meta/packet.h"

struct engine; /* opaque */

#define ENGINE_CACHE_BYTES (64u << 20)

struct engine_config {
	const char *directory; /* made if it is not there */
	size_t cache_bytes;    /* 0: ENGINE_CACHE_BYTES */
	unsigned wait_ms;      /* for owner.lk, at most */
	struct backup_policy backup;
	bool no_rescue; /* broken tables are US_ECORRUPT, and stay as they are */
};

/* Take owner.lk and open the tables; if they are broken, rescue them (rescue.h). US_EBUSY: another process owns them. */
int engine_open(const struct engine_config *config, struct engine **out, struct us_err *err);
/* US_EIO: what was lazy may be lost, the rest is well. NULL is well. */
int engine_close(struct engine **e, struct us_err *err);
/* In a child of the owner: the tables and their lock stay the parent's. */
void engine_forget(struct engine **e);

/* The value, with its head, appended: 1, or 0 if there is no such row. */
int engine_get(struct engine *e, enum meta_table table, struct span key, struct buf *value,
	       struct us_err *err);
/* A page of entries, appended; where it ends is said at RANGE_PAGE_BYTES. */
int engine_page(struct engine *e, const struct request *range, struct buf *out, struct us_err *err);
/* *version: given to its rows, or what they have if it was done before. US_ECHANGED: nothing was done. */
int engine_apply(struct engine *e, const struct meta_batch *batch, bool lazy, uint64_t *version,
		 struct us_err *err);

bool engine_wants_flush(const struct engine *e); /* something was applied that may not be lazy */
int engine_flush(struct engine *e, struct us_err *err);
/* What time brings: lazy batches, checkpoints, copies. Call it at least every second, and after at most engine_wait_ms(). */
int engine_tend(struct engine *e, struct us_err *err);
int engine_wait_ms(const struct engine *e, int most_ms);
bool engine_failed(const struct engine *e);
/* After a failure: whoever opens the tables next will know all that must be known. While it is not so (a mark could not be
 * written) this process must stay and keep the lock; engine_tend() tries again. */
bool engine_may_be_left(const struct engine *e);

void engine_stat(struct engine *e, struct buf *out);

#endif
