/* auth.h - AUTHENTICATE on a csync connection. */
#ifndef US_SYNC_SERVER_AUTH_H
#define US_SYNC_SERVER_AUTH_H

#include "server/base/err.h"

struct session;

/* Carry out AUTHENTICATE mech [initial response], whose words are in the session. Negative only if the connection
 * cannot go on. */
int auth_command(struct session *s, struct us_err *err);

#endif
