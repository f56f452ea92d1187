/* conf_file.h - the files that configure us, found where a Cyrus would find them. */
#ifndef US_BASE_CONF_FILE_H
#define US_BASE_CONF_FILE_H

#include "server/base/buf.h"
#include "server/base/err.h"

#define CONF_IMAPD_PATH SYSCONFDIR "/imapd.conf"
#define CONF_CYRUS_PATH SYSCONFDIR "/cyrus.conf"

/* Append the file to *out. If the environment has CYRUS_PREFIX, the path behind it is tried first.
 * Returns  0; US_ECONFIG, naming the file. */
int conf_file_read(const char *path, struct buf *out, struct us_err *err);

#endif
