/* audit.c - see audit.h. */
#include "server/session/audit.h"

#include <inttypes.h>
#include <stdlib.h>

#include "server/base/log.h"
#include "server/base/mem.h"

void audit_append(const char *session, const struct mailbox *m, uint32_t uid, uint64_t modseq,
		  const struct guid *guid, const char *message_id, uint64_t size)
{
	char hex[GUID_HEX], *text;

	guid_format(guid, hex);
	text = us_asprintf("auditlog: append sessionid=<%s> mailbox=<%s> uniqueid=<%.*s> uid=<%u> "
			   "modseq=<%" PRIu64 "> sysflags=<> guid=<%s> messageid=%s size=<%" PRIu64
			   ">",
			   session, m->name.data, SPAN_ARG(m->row.uniqueid), uid, modseq, hex,
			   message_id, size);
	log_event(LOG_NOTICE, "audit.append", LF_TEXT(text));
	free(text);
}

void audit_created(const char *session, struct span name, const struct mailbox_row *row)
{
	char *text =
		us_asprintf("auditlog: create sessionid=<%s> mailbox=<%.*s> uniqueid=<%.*s> "
			    "uidvalidity=<%u>",
			    session, SPAN_ARG(name), SPAN_ARG(row->uniqueid), row->uidvalidity);

	log_event(LOG_NOTICE, "audit.create", LF_TEXT(text));
	free(text);
}

void audit_deleted(const char *session, struct span name, const struct mailbox_row *row)
{
	char *text = us_asprintf("auditlog: delete sessionid=<%s> mailbox=<%.*s> uniqueid=<%.*s>",
				 session, SPAN_ARG(name), SPAN_ARG(row->uniqueid));

	log_event(LOG_NOTICE, "audit.delete", LF_TEXT(text));
	free(text);
}

void audit_renamed(const char *session, struct span from, struct span to,
		   const struct mailbox_row *row)
{
	char *text = us_asprintf("auditlog: rename sessionid=<%s> oldmailbox=<%.*s> "
				 "newmailbox=<%.*s> uniqueid=<%.*s>",
				 session, SPAN_ARG(from), SPAN_ARG(to), SPAN_ARG(row->uniqueid));

	log_event(LOG_NOTICE, "audit.rename", LF_TEXT(text));
	free(text);
}
