/* cmd_login.c - LOGIN (RFC 3501, 6.2.3). */
#include <stdio.h>
#include <time.h>

#include "server/base/mem.h"
#include "server/imap/login.h"
#include "server/imap/reply.h"
#include "server/imap/session.h"
#include "server/imap/token.h"

int parse_login(struct parse *p, void **args, struct us_err *err)
{
	struct args_login *a = pool_alloc(p->pool, sizeof(*a));
	int rc;

	token_space(&p->s);
	a->user = token_astring(&p->s, p->pool);
	token_space(&p->s);
	a->password = token_astring(&p->s, p->pool);
	rc = parse_end(p, err);
	if (rc == 0)
		*args = a;
	return rc;
}

/* plaintextloginpause, plaintextloginalert: for passwords that crossed in the clear. */
static void chide(struct imap_session *s)
{
	const char *alert = conf_str(s->host->conf, CONF_plaintextloginalert);
	struct timespec pause = {(time_t)conf_duration_s(s->host->conf, CONF_plaintextloginpause),
				 0};

	if (s->tls || s->options->protection)
		return;
	if (pause.tv_sec > 0)
		(void)nanosleep(&pause, NULL); /* a signal may cut it short */
	if (alert) {
		stream_write_str(s->out, "* OK [ALERT] ");
		reply_text(s->out, span_of(alert));
		stream_write_str(s->out, "\r\n");
	}
}

int run_login(struct imap_session *s, const void *args, struct us_err *err)
{
	const struct args_login *a = args;
	char user[IDENTITY_MAX + 1];
	int rc;

	if (s->identity)
		return imap_bad(s, "Already logged in");
	if (!login_allows_plaintext(s))
		return imap_no(s, "[PRIVACYREQUIRED] Login only available under a layer");
	rc = sasl_srv_checkpass(s->sasl, a->user, a->password, err);
	if (rc < 0) {
		snprintf(user, sizeof(user), "%.*s", (int)(a->user.len < 200 ? a->user.len : 200),
			 a->user.ptr);
		login_refused(s, "plaintext", user, err);
		if (rc == US_EPERM)
			return login_tell_denied(s, "Login failed: ", err);
		return imap_no(s, "[%s] Login failed: %s",
			       rc == US_EAUTH ? "AUTHENTICATIONFAILED" : us_err_imap(rc),
			       rc == US_EAUTH ? "authentication failure" : "generic failure");
	}
	chide(s);
	return login_accept(s, "User logged in", err);
}
