/* auth.c - AUTHENTICATE: base64 lines between the client and libsasl (csync-protocol 2.4).
 *
 *	C: AUTHENTICATE mech [base64, or "=" for an empty one]
 *	S: "+ " base64		C: base64, or "*" to give up	... as often as the mechanism wants
 *	S: OK ... / NO ... / BAD ...
 */
#include "sync_server/auth.h"

#include <stdio.h>

#include "server/base/base64.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/session/sasl_server.h"
#include "sync_server/session_private.h"

#define MOST_RESPONSE 65536

/* The client's next octets: 0 in *out; 1: he gave up; US_EPROTO: not base64; other codes: he is gone. */
static int read_response(struct session *s, struct buf *out, struct us_err *err)
{
	struct buf line = BUF_INIT;
	int rc = stream_line(s->stream, MOST_RESPONSE, &line, err);

	buf_clear(out);
	if (rc == 0)
		rc = us_fail(err, US_ECLOSED, "the client left while logging in");
	else if (rc > 0 && span_is(buf_span(&line), "*"))
		rc = 1;
	else if (rc > 0)
		rc = base64_decode(buf_span(&line), out) ? 0 : us_fail(err, US_EPROTO, "no base64");
	else if (rc == US_ELIMIT && stream_skip_line(s->stream, err) > 0)
		rc = US_EPROTO;
	buf_wipe(&line);
	buf_free(&line);
	return rc;
}

static void send_challenge(struct session *s, const struct buf *challenge)
{
	struct buf text = BUF_INIT;

	base64_encode(buf_span(challenge), &text);
	stream_printf(s->stream, "+ %s\r\n", text.data);
	buf_free(&text);
}

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

static int exchange(struct session *s, struct span initial, struct us_err *err)
{
	struct buf challenge = BUF_INIT, response = BUF_INIT;
	int rc = sasl_srv_begin(s->sasl, buf_span(&s->args[0]), initial, &challenge, err), got = 0;

	while (rc == SASL_SRV_MORE && got == 0) {
		send_challenge(s, &challenge);
		got = read_response(s, &response, err);
		if (got == 0)
			rc = sasl_srv_step(s->sasl, buf_span(&response), &challenge, err);
	}
	buf_wipe(&response);
	buf_free(&response);
	buf_free(&challenge);
	if (got < 0 && got != US_EPROTO)
		return got;
	if (got == 1)
		stream_write_str(s->stream, "BAD Client canceled authentication\r\n");
	else if (got == US_EPROTO)
		stream_printf(s->stream, "NO Error reading client response: %s\r\n", err->text);
	else if (rc == 0)
		answer_success(s);
	else
		answer_refusal(s, rc, err);
	return 0;
}

int auth_command(struct session *s, struct us_err *err)
{
	struct buf initial = BUF_INIT;
	struct span octets = SPAN_NULL;
	int rc = 0;

	if (s->identity || !s->n_args) {
		stream_write_str(s->stream,
				 s->identity ? "BAD Already authenticated\r\n"
					     : "BAD Missing required argument to Authenticate\r\n");
		goto out;
	}
	if (s->n_args > 1 && span_is(buf_span(&s->args[1]), "=")) {
		octets = SPAN_LIT(""); /* sent, and empty */
	} else if (s->n_args > 1) {
		if (!base64_decode(buf_span(&s->args[1]), &initial)) {
			stream_write_str(s->stream,
					 "NO Error reading client response: no base64\r\n");
			goto out;
		}
		octets = buf_span(&initial);
	}
	stream_set_secret(s->stream, true);
	rc = exchange(s, octets, err);
	stream_set_secret(s->stream, false);
out:
	buf_wipe(&initial);
	buf_free(&initial);
	buf_wipe(&s->args[1]);
	buf_wipe(&s->lexer.text);
	return rc;
}
