/* cmd_close.c - CLOSE (RFC 3501, 6.4.2) and UNSELECT (RFC 3691): leave the mailbox, with or without an expunge that nobody
 * is told of. Where that fails nothing is left. */
#include "server/base/mem.h"
#include "server/imap/expunge.h"
#include "server/imap/selected.h"
#include "server/imap/session.h"

int run_close(struct imap_session *s, const void *args UNUSED, struct us_err *err)
{
	int rc = 0;

	if (!s->selected->read_only && s->selected->rights & ACL_EXPUNGE)
		rc = expunge_deleted(s->selected, NULL, err);
	if (rc < 0)
		return rc;
	imap_leave_mailbox(s);
	return 0;
}

int run_unselect(struct imap_session *s, const void *args UNUSED, struct us_err *err UNUSED)
{
	imap_leave_mailbox(s);
	return 0;
}
