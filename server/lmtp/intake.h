/* intake.h - a message comes in: from the wire, through the filters, into a stage.
 *
 * It is read to its end whatever happens, so that the connection lives; but what has been refused already is not kept.
 * A message below 64 KiB is in memory until it is whole and then written at once; a larger one goes to the file as it
 * comes, so that memory does not depend on what a client sends.
 */
#ifndef US_LMTP_INTAKE_H
#define US_LMTP_INTAKE_H

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/lmtp/reply.h"
#include "server/store/record.h"
#include "server/store/stage.h"
#include "server/store/store.h"

struct lmtp_session;
struct lmtp_stages; /* opaque: a stage on each partition that a connection has needed so far */

void lmtp_stages_free(struct lmtp_stages **stages);
/* The connection's stage on that partition, made if need be. */
int lmtp_stage_on(struct lmtp_session *s, struct partition *p, struct stage **out,
		  struct us_err *err);

struct lmtp_message {
	struct staged staged; /* fd -1: nothing is */
	struct record record; /* all that the message says for itself */
	struct buf cache;
	struct buf id, date; /* for marks; the id is empty if it cannot be marked */
	char shown_id[256];  /* for the log */
};

/* Read the message behind DATA into a stage on p. Returns LMTP_NO_REPLY with *out to be given to lmtp_message_fini(), or what
 * every recipient is told; *code is negative if the connection cannot go on (then that is all). */
enum lmtp_reply lmtp_take_message(struct lmtp_session *s, struct partition *p,
				  struct lmtp_message *out, int *code, struct us_err *err);
void lmtp_message_fini(struct lmtp_message *m);

#endif
