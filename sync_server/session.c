/* session.c - see session.h.
 *
 *	banner --> AUTHENTICATE, STARTTLS --> COMPRESS --> GET, APPLY, RESTART ... --> EXIT
 *
 * A command is a line whose first word is in the table below; what may follow is read by the command. A word
 * nobody knows, a tagged IMAP command among them, is an error and no reason to hang up: a client that tries IMAP first
 * must find out politely.
 *
 * A user who is no administrator can log in and do nothing, as in Cyrus.
 *
 * How much a client can make us hold is bounded, logged in or not: words by maxword, all of a command by sync_maxline, its records
 * and messages by files (server/csync). A line beyond that is read to its end and answered BAD. A line that the end of the
 * connection cut off is not carried out.
 */
#include "sync_server/session.h"

#include <string.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/csync/csync.h"
#include "server/session/proc_note.h"
#include "server/session/telemetry.h"
#include "sync_server/auth.h"
#include "sync_server/session_private.h"

/* ---- banner ------------------------------------------------------------------------------------ */

/* Not inside TLS, where the length of what is packed would tell of what is beside it; nothing is gained over a Unix socket. */
static bool may_compress(const struct session *s)
{
	return !s->trusted && !s->tls && !stream_compression(s->stream) &&
	       conf_bool(s->host->conf, CONF_sync_compress);
}

static void put_mechanisms(struct session *s)
{
	struct buf line = BUF_INIT;

	if (sasl_srv_mechs(s->sasl, " ", &line))
		stream_printf(s->stream, "* SASL%s\r\n", line.data);
	buf_free(&line);
}

static void put_banner(struct session *s)
{
	struct buf who = BUF_INIT;

	if (!s->identity)
		put_mechanisms(s);
	if (s->host->tls && !s->tls && !s->trusted)
		stream_write_str(s->stream, "* STARTTLS\r\n");
	if (may_compress(s))
		stream_write_str(s->stream, "* COMPRESS DEFLATE\r\n");
	if (!s->trusted)
		stream_write_str(s->stream, "* SIEVE-MAILBOX\r\n");
	stream_printf(s->stream, "* X-UNDERSTUDY 1 DIGEST PIPELINE%s\r\n",
		      may_compress(s) ? " ZSTD" : "");
	host_banner(s->host, "Cyrus sync server", &who);
	stream_printf(s->stream, "* OK %s\r\n", who.data);
	buf_free(&who);
}

/* ---- commands ---------------------------------------------------------------------------------- */

static int cmd_noop(struct session *s, struct us_err *err UNUSED)
{
	stream_write_str(s->stream, "OK Noop completed\r\n");
	return 0;
}

static int cmd_exit(struct session *s, struct us_err *err UNUSED)
{
	stream_write_str(s->stream, "OK Finished\r\n");
	s->done = true;
	return 0;
}

static int cmd_restart(struct session *s, struct us_err *err UNUSED)
{
	if (s->csync)
		csync_restart(s->csync);
	stream_write_str(s->stream, "OK Restarting\r\n");
	return 0;
}

static int cmd_starttls(struct session *s, struct us_err *err)
{
	int rc;

	if (!s->host->tls) {
		stream_write_str(s->stream, "BAD IMAP_PROTOCOL_ERROR Unrecognized command\r\n");
		return 0;
	}
	if (s->tls || s->identity) {
		stream_printf(s->stream, "BAD %s\r\n",
			      s->tls ? "Already did a successful Starttls"
				     : "Can't Starttls after authentication");
		return 0;
	}
	stream_write_str(s->stream, "OK Begin TLS negotiation now\r\n");
	rc = host_start_tls(s->host, s->stream, s->sasl, err);
	if (rc < 0)
		return rc;
	s->tls = true;
	put_banner(s);
	return 0;
}

static int start_zstd(struct session *s, struct us_err *err)
{
	stream_write_str(s->stream, "OK ZSTD active\r\n");
	return stream_start_zstd(s->stream, STREAM_PACK_ALL, err);
}

static int start_deflate(struct session *s, struct us_err *err)
{
	stream_write_str(s->stream, "OK DEFLATE active\r\n");
	return stream_start_deflate(s->stream, err);
}

