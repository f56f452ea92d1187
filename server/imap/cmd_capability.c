/* cmd_capability.c - CAPABILITY (RFC 3501, 6.1.1). */
#include "server/base/mem.h"
#include "server/imap/capability.h"
#include "server/imap/reply.h"
#include "server/imap/session.h"

int run_capability(struct imap_session *s, const void *args UNUSED, struct us_err *err UNUSED)
{
	struct buf list = BUF_INIT;

	capability_list(s, CAPABILITY_ALL, &list);
	reply_untagged(s->out, "CAPABILITY%s", list.data);
	buf_free(&list);
	return 0;
}
