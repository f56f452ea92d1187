/* cmd_noop.c - NOOP and CHECK (RFC 3501, 6.1.2, 6.4.1): the loop tells the news, and everything acknowledged is durable
 * already. */
#include "server/base/mem.h"
#include "server/imap/session.h"

int run_noop(struct imap_session *s UNUSED, const void *args UNUSED, struct us_err *err UNUSED)
{
	return 0;
}

int run_check(struct imap_session *s UNUSED, const void *args UNUSED, struct us_err *err UNUSED)
{
	return 0;
}
