/* special_use.h - what a user's mailboxes are for (RFC 6154): \Sent, \Trash and so on.
 *
 * The uses of a mailbox are the private annotation /specialuse of its owner, blank-separated; so nobody but he sees them, and
 * they follow the mailbox wherever it is renamed or replicated to. Only his INBOX and the folders of his
 * top level have any (allowspecialusesubfolder: all of his), and each use is had by one of them.
 */
#ifndef US_IMAP_SPECIAL_USE_H
#define US_IMAP_SPECIAL_USE_H

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/base/span.h"

struct imap_session;
struct storeid;

/* Append what the mailbox of that internal name is for, to this user. None is well. */
int special_use_get(struct imap_session *s, struct span name, const struct storeid *id,
		    struct buf *out, struct us_err *err);

/* May the mailbox of that internal name be for all of `wanted`? Appends that in the spelling of RFC 6154. US_EINVAL: a use that
 * is not known; US_EEXIST: another mailbox of the user has it, or this one can have none. Two who ask at once are not
 * kept apart. */
int special_use_check(struct imap_session *s, struct span name, struct span wanted, struct buf *out,
		      struct us_err *err);

#endif
