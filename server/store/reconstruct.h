/* reconstruct.h - make a mailbox whole again from whatever is left of it, and metad's rows from the mailboxes.
 *
 * What a mailbox is made of, in this order of trust: records of the base with a right checksum, commits of the
 * journal, the message files, mbox.hdr. Every good record is kept, with UID, flags, modseq. Beside that the message files say what
 * somebody wanted who removed, renamed or added some:
 *
 *	the file of a live record is gone (or empty)	the message is expunged
 *	a file with a UID above all that were given	a message with that UID
 *	an empty one					removed: the power failed before it was a message
 *	a file whose record may be among what was lost	a message with that UID, with the flags the journal knows
 *	a file of a message that was unlinked, as old	removed: who unlinked it could not
 *	any other file without a live record's UID	a message under a new UID
 *	a file that is not what its record says		told; a message under a new UID, or removed, if asked
 *
 * New facts get a modseq above all that were seen. UIDVALIDITY stays. Where something committed may be lost, UIDs and modseqs
 * jump as far as it may have brought them, so that no UID gets a second content and no modseq falls, and deletedmodseq
 * rises to the highest, so that whoever knows an older state compares everything.
 */
#ifndef US_STORE_RECONSTRUCT_H
#define US_STORE_RECONSTRUCT_H

#include <stdbool.h>

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/store/store.h"

struct reconstruct_options {
	bool check_guids; /* read every message file; before the mailbox is locked, as far as that will do */
	bool no_stat; /* believe that a file that has a record is the right one, whatever its size */
	bool dry_run; /* only tell */
	enum reconstruct_mismatch {
		MISMATCH_TELL,
		MISMATCH_NEW_UID, /* the record is expunged, the file becomes a message of its own */
		MISMATCH_REMOVE,  /* the record is expunged, the file is deleted for ever */
	} mismatch;
	enum reconstruct_odd {
		ODD_TELL,
		ODD_IGNORE,
		ODD_REMOVE,
	} odd; /* files that are neither messages nor ours */
	/* Each thing that is found, as a line for a person, without a line end. May be NULL. */
	void (*tell)(void *ctx, const char *line);
	void *ctx;
};

struct reconstruct_report {
	unsigned records;    /* there at the end, expunged ones too */
	unsigned added;      /* files that became messages */
	unsigned missing;    /* live records whose file is gone */
	unsigned mismatched; /* files that are not what their record says */
	unsigned unrepaired; /* of what was found, left as it is */
	unsigned odd;
	unsigned unborn; /* names that came without their bytes */
	bool damaged;    /* index, journal or annotations could not be used as they were */
	bool changed;    /* anything was, or would be, written */
};

/* US_ENOENT: no such mailbox. A name without a directory gets one. Locks what it needs. */
int reconstruct_mailbox(struct store *store, struct span name,
			const struct reconstruct_options *options,
			struct reconstruct_report *report, struct us_err *err);

/* ---- rows -------------------------------------------------------------------------------------- */

struct rebuild_options {
	struct span partition; /* only this one; empty: all */
	bool dry_run;
	bool fresh; /* keep little of the header: a new uniqueid, an ACL by acl_of(), no annotations, no limits */
	bool new_uniqueid; /* for a header whose uniqueid another mailbox has; else it is left out and told */
	int (*acl_of)(void *ctx, struct span name, struct buf *out, struct us_err *err);
	/* Is a row wanted for this name? NULL: for all. */
	bool (*wanted)(void *ctx, struct span name);
	/* A row was made, or would be. May be NULL. */
	void (*made)(void *ctx, struct span name, struct span uniqueid);
	void (*tell)(void *ctx, const char *line);
	void *ctx;
};

/* Make rows for mailbox directories that have none, from their mbox.hdr. A name two headers claim goes to the one with
 * the higher row version; one whose uniqueid has a tombstone is told and left out. *n_out rows were made. A directory that cannot
 * be listed is told, and the error returned, after the others were done. */
int rebuild_rows(struct store *store, const struct rebuild_options *options, unsigned *n_out,
		 struct us_err *err);
/* The same for one directory, by its path, deleted or not: US_ENOENT if it is no mailbox's of a partition of ours, US_EEXIST if
 * its name has a row. */
int rebuild_row(struct store *store, const char *path, const struct rebuild_options *options,
		struct us_err *err);

#endif
