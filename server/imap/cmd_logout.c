/* cmd_logout.c - LOGOUT (RFC 3501, 6.1.3). */
#include "server/base/mem.h"
#include "server/imap/login.h"
#include "server/imap/reply.h"
#include "server/imap/session.h"

int run_logout(struct imap_session *s, const void *args UNUSED, struct us_err *err UNUSED)
{
	login_limit_free(&s->limit); /* who has read the answer may log in again at once */
	reply_untagged(s->out, "BYE LOGOUT received");
	s->leaving = true;
	return 0;
}
