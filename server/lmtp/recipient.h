/* recipient.h - an address as the names of mailboxes. Pure: whether they exist is route.h's business.
 *
 *	recipient = user ["+" folder] ["@" domain]	the user's folder, or if it cannot be had his INBOX
 *		  / [postuser] "+" name ["@" domain]	a shared mailbox by its name
 *
 * The domain means something only with virtual domains, and not if it is the default one. The hierarchy separator in a
 * folder is the one clients see. User ids have the form of identity.h.
 */
#ifndef US_LMTP_RECIPIENT_H
#define US_LMTP_RECIPIENT_H

#include <stdbool.h>

#include "server/base/err.h"
#include "server/base/pool.h"
#include "server/base/span.h"
#include "server/lmtp/address.h"

struct recipient_rules {
	bool unixhierarchysep, virtdomains, downcase;
	const char *defaultdomain; /* NULL: none */
	const char *postuser;      /* "": an empty user names shared mailboxes */
};

struct recipient_name {
	struct span
		userid; /* as it is written outside: "first.last@dom"; SPAN_NULL: a shared mailbox is meant */
	struct span inbox; /* his INBOX, internal */
	struct span
		folder; /* internal: the user's folder (SPAN_NULL: none is asked for, or it cannot be a name), or the shared one */
};

/* US_ENOENT: this can be nobody's address. Spans of *out live in the pool. */
int recipient_name(const struct recipient_rules *rules, const struct lmtp_address *address,
		   struct pool *pool, struct recipient_name *out, struct us_err *err);

#endif
