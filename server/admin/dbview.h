/* dbview.h - metad's tables as the database files of a Cyrus, for scripts that read those with cyr_dbtool.
 *
 *	mailboxes.db		N<name> and I<uniqueid>, names with 0x1F between their parts, as dlists
 *	annotations.db		uniqueid NUL entry NUL user NUL; a binary value, of which the text is the middle
 *	deliver.db		message id NUL mailbox NUL date NUL; time and UID in binary
 *	quotas.db, quota	root; limits and what is used
 *	<user>.sub		mailbox; nothing
 *	sub.db			the same in the form of version 2: N and the name as in mailboxes.db, his own from INBOX on
 *	<user>.seen, seen.db	uniqueid; version, times, UIDs
 *	<a table's name>	the rows of that table as metad has them, to be read only
 *
 * Only the last part of a path counts, and for a user's files what says which user. What is set goes the ways of
 * all changes: replicas hear of it.
 */
#ifndef US_ADMIN_DBVIEW_H
#define US_ADMIN_DBVIEW_H

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/base/span.h"
#include "server/session/host.h"

struct dbview; /* opaque */

/* host is borrowed. US_ENOENT: no database has that path. */
int dbview_open(const struct host *host, const char *path, struct dbview **out, struct us_err *err);
void dbview_close(struct dbview **view);

/* Call fn for each entry whose key begins with `prefix`, in the order of keys. fn: 0 go on, else stop with that. */
typedef int dbview_fn(void *ctx, struct span key, struct span value, struct us_err *err);
int dbview_each(struct dbview *view, struct span prefix, dbview_fn *fn, void *ctx,
		struct us_err *err);
/* 1 with the value appended, or 0. */
int dbview_get(struct dbview *view, struct span key, struct buf *value, struct us_err *err);
/* US_ENOTSUP where nothing can be set by hand; US_EINVAL: the value is none of this database. */
int dbview_set(struct dbview *view, struct span key, struct span value, struct us_err *err);
/* No such key is well. A mailbox goes to the trash. */
int dbview_del(struct dbview *view, struct span key, struct us_err *err);
/* Rows as they are kept: "table key version nonce serial payload", one a call; `value` is empty. */
int dbview_dump(struct dbview *view, dbview_fn *fn, void *ctx, struct us_err *err);

#endif
