/* access.h - from a name a client wrote to a mailbox and what he may do with it.
 *
 * A mailbox without the right `l` does not exist for him: "Mailbox does not exist" where he may not look it
 * up, "Permission denied" where he may but lacks what he needs (imap-behaviour of Cyrus; RFC 4314, section 6).
 */
#ifndef US_IMAP_ACCESS_H
#define US_IMAP_ACCESS_H

#include <stdint.h>

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/base/span.h"
#include "server/store/rows.h"

struct imap_session;

struct access {
	struct span name; /* internal; in s->pool, like all of this */
	struct mailbox_row row;
	uint32_t rights; /* his, an administrator's included */
};

/* US_EINVAL: it can be no name. *out lives in s->pool. */
int access_name(struct imap_session *s, struct span external, struct span *out, struct us_err *err);
/* The mailbox of that external name, if he has all of `needed` (0: only has to exist for him): US_ENOENT,
 * US_EPERM, US_EINVAL. Reads one row. */
int access_lookup(struct imap_session *s, struct span external, uint32_t needed, struct access *out,
		  struct us_err *err);
/* The same for an internal name. */
int access_lookup_internal(struct imap_session *s, struct span name, uint32_t needed,
			   struct access *out, struct us_err *err);

/* Could he make a mailbox of that internal name? Then [TRYCREATE] goes with "Mailbox does not exist" (APPEND,
 * COPY). 0, or why not. */
int access_may_create(struct imap_session *s, struct span name, struct us_err *err);
/* "* MYRIGHTS shown lrs" */
void access_put_rights(const struct imap_session *s, struct span shown, uint32_t rights);
/* As the client sees it, appended. */
void access_external(const struct imap_session *s, struct span internal, struct buf *out);

#endif
