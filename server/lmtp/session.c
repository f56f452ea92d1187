/* session.c - see session.h.
 *
 *	greeting --> LHLO --> [STARTTLS] [AUTH] --> MAIL --> RCPT ... --> DATA --> MAIL ... --> QUIT
 *
 * Which command may be said when is in the table below. Replies are kept until the client has nothing more to be read, so
 * those to a group of pipelined commands leave in one write (RFC 2920).
 */
#include "server/lmtp/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/conf.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/lmtp/intake.h"
#include "server/lmtp/route.h"
#include "server/lmtp/session_private.h"
#include "server/session/notice.h"

#define MOST_LINE \
	4096 /* a command, without its line end; RFC 5321 asks for 512 and room for parameters */

void lmtp_options_read(const struct conf *conf, struct lmtp_options *out)
{
	int64_t most = conf_bytes(conf, CONF_maxmessagesize);
	const char *postuser = conf_str(conf, CONF_postuser);

	out->names = (struct recipient_rules){
		.unixhierarchysep = conf_bool(conf, CONF_unixhierarchysep),
		.virtdomains = conf_enum(conf, CONF_virtdomains) != CONF_virtdomains_off,
		.downcase = conf_bool(conf, CONF_lmtp_downcase_rcpt),
		.defaultdomain = conf_str(conf, CONF_defaultdomain),
		.postuser = postuser ? postuser : "",
	};
	out->catchall = conf_str(conf, CONF_lmtp_catchall_mailbox);
	out->exclude_specialuse = conf_str(conf, CONF_lmtp_exclude_specialuse);
	out->x_for_8bit = !conf_bool(conf, CONF_lmtp_strict_rfc2821);
	out->munge8bit = conf_bool(conf, CONF_munge8bit);
	out->reject8bit = conf_bool(conf, CONF_reject8bit);
	out->fuzzy = conf_bool(conf, CONF_lmtp_fuzzy_mailbox_match);
	out->suppress_duplicates = conf_bool(conf, CONF_duplicatesuppression);
	out->strict_quota = conf_bool(conf, CONF_lmtp_strict_quota);
	out->over_quota_for_good = conf_bool(conf, CONF_lmtp_over_quota_perm_failure);
	out->soft_noauth = conf_bool(conf, CONF_soft_noauth);
	out->read_only = conf_bool(conf, CONF_replicaonly) || conf_bool(conf, CONF_readonly);
	out->auditlog = conf_bool(conf, CONF_auditlog);
	out->most_bytes = most > 0 ? (uint64_t)most : UINT64_MAX;
	out->most_recipients = (unsigned)conf_int(conf, CONF_lmtp_max_recipients);
	out->timeout_s = conf_duration_s(conf, CONF_lmtp_timeout);
}

/* ---- replies ---------------------------------------------------------------------------------------- */

static void reply_with(struct lmtp_session *s, enum lmtp_reply reply, const char *detail)
{
	struct buf text = BUF_INIT;

	lmtp_reply_format(reply, s->id, detail, &text);
	stream_write_span(s->stream, buf_span(&text));
	buf_free(&text);
}

void lmtp_reply(struct lmtp_session *s, enum lmtp_reply reply)
{
	char limit[24];

	if (reply != LMTP_TOO_BIG && reply != LMTP_SIZE_EXCEEDED) {
		reply_with(s, reply, NULL);
		return;
	}
	snprintf(limit, sizeof(limit), "%" PRIu64, s->options->most_bytes);
	reply_with(s, reply, limit);
}

struct router lmtp_router(struct lmtp_session *s)
{
	return (struct router){s->host, s->options, &s->envelope, false};
}

static void new_id(struct lmtp_session *s)
{
	session_id_new(s->host, s->id);
	log_context("session", s->id);
}

/* ---- commands --------------------------------------------------------------------------------------- */

static void list_extensions(struct lmtp_session *s)
{
	struct buf mechs = BUF_INIT;

	stream_printf(s->stream,
		      "250-%s\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250-PIPELINING\r\n",
		      s->host->servername);
	if (s->options->most_bytes == UINT64_MAX)
		stream_write_str(s->stream, "250-SIZE\r\n");
	else
		stream_printf(s->stream, "250-SIZE %" PRIu64 "\r\n", s->options->most_bytes);
	if (s->host->tls && !s->tls && !s->trusted && !s->identity)
		stream_write_str(s->stream, "250-STARTTLS\r\n");
	if (s->trusted)
		stream_write_str(s->stream, "250-AUTH EXTERNAL\r\n");
	else if (!s->identity && sasl_srv_mechs(s->sasl, " ", &mechs))
		stream_printf(s->stream, "250-AUTH%s\r\n", mechs.data);
	stream_write_str(s->stream, "250-IGNOREQUOTA\r\n");
	buf_free(&mechs);
}

