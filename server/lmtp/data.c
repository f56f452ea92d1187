/* data.c - DATA: the message is taken in, delivered, and answered once for each recipient (RFC 2033, 4.2). */
#include <inttypes.h>
#include <stdio.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/lmtp/deliver.h"
#include "server/lmtp/session_private.h"

static void refuse_all(struct lmtp_session *s, enum lmtp_reply reply)
{
	struct envelope *e = &s->envelope;

	for (size_t i = 0; i < e->n_recipients; i++)
		e->recipients[i].outcome = reply;
}

static void answer_all(struct lmtp_session *s)
{
	struct envelope *e = &s->envelope;

	for (size_t i = 0; i < e->n_recipients; i++)
		lmtp_reply(s, e->recipients[i].outcome);
}

int lmtp_cmd_data(struct lmtp_session *s, const struct lmtp_command *c UNUSED, struct us_err *err)
{
	struct lmtp_message message;
	enum lmtp_reply refusal;
	int rc;

	lmtp_reply(s, LMTP_GO_AHEAD);
	refusal = lmtp_take_message(s, deliver_first_partition(s), &message, &rc, err);
	if (rc < 0)
		goto out;
	if (refusal)
		refuse_all(s, refusal);
	else
		deliver_message(s, &message);
	answer_all(s);
out:
	lmtp_message_fini(&message);
	envelope_reset(&s->envelope);
	return rc;
}
