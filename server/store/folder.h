/* folder.h - mailboxes as names: making, renaming and removing them, and changing what belongs to the name.
 *
 * The commit point of all of these is in metad: a directory is durable before the row that names it, and files go
 * only after the row that named them. Each takes the locks it needs unless it says that its caller holds them.
 */
#ifndef US_STORE_FOLDER_H
#define US_STORE_FOLDER_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/err.h"
#include "server/base/span.h"
#include "server/store/mailbox.h"
#include "server/store/store.h"

struct meta_batch;
struct state_annotation;

struct folder_create {
	struct span type;      /* empty: "e"; "ei": an intermediate entry, without a directory */
	struct span uniqueid;  /* empty: a new UUID */
	struct span partition; /* as clients and peers call it; empty: the default one */
	struct span acl;
	uint32_t uidvalidity; /* 0: now, or above what that name ever had */
	uint32_t options;
	uint64_t createdmodseq, foldermodseq, highestmodseq; /* 0: 1 */
	const struct state_annotation *annotations;          /* its own, there from the beginning */
	size_t n_annotations;
};
/* US_EEXIST; US_EMOVED: the uniqueid is in use under another name; US_EINVAL: no such partition. An intermediate
 * entry of that name becomes the mailbox. */
int folder_create(struct store *store, struct span name, const struct folder_create *options,
		  struct us_err *err);
/* The same for one who holds the namespace lock of the owner, exclusively. */
int folder_create_locked(struct store *store, struct span name, const struct folder_create *options,
			 struct us_err *err);

/* Give the mailbox another name, another partition (empty: keeps it), or both. Not its children. US_ENOENT, US_EEXIST.
 * uidvalidity 0: keep it. */
int folder_rename(struct store *store, struct span from, struct span to, struct span partition,
		  uint32_t uidvalidity, struct us_err *err);

/* The same by order of a peer: no modseq rises, his own follow. */
int folder_rename_replicated(struct store *store, struct span from, struct span to,
			     struct span partition, uint32_t uidvalidity, struct us_err *err);

enum folder_delete_mode {
	FOLDER_DELETE_NOW,   /* the bytes too */
	FOLDER_DELETE_TRASH, /* the name at once, the bytes later: what a replica does */
};
/* Take the name away; a tombstone stays. US_ENOENT. Not its children. */
int folder_delete(struct store *store, struct span name, enum folder_delete_mode mode,
		  struct us_err *err);
/* The same for one who holds the namespace lock of the owner, exclusively. */
int folder_delete_locked(struct store *store, struct span name, enum folder_delete_mode mode,
			 struct us_err *err);
/* Delayed delete: rename to DELETED.<name>.<time>; *deleted (may be NULL) gets the new name. */
int folder_delete_delayed(struct store *store, struct span name, struct buf *deleted,
			  struct us_err *err);

/* Change the row of a locked mailbox, as a client does: `row` is the wanted one (its modseqs are set here), `batch`
 * may hold more that belongs to the change (borrowed, added to). */
int folder_change(struct mailbox *m, const struct mailbox_row *row, struct meta_batch *batch,
		  struct us_err *err);
int folder_set_acl(struct mailbox *m, struct span acl, struct us_err *err);

/* Take what a replica has that is ahead of us: uidvalidity, raclmodseq, foldermodseq (0: leave it). The mailbox is locked; nothing else
 * of it changes. */
int folder_take_values(struct mailbox *m, uint32_t uidvalidity, uint64_t raclmodseq,
		       uint64_t foldermodseq, struct us_err *err);
/* Write the copy of the row in mbox.hdr again, after its row was changed by a commit's metadata half. */
void folder_copy_row(struct mailbox *m);
/* Make or replace an entry without a directory (an intermediate name), by order of a peer. US_EEXIST: that name is a mailbox;
 * US_EMOVED: the uniqueid is another name's. */
int folder_put_entry(struct store *store, struct span name, const struct mailbox_row *row,
		     struct us_err *err);
/* The partition of ours that a peer's partition name stands for. */
struct partition *folder_local_partition(struct store *store, struct span partition);

/* PUT of a row under its name, and of by_uniqueid. */
void folder_put_row(struct meta_batch *batch, struct span name, const struct mailbox_row *row);

/* Call fn for each row whose name begins with `prefix`, in list order. fn: 0 go on, 1 stop, <0 error. Spans are valid during the
 * call. */
int folder_list(struct store *store, struct span prefix,
		int (*fn)(void *ctx, struct span name, const struct mailbox_row *row,
			  struct us_err *err),
		void *ctx, struct us_err *err);
/* The same for names from `first` up to, without, `end` (empty: the last) in list order. */
int folder_list_between(struct store *store, struct span first, struct span end,
			int (*fn)(void *ctx, struct span name, const struct mailbox_row *row,
				  struct us_err *err),
			void *ctx, struct us_err *err);
/* The mailbox itself and all below it. */
int folder_list_tree(struct store *store, struct span name,
		     int (*fn)(void *ctx, struct span name, const struct mailbox_row *row,
			       struct us_err *err),
		     void *ctx, struct us_err *err);

/* Tombstones: of that uniqueid, or the newest of a name. 1 and filled, or 0. */
int folder_tombstone(struct store *store, struct span uniqueid, struct pool *pool,
		     struct tombstone_row *out, struct us_err *err);
int folder_tombstone_by_name(struct store *store, struct span name, struct pool *pool,
			     struct span *uniqueid, struct tombstone_row *out, struct us_err *err);

/* Note a death from elsewhere (a dump that is read in). Well, and nothing done, if the mailbox lives or has a tombstone. */
int folder_put_tombstone(struct store *store, struct span uniqueid, const struct tombstone_row *row,
			 struct us_err *err);

/* Every tombstone whose last name is `prefix` or begins with it (empty: all). Spans are valid during the call. */
int folder_list_tombstones(struct store *store, struct span prefix,
			   int (*fn)(void *ctx, struct span uniqueid,
				     const struct tombstone_row *row, struct us_err *err),
			   void *ctx, struct us_err *err);

/* Move directories of a partition that no row claims to lost/; gives how many. Those stay that were changed at `before` or later
 * (somebody may be making a mailbox of them), and those that reconstruct could: with a good mbox.hdr, of a mailbox that neither
 * has a row nor was deleted. */
int folder_collect_lost(struct store *store, struct partition *p, int64_t before, unsigned *n_out,
			struct us_err *err);

#endif
