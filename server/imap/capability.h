/* capability.h - what this server says it can: exactly what the table of commands and the configuration bear out. */
#ifndef US_IMAP_CAPABILITY_H
#define US_IMAP_CAPABILITY_H

#include "server/base/buf.h"

struct imap_session;

enum capability_list {
	CAPABILITY_GREETING, /* short: before login only what helps to log in */
	CAPABILITY_ALL,
};

/* " IMAP4rev1 LITERAL+ ..." without what suppress_capabilities names; appended. */
void capability_list(const struct imap_session *s, enum capability_list which, struct buf *out);
/* Is this one suppressed by the operator? */
bool capability_is_suppressed(const struct imap_session *s, const char *name);

#endif
