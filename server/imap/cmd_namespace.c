/* cmd_namespace.c - NAMESPACE (RFC 2342). */
#include "server/base/mem.h"
#include "server/imap/reply.h"
#include "server/imap/session.h"

/* (("prefix/" "/")) or NIL */
static void put_namespace(struct imap_session *s, bool there, const char *prefix,
			  bool with_separator)
{
	char separator = mboxname_separator(&s->names);
	struct buf full = BUF_INIT;

	if (!there) {
		stream_write_str(s->out, " NIL");
		return;
	}
	buf_add_str(&full, prefix);
	if (with_separator)
		buf_add_char(&full, separator);
	stream_write_str(s->out, " ((");
	reply_string(s->out, buf_span(&full));
	stream_printf(s->out, " \"%c\"))", separator);
	buf_free(&full);
}

int run_namespace(struct imap_session *s, const void *args UNUSED, struct us_err *err UNUSED)
{
	bool admin = imap_is_admin(s), alt = s->names.altnamespace && !admin;
	bool others = !conf_bool(s->host->conf, CONF_disable_user_namespace);
	bool shared = !conf_bool(s->host->conf, CONF_disable_shared_namespace);

	stream_write_str(s->out, "* NAMESPACE");
	put_namespace(s, !admin, alt ? "" : "INBOX", !alt);
	put_namespace(s, others, alt ? s->names.userprefix : "user", true);
	put_namespace(s, shared, alt ? s->names.sharedprefix : "", alt);
	stream_write_str(s->out, "\r\n");
	return 0;
}
