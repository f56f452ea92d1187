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
 *
 * Pipelined commands can share what makes them durable: imap_hold() keeps a command's answer back. No answer waits for
 * the client: all that is held is settled before we wait for him, and before anything else is done or answered, so that answers come
 * in the order of the commands and each sees what those before it did.
 */
#ifndef US_IMAP_SESSION_H
#define US_IMAP_SESSION_H

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
#include "server/session/userdeny.h"
#include "server/store/mboxname.h"

struct append; /* append.h: a message on its way in */
struct csync;
struct login_limit;
struct selected; /* selected.h */

/* What the command line and imapd.conf make of a session; read once a process. */
struct imap_options {
	bool implicit_tls;   /* -s */
	unsigned protection; /* -p: bits of a layer around us that we cannot see */
	bool read_only;      /* readonly, replicaonly: nobody changes anything */
	struct framer_limits limits;
	int64_t timeout_s, idle_timeout_s;
};

/* What a client asked for by ENABLE, or by using it. */
enum imap_enabled {
	IMAP_CONDSTORE = 1u << 0, /* FETCH says MODSEQ (RFC 7162, 3.1) */
	IMAP_QRESYNC = 1u << 1,   /* VANISHED in place of EXPUNGE (3.2) */
};

/* A command whose answer is held back. */
struct imap_held {
	const struct command *command;
	struct pool *pool; /* which it was parsed into */
	struct span tag;   /* in pool */
	int64_t began_us;
	struct buf done; /* as s->done */
};

struct imap_session {
	struct host *host;
	const struct service_conn *conn;
	const struct imap_options *options;
	struct stream *out; /* the connection: handlers write, and read only by imap_read_line() */
	struct framer framer;
	struct sasl_srv *sasl;
	struct pool *pool; /* of the command at hand */

	/* The command at hand. */
	const struct command *command;
	bool uid_form;
	struct span tag, verb; /* as the client wrote them */
	int64_t began_us;
	struct buf done;  /* its tagged line behind the tag; empty: OK Completed */
	bool handed_over; /* its value waits in the connection (CMD_HAND_OVER) */
	bool answered;    /* the handler wrote that line itself (SYNC*) */
	bool held;        /* imap_hold() */
	/* Called when that line is written and flushed: layers of the connection change there. */
	int (*after)(struct imap_session *s, struct us_err *err);

	const struct identity *identity; /* NULL: not logged in; else `who` */
	struct identity who;
	struct userdeny_stamp userdeny;      /* of the file as it was last asked about */
	struct mboxname_view names;          /* as this user sees them */
	struct selected *selected;           /* NULL: nothing is */
	unsigned enabled;                    /* enum imap_enabled */
	struct append *append;               /* append.c's */
	const struct command_stream *holder; /* whose answers are held back; NULL: none are */
	struct csync *csync;                 /* of an administrator who used SYNC*; else NULL */
	struct login_limit *limit;
	bool tls;
	bool lost;    /* the connection cannot go on: reading failed, or a layer did */
	bool leaving; /* after this command it ends */
	char id[SESSION_ID_MAX];
};

/* Serve this client to the end: the exit status. */
int imap_serve(struct host *host, const struct imap_options *options, struct service_conn *conn);
void imap_options_read(const struct service_env *env, struct imap_options *out);

/* ---- the tagged line: each returns 0, so that a handler can end with it -------------------------- */

/* fmt may begin with a response code: "[READ-WRITE] Completed". */
int imap_ok(struct imap_session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int imap_no(struct imap_session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int imap_bad(struct imap_session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* NO with the response code and the text of texts.h for a US_E code; `code` (NULL: the table's) goes in the place
 * of the response code. What *err says goes to the log where an operator has to know. */
int imap_fail(struct imap_session *s, int rc, const char *code, const struct us_err *err);

double imap_elapsed_s(const struct imap_session *s); /* since the command came */

/* ---- answers that are held back ------------------------------------------------------------------ */

/* How a handler ends that holds its answer back: *out has the command now, its pool with all that is in it too. The stream of its
 * row settles it. Returns 0. */
int imap_hold(struct imap_session *s, struct imap_held *out);
/* Do and answer now what is held; nothing is well. May end the session, as news may (s->leaving). */
void imap_settle(struct imap_session *s);
/* For `settle`. Between the two the tagged line is set by imap_ok() and the like, for this command. */
void imap_held_begin(struct imap_session *s, const struct imap_held *held);
void imap_held_end(struct imap_session *s, struct imap_held *held);
/* Write its tagged line, and free it. */
void imap_held_answer(struct imap_session *s, struct imap_held *held);

/* ---- reading, for handlers that converse (AUTHENTICATE, IDLE) ------------------------------------- */

/* A line of at most `limit` bytes, without its end: 0. US_ELIMIT: it was longer and was passed over. Any other code
 * sets s->lost. */
int imap_read_line(struct imap_session *s, size_t limit, struct buf *line, struct us_err *err);

/* ---- state --------------------------------------------------------------------------------------- */

bool imap_is_admin(const struct imap_session *s);
/* From now on the client is told of MODSEQs; the first time he hears how far he has been told (RFC 7162, 3.1.2). `by` is what he
 * used: "MODSEQ fetch". */
void imap_enable_condstore(struct imap_session *s, const char *by);
/* Leave the selected mailbox, if there is one: nothing is told of that. */
void imap_leave_mailbox(struct imap_session *s);
/* Untagged news that are due, FETCH for a known number and all. A mailbox that is gone ends the session. */
int imap_tell_news(struct imap_session *s, bool keep_numbers, struct us_err *err);

#endif
