/* mboxlist.h - the list of mailboxes as a Cyrus keeps it: what was removed stands among what is there. */
#ifndef US_ADMIN_MBOXLIST_H
#define US_ADMIN_MBOXLIST_H

#include "server/base/err.h"
#include "server/base/span.h"
#include "server/store/rows.h"
#include "server/store/store.h"

/* fn: 0 go on, else stop with that. Spans are good for the call. */
typedef int mboxlist_fn(void *ctx, struct span name, const struct mailbox_row *row,
			struct us_err *err);

/* Every row in the order of names and, with `dead`, every name that is a tombstone's and nobody's now: a row of type "ed"
 * with nothing but uniqueid, uidvalidity, modseq and time. Of several such tombstones the newest. */
int mboxlist_each(struct store *store, bool dead, mboxlist_fn *fn, void *ctx, struct us_err *err);
/* The row of a name, or its newest tombstone as above: 1, or 0. Spans live in pool. */
int mboxlist_get(struct store *store, struct span name, struct pool *pool, struct mailbox_row *out,
		 struct us_err *err);

/* Make it so: a name that is not there becomes a mailbox (empty), an entry without a directory, or a tombstone, by its
 * type; a mailbox that is there takes ACL and partition. Zeros and empty spans are not said. US_EMOVED: the uniqueid is
 * another's, or the name has another uniqueid. */
int mboxlist_put(struct store *store, struct span name, const struct mailbox_row *row,
		 struct us_err *err);

#endif
