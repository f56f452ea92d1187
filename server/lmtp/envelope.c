/* envelope.c - see envelope.h. */
#include "server/lmtp/envelope.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"

static void set_poster(struct envelope *e, struct span submitter)
{
	static const struct identity_policy as_it_is = {0};
	struct identity *who = &e->poster;

	/* A name that cannot be a user's has the rights of anyone. */
	e->has_poster =
		submitter.len && identity_canonicalize(&as_it_is, submitter, who->user, NULL) == 0;
	if (e->has_poster)
		snprintf(who->authname, sizeof(who->authname), "%s", who->user);
}

void envelope_begin(struct envelope *e, const struct lmtp_command *mail)
{
	*e = (struct envelope){.open = true, .pool = pool_new()};
	e->sender = pool_span(e->pool, mail->address.text);
	e->has_size = mail->has_size;
	e->size = mail->size;
	set_poster(e, mail->submitter);
}

void envelope_add(struct envelope *e, const struct recipient_name *name, bool ignore_quota)
{
	us_grow(&e->recipients, e->n_recipients, &e->cap_recipients, sizeof(e->recipients[0]));
	e->recipients[e->n_recipients++] = (struct envelope_recipient){
		.name = {.userid = name->userid.ptr ? pool_span(e->pool, name->userid) : SPAN_NULL,
			 .inbox = name->inbox.ptr ? pool_span(e->pool, name->inbox) : SPAN_NULL,
			 .folder = name->folder.ptr ? pool_span(e->pool, name->folder) : SPAN_NULL},
		.ignore_quota = ignore_quota,
	};
}

void envelope_reset(struct envelope *e)
{
	pool_free(&e->pool);
	free(e->recipients);
	allowances_free(&e->allowances);
	*e = (struct envelope){0};
}

const struct identity *envelope_poster(const struct envelope *e)
{
	return e->has_poster ? &e->poster : NULL;
}