static int cmd_lhlo(struct lmtp_session *s, const struct lmtp_command *c, struct us_err *err UNUSED)
{
	envelope_reset(&s->envelope);
	new_id(s);
	buf_clear(&s->client);
	buf_add_span(&s->client, c->word);
	list_extensions(s);
	lmtp_reply(s, LMTP_HELLO);
	return 0;
}

static int cmd_mail(struct lmtp_session *s, const struct lmtp_command *c, struct us_err *err UNUSED)
{
	enum lmtp_reply reply = LMTP_SENDER;

	if (s->options->read_only)
		reply = LMTP_REPLICA;
	else if (c->has_size && c->size > s->options->most_bytes)
		reply = LMTP_SIZE_EXCEEDED;
	else
		envelope_begin(&s->envelope, c);
	lmtp_reply(s, reply);
	return 0;
}

static int cmd_rcpt(struct lmtp_session *s, const struct lmtp_command *c, struct us_err *err UNUSED)
{
	const struct router router = lmtp_router(s);
	struct pool *pool = pool_new();
	struct recipient_name name;
	enum lmtp_reply reply = LMTP_TOO_MANY;

	if (s->envelope.n_recipients < s->options->most_recipients)
		reply = route_check(&router, &c->address, c->ignore_quota, pool, &name);
	if (reply == LMTP_RECIPIENT)
		envelope_add(&s->envelope, &name, c->ignore_quota);
	lmtp_reply(s, reply);
	pool_free(&pool);
	return 0;
}

static int cmd_rset(struct lmtp_session *s, const struct lmtp_command *c UNUSED,
		    struct us_err *err UNUSED)
{
	envelope_reset(&s->envelope);
	new_id(s);
	lmtp_reply(s, LMTP_RESET);
	return 0;
}

static int cmd_noop(struct lmtp_session *s, const struct lmtp_command *c UNUSED,
		    struct us_err *err UNUSED)
{
	lmtp_reply(s, LMTP_NOTHING);
	return 0;
}

static int cmd_quit(struct lmtp_session *s, const struct lmtp_command *c UNUSED,
		    struct us_err *err UNUSED)
{
	lmtp_reply(s, LMTP_BYE);
	s->done = true;
	return 0;
}

static int cmd_vrfy(struct lmtp_session *s, const struct lmtp_command *c UNUSED,
		    struct us_err *err UNUSED)
{
	lmtp_reply(s, LMTP_CANNOT_VERIFY);
	return 0;
}

/* All that was learnt without protection is forgotten (RFC 3207, 4.2). */
static int cmd_starttls(struct lmtp_session *s, const struct lmtp_command *c UNUSED,
			struct us_err *err)
{
	int rc;

	if (!s->host->tls) {
		lmtp_reply(s, LMTP_SYNTAX); /* as if there were no such command */
		return 0;
	}
	lmtp_reply(s, LMTP_BEGIN_TLS);
	rc = host_start_tls(s->host, s->stream, s->sasl, err);
	if (rc < 0)
		return rc;
	s->tls = true;
	envelope_reset(&s->envelope);
	buf_clear(&s->client);
	new_id(s);
	return 0;
}

/* What must be so for a command, in the order in which it is told. */
enum need {
	NEED_NO_LOGIN = 1u << 0,
	NEED_NO_TLS = 1u << 1,
	NEED_TRUST = 1u << 2,
	NEED_MAIL = 1u << 3,
	NEED_NO_MAIL = 1u << 4,
	NEED_RECIPIENTS = 1u << 5,
};

static const struct {
	unsigned needs;
	int (*run)(struct lmtp_session *s, const struct lmtp_command *c, struct us_err *err);
} commands[LMTP_VERBS] = {
	[LMTP_VERB_LHLO] = {0, cmd_lhlo},
	[LMTP_VERB_MAIL] = {NEED_TRUST | NEED_NO_MAIL, cmd_mail},
	[LMTP_VERB_RCPT] = {NEED_MAIL, cmd_rcpt},
	[LMTP_VERB_DATA] = {NEED_RECIPIENTS, lmtp_cmd_data},
	[LMTP_VERB_RSET] = {0, cmd_rset},
	[LMTP_VERB_NOOP] = {0, cmd_noop},
	[LMTP_VERB_QUIT] = {0, cmd_quit},
	[LMTP_VERB_VRFY] = {0, cmd_vrfy},
	[LMTP_VERB_AUTH] = {NEED_NO_LOGIN, lmtp_cmd_auth},
	[LMTP_VERB_STARTTLS] = {NEED_NO_LOGIN | NEED_NO_TLS, cmd_starttls},
};

