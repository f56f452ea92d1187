/* reply.h - every reply lmtpd gives, as a table (RFC 2033, 5321, 2034; texts as Cyrus's where it has them).
 *
 * A reply is lines "code-text" and a last one "code enhanced text"; with LMTP_SID the last line ends in the session's
 * id, which is the join key of log lines. Pure.
 */
#ifndef US_LMTP_REPLY_H
#define US_LMTP_REPLY_H

#include "server/base/buf.h"
#include "server/base/err.h"

#define LMTP_UNKNOWN_LINES                                                    \
	"Mailbox unknown.  Either there is no mailbox associated with this\n" \
	"name or you do not have authorization to see it.\n"
#define LMTP_NO_POST_LINES                                                \
	"You do not have permission to post a message to this mailbox.\n" \
	"Please contact the owner of this mailbox in order to submit\n"   \
	"your message, or postmaster if you believe you\n"                \
	"received this message in error.\n"

/*	name			     code enhanced SID text; "\n" between lines */
#define LMTP_REPLIES(X)                                                                           \
	X(LMTP_BYE, 221, "2.0.0", 0, "bye")                                                       \
	X(LMTP_BEGIN_TLS, 220, "2.0.0", 0, "Begin TLS negotiation now")                           \
	X(LMTP_AUTHENTICATED, 235, "2.7.0", 0, "Authenticated!")                                  \
	X(LMTP_NOTHING, 250, "2.0.0", 0, "ok")                                                    \
	X(LMTP_HELLO, 250, "", 1, "Ok")                                                           \
	X(LMTP_RESET, 250, "2.0.0", 1, "Ok")                                                      \
	X(LMTP_SENDER, 250, "2.1.0", 0, "ok")                                                     \
	X(LMTP_RECIPIENT, 250, "2.1.5", 0, "ok")                                                  \
	X(LMTP_DELIVERED, 250, "2.1.5", 1, "Success")                                             \
	X(LMTP_CANNOT_VERIFY, 252, "2.3.3", 0, "try RCPT to attempt delivery")                    \
	X(LMTP_GO_AHEAD, 354, "", 0, "go ahead")                                                  \
	X(LMTP_GOING_DOWN, 421, "4.3.2", 0, "service is going down")                              \
	X(LMTP_TIMED_OUT, 421, "4.4.2", 0, "timeout, closing connection")                         \
	X(LMTP_SOFT_NOAUTH, 430, "4.7.0", 0, "Authentication required")                           \
	X(LMTP_LOCKED, 451, "4.2.1", 0, "Mailbox is locked")                                      \
	X(LMTP_BAD_FORMAT, 451, "4.2.0", 0, "Mailbox has an invalid format")                      \
	X(LMTP_IO_ERROR, 451, "4.3.0", 0, "System I/O error")                                     \
	X(LMTP_TRANSIENT, 451, "4.3.0", 0, "transient system error")                              \
	X(LMTP_REPLICA, 451, "4.3.2", 0, "this server is a replica and takes no mail")            \
	X(LMTP_REMOTE, 451, "4.4.3", 0, "Remote server unavailable")                              \
	X(LMTP_OVER_QUOTA, 452, "4.2.2", 1, "Over quota")                                         \
	X(LMTP_NO_SPACE, 452, "4.3.1", 0, "Insufficient system storage")                          \
	X(LMTP_TOO_MANY, 452, "4.5.3", 0, "Too many recipients")                                  \
	X(LMTP_AUTH_LATER, 454, "4.7.0", 0, "Temporary authentication failure")                   \
	X(LMTP_SYNTAX, 500, "5.5.2", 0, "Syntax error")                                           \
	X(LMTP_PARAMETERS, 501, "5.5.4", 0, "Syntax error in parameters")                         \
	X(LMTP_NO_PARAMETER, 501, "5.5.4", 0, "Unrecognized parameters")                          \
	X(LMTP_NO_BODY_TYPE, 501, "5.5.4", 0, "Unrecognized BODY type")                           \
	X(LMTP_NO_SIZE, 501, "5.5.2", 0, "SIZE requires a value")                                 \
	X(LMTP_NO_BASE64, 501, "5.5.2", 0, "cannot decode the response")                          \
	X(LMTP_CANCELED, 501, "5.5.4", 0, "client canceled authentication")                       \
	X(LMTP_NEED_MAIL, 503, "5.5.1", 0, "Need MAIL command")                                   \
	X(LMTP_NESTED_MAIL, 503, "5.5.1", 0, "Nested MAIL command")                               \
	X(LMTP_NO_RECIPIENTS, 503, "5.5.1", 0, "No recipients")                                   \
	X(LMTP_AUTHENTICATED_ALREADY, 503, "5.5.0", 0, "already authenticated")                   \
	X(LMTP_TLS_ALREADY, 503, "5.5.1", 0, "TLS is active already")                             \
	X(LMTP_NO_MECHANISM, 504, "5.5.4", 0, "Unrecognized authentication type.")                \
	X(LMTP_NOAUTH, 530, "5.7.0", 0, "Authentication required")                                \
	X(LMTP_BAD_AUTH, 535, "5.7.8", 0, "authentication failure")                               \
	X(LMTP_UNKNOWN_USER, 550, "5.1.1", 0, LMTP_UNKNOWN_LINES "User unknown")                  \
	X(LMTP_NO_POST, 550, "5.7.1", 0, LMTP_NO_POST_LINES "Permission denied")                  \
	X(LMTP_OVER_QUOTA_FOR_GOOD, 552, "5.2.2", 1, "Over quota")                                \
	X(LMTP_SIZE_EXCEEDED, 552, "5.2.3", 0, "Message SIZE exceeds fixed maximum message size") \
	X(LMTP_TOO_BIG, 552, "5.2.3", 0, "Message size exceeds fixed maximum message size")       \
	X(LMTP_HAS_NUL, 554, "5.6.0", 0, "Message contains NUL characters")                       \
	X(LMTP_HAS_8BIT, 554, "5.6.0", 0, "Message contains non-ASCII characters in headers")     \
	X(LMTP_BAD_HEADER, 554, "5.6.0", 0, "Message contains invalid header")

enum lmtp_reply {
	LMTP_NO_REPLY, /* of parsers: all was well */
#define X(name, code, enhanced, sid, text) name,
	LMTP_REPLIES(X)
#undef X
};

unsigned lmtp_reply_code(enum lmtp_reply reply);
/* Append the reply; `detail` (may be NULL) stands in parentheses behind its text. */
void lmtp_reply_format(enum lmtp_reply reply, const char *session_id, const char *detail,
		       struct buf *out);

/* What a client is told when a delivery failed with this US_E code. Only an exceeded quota can be for good: whatever
 * else goes wrong here is our trouble, and mail must not bounce because of it. */
enum lmtp_reply lmtp_reply_of_error(int code, bool over_quota_for_good);

#endif