/* ZSTD is for who was offered it and has logged in: strangers need no decoder as large as that. */
static int cmd_compress(struct session *s, struct us_err *err)
{
	struct span name = s->n_args ? buf_span(&s->args[0]) : SPAN_NULL;

	if (!s->n_args) {
		stream_write_str(s->stream, "BAD Missing required argument to Compress\r\n");
		return 0;
	}
	if (stream_compression(s->stream)) {
		stream_printf(s->stream, "NO Compression already active: %s\r\n",
			      stream_compression(s->stream));
		return 0;
	}
	if (span_is_nocase(name, "DEFLATE"))
		return start_deflate(s, err);
	if (span_is_nocase(name, "ZSTD") && may_compress(s)) {
		if (s->identity)
			return start_zstd(s, err);
		stream_write_str(s->stream, "NO Please authenticate first\r\n");
		return 0;
	}
	stream_printf(s->stream, "NO Unknown compression algorithm: %.40s\r\n", s->args[0].data);
	return 0;
}

/* Pass over the rest of the line, with its literals, and answer. */
static int refuse_line(struct session *s, const char *answer, struct us_err *err)
{
	int rc = dlist_skip_line(&s->lexer, err);

	if (rc == 0)
		stream_write_str(s->stream, answer);
	return rc;
}

/* GET, APPLY and RESTORE read their own values. */
static int run_verb(struct session *s, enum wire_verb verb, struct us_err *err)
{
	if (!s->identity)
		return refuse_line(s, "NO Please authenticate first\r\n", err);
	return csync_execute(s->csync, verb, &s->lexer, s->stream, SPAN_NULL, err);
}

static int cmd_get(struct session *s, struct us_err *err)
{
	return run_verb(s, WIRE_VERB_GET, err);
}

static int cmd_apply(struct session *s, struct us_err *err)
{
	return run_verb(s, WIRE_VERB_APPLY, err);
}

static int cmd_restore(struct session *s, struct us_err *err)
{
	return run_verb(s, WIRE_VERB_RESTORE, err);
}

enum { ARGS_NONE = 0, ARGS_OWN = -1 };

static const struct command {
	const char *name;
	const char *shown; /* in error texts */
	int most_args;     /* ARGS_OWN: the handler reads them */
	int (*run)(struct session *s, struct us_err *err);
} commands[] = {
	{"NOOP", "Noop", ARGS_NONE, cmd_noop},
	{"EXIT", "Exit", ARGS_NONE, cmd_exit},
	{"RESTART", "Restart", ARGS_NONE, cmd_restart},
	{"STARTTLS", "Starttls", ARGS_NONE, cmd_starttls},
	{"COMPRESS", "Compress", 1, cmd_compress},
	{"AUTHENTICATE", "Authenticate", 2, auth_command},
	{"GET", "Get", ARGS_OWN, cmd_get},
	{"APPLY", "Apply", ARGS_OWN, cmd_apply},
	{"RESTORE", "Restore", ARGS_OWN, cmd_restore},
};

static const struct command *find_command(struct span word)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (span_is_nocase(word, commands[i].name))
			return &commands[i];
	return NULL;
}

/* Read the words behind a command: how many there were, or a code below. More than the session keeps are counted. */
static int read_args(struct session *s, struct us_err *err)
{
	int token, n = 0;

	s->n_args = 0;
	while ((token = dlist_next(&s->lexer, err)) != DLIST_TOKEN_EOL) {
		if (token < 0)
			return token;
		if (token != DLIST_TOKEN_TEXT && token != DLIST_TOKEN_NIL)
			return us_fail(err, US_EPROTO, "no word");
		if (s->n_args < ARRAY_SIZE(s->args)) {
			buf_clear(&s->args[s->n_args]);
			buf_add_span(&s->args[s->n_args++], buf_span(&s->lexer.text));
		}
		n++;
	}
	return n;
}

static bool is_lost(int code)
{
	return code == US_ECLOSED || code == US_ETIMEOUT || code == US_EIO;
}

static int unrecognized(struct session *s, struct us_err *err)
{
	return refuse_line(s, "BAD IMAP_PROTOCOL_ERROR Unrecognized command\r\n", err);
}

