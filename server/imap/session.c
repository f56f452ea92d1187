/* session.c - see session.h: the loop of a connection.
 *
 *	wait --> frame --> command --> parse --> run --> news --> tagged line --> after() --> wait
 *	  '--> settle what is held			 '--> held back --> wait
 *
 * What ends a session: LOGOUT, the client's going, silence (timeout), the stop flag, a closed door (msg/shutdown), a
 * layer that failed, a selected mailbox that was deleted. Whatever it is, a last line is tried and everything is given
 * back in end().
 */
#include "server/imap/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/base/conf.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/imap/capability.h"
#include "server/imap/login.h"
#include "server/imap/reply.h"
#include "server/imap/selected.h"
#include "server/imap/texts.h"
#include "server/imap/token.h"
#include "server/session/groups.h"
#include "server/session/proc_note.h"
#include "server/store/compact.h"

#define IDLE_MS     1000              /* of silence, until we do what can wait */
#define LEAST_FRAME ((size_t)2 << 20) /* where maxargssize leaves it to us */

/* ---- options ------------------------------------------------------------------------------------ */

void imap_options_read(const struct service_env *env, struct imap_options *out)
{
	const struct conf *conf = env->conf;
	struct framer_limits *limits = &out->limits;

	out->implicit_tls = env->implicit_tls;
	out->protection = env->protection;
	out->read_only = conf_bool(conf, CONF_readonly) || conf_bool(conf, CONF_replicaonly);
	limits->word = (size_t)conf_bytes(conf, CONF_maxword);
	limits->quoted = (size_t)conf_bytes(conf, CONF_maxquoted);
	limits->literal = (size_t)conf_bytes(conf, CONF_maxliteral);
	limits->literals = (unsigned)conf_int(conf, CONF_maxliterals);
	limits->frame = (size_t)conf_bytes(conf, CONF_maxargssize);
	if (!limits->frame)
		limits->frame =
			limits->literal > LEAST_FRAME / 2 ? limits->literal * 2 : LEAST_FRAME;
	if (!limits->literal)
		limits->literal = limits->frame;
	if (!limits->word)
		limits->word = limits->frame;
	if (!limits->quoted)
		limits->quoted = limits->frame;
	out->timeout_s = conf_duration_s(conf, CONF_timeout);
	out->idle_timeout_s = conf_duration_s(conf, CONF_imapidletimeout);
	if (out->idle_timeout_s <= 0)
		out->idle_timeout_s = out->timeout_s;
}

/* ---- the tagged line ------------------------------------------------------------------------------ */

static int complete(struct imap_session *s, const char *word, const char *fmt, va_list ap)
{
	buf_clear(&s->done);
	buf_printf(&s->done, "%s ", word);
	buf_vprintf(&s->done, fmt, ap);
	return 0;
}

int imap_ok(struct imap_session *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)complete(s, "OK", fmt, ap);
	va_end(ap);
	return 0;
}

int imap_no(struct imap_session *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)complete(s, "NO", fmt, ap);
	va_end(ap);
	return 0;
}

int imap_bad(struct imap_session *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)complete(s, "BAD", fmt, ap);
	va_end(ap);
	return 0;
}

int imap_fail(struct imap_session *s, int rc, const char *code, const struct us_err *err)
{
	if (imap_text_is_for_operator(rc) && err)
		log_event(LOG_ERR, "imap.command.failed",
			  LF_STR("command", s->command ? s->command->name : ""), LF_ERR(err));
	if (!code)
		code = imap_code(rc);
	if (code)
		return imap_no(s, "[%s] %s", code, imap_text(rc));
	return imap_no(s, "%s", imap_text(rc));
}

static int64_t clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

double imap_elapsed_s(const struct imap_session *s)
{
	return (double)(clock_us() - s->began_us) / 1e6;
}

bool imap_is_admin(const struct imap_session *s)
{
	return s->identity && s->identity->admin;
}

/* ---- reading -------------------------------------------------------------------------------------- */

