/* auth.c - AUTHENTICATE (csync-protocol 2.4); how it goes is server/session/sasl_exchange.h's. */
#include "sync_server/auth.h"

#include <stdio.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/session/sasl_exchange.h"
#include "server/session/sasl_server.h"
#include "sync_server/session_private.h"

static const struct sasl_wire wire = {"+ ", 65536};

static void answer_success(struct session *s)
{
	const struct identity *identity = sasl_srv_identity(s->sasl);
	char text[600];

	snprintf(text, sizeof(text), "login: %.150s %.255s %.40s%s User logged in", s->peer,
		 identity->user, sasl_srv_mech(s->sasl), s->tls ? "+TLS" : "");
	log_event(LOG_NOTICE, "csync.login", LF_TEXT(text), LF_STR("authname", identity->authname));
	stream_printf(s->stream, "OK Success (%s)\r\n",
		      s->tls ? "tls protection" : "no protection");
	/* The answer is the last that stays out of a telemetry log. */
	session_logged_in(s, identity);
}

static void answer_refusal(struct session *s, int code, const struct us_err *err)
{
	char text[600];

	snprintf(text, sizeof(text), "badlogin: %.150s %.40s [%.200s]", s->peer,
		 sasl_srv_mech(s->sasl), sasl_srv_detail(s->sasl));
	log_event(LOG_NOTICE, "csync.badlogin", LF_TEXT(text), LF_ERR(err));
	host_login_pause(s->host, s->stop);
	stream_printf(s->stream, "NO %s\r\n",
		      code == US_ENOTSUP ? "no mechanism available" : "authentication failure");
}

static void answer(struct session *s, enum sasl_end end, const struct us_err *err)
{
	switch (end) {
	case SASL_END_ACCEPTED:
		answer_success(s);
		break;
	case SASL_END_REFUSED:
		answer_refusal(s, err->code, err);
		break;
	case SASL_END_CANCELED:
		stream_write_str(s->stream, "BAD Client canceled authentication\r\n");
		break;
	case SASL_END_NO_BASE64:
		stream_printf(s->stream, "NO Error reading client response: %s\r\n", err->text);
		break;
	}
}

int auth_command(struct session *s, struct us_err *err)
{
	struct span initial = s->n_args > 1 ? buf_span(&s->args[1]) : SPAN_NULL;
	enum sasl_end end;
	int rc;

	if (s->identity || !s->n_args) {
		stream_write_str(s->stream,
				 s->identity ? "BAD Already authenticated\r\n"
					     : "BAD Missing required argument to Authenticate\r\n");
		return 0;
	}
	stream_set_secret(s->stream, true);
	rc = sasl_exchange(s->sasl, s->stream, &wire, buf_span(&s->args[0]), initial, &end, err);
	if (rc == 0)
		answer(s, end, err);
	stream_set_secret(s->stream, false);
	buf_wipe(&s->args[1]);
	buf_wipe(&s->lexer.text);
	return rc;
}
