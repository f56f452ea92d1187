/* listdump.h - the list of mailboxes as text: one JSON object keyed by mailbox name, as Cyrus's ctl_mboxlist has it.
 *
 * A dump may be long, so an entry at a time is in memory: it is written as it is met, and read value by value.
 */
#ifndef US_ADMIN_LISTDUMP_H
#define US_ADMIN_LISTDUMP_H

#include <stdio.h>

#include "server/admin/mboxlist.h"
#include "server/base/buf.h"

#define LISTDUMP_NAME_MAX \
	4096 /* bytes of a mailbox name in a dump: no key, no mailbox has more than 490 */

/* Append "name": {...}. What is not UTF-8 becomes question marks. */
void listdump_format(struct span name, const struct mailbox_row *row, struct buf *out);

/* Tell fn of each entry of a dump, up to the brace that closes it; what an entry does not say is 0 or SPAN_NULL in the row, its
 * acl empty. Values are as they were written: no name, type or uniqueid is checked.
 * Returns  0, US_EINVAL for what is no dump (fn was told of the entries before), or what fn returned other than 0.
 * Blocks   on `in`. */
int listdump_read(FILE *in, mboxlist_fn *fn, void *ctx, struct us_err *err);

/* The same of a dump as Cyrus wrote it before, a line a mailbox; `bad` is told of each line that is none.
 * Returns  0, or what fn returned other than 0.
 * Blocks   on `in`. */
typedef void listdump_bad_fn(void *ctx, const struct us_err *err);
int listdump_read_lines(FILE *in, mboxlist_fn *fn, listdump_bad_fn *bad, void *ctx,
			struct us_err *err);

#endif
