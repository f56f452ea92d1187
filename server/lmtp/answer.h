/* answer.h - what an LMTP server answers us, a line at a time (RFC 2033, RFC 5321, 4.2). Pure.
 *
 *	line	= code ["-" / SP] [[status SP] text]	"-": more lines follow
 *	code	= ("2" / "3" / "4" / "5") 2DIGIT
 *	status	= DIGIT "." 1*3DIGIT "." 1*3DIGIT	RFC 2034
 */
#ifndef US_LMTP_ANSWER_H
#define US_LMTP_ANSWER_H

#include <stdbool.h>

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/base/span.h"

struct lmtp_answer {
	unsigned code;      /* 200 to 599 */
	bool more;          /* this is not the last line */
	struct span status; /* "5.1.1"; SPAN_NULL: none */
	struct span text;
};

/* Read one line, without its line end; spans borrow from it. US_EPROTO, *out untouched: it is none. */
int lmtp_answer_parse(struct span line, struct lmtp_answer *out, struct us_err *err);

/* Append why a recipient does not get his mail, for a human: the server's own words without its session id; for some
 * the words that Cyrus's deliver has. */
void lmtp_answer_reason(const struct lmtp_answer *answer, struct buf *out);

#endif