int imap_read_line(struct imap_session *s, size_t limit, struct buf *line, struct us_err *err)
{
	int rc = stream_line(s->out, limit, line, err);

	if (rc == 0)
		rc = us_fail(err, US_ECLOSED, "the client is gone");
	if (rc == US_ELIMIT && stream_skip_line(s->out, err) <= 0)
		rc = US_ECLOSED;
	if (rc < 0 && rc != US_ELIMIT)
		s->lost = true;
	return rc < 0 ? rc : 0;
}

/* The client has his answer and asks nothing: fold the journal of his mailbox, if it has grown, at nobody's cost. */
static void tidy_while_idle(struct imap_session *s)
{
	struct mailbox *m = s->selected ? s->selected->mailbox : NULL;

	if (m && !s->holder && !s->options->read_only && framer_is_empty(&s->framer) &&
	    compact_is_due(m) && stream_wait(s->out, NULL, 0, IDLE_MS, NULL) == 0)
		compact_when_idle(m);
}

/* Nobody's answer waits for what is not there yet, nor for what is only passed over. */
static void settle_before_reading(struct imap_session *s)
{
	if (s->holder && (s->framer.bad || !stream_readable(s->out)))
		imap_settle(s);
}

/* The next command: an enum framer_state behind which there is something to do, or a code if the client is gone. With
 * s->leaving it came to nothing. */
static int next_frame(struct imap_session *s, struct us_err *err)
{
	enum framer_state state = FRAMER_MORE;

	tidy_while_idle(s);
	while (state == FRAMER_MORE && !s->leaving) {
		struct span in;
		size_t used;
		int rc;

		settle_before_reading(s);
		if (s->leaving)
			break;
		rc = stream_peek(s->out, &in, err);
		if (rc == 0)
			rc = us_fail(err, US_ECLOSED, "the client is gone");
		if (rc < 0)
			return rc;
		state = framer_feed(&s->framer, in, &used);
		stream_take(s->out, used);
		if (state == FRAMER_CONTINUE && !s->leaving) {
			stream_write_str(s->out, "+ go ahead\r\n");
			state = FRAMER_MORE;
		}
	}
	return (int)state;
}

/* ---- the framer's questions ----------------------------------------------------------------------- */

static const struct command_stream *stream_of(struct span frame)
{
	struct scan scan = scan_init(frame);
	const struct command *c;

	(void)token_tag(&scan);
	token_space(&scan);
	c = command_find(token_atom(&scan));
	return scan.bad || !c ? NULL : c->stream;
}

static enum framer_verdict on_literal(void *ctx, const struct framer_literal *literal,
				      struct us_err *err)
{
	struct imap_session *s = ctx;
	const struct command_stream *stream = s->identity ? stream_of(literal->before) : NULL;

	if (literal->synchronizing) /* he waits for our word */
		imap_settle(s);
	return stream && stream->literal ? stream->literal(s, literal, err) : FRAMER_KEEP;
}

static int on_octets(void *ctx, const void *data, size_t len, struct us_err *err)
{
	struct imap_session *s = ctx;
	const struct command_stream *stream = stream_of(buf_span(&s->framer.frame.text));

	us_assert(stream); /* it said FRAMER_STREAM */
	return stream->put(s, data, len, err);
}

static bool on_verb(void *ctx, struct span verb)
{
	struct imap_session *s = ctx;
	const struct command *c = command_find(verb);

	return c && c->flags & CMD_HAND_OVER && imap_is_admin(s);
}

/* ---- one command ---------------------------------------------------------------------------------- */

static unsigned state_of(const struct imap_session *s)
{
	return !s->identity ? IN_NOT_AUTH : s->selected ? IN_SELECTED : IN_AUTH;
}

