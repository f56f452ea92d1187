/* envelope.h - ENVELOPE as IMAP shows it (RFC 3501, section 7.4.2).
 *
 *	("date" "subject" from sender reply-to to cc bcc "in-reply-to" "message-id")
 *	list    = NIL / "(" 1*address ")"
 *	address = ("name" "route" "mailbox" "host")
 *
 * Sender and reply-to that are missing or name nobody are those of from. A group begins with an address
 * that has only a mailbox and ends with one that has nothing. A missing host is "unspecified-domain", as
 * in Cyrus, since NIL there would begin a group.
 */
#ifndef US_STORE_MIME_ENVELOPE_H
#define US_STORE_MIME_ENVELOPE_H

#include "server/base/buf.h"
#include "server/store/mime/structure.h"

/* *addresses is how many more may be written; those beyond are left out. */
void mime_envelope_put(struct buf *out, const struct mime_envelope *env, uint32_t *addresses);

/* The whole of FETCH ENVELOPE for a message. */
void mime_put_envelope(struct buf *out, const struct mime_tree *tree);

#endif