static int run_command(struct session *s, const struct command *c, struct us_err *err)
{
	int n;

	if (s->identity && !s->identity_is_admin)
		return refuse_line(s, "NO Permission denied\r\n", err);
	if (c->most_args == ARGS_OWN)
		return c->run(s, err);
	n = read_args(s, err);
	if (n < 0)
		return is_lost(n) ? n : unrecognized(s, err);
	if (s->lexer.cut)
		return us_fail(err, US_ECLOSED, "the connection ended within a command");
	if (n > c->most_args) {
		stream_printf(s->stream, "BAD Unexpected extra arguments to %s\r\n", c->shown);
		return 0;
	}
	return c->run(s, err);
}

/* Whose login it is decides what the session can do: made once, when it is known. */
void session_logged_in(struct session *s, const struct identity *identity)
{
	s->identity = identity;
	s->identity_is_admin = identity->admin;
	log_context("user", identity->user);
	proc_note_user(s->note, identity->user);
	telemetry_begin(s->host, span_of(identity->user), s->id, s->stream);
	if (!s->identity_is_admin)
		return;
	s->csync = csync_new(s->host, (uint64_t)conf_bytes(s->host->conf, CONF_sync_maxapply));
	if (s->force)
		csync_set_force(s->csync);
}

static int next_command(struct session *s, struct us_err *err)
{
	const struct command *c = NULL;
	int token;

	dlist_lexer_restart(&s->lexer);
	token = dlist_next(&s->lexer, err);
	if (token == DLIST_TOKEN_EOL && s->lexer.cut) {
		s->done = true; /* the client is gone, in order */
		return 0;
	}
	if (token == DLIST_TOKEN_EOL) {
		stream_write_str(s->stream, "BAD Null command\r\n");
		return 0;
	}
	if (token < 0 && is_lost(token))
		return token;
	if (token == DLIST_TOKEN_TEXT)
		c = find_command(buf_span(&s->lexer.text));
	return c ? run_command(s, c, err) : unrecognized(s, err);
}

/* ---- the connection ----------------------------------------------------------------------------- */

static void begin(struct session *s, const struct service_env *env, const struct service_conn *conn)
{
	struct dlist_limits limits;

	session_id_new(s->host, s->id);
	log_context("session", s->id);
	log_context("peer", conn->remote.text);
	s->peer = conn->remote.text;
	s->stream = host_stream(s->host, conn, conf_duration_s(s->host->conf, CONF_sync_timeout));
	s->sasl = host_sasl(s->host, conn, "csync");
	if (env->protection)
		sasl_srv_set_layer(s->sasl, env->protection, NULL);
	csync_limits(s->host->conf, &limits);
	dlist_lexer_init(&s->lexer, stream_source(s->stream), &limits);
	/* Who may connect to our Unix socket was decided by its directory: he is the administrator. */
	s->trusted = conn->is_unix;
	if (s->trusted) {
		static const struct identity root = {.user = "cyrus",
						     .authname = "cyrus",
						     .admin = true};
		session_logged_in(s, &root);
	}
}

static void end(struct session *s, int rc, const struct us_err *err)
{
	if (rc < 0 && stream_stopping(s->stream))
		stream_write_str(s->stream, "BYE shutting down\r\n");
	else if (rc < 0 && rc != US_ECLOSED)
		log_event(LOG_NOTICE, "csync.connection.lost", LF_ERR(err));
	(void)stream_flush(s->stream, NULL); /* the last words; who is gone does not read them */
	csync_free(&s->csync);
	dlist_lexer_fini(&s->lexer);
	sasl_srv_free(&s->sasl);
	stream_free(&s->stream);
	for (size_t i = 0; i < ARRAY_SIZE(s->args); i++)
		buf_free(&s->args[i]);
	log_context_clear();
}

int session_serve(const struct service_env *env, const struct service_conn *conn, bool force)
{
	struct session s = {.host = env->host,
			    .stop = conn->stop,
			    .note = conn->note,
			    .force = force,
			    .args = {BUF_INIT, BUF_INIT}};
	struct us_err err = US_ERR_INIT;
	int rc = 0;

	change_log_set_origin(s.host->change_log, CHANNELS_REPLICATED);
	begin(&s, env, conn);
	put_banner(&s);
	while (rc == 0 && !s.done)
		rc = next_command(&s, &err);
	end(&s, rc, &err);
	return 0;
}
