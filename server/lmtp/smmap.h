/* smmap.h - sendmail's socket map protocol: would lmtpd take mail for this address? What an MTA asks before it accepts a message, so
 * that it need not bounce it later. Postfix speaks it as socketmap.
 *
 *	request	= map SP key		in a netstring (netstring.h), as the reply; the name of the map does not matter
 *	key	= local ["@" domain]	as in RCPT, but unquoted
 *	reply	= "OK" SP key		RCPT would be answered 250
 *		/ "NOTFOUND" SP text	550 5.1.1
 *		/ "TEMP" SP text	4xx
 *		/ "PERM" SP text	5xx, or the request is none
 *
 * The answer is route_check()'s, who decides for RCPT too, with nobody in particular posting and nothing being made. A request that is
 * no netstring is answered, and then the connection ends: where the next one would begin nobody can say.
 */
#ifndef US_LMTP_SMMAP_H
#define US_LMTP_SMMAP_H

#include "server/lmtp/session.h"

/* Serve one client to the end; gives the process's exit status. */
int smmap_serve(struct host *host, const struct lmtp_options *options,
		const struct service_conn *conn);

#endif
