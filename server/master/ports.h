/* ports.h - the numbers behind port names, known here even where the services table lacks them: there is
 * none for lmtp or csync in Debian's, and a minimal machine has no table at all. */
#ifndef US_MASTER_PORTS_H
#define US_MASTER_PORTS_H

#include "server/base/err.h"

/* The port a cyrus.conf names by number or name, for "tcp" or "udp". The table of the machine comes first.
 * US_EINVAL: no such port. */
int ports_resolve(const char *name, const char *protocol, unsigned short *out, struct us_err *err);

#endif
