/* audit.h - the lines of auditlog, in Cyrus's words: deliveries over LMTP; mailboxes made, removed and renamed over IMAP.
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

/* A mailbox was made, removed, renamed; the row is that of after, of before, of either. */
void audit_created(const char *session, struct span name, const struct mailbox_row *row);
void audit_deleted(const char *session, struct span name, const struct mailbox_row *row);
void audit_renamed(const char *session, struct span from, struct span to,
		   const struct mailbox_row *row);

#endif
