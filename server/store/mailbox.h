/* mailbox.h - an open mailbox: its row, its directory, a view of its records, and the writer's lock.
 *
 * Reading needs no lock: mailbox_open() shows what is published, mailbox_refresh() takes in what was published since.
 *
 * Writing: mailbox_lock() takes the owner's namespace lock (shared) and the mailbox's own (exclusive), finds the
 * mailbox by name again under them (following a rename by its uniqueid), repairs what a dead holder left, and
 * brings the view up to date. Then commit.h. mailbox_unlock() lets go.
 */
#ifndef US_STORE_MAILBOX_H
#define US_STORE_MAILBOX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/base/pool.h"
#include "server/store/rows.h"
#include "server/store/store.h"
#include "server/store/view.h"

struct lock_queue;

struct mailbox {
	struct store *store;
	struct buf name; /* internal, as it is now */
	struct pool *row_pool;
	struct mailbox_row row;
	uint64_t row_version; /* of the row as read */
	uint64_t row_serial;  /* newest META op that is in metad */
	struct partition *partition;
	int dir;
	struct view view;
	dev_t index_dev; /* which mbox.idx the view is of */
	ino_t index_ino;
	int lock;                 /* mbox.lk */
	struct lock_queue *queue; /* in it, mapped; NULL: it could not be */
	int namespace_lock;
	unsigned lock_wait_ms;         /* for mbox.lk; 0: not at all */
	bool locked, shares_namespace; /* shares: the caller holds the namespace lock himself */
	int cache;                     /* mbox.cache.<gen>, -1: not open */
	uint32_t cache_generation;
	char *cache_map; /* what of it is mapped for reading; NULL: nothing */
	size_t cache_mapped;
};

/* Open by internal name. US_ENOENT: no such name, or one that has no directory (intermediate, remote, deleted). US_ECORRUPT: it
 * should have one, and it is not there, or what is in it cannot be read. */
int mailbox_open(struct store *store, struct span name, struct mailbox **out, struct us_err *err);
void mailbox_close(struct mailbox **mailbox);

/* Show what was published since: 1 if the view changed, 0 if not. After a compaction the view is another one: every
 * struct record pointer is stale either way. */
int mailbox_refresh(struct mailbox *m, struct us_err *err);
/* Read the row again: US_ENOENT if the mailbox is gone; a renamed one is followed. */
int mailbox_refresh_row(struct mailbox *m, struct us_err *err);

int mailbox_lock(struct mailbox *m, struct us_err *err);
/* The same for one who holds the namespace lock of its owner (any mode): only the mailbox's own lock. */
int mailbox_lock_in_namespace(struct mailbox *m, struct us_err *err);
void mailbox_unlock(struct mailbox *m);

/* Lock several mailboxes of one store, no two of them the same, in the order that everybody keeps (doc/FORMATS.md 8). Each has its own
 * result, and is not locked unless that is 0. US_EBUSY: somebody has the lock; with `wait` only after the usual
 * time. US_ECHANGED: it was renamed to another owner meanwhile; to be looked up again. */
struct mailbox_locking {
	struct mailbox *m;
	int rc;
	struct us_err err;
};
void mailbox_lock_many(struct mailbox_locking *list, size_t n, bool wait);

/* HIGHESTMODSEQ: of the records, or of the folder if that is higher. */
uint64_t mailbox_highestmodseq(const struct mailbox *m);
/* Open the file of a message for reading. */
int mailbox_open_message(struct mailbox *m, uint32_t uid, int *out, struct us_err *err);
void message_file_name(uint32_t uid, char out[16]); /* "17." */
bool message_file_uid(const char *name,
		      uint64_t *uid); /* back from that; false: no name of a message file */

/* Only the counters of a mailbox, in constant time whatever its size. US_ENOENT: its row went meanwhile. Files that are not
 * there, or no such partition, is another error, as with mailbox_open(). */
int mailbox_peek(struct store *store, const struct mailbox_row *row, struct counters *out,
		 struct us_err *err);
/* When something of a mailbox was published last, or its row changed (seconds). */
int mailbox_last_change(struct store *store, const struct mailbox_row *row, int64_t *out,
			struct us_err *err);
/* The bell: path of mbox.lk, made if it is not there, on which inotify(7) sees IN_MODIFY at each publication. US_ELIMIT: longer
 * than `size`. The second only puts it together, for who knows a mailbox by its id and the root of its partition. */
int mailbox_bell(struct mailbox *m, char *path, size_t size);
int mailbox_bell_path(const char *root, const struct storeid *id, char *path, size_t size);

/* ---- rows, for all of the store ----------------------------------------------------------------- */

/* The row of that name: 1 and filled, 0 if there is none. Spans live in pool. The serial is that of when the row itself was
 * last asked for, so it may be too low; mailbox_row_forget() before has it asked for again. */
int mailbox_row_get(struct store *store, struct span name, struct pool *pool,
		    struct mailbox_row *out, uint64_t *version, uint64_t *serial,
		    struct us_err *err);
void mailbox_row_forget(struct store *store, struct span name);
/* The name of a uniqueid: 1 or 0. */
int mailbox_name_of_uniqueid(struct store *store, struct span uniqueid, struct buf *name,
			     struct us_err *err);

#endif
