/* envelope.h - the transaction at hand: who sends, and who gets the message. */
#ifndef US_LMTP_ENVELOPE_H
#define US_LMTP_ENVELOPE_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/pool.h"
#include "server/lmtp/allowance.h"
#include "server/lmtp/command.h"
#include "server/lmtp/recipient.h"
#include "server/lmtp/reply.h"
#include "server/session/identity.h"

/* One that RCPT accepted, in the order of their commands, which is that of the replies after the message. */
struct envelope_recipient {
	struct recipient_name name;
	bool ignore_quota;
	enum lmtp_reply outcome;
};

struct envelope {
	bool open; /* MAIL was accepted */
	struct pool *pool;
	struct span sender; /* without brackets; empty: nobody */
	bool has_poster;
	struct identity poster; /* whose rights to post count (MAIL's AUTH) */
	bool has_size;
	uint64_t size; /* as MAIL said */
	struct envelope_recipient *recipients;
	size_t n_recipients, cap_recipients;
	struct allowances allowances; /* what was found of quota roots */
};

void envelope_begin(struct envelope *e, const struct lmtp_command *mail);
void envelope_add(struct envelope *e, const struct recipient_name *name, bool ignore_quota);
void envelope_reset(struct envelope *e); /* also gives everything back */
/* For rights: NULL if nobody in particular posts. */
const struct identity *envelope_poster(const struct envelope *e);

#endif
