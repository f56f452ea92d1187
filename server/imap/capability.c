/* capability.c - see capability.h. */
#include "server/imap/capability.h"

#include "server/base/mem.h"
#include "server/imap/login.h"
#include "server/imap/session.h"

/* ---- when one holds ------------------------------------------------------------------------------- */

static bool always(const struct imap_session *s UNUSED)
{
	return true;
}

static bool can_start_tls(const struct imap_session *s)
{
	return s->host->tls && !s->tls && !s->identity;
}

static bool no_login(const struct imap_session *s)
{
	return s->identity || !login_allows_plaintext(s);
}

static bool can_log_in(const struct imap_session *s)
{
	return !s->identity && !login_needs_layer(s);
}

static bool can_compress(const struct imap_session *s)
{
	return !stream_compression(s->out);
}

static bool can_idle(const struct imap_session *s)
{
	return conf_duration_s(s->host->conf, CONF_imapidlepoll) > 0;
}

static bool for_administrators(const struct imap_session *s)
{
	return imap_is_admin(s);
}

static const struct {
	const char *name; /* NULL: the mechanisms stand here */
	bool in_greeting;
	bool (*holds)(const struct imap_session *s);
} capabilities[] = {
	{"IMAP4rev1", true, always},
	{"LITERAL+", true, always},
	{"ID", true, always},
	{"ENABLE", true, always},
	{"ACL", false, always},
	{"ANNOTATE-EXPERIMENT-1", false, always},
	{"CHILDREN", false, always},
	{"CONDSTORE", false, always},
	{"CREATE-SPECIAL-USE", false, always},
	{"ESEARCH", false, always},
	{"LIST-EXTENDED", false, always},
	{"LIST-MYRIGHTS", false, always},
	{"LIST-STATUS", false, always},
	{"METADATA", false, always},
	{"MOVE", false, always},
	{"MULTIAPPEND", false, always},
	{"NAMESPACE", false, always},
	{"OBJECTID", false, always},
	{"QRESYNC", false, always},
	{"QUOTA", false, always},
	{"RIGHTS=kxten", false, always},
	{"SAVEDATE", false, always},
	{"SEARCHRES", false, always},
	{"SPECIAL-USE", false, always},
	{"STATUS=SIZE", false, always},
	{"UIDPLUS", false, always},
	{"UNSELECT", false, always},
	{"DIGEST=SHA1", false, always},
	{"X-REPLICATION", false, for_administrators},
	{"X-SIEVE-MAILBOX", false, for_administrators},
	{"STARTTLS", true, can_start_tls},
	{"LOGINDISABLED", true, no_login},
	{NULL, true, can_log_in},
	{"SASL-IR", true, can_log_in},
	{"COMPRESS=DEFLATE", false, can_compress},
	{"IDLE", false, can_idle},
};

bool capability_is_suppressed(const struct imap_session *s, const char *name)
{
	struct span rest = span_of(conf_str(s->host->conf, CONF_suppress_capabilities)), word;

	while (span_word(&rest, &word))
		if (span_is_nocase(word, name))
			return true;
	return false;
}

void capability_list(const struct imap_session *s, enum capability_list which, struct buf *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(capabilities); i++) {
		if ((which == CAPABILITY_GREETING && !capabilities[i].in_greeting) ||
		    !capabilities[i].holds(s))
			continue;
		if (!capabilities[i].name)
			(void)sasl_srv_mechs(s->sasl, " AUTH=", out); /* none is well too */
		else if (!capability_is_suppressed(s, capabilities[i].name))
			buf_printf(out, " %s", capabilities[i].name);
	}
}
