/* record.h - one line of a sync log: what changed, never how.
 *
 *	line = KIND SP arg [SP arg] LF
 *	arg  = bare / quoted / literal
 *	bare   = 1*( any byte but NUL CR LF blank TAB ( ) \ " { } )
 *	quoted = DQUOTE *( byte / "\" byte ) DQUOTE
 *	literal = "{" size ["+"] "}" [CR] LF size*OCTET
 *
 * Writers quote an argument that is empty or holds a blank, TAB, ( ) \ " { }, and put a backslash before each \ " { }
 * inside, byte for byte as Cyrus 3.6 does. Readers take any form, whatever the case of KIND.
 */
#ifndef US_SYNCLOG_RECORD_H
#define US_SYNCLOG_RECORD_H

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/base/pool.h"
#include "server/base/span.h"

enum synclog_kind {
	SYNCLOG_USER,          /* user */
	SYNCLOG_UNUSER,        /* user */
	SYNCLOG_META,          /* user */
	SYNCLOG_SIEVE,         /* user */
	SYNCLOG_APPEND,        /* mailbox */
	SYNCLOG_MAILBOX,       /* mailbox */
	SYNCLOG_DOUBLEMAILBOX, /* mailbox mailbox */
	SYNCLOG_RENAME,        /* mailbox mailbox */
	SYNCLOG_UNMAILBOX,     /* mailbox */
	SYNCLOG_QUOTA,         /* root */
	SYNCLOG_ANNOTATION,    /* mailbox, "" the server */
	SYNCLOG_SEEN,          /* user uniqueid */
	SYNCLOG_SUB,           /* user mailbox */
	SYNCLOG_UNSUB,         /* user mailbox */
	SYNCLOG_KINDS
};

struct synclog_record {
	enum synclog_kind kind;
	struct span arg[2];
	unsigned n_args; /* as the kind wants */
};

const char *synclog_kind_name(enum synclog_kind kind);
unsigned synclog_kind_args(enum synclog_kind kind);

/* Append the line. US_EINVAL: an argument holds CR, LF or NUL, which no log can carry. */
int synclog_format(const struct synclog_record *record, struct buf *out, struct us_err *err);

/* Take the next line from *rest. 1: a record, its arguments in pool. 0: *rest is used up. US_EPROTO: the line is none;
 * *rest stands behind it and *bad shows it, so that the reader can say so and go on. Empty lines are passed over. */
int synclog_parse(struct span *rest, struct pool *pool, struct synclog_record *out,
		  struct span *bad, struct us_err *err);

#endif
