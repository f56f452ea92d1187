/* address.h - the path of MAIL and RCPT: what stands between < and >. Pure.
 *
 *	path	= "<" [a-d-l ":"] [mailbox] ">"		RFC 5321, 4.1.2; a source route is read and forgotten
 *	a-d-l	= "@" domain *("," "@" domain)
 *	mailbox	= local ["@" domain]			without a domain too: an LMTP server knows its users
 *	local	= quoted / 1*(char / "\" any)		dots may stand anywhere, as in Cyrus
 *	quoted	= DQUOTE *(qchar / "\" any) DQUOTE
 *	domain	= 1*char / "[" *dchar "]"
 *	char	= printable ASCII but none of <>()[]\,;:@" and no blank
 *
 * Bytes above 127 are refused, or read as "X" where the operator wants that (lmtp_strict_rfc2821: no).
 */
#ifndef US_LMTP_ADDRESS_H
#define US_LMTP_ADDRESS_H

#include <stdbool.h>

#include "server/base/pool.h"
#include "server/base/scan.h"
#include "server/base/span.h"

struct lmtp_address {
	struct span local;  /* unquoted; empty: "<>" */
	struct span domain; /* SPAN_NULL: none */
	struct span text;   /* as it was written, without brackets and route */
};

/* Read a path where *s is, with its brackets; spans live in pool or in the scanned text. False: it is none, and s->bad
 * is set. */
bool lmtp_address_scan(struct scan *s, bool x_for_8bit, struct pool *pool,
		       struct lmtp_address *out);

#endif
