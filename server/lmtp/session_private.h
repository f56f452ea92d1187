/* session_private.h - the state of one LMTP connection, for the files that carry out its commands. */
#ifndef US_LMTP_SESSION_PRIVATE_H
#define US_LMTP_SESSION_PRIVATE_H

#include "server/base/stream.h"
#include "server/lmtp/boxes.h"
#include "server/lmtp/command.h"
#include "server/lmtp/envelope.h"
#include "server/lmtp/reply.h"
#include "server/lmtp/route.h"
#include "server/lmtp/session.h"

struct lmtp_stages; /* intake.h */

struct lmtp_session {
	struct host *host;
	const struct lmtp_options *options;
	const struct service_conn *conn;
	struct stream *stream;
	struct sasl_srv *sasl;
	const struct identity *identity; /* NULL: not logged in */
	bool trusted;                    /* a Unix socket, or -a: need not log in */
	bool tls, done;
	char id[SESSION_ID_MAX]; /* anew with each LHLO and RSET */
	struct buf client;       /* the name he gave with LHLO */
	struct envelope envelope;
	struct lmtp_stages *stages;
	struct boxes boxes;
	unsigned messages; /* that came without a Message-ID, so far */
};

void lmtp_reply(struct lmtp_session *s, enum lmtp_reply reply);
/* For the transaction at hand. */
struct router lmtp_router(struct lmtp_session *s);

/* Commands of other files. Negative only if the connection cannot go on. */
int lmtp_cmd_auth(struct lmtp_session *s, const struct lmtp_command *c, struct us_err *err);
int lmtp_cmd_data(struct lmtp_session *s, const struct lmtp_command *c, struct us_err *err);

#endif
