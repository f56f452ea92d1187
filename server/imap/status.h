/* status.h - the figures of a mailbox, for STATUS and for LIST with RETURN (STATUS ..) (RFC 5819). */
#ifndef US_IMAP_STATUS_H
#define US_IMAP_STATUS_H

#include "server/base/err.h"
#include "server/base/span.h"

struct access;
struct imap_session;
struct parse;

/* "(" status-att *(SP status-att) ")" to bits of enum status_item. US_EPROTO. Pure. */
int status_parse(struct parse *p, unsigned *out, struct us_err *err);
/* Write the untagged STATUS of a mailbox he may read, shown by that name. */
int status_put(struct imap_session *s, const struct access *access, struct span shown,
	       unsigned items, struct us_err *err);

#endif