/* Find the command and judge whether it may be said here and now: NULL after a BAD. */
static const struct command *find_command(struct imap_session *s)
{
	const struct command *c = command_find(s->verb);

	if (s->uid_form && c && !(c->flags & CMD_HAS_UID_FORM))
		c = NULL;
	if (c && c->flags & CMD_ADMIN && !imap_is_admin(s))
		c = NULL;
	if (!s->identity && (!c || !(c->states & IN_NOT_AUTH)))
		(void)imap_bad(s, "Please login first");
	else if (!c)
		(void)imap_bad(s, s->uid_form ? "Unrecognized UID subcommand"
					      : "Unrecognized command");
	else if (!(c->states & state_of(s)))
		(void)imap_bad(s, "Please select a mailbox first");
	else
		return c;
	return NULL;
}

/* "UID FETCH": the second word is the command. False after a BAD. */
static bool read_uid_form(struct imap_session *s, struct scan *scan)
{
	s->uid_form = true;
	if (!s->identity)
		(void)imap_bad(s, "Please login first");
	else if (!s->selected)
		(void)imap_bad(s, "Please select a mailbox first");
	else if (!scan_skip(scan, ' ') || !(s->verb = token_atom(scan)).len)
		(void)imap_bad(s, "Missing required argument to Uid");
	else
		return true;
	return false;
}

static void run_parsed(struct imap_session *s, struct scan rest)
{
	struct parse p = {rest, s->pool, &s->framer.frame, s->command, s->uid_form};
	struct us_err err = US_ERR_INIT;
	void *args = NULL;
	int rc = s->command->parse                   ? s->command->parse(&p, &args, &err)
		 : s->command->flags & CMD_HAND_OVER ? 0
						     : parse_end(&p, &err);

	if (rc < 0) {
		(void)imap_bad(s, "%s", err.text);
		return;
	}
	if (s->options->read_only && s->command->flags & CMD_WRITES) {
		(void)imap_no(s, "[READ-ONLY] Connection is read-only");
		return;
	}
	rc = s->command->run(s, args, &err);
	if (rc < 0 && !s->lost)
		(void)imap_fail(s, rc, NULL, &err);
}

static bool read_verb(struct imap_session *s, struct scan *scan)
{
	s->tag = token_tag(scan);
	if (scan->bad || !scan_skip(scan, ' ')) {
		s->tag = SPAN_LIT("*");
		(void)imap_bad(s, "Invalid tag");
		return false;
	}
	s->verb = token_atom(scan);
	if (!s->verb.len) {
		(void)imap_bad(s, "Null command");
		return false;
	}
	return !span_is_nocase(s->verb, "UID") || read_uid_form(s, scan);
}

static void run_frame(struct imap_session *s)
{
	struct scan scan = scan_init(buf_span(&s->framer.frame.text));

	s->began_us = clock_us();
	if (!read_verb(s, &scan))
		return;
	s->command = find_command(s);
	if (s->command)
		run_parsed(s, scan);
}

void imap_enable_condstore(struct imap_session *s, const char *by)
{
	if (s->enabled & IMAP_CONDSTORE)
		return;
	s->enabled |= IMAP_CONDSTORE;
	if (s->selected)
		reply_untagged(s->out, "OK [HIGHESTMODSEQ %llu] CONDSTORE enabled by %s",
			       (unsigned long long)s->selected->told_modseq, by);
}

void imap_leave_mailbox(struct imap_session *s)
{
	selected_close(&s->selected);
	log_context("mailbox", NULL);
	proc_note_mailbox(s->conn->note, SPAN_NULL);
}

/* ---- its end ------------------------------------------------------------------------------------- */

int imap_tell_news(struct imap_session *s, bool keep_numbers, struct us_err *err)
{
	int rc = 0;

	if (s->selected)
		rc = selected_update(s->selected,
				     keep_numbers ? SELECTED_KEEP_NUMBERS : SELECTED_ALL, err);
	if (rc == US_ENOENT) {
		reply_untagged(s->out, "BYE Selected mailbox was deleted");
		s->leaving = true;
	} else if (rc < 0) {
		log_event(LOG_ERR, "imap.news.failed", LF_ERR(err));
	}
	return rc;
}

