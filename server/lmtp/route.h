/* route.h - where a recipient's message goes: names looked up in the store.
 *
 *	user		RCPT: his INBOX exists, or is made, or the catch-all's takes its place; his root is not full
 *			DATA: his folder if it was asked for, exists and may be posted to; else the INBOX
 *	shared		RCPT: it exists and may be posted to
 *
 * Who may post: the user MAIL named (AUTH=), or anyone.
 */
#ifndef US_LMTP_ROUTE_H
#define US_LMTP_ROUTE_H

#include <stdbool.h>

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/lmtp/recipient.h"
#include "server/lmtp/reply.h"

struct envelope;
struct host;
struct lmtp_options;

/* Who asks: all borrowed. */
struct router {
	struct host *host;
	const struct lmtp_options *options;
	struct envelope *envelope; /* who posts, and how much room was found */
	bool only_asks; /* no message will come of it: nothing is made, an INBOX that would be is there */
};

/* Judge a recipient. LMTP_RECIPIENT: *name is who gets it, with spans in the pool or the configuration; else what to answer. */
enum lmtp_reply route_check(const struct router *r, const struct lmtp_address *address,
			    bool ignore_quota, struct pool *pool, struct recipient_name *name);

/* The internal name of the mailbox for one who was accepted. 0, or what looking it up gave. */
int route_place(const struct router *r, const struct recipient_name *name, struct buf *out,
		struct us_err *err);

#endif
