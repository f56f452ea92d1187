/* sasl_exchange.h - a login as line protocols carry it: base64 lines between a client and sasl_server.
 *
 *	C: AUTHENTICATE mech [base64, or "=" for an empty one]		the caller has read this
 *	S: prompt base64	C: base64, or "*" to give up		as often as the mechanism wants
 *	S: how it ended							is the caller's to say
 *
 * The protocols differ in the prompt, in how long a response may be, and in the words for each end.
 */
#ifndef US_SESSION_SASL_EXCHANGE_H
#define US_SESSION_SASL_EXCHANGE_H

#include <stddef.h>

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/base/span.h"

struct sasl_srv;
struct stream;

struct sasl_wire {
	const char *prompt; /* "+ " */
	size_t most_response;
};

enum sasl_end {
	SASL_END_ACCEPTED,  /* sasl_srv_identity() says who it is */
	SASL_END_REFUSED,   /* *err says why, its code as of sasl_srv_begin() */
	SASL_END_CANCELED,  /* by the client */
	SASL_END_NO_BASE64, /* what he sent cannot be read; *err says why */
};

/* Lead one exchange to its end. `initial` is the client's initial response as he sent it, SPAN_NULL if there was none.
 * Returns  0 with *end; a US_E code if the connection cannot go on.
 * Blocks   until the client has said all, and while passwords are checked. What passes is wiped from memory. */
int sasl_exchange(struct sasl_srv *sasl, struct stream *stream, const struct sasl_wire *wire,
		  struct span mech, struct span initial, enum sasl_end *end, struct us_err *err);

/* One step of it: send a challenge, and read the response into *response, which is cleared first. *end is
 * SASL_END_ACCEPTED if there is one, else one of the last two. */
int sasl_exchange_ask(struct stream *stream, const struct sasl_wire *wire, struct span challenge,
		      struct buf *response, enum sasl_end *end, struct us_err *err);

#endif
