/* cmd_authenticate.c - AUTHENTICATE (RFC 3501, 6.2.2; initial response: RFC 4959).
 *
 *	C: A1 AUTHENTICATE mech [base64, or "=" for an empty one]
 *	S: "+ " base64		C: base64, or "*" to give up	... as often as the mechanism wants
 */
#include <stdio.h>

#include "server/base/base64.h"
#include "server/base/mem.h"
#include "server/imap/login.h"
#include "server/imap/session.h"
#include "server/imap/token.h"

#define MOST_RESPONSE 65536

static bool is_base64_char(unsigned char c)
{
	return token_is_atom_char(c);
}

int parse_authenticate(struct parse *p, void **args, struct us_err *err)
{
	struct args_authenticate *a = pool_alloc(p->pool, sizeof(*a));
	int rc;

	token_space(&p->s);
	a->mechanism = token_atom(&p->s);
	if (scan_skip(&p->s, ' '))
		a->initial = scan_while(&p->s, is_base64_char);
	rc = parse_end(p, err);
	if (rc == 0)
		*args = a;
	return rc;
}

enum { GIVEN_UP = 1, NO_BASE64 = 2 };

/* The client's next octets: 0 in *out, one of the above, or a code: he is gone. */
static int read_response(struct imap_session *s, struct buf *out, struct us_err *err)
{
	struct buf line = BUF_INIT;
	int rc = imap_read_line(s, MOST_RESPONSE, &line, err);

	buf_clear(out);
	if (rc == US_ELIMIT)
		rc = NO_BASE64;
	else if (rc == 0 && span_is(buf_span(&line), "*"))
		rc = GIVEN_UP;
	else if (rc == 0 && !base64_decode(buf_span(&line), out))
		rc = NO_BASE64;
	buf_wipe(&line);
	buf_free(&line);
	return rc;
}

static void send_challenge(struct imap_session *s, const struct buf *challenge)
{
	struct buf text = BUF_INIT;

	base64_encode(buf_span(challenge), &text);
	stream_printf(s->out, "+ %s\r\n", text.data);
	buf_free(&text);
}

static int refuse(struct imap_session *s, const struct args_authenticate *a, int code,
		  const struct us_err *err)
{
	char mechanism[41];

	snprintf(mechanism, sizeof(mechanism), "%.*s",
		 (int)(a->mechanism.len < 40 ? a->mechanism.len : 40), a->mechanism.ptr);
	login_refused(s, mechanism, "-", err);
	if (code == US_ENOTSUP)
		return imap_no(s, "no mechanism available");
	return imap_no(s, "[%s] authentication failure",
		       code == US_EAUTH || code == US_EPROTO ? "AUTHENTICATIONFAILED"
							     : us_err_imap(code));
}

static int exchange(struct imap_session *s, const struct args_authenticate *a, struct span initial,
		    struct us_err *err)
{
	struct buf challenge = BUF_INIT, response = BUF_INIT;
	int rc = sasl_srv_begin(s->sasl, a->mechanism, initial, &challenge, err), got = 0;

	while (rc == SASL_SRV_MORE && got == 0) {
		send_challenge(s, &challenge);
		got = read_response(s, &response, err);
		if (got == 0)
			rc = sasl_srv_step(s->sasl, buf_span(&response), &challenge, err);
	}
	buf_wipe(&response);
	buf_free(&response);
	buf_free(&challenge);
	if (got < 0)
		return got;
	if (got == GIVEN_UP)
		return imap_bad(s, "Client canceled authentication");
	if (got == NO_BASE64)
		return imap_bad(s, "Error reading client response: no base64");
	return rc < 0 ? refuse(s, a, rc, err)
		      : login_accept(s,
				     s->tls ? "Success (tls protection)"
					    : "Success (no protection)",
				     err);
}

int run_authenticate(struct imap_session *s, const void *args, struct us_err *err)
{
	const struct args_authenticate *a = args;
	struct buf octets = BUF_INIT;
	struct span initial = SPAN_NULL;
	int rc;

	if (s->identity)
		return imap_bad(s, "Already authenticated");
	if (login_needs_layer(s))
		return imap_no(s, "[PRIVACYREQUIRED] Authentication only available under a layer");
	if (a->initial.ptr && !span_is(a->initial, "=")) {
		if (!base64_decode(a->initial, &octets)) {
			buf_free(&octets);
			return imap_bad(s, "Error reading client response: no base64");
		}
	}
	if (a->initial.ptr)
		initial = span_make(octets.len ? octets.data : "", octets.len);
	rc = exchange(s, a, initial, err);
	buf_wipe(&octets);
	buf_free(&octets);
	return rc;
}
