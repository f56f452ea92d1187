/* wire_answer.h - the last line of every answer: OK, NO and a reason, or BAD.
 *
 * The texts are Cyrus's, word for word: a peer knows a refusal by its first word. Over IMAP the tag goes in front.
 */
#ifndef US_RECONCILE_WIRE_ANSWER_H
#define US_RECONCILE_WIRE_ANSWER_H

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/base/span.h"

enum wire_answer {
	WIRE_OK,
	WIRE_INVALID_USER,
	WIRE_NONEXISTENT,
	WIRE_LOCKED,
	WIRE_MOVED,
	WIRE_NOTSUPPORTED,
	WIRE_CHECKSUM,
	WIRE_CHANGED,
	WIRE_BADSIEVE,
	WIRE_PROTOCOL,
	WIRE_BAD_PARAMETERS,
	WIRE_UNKNOWN, /* every other failure */
	WIRE_ANSWERS
};

/* What a result of ours is called there. */
enum wire_answer wire_answer_of(int code);
/* The line of an answer, with CRLF. tag: empty for csync. */
void wire_put_answer(struct buf *out, struct span tag, enum wire_answer answer);
/* The line for a command that could not be parsed; verb: "GET", "APPLY", "RESTORE". */
void wire_put_bad(struct buf *out, struct span tag, const char *verb);

/* What a line means that ends an answer (CRLF removed): 0: OK. Else the code the peer's handler had, as far as its word
 * tells: US_ENOENT, US_EBUSY, US_EMOVED, US_ENOTSUP, US_ECHECKSUM, US_ECHANGED, US_EINVAL, US_EPROTO (also for BAD);
 * US_EAUTH: not logged in; US_EPERM: no administrator; US_ECLOSED: BYE; US_EREMOTE: any other NO. US_EPROTO if it is no
 * such line, or its tag is not `tag`. `text` (may be NULL) gets what follows OK, NO or BAD, a part of `line`. */
int wire_parse_answer(struct span line, struct span tag, struct span *text, struct us_err *err);

#endif
