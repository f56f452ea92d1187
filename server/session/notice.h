/* notice.h - the files below msg/ by which an operator speaks to clients: motd, shutdown. */
#ifndef US_SESSION_NOTICE_H
#define US_SESSION_NOTICE_H

#include <stdbool.h>

#include "server/base/buf.h"
#include "server/session/host.h"

#define NOTICE_MAX 4096 /* octets that are read; what is longer is cut */

/* Append the first line of <configdirectory>/msg/<name>: false if there is no such file. Costs one look-up while there is
 * none. */
bool notice_read(const struct host *host, const char *name, struct buf *out);
/* Make that the file, durably; empty: remove it. */
int notice_write(const struct host *host, const char *name, struct span text, struct us_err *err);

#endif
