/* session.h - one IMAP connection: its state, and what handlers use of it.
 *
 *	connection --> NOT_AUTH --LOGIN, AUTHENTICATE--> AUTH --SELECT, EXAMINE--> SELECTED
 *			   |				 | <--CLOSE, UNSELECT-----'  |
 *			   '-----------------LOGOUT------+---------------------------'--> end
 *
 * The loop is session.c's: feed the framer, find the command, parse, run, tell news, write the tagged line. A
 * handler never writes a tagged line itself: it says what it shall be, and the news that are due go before it.
 *
 * Memory of a command comes from s->pool and goes with it. What a handler keeps longer has an owner here.
 */
#ifndef US_IMAP_SESSION_H
#define US_IMAP_SESSION_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/base/pool.h"
#include "server/base/stream.h"
#include "server/imap/commands.h"
#include "server/imap/framer.h"
#include "server/session/host.h"
#include "server/session/identity.h"
#include "server/session/sasl_server.h"
#include "server/session/service.h"
#include "server/store/mboxname.h"

struct append; /* append.h: a message on its way in, NULL: none */
struct csync;
struct selected; /* selected.h */

/* What the command line and imapd.conf make of a session; read once a process. */
struct imap_options {
	bool implicit_tls;   /* -s */
	unsigned protection; /* -p: bits of a layer around us that we cannot see */
	bool read_only;      /* readonly, replicaonly: nobody changes anything */
	bool compress;
	struct framer_limits limits;
	int64_t timeout_s, idle_timeout_s, preauth_timeout_s;
	const char *shutdown_file;
};

struct imap_session {
	struct host *host;
	const struct service_conn *conn;
	const struct imap_options *options;
	struct stream *
		out; /* the connection, for writing; reading is session.c's, and of handlers marked so */
	struct framer framer;
	struct sasl_srv *sasl;
	struct pool *pool;             /* of the command at hand */
	const struct command *command; /* at hand */
	bool uid_form;
	struct span tag;  /* of the command at hand */
	int64_t began_ms; /* when it came (wait_clock_ms) */

	const struct identity *identity; /* NULL: not logged in */
	struct mboxname_view names;      /* as this user sees them */
	struct selected *selected;       /* NULL: nothing is */
	struct append *append;           /* a message that is coming in; append.c's */
	struct csync *csync;             /* an administrator's who used SYNC*; else NULL */
	bool tls;
	bool lost;    /* the connection cannot go on: reading or writing it failed */
	bool leaving; /* after this command it ends */
	char id[SESSION_ID_MAX];

	struct { /* what the tagged line shall say; "" : OK Completed */
		struct buf text;
		bool is_set;
	} done;
};

/* Serve this client to the end: the exit status. */
int imap_serve(struct host *host, const struct imap_options *options, struct service_conn *conn);

/* ---- the tagged line: each returns 0, so that a handler can end with it -------------------------- */

/* fmt may begin with a response code: "[READ-WRITE] Completed". */
int imap_ok(struct imap_session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int imap_no(struct imap_session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int imap_bad(struct imap_session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* NO with the text and the response code of texts.h for a US_E code; what *err says goes to the log where it is
 * for an operator. `code` NULL: the table's. */
int imap_fail(struct imap_session *s, int rc, const char *code, const struct us_err *err);

double imap_elapsed_s(const struct imap_session *s); /* since the command came */

/* ---- reading, for handlers that converse (AUTHENTICATE, IDLE, STARTTLS) ------------------------- */

/* A line of at most `limit` bytes, without its end: 0. A negative code sets s->lost, but for US_ELIMIT: the line
 * was longer and was passed over. */
int imap_read_line(struct imap_session *s, size_t limit, struct buf *line, struct us_err *err);

/* ---- life of a session --------------------------------------------------------------------------- */

/* The user is known from now on: names, rights, telemetry, limits. Returns 0; or a code if he may not come in,
 * with a text for the client. */
int imap_logged_in(struct imap_session *s, const struct identity *identity, struct us_err *err);
/* Say "* BYE text" at the end of this command and go. */
void imap_bye(struct imap_session *s, const char *text);
bool imap_is_admin(const struct imap_session *s);

#endif
