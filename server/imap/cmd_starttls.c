/* cmd_starttls.c - STARTTLS (RFC 3501, 6.2.1). What a client sent behind it in the clear is never read (stream.h). */
#include "server/base/mem.h"
#include "server/imap/login.h"
#include "server/imap/session.h"

int run_starttls(struct imap_session *s, const void *args UNUSED, struct us_err *err UNUSED)
{
	if (!s->host->tls)
		return imap_bad(s, "Unrecognized command");
	if (s->identity)
		return imap_bad(s, "Can't Starttls after authentication");
	if (s->tls)
		return imap_bad(s, "Already did a successful Starttls");
	s->after = login_start_tls;
	return imap_ok(s, "Begin TLS negotiation now");
}
