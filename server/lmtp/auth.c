/* auth.c - AUTH (RFC 4954): who may deliver over the network.
 *
 *	C: AUTH mech [base64, or "=" for an empty one]
 *	S: 334 base64		C: base64, or "*" to give up	... as often as the mechanism wants
 *	S: 235 / 4yz / 5yz
 *
 * Only administrators (admins, or lmtp_admins) can log in: an ordinary user's password delivers nothing here. A client that
 * is trusted already may say EXTERNAL, which tells us nothing new.
 */
#include <stdio.h>

#include "server/base/base64.h"
#include "server/base/log.h"
#include "server/lmtp/session_private.h"
#include "server/session/telemetry.h"

#define MOST_RESPONSE 12288 /* RFC 4954, 4 */

/* The client's next octets: 0 in *out; 1: he gave up; US_EPROTO: not base64; other codes: he is gone. */
static int read_response(struct lmtp_session *s, struct buf *out, struct us_err *err)
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
		rc = us_fail(err, US_EPROTO, "a response is too long");
	buf_wipe(&line);
	buf_free(&line);
	return rc;
}

static void send_challenge(struct lmtp_session *s, const struct buf *challenge)
{
	struct buf text = BUF_INIT;

	base64_encode(buf_span(challenge), &text);
	stream_printf(s->stream, "334 %s\r\n", text.data);
	buf_free(&text);
}

static void log_in(struct lmtp_session *s)
{
	const struct identity *who = sasl_srv_identity(s->sasl);
	char text[1024];

	s->identity = who;
	log_context("user", who->user);
	stream_set_secret(s->stream, false);
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

static int exchange(struct lmtp_session *s, struct span mechanism, struct span initial,
		    struct us_err *err)
{
	struct buf challenge = BUF_INIT, response = BUF_INIT;
	int rc = sasl_srv_begin(s->sasl, mechanism, initial, &challenge, err), got = 0;

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
		lmtp_reply(s, LMTP_CANCELED);
	else if (got == US_EPROTO)
		lmtp_reply(s, LMTP_NO_BASE64);
	else if (rc == 0)
		log_in(s);
	else
		refuse(s, rc, err);
	return 0;
}

/* Whoever came through our door is who he says: nothing of what he says is asked for. */
static int external(struct lmtp_session *s, struct span initial, struct us_err *err)
{
	struct buf nothing = BUF_INIT;
	int got = 0;

	if (!initial.ptr) {
		send_challenge(s, &nothing);
		got = read_response(s, &nothing, err);
	}
	buf_free(&nothing);
	if (got < 0 && got != US_EPROTO)
		return got;
	lmtp_reply(s, got == 1 ? LMTP_CANCELED : got < 0 ? LMTP_NO_BASE64 : LMTP_AUTHENTICATED);
	return 0;
}

int lmtp_cmd_auth(struct lmtp_session *s, const struct lmtp_command *c, struct us_err *err)
{
	struct buf octets = BUF_INIT;
	struct span initial = SPAN_NULL;
	int rc = 0;

	if (c->initial.ptr && !span_is(c->initial, "=") && !base64_decode(c->initial, &octets)) {
		lmtp_reply(s, LMTP_NO_BASE64);
		goto out;
	}
	if (c->initial.ptr)
		initial = octets.len ? buf_span(&octets) : SPAN_LIT("");
	if (!s->trusted)
		rc = exchange(s, c->word, initial, err);
	else if (span_is_nocase(c->word, "EXTERNAL"))
		rc = external(s, initial, err);
	else
		lmtp_reply(s, LMTP_NO_MECHANISM);
out:
	buf_wipe(&octets);
	buf_free(&octets);
	return rc;
}
