/* cmd_authenticate.c - AUTHENTICATE (RFC 3501, 6.2.2; initial response: RFC 4959).
 *
 * How it goes on is server/session/sasl_exchange.h's.
 */
#include <stdio.h>

#include "server/base/mem.h"
#include "server/imap/login.h"
#include "server/imap/session.h"
#include "server/imap/token.h"
#include "server/session/sasl_exchange.h"

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

static const struct sasl_wire wire = {"+ ", 65536};

static int refuse(struct imap_session *s, const struct args_authenticate *a, int code,
		  const struct us_err *err)
{
	char mechanism[41];

	snprintf(mechanism, sizeof(mechanism), "%.*s",
		 (int)(a->mechanism.len < 40 ? a->mechanism.len : 40), a->mechanism.ptr);
	login_refused(s, mechanism, "-", err);
	if (code == US_ENOTSUP)
		return imap_no(s, "no mechanism available");
	if (code == US_EPERM)
		return login_tell_denied(s, "", err);
	return imap_no(s, "[%s] authentication failure",
		       code == US_EAUTH || code == US_EPROTO ? "AUTHENTICATIONFAILED"
							     : us_err_imap(code));
}

static int answer(struct imap_session *s, const struct args_authenticate *a, enum sasl_end end,
		  struct us_err *err)
{
	switch (end) {
	case SASL_END_CANCELED:
		return imap_bad(s, "Client canceled authentication");
	case SASL_END_NO_BASE64:
		return imap_bad(s, "Error reading client response: %s", err->text);
	case SASL_END_REFUSED:
		return refuse(s, a, err->code, err);
	case SASL_END_ACCEPTED:
		break;
	}
	return login_accept(s, s->tls ? "Success (tls protection)" : "Success (no protection)",
			    err);
}

int run_authenticate(struct imap_session *s, const void *args, struct us_err *err)
{
	const struct args_authenticate *a = args;
	enum sasl_end end;
	int rc;

	if (s->identity)
		return imap_bad(s, "Already authenticated");
	if (login_needs_layer(s))
		return imap_no(s, "[PRIVACYREQUIRED] Authentication only available under a layer");
	rc = sasl_exchange(s->sasl, s->out, &wire, a->mechanism, a->initial, &end, err);
	if (rc == 0)
		return answer(s, a, end, err);
	s->lost = true;
	return rc;
}
