/* collapse.h - a sync log that is too long to be worked through line by line, as the users it names.
 *
 * The log is read in pieces and of each line only is kept whose it is, so memory does not follow its length. What is
 * lost is precision, never an object: comparing a user compares all that is his, removed mailboxes by their tombstones.
 */
#ifndef US_SYNC_CLIENT_COLLAPSE_H
#define US_SYNC_CLIENT_COLLAPSE_H

#include "reconcile/coalesce.h"
#include "server/base/err.h"
#include "server/base/pool.h"

struct collapsed {
	struct coalesce_line *compare;  /* users, shared mailboxes, roots, server annotations */
	struct coalesce_line *removals; /* users and mailboxes; to be done after those */
	size_t n_compare, n_removals;
	struct pool *pool;
};

/* `fd` is the log, read from its start. US_ELIMIT: not even its objects fit into `max` bytes. *out is to be given to
 * collapse_free() in any case. Lines that cannot be read are passed over. */
int collapse_log(int fd, const struct coalesce_owner *owner, size_t max, struct collapsed *out,
		 struct us_err *err);
void collapse_free(struct collapsed *c);

#endif
