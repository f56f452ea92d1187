/* cmd_enable.c - ENABLE (RFC 5161).
 *
 *	enable = "ENABLE" 1*(SP capability)
 *
 * Nothing that this server has needs to be enabled, so nothing is; whatever is asked for is passed over (3.1).
 */
#include "server/base/mem.h"
#include "server/imap/session.h"
#include "server/imap/token.h"

int parse_enable(struct parse *p, void **args, struct us_err *err)
{
	int rc;

	do {
		token_space(&p->s);
		(void)token_atom(&p->s);
	} while (scan_peek(&p->s) == ' ');
	rc = parse_end(p, err);
	if (rc == 0)
		*args = NULL;
	return rc;
}

int run_enable(struct imap_session *s UNUSED, const void *args UNUSED, struct us_err *err UNUSED)
{
	return 0;
}
