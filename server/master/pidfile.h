/* pidfile.h - one master an installation: whoever holds the lock on the pid file is it.
 *
 * The file stays when its master is gone; the lock, which the kernel drops, is the truth.
 */
#ifndef US_MASTER_PIDFILE_H
#define US_MASTER_PIDFILE_H

#include "server/base/err.h"

/* Open, lock, and write our pid. *out is the descriptor that holds the lock until it is closed or we die;
 * children do not inherit it. US_EBUSY: another master runs. A symbolic link is not followed, for the
 * directory may belong to the user the services run as. */
int pidfile_lock(const char *path, int *out, struct us_err *err);

#endif
