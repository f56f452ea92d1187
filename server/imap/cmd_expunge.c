/* cmd_expunge.c - EXPUNGE (RFC 3501, 6.4.3) and UID EXPUNGE (RFC 4315, 2.1). The news tell which messages went. */
#include "server/base/mem.h"
#include "server/imap/expunge.h"
#include "server/imap/selected.h"
#include "server/imap/session.h"
#include "server/imap/token.h"

struct args_expunge {
	bool has_set;
	struct token_set set;
};

int parse_expunge(struct parse *p, void **out, struct us_err *err)
{
	struct args_expunge *args = pool_alloc(p->pool, sizeof(*args));
	int rc = 0;

	args->has_set = p->uid;
	if (p->uid)
		rc = parse_sequence_set(p, &args->set, err);
	if (rc == 0)
		rc = parse_end(p, err);
	if (rc == 0)
		*out = args;
	return rc;
}

int run_expunge(struct imap_session *s, const void *arg, struct us_err *err)
{
	const struct args_expunge *args = arg;
	struct selected *sel = s->selected;
	struct uidset only = UIDSET_INIT;
	int rc;

	if (sel->read_only || !(sel->rights & ACL_EXPUNGE))
		return us_fail(err, US_EPERM, "no right to expunge");
	if (args->has_set)
		(void)selected_resolve(sel, &args->set, /* by_uid */ true, &only, NULL);
	rc = expunge_deleted(sel, args->has_set ? &only : NULL, err);
	uidset_free(&only);
	if (rc <= 0)
		return rc;
	return imap_ok(s, "[HIGHESTMODSEQ %llu] Completed",
		       (unsigned long long)mailbox_highestmodseq(sel->mailbox));
}
