/* cmd_close.c - CLOSE (RFC 3501, 6.4.2) and UNSELECT (RFC 3691): leave the mailbox, with or without an expunge that nobody
 * is told of. */
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/imap/expunge.h"
#include "server/imap/selected.h"
#include "server/imap/session.h"
#include "server/session/proc_note.h"

static void leave(struct imap_session *s)
{
	selected_close(&s->selected);
	log_context("mailbox", NULL);
	proc_note_mailbox(s->conn->note, SPAN_NULL);
}

int run_close(struct imap_session *s, const void *args UNUSED, struct us_err *err)
{
	int rc = 0;

	if (!s->selected->read_only && s->selected->rights & ACL_EXPUNGE)
		rc = expunge_deleted(s->selected, NULL, err);
	leave(s);
	return rc < 0 ? rc : 0;
}

int run_unselect(struct imap_session *s, const void *args UNUSED, struct us_err *err UNUSED)
{
	leave(s);
	return 0;
}