static void tell_news(struct imap_session *s)
{
	const struct command *c = s->command;
	struct us_err err = US_ERR_INIT;

	if (!c || c->flags & CMD_NO_NEWS || s->leaving)
		return;
	/* What goes wrong is in the log; the command did what it says. */
	(void)imap_tell_news(s, c->flags & CMD_KEEPS_NUMBERS && !s->uid_form, &err);
}

static void write_tagged(struct imap_session *s, struct span tag, const struct buf *done)
{
	stream_write_span(s->out, tag);
	stream_write_str(s->out, " ");
	reply_text(s->out, done->len ? buf_span(done) : SPAN_LIT("OK Completed"));
	stream_write_str(s->out, "\r\n");
}

static void note_slow(const struct imap_session *s, const struct command *command, int64_t began_us)
{
	const char *least = conf_str(s->host->conf, CONF_commandmintimer);
	double took = (double)(clock_us() - began_us) / 1e6;
	char text[160];

	if (!least || !command || took < strtod(least, NULL))
		return;
	snprintf(text, sizeof(text), "cmdtimer: sessionid=<%s> cmd=<%s> time=<%.3f>", s->id,
		 command->name, took);
	log_event(LOG_NOTICE, "imap.command.slow", LF_TEXT(text));
}

static void answer(struct imap_session *s)
{
	imap_settle(s);
	tell_news(s);
	if (!s->answered)
		write_tagged(s, s->tag, &s->done);
	note_slow(s, s->command, s->began_us);
}

static void end_command(struct imap_session *s)
{
	const struct command_stream *stream = stream_of(buf_span(&s->framer.frame.text));
	struct us_err err = US_ERR_INIT;
	bool wipe = !s->command || s->command->flags & CMD_SECRET;

	if (stream && stream->end)
		stream->end(s);
	if (s->after && !s->lost && (stream_flush(s->out, &err) < 0 || s->after(s, &err) < 0))
		s->lost = true;
	s->after = NULL;
	s->command = NULL;
	s->uid_form = s->answered = s->held = false;
	s->tag = s->verb = SPAN_NULL;
	buf_clear(&s->done);
	framer_restart(&s->framer, wipe);
	pool_clear(s->pool);
}

static void answer_bad_frame(struct imap_session *s)
{
	const struct us_err *err = &s->framer.err;

	s->tag = framer_tag(&s->framer);
	if (s->done.len) /* the hook that refused knows better */
		return;
	if (s->framer.refused)
		(void)imap_fail(s, err->code, NULL, err);
	else if (strcmp(err->text, "Literal too long") == 0)
		(void)imap_no(s, "[TOOBIG] %s", err->text);
	else
		(void)imap_bad(s, "%s", err->text);
}

/* ---- answers that are held back ------------------------------------------------------------------ */

int imap_hold(struct imap_session *s, struct imap_held *out)
{
	*out = (struct imap_held){.command = s->command,
				  .pool = s->pool,
				  .tag = pool_span(s->pool, s->tag),
				  .began_us = s->began_us,
				  .done = BUF_INIT};
	s->pool = pool_new();
	s->holder = s->command->stream;
	s->held = true;
	return 0;
}

/* In the midst of another command, perhaps, whose answer may be known already. */
void imap_settle(struct imap_session *s)
{
	const struct command_stream *holder = s->holder;
	const struct command *command = s->command;
	struct buf done = s->done;

	if (!holder)
		return;
	s->holder = NULL;
	buf_init(&s->done, 0);
	holder->settle(s);
	buf_free(&s->done);
	s->done = done;
	s->command = command;
}

void imap_held_begin(struct imap_session *s, const struct imap_held *held)
{
	s->command = held->command;
	buf_clear(&s->done);
}

void imap_held_end(struct imap_session *s, struct imap_held *held)
{
	buf_clear(&held->done);
	buf_add_span(&held->done, buf_span(&s->done));
}

