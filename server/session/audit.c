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
