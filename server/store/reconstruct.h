/* reconstruct.h - make a mailbox whole again from whatever is left of it.
 *
 * Sources, in this order of trust: records of the base with a right checksum, commits of the journal, the message files
 * themselves, mbox.hdr. Every good record is kept; a file without a record becomes a message; a record
 * without its file becomes an expunged one. New facts get modseqs above all that were seen.
 */
#ifndef US_STORE_RECONSTRUCT_H
#define US_STORE_RECONSTRUCT_H

#include <stdbool.h>

#include "server/base/err.h"
#include "server/store/store.h"

struct reconstruct_options {
	bool check_guids; /* read every message file */
	bool dry_run;     /* only report */
};

struct reconstruct_report {
	unsigned records;     /* there at the end, expunged ones too */
	unsigned bad_records; /* lost to wrong checksums */
	unsigned added;       /* files that got a record */
	unsigned missing;     /* records whose file is gone */
	unsigned mismatched;  /* files that are not what their record says */
	unsigned aside;       /* files of messages that were expunged: left alone */
	bool index_was_bad;   /* index or journal could not be used as they were */
	bool changed;         /* anything was, or would be, written */
};

int reconstruct_mailbox(struct store *store, struct span name,
			const struct reconstruct_options *options,
			struct reconstruct_report *report, struct us_err *err);

/* Make the rows of metad again from every mbox.hdr of every partition, for names that have no row. A name two
 * headers claim goes to the one with the higher row version. *n_out rows were made. */
int reconstruct_rows(struct store *store, unsigned *n_out, struct us_err *err);

#endif
