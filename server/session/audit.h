/* audit.h - the lines of auditlog, which say what happened to each message, in Cyrus's words.
 *
 * Written where `auditlog: yes`; whether it is so is the caller's to ask. The session id is the join key.
 */
#ifndef US_SESSION_AUDIT_H
#define US_SESSION_AUDIT_H

#include <stdint.h>

#include "server/base/checksum.h"
#include "server/store/mailbox.h"

/* A message came into m; message_id may be "" and is written as it is. */
void audit_append(const char *session, const struct mailbox *m, uint32_t uid, uint64_t modseq,
		  const struct guid *guid, const char *message_id, uint64_t size);

#endif
