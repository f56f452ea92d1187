/* command.h - a command line of LMTP as a struct (RFC 2033, RFC 5321). Pure: no socket, no session.
 *
 *	line	= "LHLO" SP name / "MAIL FROM:" path params / "RCPT TO:" path params / "DATA" / "RSET"
 *		/ "NOOP" [SP text] / "QUIT" / "VRFY" SP text / "AUTH" SP mech [SP initial] / "STARTTLS"
 *	params	= *(SP param)
 *
 *	MAIL:	"SIZE=" number (RFC 1870), "BODY=7BIT" / "BODY=8BITMIME" (RFC 6152), "AUTH=" xtext (RFC 4954)
 *	RCPT:	"IGNOREQUOTA" (Cyrus)
 *
 * Words are taken without case. No parameter may come twice (RFC 5321, 4.1.1.11).
 */
#ifndef US_LMTP_COMMAND_H
#define US_LMTP_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/pool.h"
#include "server/base/span.h"
#include "server/lmtp/address.h"
#include "server/lmtp/reply.h"

enum lmtp_verb {
	LMTP_VERB_LHLO,
	LMTP_VERB_MAIL,
	LMTP_VERB_RCPT,
	LMTP_VERB_DATA,
	LMTP_VERB_RSET,
	LMTP_VERB_NOOP,
	LMTP_VERB_QUIT,
	LMTP_VERB_VRFY,
	LMTP_VERB_AUTH,
	LMTP_VERB_STARTTLS,
	LMTP_VERBS
};

struct lmtp_command {
	enum lmtp_verb verb;
	struct lmtp_address address; /* MAIL, RCPT */
	struct span word;            /* LHLO: the name; AUTH: the mechanism */
	struct span initial;         /* AUTH: base64; SPAN_NULL: none */
	bool has_size, has_body, has_auth;
	uint64_t size;         /* UINT64_MAX: that or more */
	struct span submitter; /* MAIL's AUTH, decoded; empty for "<>" */
	bool ignore_quota;     /* RCPT */
};

/* Read one line, without its line end. Returns LMTP_NO_REPLY with *out, whose spans live in the line or in the pool, or
 * what to answer. */
enum lmtp_reply lmtp_command_parse(struct span line, bool x_for_8bit, struct pool *pool,
				   struct lmtp_command *out);

#endif
