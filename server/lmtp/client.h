/* client.h - our side towards an LMTP server: messages handed over, each with a result for each recipient (RFC 2033).
 *
 *	lmtp_client_greet()	220, LHLO: what the server offers
 *	lmtp_client_send()	MAIL, RCPT ..., DATA, the message: any number of times
 *	lmtp_client_quit()
 *
 * Commands before DATA go out together where the server offers PIPELINING, some dozens at a time, so that neither side
 * waits for the other to read. The message is read from a descriptor in pieces while it is sent: memory is bounded
 * whatever its size. If reading it fails the connection is of no more use, for half a message must not be ended like a whole one.
 */
#ifndef US_LMTP_CLIENT_H
#define US_LMTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "server/base/err.h"
#include "server/base/span.h"

struct stream;

struct lmtp_client {
	struct stream *stream;              /* borrowed */
	bool pipelining, auth, ignorequota; /* offered */
};

enum lmtp_outcome {
	LMTP_OUTCOME_NONE, /* nothing was heard of it: try again */
	LMTP_OUTCOME_DELIVERED,
	LMTP_OUTCOME_LATER, /* refused for now */
	LMTP_OUTCOME_NEVER, /* refused for good */
};

struct lmtp_addressee {
	const char *address; /* without brackets; borrowed */
	bool ignore_quota;   /* asked for if the server offers it */
	enum lmtp_outcome outcome;
	char reason[200]; /* unless it was delivered: why not, for a human; may be empty */
};

struct lmtp_parcel {
	const char *sender; /* with or without brackets; "": nobody */
	const char
		*submitter; /* MAIL's AUTH= (RFC 4954), sent if the server knows AUTH; NULL: none */
	struct lmtp_addressee *to;
	size_t n_to;
	int message; /* read to its end; lines end in LF or CRLF. Blocking */
};

/* Take the greeting and say LHLO as `name`. US_EREMOTE: the server does not want us. */
int lmtp_client_greet(struct lmtp_client *client, struct stream *stream, const char *name,
		      struct us_err *err);

/* Send one message. 0: every recipient has an outcome. Negative: the connection, or reading the message, failed;
 * who has an outcome by then has it. Recipients whose address holds control characters are refused here: no such byte
 * goes out. */
int lmtp_client_send(struct lmtp_client *client, const struct lmtp_parcel *parcel,
		     struct us_err *err);

/* Say goodbye, and wait for no answer. */
void lmtp_client_quit(struct lmtp_client *client);

#endif