static enum lmtp_reply refusal(const struct lmtp_session *s, unsigned needs)
{
	const struct envelope *e = &s->envelope;

	if (needs & NEED_NO_LOGIN && s->identity)
		return LMTP_AUTHENTICATED_ALREADY;
	if (needs & NEED_NO_TLS && s->tls)
		return LMTP_TLS_ALREADY;
	if (needs & NEED_TRUST && !s->trusted && !s->identity)
		return s->options->soft_noauth ? LMTP_SOFT_NOAUTH : LMTP_NOAUTH;
	if (needs & NEED_MAIL && !e->open)
		return LMTP_NEED_MAIL;
	if (needs & NEED_NO_MAIL && e->open)
		return LMTP_NESTED_MAIL;
	if (needs & NEED_RECIPIENTS && !e->n_recipients)
		return LMTP_NO_RECIPIENTS;
	return LMTP_NO_REPLY;
}

static int run_line(struct lmtp_session *s, struct span line, struct us_err *err)
{
	struct pool *pool = pool_new();
	struct lmtp_command c;
	enum lmtp_reply fault = lmtp_command_parse(line, s->options->x_for_8bit, pool, &c);
	int rc = 0;

	if (!fault)
		fault = refusal(s, commands[c.verb].needs);
	if (fault)
		lmtp_reply(s, fault);
	else
		rc = commands[c.verb].run(s, &c, err);
	pool_free(&pool);
	return rc;
}

/* The operator closes the door by a file: 421 with what it says. */
static bool is_shut(struct lmtp_session *s)
{
	struct buf text = BUF_INIT;
	bool shut = !s->envelope.open && notice_read(s->host, "shutdown", &text);

	if (shut)
		stream_printf(s->stream, "421 4.3.2 %s\r\n", text.data);
	s->done = s->done || shut;
	buf_free(&text);
	return shut;
}

static int next_command(struct lmtp_session *s, struct buf *line, struct us_err *err)
{
	int rc = stream_line(s->stream, MOST_LINE, line, err);

	if (rc == US_ELIMIT) {
		rc = stream_skip_line(s->stream, err);
		if (rc > 0)
			lmtp_reply(s, LMTP_SYNTAX);
	} else if (rc > 0 && !is_shut(s)) {
		rc = run_line(s, buf_span(line), err);
		buf_wipe(line); /* it may have been a password */
		return rc;
	}
	s->done = s->done || rc == 0;
	return rc < 0 ? rc : 0;
}

/* ---- the connection --------------------------------------------------------------------------------- */

static void begin(struct lmtp_session *s)
{
	struct buf banner = BUF_INIT;

	buf_init(&s->client, 0);
	s->stream = host_stream(s->host, s->conn, s->options->timeout_s);
	s->sasl = host_sasl(s->host, s->conn, "lmtp");
	/* Who may connect to our Unix socket was decided by its directory. */
	s->trusted = s->options->trusted || s->conn->is_unix;
	stream_set_secret(s->stream, !s->trusted); /* until somebody is logged in */
	new_id(s);
	log_context("peer", s->conn->remote.text);
	host_banner(s->host, "Cyrus LMTP", &banner);
	stream_printf(s->stream, "220 %s server ready\r\n", banner.data);
	buf_free(&banner);
}

static void end(struct lmtp_session *s, int rc, const struct us_err *err)
{
	if (rc < 0 && stream_stopping(s->stream))
		lmtp_reply(s, LMTP_GOING_DOWN);
	else if (rc == US_ETIMEOUT)
		lmtp_reply(s, LMTP_TIMED_OUT);
	else if (rc < 0 && rc != US_ECLOSED)
		log_event(LOG_NOTICE, "lmtp.connection.lost", LF_ERR(err));
	(void)stream_flush(s->stream, NULL); /* the last words; who is gone does not read them */
	envelope_reset(&s->envelope);
	boxes_close(&s->boxes);
	lmtp_stages_free(&s->stages);
	sasl_srv_free(&s->sasl);
	stream_free(&s->stream);
	buf_free(&s->client);
	log_context_clear();
}

int lmtp_serve(struct host *host, const struct lmtp_options *options,
	       const struct service_conn *conn)
{
	struct lmtp_session s = {.host = host, .options = options, .conn = conn};
	struct us_err err = US_ERR_INIT;
	struct buf line = BUF_INIT;
	int rc = 0;

	begin(&s);
	while (rc == 0 && !s.done)
		rc = next_command(&s, &line, &err);
	end(&s, rc, &err);
	buf_free(&line);
	return 0;
}
