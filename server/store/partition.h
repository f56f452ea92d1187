/* partition.h - one root of mail files: its directories, its state file, where a mailbox lives.
 *
 * The state file (doc/FORMATS.md 7) carries the poison mark: after a failed sync nobody commits on this
 * partition until recovery lifts it, because what the kernel still shows may not be on the disk.
 */
#ifndef US_STORE_PARTITION_H
#define US_STORE_PARTITION_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/store/storeid.h"

struct partition_state; /* mapped */

struct partition {
	char *name; /* "default" */
	char *path;
	int dir; /* descriptor of the root */
	struct partition_state *state;
};

/* Open the root, making what is missing below it (not the root itself: a partition that is not mounted must not
 * be invented; US_ENOENT). */
int partition_open(const char *name, const char *path, struct partition *out, struct us_err *err);
void partition_close(struct partition *p);

bool partition_is_poisoned(const struct partition *p);
/* A sync failed: log it once, poison. Returns US_EIO with *err saying so. */
int partition_poison(struct partition *p, struct us_err *err);
/* `rc` is what a sync of something below the partition gave: an error poisons, for the next one might say that all is well. */
int partition_synced(struct partition *p, int rc, struct us_err *err);
uint64_t partition_epoch(const struct partition *p);
/* Lift the poison: raise the epoch, so that every mailbox is recovered before its next use. Nothing may be
 * using the partition. */
int partition_recover(struct partition *p, struct us_err *err);

/* First 8 bytes of the kernel's boot id as a number; tests that cut the power set US_BOOT_ID instead. */
uint64_t partition_boot_tag(void);

/* "u/ab/ab01..." below the root. */
void partition_mailbox_path(const struct storeid *id, struct buf *out);
/* Open a mailbox's directory; US_ENOENT. */
int partition_open_mailbox(const struct partition *p, const struct storeid *id, int *out,
			   struct us_err *err);
/* Make one, durably, empty. */
int partition_make_mailbox(struct partition *p, const struct storeid *id, int *out,
			   struct us_err *err);
/* Move one to trash/<id>.<time>, durably; gone already is well. */
int partition_trash_mailbox(struct partition *p, const struct storeid *id, int64_t now,
			    struct us_err *err);
/* Remove trash older than `before`; gives how many went. Failures are skipped, logged and, if failed is not NULL, counted. */
unsigned partition_sweep_trash(const struct partition *p, int64_t before, unsigned *failed);
/* Remove a directory and all that is in it. Gone already is well. */
int partition_remove_tree(int dir, const char *name, struct us_err *err);

#endif