void imap_held_answer(struct imap_session *s, struct imap_held *held)
{
	write_tagged(s, held->tag, &held->done);
	note_slow(s, held->command, held->began_us);
	buf_free(&held->done);
	pool_free(&held->pool);
}

/* ---- the loop -------------------------------------------------------------------------------------- */

static int serve_command(struct imap_session *s, struct us_err *err)
{
	int state = next_frame(s, err);

	if (state < 0)
		return state;
	if (state == FRAMER_BAD || stream_of(buf_span(&s->framer.frame.text)) != s->holder)
		imap_settle(s);
	if (s->leaving)
		return 0;
	s->handed_over = state == FRAMER_HAND_OVER;
	if (state == FRAMER_BAD)
		answer_bad_frame(s);
	else
		run_frame(s);
	if (s->lost)
		return us_fail(err, US_ECLOSED, "the client is gone");
	if (!s->held)
		answer(s);
	end_command(s);
	return s->lost ? us_fail(err, US_ECLOSED, "a layer of the connection failed") : 0;
}

/* ---- the connection ------------------------------------------------------------------------------- */

static void greet(struct imap_session *s)
{
	struct buf line = BUF_INIT;

	buf_add_str(&line, "* OK [CAPABILITY");
	capability_list(s, CAPABILITY_GREETING, &line);
	buf_add_str(&line, "] ");
	host_banner(s->host, "Cyrus IMAP", &line);
	buf_add_str(&line, " server ready\r\n");
	stream_write_span(s->out, buf_span(&line));
	buf_free(&line);
	login_message_of_the_day(s);
}

static void begin(struct imap_session *s)
{
	const struct framer_hooks hooks = {on_literal, on_octets, on_verb, s};

	session_id_new(s->host, s->id);
	log_context("session", s->id);
	s->out = host_stream(s->host, s->conn, s->options->timeout_s);
	stream_set_secret(s->out, true); /* until somebody is logged in */
	s->sasl = host_sasl(s->host, s->conn, "imap");
	s->pool = pool_new();
	framer_init(&s->framer, &s->options->limits, &hooks);
	if (s->options->protection)
		sasl_srv_set_layer(s->sasl, s->options->protection, NULL);
}

static void last_words(struct imap_session *s, int rc, const struct us_err *err)
{
	if (rc >= 0)
		return;
	if (stream_stopping(s->out))
		reply_untagged(s->out, "BYE server shutting down");
	else if (rc == US_ETIMEOUT)
		reply_untagged(s->out, "BYE idle for too long");
	else if (rc != US_ECLOSED)
		log_event(LOG_NOTICE, "imap.connection.lost", LF_ERR(err));
}

static void end(struct imap_session *s)
{
	const struct command *c;

	(void)stream_flush(s->out, NULL); /* the last words; who is gone does not read them */
	if (s->selected && !s->options->read_only)
		compact_when_idle(s->selected->mailbox);
	imap_leave_mailbox(s);
	for (size_t i = 0; (c = command_at(i)); i++)
		if (c->stream && c->stream->fini)
			c->stream->fini(s);
	login_limit_free(&s->limit);
	framer_fini(&s->framer);
	sasl_srv_free(&s->sasl);
	pool_free(&s->pool);
	groups_free(&s->who.groups);
	buf_free(&s->done);
	stream_free(&s->out);
	log_context_clear();
}

int imap_serve(struct host *host, const struct imap_options *options, struct service_conn *conn)
{
	struct imap_session s = {.host = host,
				 .conn = conn,
				 .options = options,
				 .done = BUF_INIT,
				 .names = host_view(host, NULL)};
	struct us_err err = US_ERR_INIT;
	int rc;

	begin(&s);
	rc = options->implicit_tls ? login_start_tls(&s, &err) : 0;
	if (rc == 0)
		greet(&s);
	while (rc == 0 && !s.leaving && (s.holder || !login_is_shut(&s)))
		rc = serve_command(&s, &err);
	imap_settle(&s);
	last_words(&s, rc, &err);
	end(&s);
	return 0;
}
