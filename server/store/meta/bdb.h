/* bdb.h - the tables in Berkeley DB: one private environment, one thread, one transaction at a time.
 *
 * Chosen for what it has proved: a log with group commit and recovery that lost none of what it had acknowledged under
 * hundreds of kills. What it must not do is share its environment between processes (one killed writer stops
 * them all), nor go on after an fsync failed, which left to itself it does: it tries again, and the kernel, having told once,
 * says all is well. bdb_hooks.c stands between it and the system and sees to the latter.
 *
 * Nothing is durable before bdb_flush(). After any failure but US_ENOENT of an open and US_ENOSPC the environment is of no
 * use any more: close it and open it anew, which recovers (rescue.h).
 */
#ifndef US_STORE_META_BDB_H
#define US_STORE_META_BDB_H

#include "server/store/meta/meta.h"

struct bdb; /* opaque */

#define BDB_FILE      "tables.db"
#define BDB_PAGE_SIZE 4096u /* what a disk mostly, not always, writes whole or not at all */

bool bdb_is_log(const char *name); /* of a file beside it */

enum bdb_recovery {
	BDB_NORMAL,       /* from the last checkpoint on */
	BDB_CATASTROPHIC, /* of an older copy of the file, by all logs there are */
};

/* Open, recovering what needs it. The caller sees to it that nobody else has it open. US_ECORRUPT: files are not what
 * they should be, and no call of the system failed. */
int bdb_open(const char *directory, size_t cache_bytes, enum bdb_recovery how, struct bdb **out,
	     struct us_err *err);
/* Recover what needs it, with nothing open before or after. No table is opened: one that is missing would be made, in pages
 * that are not what the log knows. */
int bdb_recover(const char *directory, size_t cache_bytes, struct us_err *err);
/* Look at every page of what was recovered. US_ECORRUPT. */
int bdb_verify(const char *directory, struct us_err *err);
/* Best after a checkpoint, so that the next open finds nothing to do. An error leaves it closed all the same. */
int bdb_close(struct bdb **b, struct us_err *err);
/* In a child of the process that opened it: forget it. Nothing is written, its memory is not given back. */
void bdb_forget(struct bdb **b);

/* Changes between begin and commit are all made or none. */
int bdb_begin(struct bdb *b, struct us_err *err);
int bdb_commit(struct bdb *b, struct us_err *err);
void bdb_abort(struct bdb *b); /* no transaction is well */

/* 1 with the value appended, or the first `most` bytes of it; 0: no such key. */
int bdb_get(struct bdb *b, enum meta_table table, struct span key, size_t most, struct buf *value,
	    struct us_err *err);
int bdb_put(struct bdb *b, enum meta_table table, struct span key, struct span value,
	    struct us_err *err);
/* A key that is not there is well. */
int bdb_del(struct bdb *b, enum meta_table table, struct span key, struct us_err *err);

/* Call fn for keys from `first` on, in order, until it returns anything but 0; that is returned, if it is
 * negative. Values are cut to `most` bytes. fn must not come back here. */
int bdb_walk(struct bdb *b, enum meta_table table, struct span first, size_t most,
	     int (*fn)(void *ctx, struct span key, struct span value), void *ctx,
	     struct us_err *err);

/* Everything committed becomes durable. */
int bdb_flush(struct bdb *b, struct us_err *err);
/* Write back, if enough was logged or time passed since the last time; `force`: in any case. 1 if it was done, and what it
 * made superfluous of the logs before the one that bdb_keep_logs() names is gone. */
int bdb_checkpoint(struct bdb *b, bool force, struct us_err *err);
/* Logs from this one on stay; 0, as it is at first: all do. */
void bdb_keep_logs(struct bdb *b, uint32_t first);
/* The log that is written to, and how many bytes were written to logs from `first` on. */
int bdb_log(struct bdb *b, uint32_t first, uint32_t *current, uint64_t *bytes, struct us_err *err);
int bdb_size(struct bdb *b, uint64_t *bytes, struct us_err *err);
void bdb_stat(struct bdb *b, struct buf *out);

/* ---- bdb_hooks.c ------------------------------------------------------------------------------- */

/* Put ourselves between Berkeley DB and the system, and forget what happened before. */
void bdb_hooks_set(void);
/* Recovery is through, and all is open. */
void bdb_hooks_opened(void);
/* An fsync or fdatasync has failed: from then on every write and sync is refused. */
bool bdb_hooks_sync_failed(void);
/* The errno of the first write, sync, or change of a name that failed since this was asked last; 0: none did. */
int bdb_hooks_take_error(void);
/* How many files were made or renamed: their directory wants a sync. */
unsigned bdb_hooks_names(void);

/* ---- bdb_refresh.c ------------------------------------------------------------------------------ */

/* Leave a mark that a sync failed, durably. */
int bdb_mark_unsynced(int dir, struct us_err *err);
/* If there is that mark: write every file of the environment anew, durably, and remove the mark. */
int bdb_refresh(int dir, struct us_err *err);

#endif
