/* names.h - the mailboxes that the words of a command line mean.
 *
 * Names and patterns are external ones, as an administrator sees them: user/bob, user/b%; "*" is anything, "%"
 * anything within a level. They are UTF-8; a word in ASCII is taken as it stands, so modified UTF-7 works too.
 */
#ifndef US_ADMIN_NAMES_H
#define US_ADMIN_NAMES_H

#include <stdbool.h>

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/base/span.h"
#include "server/session/host.h"

enum names_form {
	NAMES_UTF8,  /* to be converted, if anything in it is not ASCII */
	NAMES_MUTF7, /* is in modified UTF-7 */
	NAMES_USER,  /* a user id: his INBOX is meant */
};

/* The internal name a word means, appended. US_EINVAL. */
int names_internal(const struct host *host, struct span word, enum names_form form, struct buf *out,
		   struct us_err *err);
/* The external form of an internal name, as an administrator sees it; appended. */
void names_external(const struct host *host, struct span internal, struct buf *out);

/* A word as names and their external forms are written: in modified UTF-7 (RFC 3501, 5.1.3), appended. US_EINVAL. */
int names_to_mutf7(struct span word, struct buf *out, struct us_err *err);

bool names_is_pattern(struct span word);

#endif
