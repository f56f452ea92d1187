/* auth.c - AUTH (RFC 4954): who may deliver over the network.
 *
 * How it goes is server/session/sasl_exchange.h's. Only administrators (admins, or lmtp_admins) can log in: an ordinary
 * user's password delivers nothing here. A client that is trusted already may say EXTERNAL, which tells us nothing new.
 */
#include <stdio.h>

#include "server/base/log.h"
#include "server/lmtp/session_private.h"
#include "server/session/proc_note.h"
#include "server/session/sasl_exchange.h"
#include "server/session/telemetry.h"

static const struct sasl_wire wire = {"334 ", 12288}; /* RFC 4954, 4 */

static void log_in(struct lmtp_session *s)
{
	const struct identity *who = sasl_srv_identity(s->sasl);
	char text[1024];

	s->identity = who;
	log_context("user", who->user);
	stream_set_secret(s->stream, false);
	proc_note_user(s->conn->note, who->user);
	telemetry_begin(s->host, span_of(who->user), s->id, s->stream);
	snprintf(text, sizeof(text), "login: [%s] %s %s%s User logged in", s->conn->remote.host,
		 who->user, sasl_srv_mech(s->sasl), s->tls ? "+TLS" : "");
	log_event(LOG_NOTICE, "lmtp.login", LF_TEXT(text), LF_STR("authname", who->authname));
	lmtp_reply(s, LMTP_AUTHENTICATED);
}

static void refuse(struct lmtp_session *s, int code, const struct us_err *err)
{
	char text[1024];

	if (code == US_ENOTSUP) {
		lmtp_reply(s, LMTP_NO_MECHANISM);
		return;
	}
	snprintf(text, sizeof(text), "badlogin: [%s] %.40s: %.300s: %.300s", s->conn->remote.host,
		 sasl_srv_mech(s->sasl), err->text, sasl_srv_detail(s->sasl));
	log_event(LOG_NOTICE, "lmtp.badlogin", LF_TEXT(text));
	host_login_pause(s->host, s->conn->stop);
	lmtp_reply(s, code == US_EPROTO                ? LMTP_NO_BASE64
		      : us_err_class(code) == US_RETRY ? LMTP_AUTH_LATER
						       : LMTP_BAD_AUTH);
}

static void answer(struct lmtp_session *s, enum sasl_end end, const struct us_err *err)
{
	switch (end) {
	case SASL_END_ACCEPTED:
		log_in(s);
		break;
	case SASL_END_REFUSED:
		refuse(s, err->code, err);
		break;
	case SASL_END_CANCELED:
		lmtp_reply(s, LMTP_CANCELED);
		break;
	case SASL_END_NO_BASE64:
		lmtp_reply(s, LMTP_NO_BASE64);
		break;
	}
}

/* Whoever came through our door is who he says: nothing of what he says is asked for. */
static int external(struct lmtp_session *s, struct span initial, struct us_err *err)
{
	struct buf nothing = BUF_INIT;
	enum sasl_end end = SASL_END_ACCEPTED;
	int rc = 0;

	if (!initial.ptr)
		rc = sasl_exchange_ask(s->stream, &wire, SPAN_LIT(""), &nothing, &end, err);
	buf_free(&nothing);
	if (rc == 0 && end == SASL_END_ACCEPTED)
		lmtp_reply(s, LMTP_AUTHENTICATED);
	else if (rc == 0)
		answer(s, end, err);
	return rc;
}

int lmtp_cmd_auth(struct lmtp_session *s, const struct lmtp_command *c, struct us_err *err)
{
	enum sasl_end end;
	int rc;

	if (s->trusted && span_is_nocase(c->word, "EXTERNAL"))
		return external(s, c->initial, err);
	if (s->trusted) {
		lmtp_reply(s, LMTP_NO_MECHANISM);
		return 0;
	}
	rc = sasl_exchange(s->sasl, s->stream, &wire, c->word, c->initial, &end, err);
	if (rc == 0)
		answer(s, end, err);
	return rc;
}
