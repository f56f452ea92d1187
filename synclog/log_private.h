/* log_private.h - what writers and the reader of a log share: its lock. */
#ifndef US_SYNCLOG_LOG_PRIVATE_H
#define US_SYNCLOG_LOG_PRIVATE_H

#include <stdbool.h>

#include "server/base/err.h"

/* Exclusive open-file-description lock on the whole file: excludes Cyrus's own writers too. */
int synclog_lock(int fd, unsigned wait_ms, struct us_err *err);
void synclog_unlock(int fd);
bool synclog_is_at(int fd,
		   const char *path); /* is that descriptor's file the one under that name? */

#endif
