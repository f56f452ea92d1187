/* backup.h - a copy of the tables, made bit by bit while they are worked on.
 *
 * A page of the tables that is lost (torn by a power cut, unreadable, overwritten by somebody) cannot be made again from
 * the logs since the last checkpoint: those hold what changed, not the page. It can be made from an older copy of it and all logs
 * since. So there is always such a copy, `backup/tables.<n>`, and `backup/note` says which one is whole and from
 * which log on it needs them; no log from there on is removed. While there is no copy yet, all logs together are one.
 *
 *	backup_begin() --> backup_step(), a piece each --> the copy durable --> backup/note replaced: from here on it is
 *	                                                                        the one --> older ones removed
 *
 * It is begun after a checkpoint and copied in any number of turns by the thread that also writes the pages, between two
 * writes: each page is a whole one, of some moment since. Catastrophic recovery takes the rest from the logs. The checksum
 * of every page is looked at on the way, so a page that went bad on the disk is found while the copy before still has it.
 * Pages of zeros have none, and Berkeley DB, which has not seen what the disk lost, believes them. Right after a checkpoint there
 * should be none: whoever finds one has the tables verified before he copies it.
 */
#ifndef US_STORE_META_BACKUP_H
#define US_STORE_META_BACKUP_H

#include <stdbool.h>

#include "server/store/meta/note.h"

struct backup; /* opaque */

#define BACKUP_DIR  "backup"
#define BACKUP_NOTE BACKUP_DIR "/note"

struct backup_policy {
	unsigned interval_s;  /* how old a copy may get; 0: none is made here */
	uint64_t rate;        /* bytes a second are copied */
	uint64_t log_bytes;   /* a new copy is due when the logs since are larger than this */
	unsigned log_percent; /* ... and than so many hundredths of the tables */
};

/* `dir`: the environment's; borrowed. For its owner only. `verified`: a page of zeros is no reason for suspicion any
 * more. A copy that cannot be read is logged, and counts for none. */
struct backup *backup_new(int dir, const struct backup_policy *policy, bool verified);
void backup_free(
	struct backup *
		*b); /* a copy that is not whole is left for the next one to remove; NULL is well */

/* Logs before this one are not needed for the copy that is whole; 0: all are. */
uint32_t backup_first_log(const struct backup *b);
bool backup_is_due(const struct backup *b, uint64_t tables_size, uint64_t log_bytes_since);
bool backup_is_running(const struct backup *b);
/* How long the next step may wait. */
int backup_wait_ms(const struct backup *b);

/* Right after a checkpoint that was begun when `first_log` was being written to. */
int backup_begin(struct backup *b, uint32_t first_log, uint64_t version, struct us_err *err);
/* 1: the new copy is whole and the one that counts. 0: there is more to do. US_ECORRUPT: a page of the tables is damaged. After
 * an error the copy is given up, and another due after a while. */
int backup_step(struct backup *b, struct us_err *err);

/* Read the first `most` pages of the tables, or what there is: 1 if there are zeros among them, else 0. US_ECORRUPT: one has a wrong
 * checksum. */
int backup_look_at_pages(int dir, uint64_t most, struct us_err *err);

/* Copy any file of the directory `from` to `to`: it gets its name when it is whole and on the disk. That the name lasts is the
 * caller's to see to. */
int backup_copy_file(int from, int to, const char *name, struct us_err *err);

/* Put the copy that is whole in the place of the tables, durably, and check it on the way. US_ENOENT: there is none. */
int backup_put_back(int dir, struct note *out, struct us_err *err);

#endif
