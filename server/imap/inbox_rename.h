/* inbox_rename.h - RENAME INBOX x (RFC 3501, 6.3.5): x is made and gets the messages, INBOX stays and is empty. */
#ifndef US_IMAP_INBOX_RENAME_H
#define US_IMAP_INBOX_RENAME_H

#include "server/base/err.h"
#include "server/base/span.h"

struct imap_session;

/* Internal names; that `to` may be made was checked. Additions before removals: whatever stops us, no message is lost. */
int inbox_rename(struct imap_session *s, struct span inbox, struct span to, struct us_err *err);

#endif
