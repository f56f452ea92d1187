/* session.h - one csync connection on the replica's side (csync-protocol 2). */
#ifndef US_SYNC_SERVER_SESSION_H
#define US_SYNC_SERVER_SESSION_H

#include "server/session/host.h"
#include "server/session/service.h"

/* Serve a client to the end; with `force` (-f) as if he had begun with APPLY FORCE. Gives the process's exit status. */
int session_serve(const struct service_env *env, const struct service_conn *conn, bool force);

#endif
