/* folders.h - making mailboxes as clients do: with their parents, within quota, where they belong. */
#ifndef US_IMAP_FOLDERS_H
#define US_IMAP_FOLDERS_H

#include "server/base/err.h"
#include "server/base/span.h"

struct imap_session;

/* Make the mailbox of that internal name and the levels above it that are missing, each with its parent's ACL. The right to
 * do so was checked. `partition` empty: the parent's, or the default one; `uses`: its special uses (special_use.h), checked,
 * or empty. US_EEXIST, US_EQUOTA. */
int folders_create(struct imap_session *s, struct span name, struct span partition,
		   struct span uses, struct us_err *err);
/* Only the levels above it. */
int folders_create_parents(struct imap_session *s, struct span name, struct us_err *err);
/* Is there anything below? 1 or 0. */
int folders_has_children(struct imap_session *s, struct span name, struct us_err *err);

#endif
