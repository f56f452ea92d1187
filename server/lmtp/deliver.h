/* deliver.h - a message into the mailboxes of its recipients. */
#ifndef US_LMTP_DELIVER_H
#define US_LMTP_DELIVER_H

#include "server/base/err.h"
#include "server/lmtp/intake.h"

struct lmtp_session;

/* The partition on which the message is staged: that of the first mailbox that gets it. Never NULL. */
struct partition *deliver_first_partition(struct lmtp_session *s);

/* Deliver to every recipient of the envelope, and set each one's outcome: LMTP_DELIVERED only when his mailbox has it
 * durably. */
void deliver_message(struct lmtp_session *s, struct lmtp_message *message);

#endif
