/* cmd_subscribe.c - SUBSCRIBE and UNSUBSCRIBE (RFC 3501, 6.3.6, 6.3.7). */
#include "server/base/mem.h"
#include "server/imap/access.h"
#include "server/imap/session.h"
#include "server/imap/texts.h"
#include "server/store/userdata.h"

static int answer(struct imap_session *s, int rc, const struct us_err *err)
{
	const char *code = rc < 0 ? imap_code(rc) : NULL;

	if (rc == 0)
		return 0;
	if (imap_text_is_for_operator(rc))
		return imap_fail(s, rc, NULL, err);
	return imap_no(s, "[%s] %s: %s", code ? code : "CANNOT", s->command->shown, imap_text(rc));
}

int run_subscribe(struct imap_session *s, const void *args, struct us_err *err)
{
	const struct args_mailbox *a = args;
	bool any = conf_bool(s->host->conf, CONF_allowallsubscribe);
	struct access access;
	struct span name;
	int rc = access_name(s, a->mailbox, &name, err);

	if (rc == US_EINVAL)
		rc = us_fail(err, US_ENOENT, "it can be no name");
	if (rc == 0 && !any)
		rc = access_lookup_internal(s, name, ACL_LOOKUP, &access, err);
	if (rc == 0)
		rc = subscription_set(s->host->store, span_of(s->identity->user), name, true, err);
	return answer(s, rc, err);
}

int run_unsubscribe(struct imap_session *s, const void *args, struct us_err *err)
{
	const struct args_mailbox *a = args;
	struct span name;
	int rc = access_name(s, a->mailbox, &name, err);

	if (rc == US_EINVAL)
		return 0; /* nobody is subscribed to that */
	if (rc == 0)
		rc = subscription_set(s->host->store, span_of(s->identity->user), name, false, err);
	return answer(s, rc, err);
}
