/* address.h - the addresses of From, To and their kin (RFC 5322, section 3.4, with section 4.4).
 *
 *	list    = [item] *("," [item])
 *	item    = mailbox / group
 *	group   = phrase ":" [mailbox] *("," [mailbox]) ";"		no groups in groups
 *	mailbox = local ["@" domain] / [phrase] "<" [route ":"] local ["@" domain] ">"
 *	route   = 1*("," / "@" domain)
 *
 * Everything is taken for something: a comment is the name if there is no phrase ("a@b (Ann)"); a bracket
 * or quote that is not closed is read as if it were or as an ordinary character; a missing part is
 * SPAN_NULL. Words of a local part that stand apart stay apart by one blank. Nothing is decoded.
 */
#ifndef US_STORE_MIME_ADDRESS_H
#define US_STORE_MIME_ADDRESS_H

#include "server/base/buf.h"
#include "server/base/span.h"
#include "server/store/mime/token.h"

enum mime_address_kind { MIME_ADDRESS_MAILBOX, MIME_ADDRESS_GROUP, MIME_ADDRESS_GROUP_END };

struct mime_address {
	enum mime_address_kind kind;
	struct span name;  /* display name, unquoted; of a group its name. SPAN_NULL: none */
	struct span route; /* "@a,@b" (RFC 5322, section 4.4); SPAN_NULL: none */
	struct span local, domain; /* of a mailbox; domain SPAN_NULL: missing */
};

struct mime_addresses {
	struct mime_lexer lx;
	bool in_group;
	struct buf phrase, spec, comment; /* what the address last given is made of */
};

/* Read from one unfolded value. The value must live as long. */
void mime_addresses_init(struct mime_addresses *list, struct span value);
void mime_addresses_fini(struct mime_addresses *list);
/* The next one, valid until the next call; false: there are no more. A group that was begun is ended. */
bool mime_addresses_next(struct mime_addresses *list, struct mime_address *out);

#endif
