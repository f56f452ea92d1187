/* userdeny.h - who is kept out of which service: the file cyr_deny(8) writes, userdeny_db_path or <configdirectory>/user_deny.db.
 *
 *	line	= user TAB version TAB services [TAB message] LF	doc/FORMATS.md 12, as Cyrus's "flat" databases have it
 *	version	= "2"				others, and lines of another form, mean nothing
 *	services = pattern *("," pattern)
 *	pattern	= ["!"] glob			as for fnmatch(3), against the entry's name in cyrus.conf, case counting
 *
 * Of the patterns the first that fits decides: "!" lets the user in. Administrators are never kept out.
 */
#ifndef US_SESSION_USERDENY_H
#define US_SESSION_USERDENY_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/buf.h"
#include "server/base/conf.h"
#include "server/base/err.h"
#include "server/base/pool.h"
#include "server/base/span.h"

#define USERDENY_ALL     "*"
#define USERDENY_MESSAGE "Access to this service has been blocked" /* where there is no other */
#define USERDENY_MAX     (4u << 20)                                /* bytes of the file */

struct userdeny_entry {
	struct span user, services, message;
};

/* ---- the form; pure ------------------------------------------------------------------------------- */

/* Read a line, without its line end; what is decoded is in the pool. False: it says nothing that counts. */
bool userdeny_parse(struct span line, struct pool *pool, struct userdeny_entry *out);
/* Append the line with its line end. */
void userdeny_format(const struct userdeny_entry *entry, struct buf *out);
/* Append a user as a line has him, before its first TAB: lines are in the order of that. */
void userdeny_format_user(struct span user, struct buf *out);
bool userdeny_fits(struct span services, const char *service);

/* ---- the file ------------------------------------------------------------------------------------- */

/* To free. */
char *userdeny_path(const struct conf *conf);
/* Append the whole file. US_ENOENT: there is none; US_ENOTSUP: a database of a Cyrus that is not flat. */
int userdeny_read(const char *path, struct buf *out, struct us_err *err);

/* Is that user kept out of the service? 1 with what he is to be told appended to *message, or 0. No file is nobody. */
int userdeny_check(const struct conf *conf, const char *user, const char *service,
		   struct buf *message, struct us_err *err);

/* For those who ask again and again: has the file changed since this was last asked? Starts as zeros: a file that is there has. */
struct userdeny_stamp {
	uint64_t device, inode, size;
	int64_t seconds;
	long nanoseconds;
};
bool userdeny_changed(const struct conf *conf, struct userdeny_stamp *stamp);

#endif
