/* session.h - one csync connection on the replica's side (csync-protocol 2). */
#ifndef US_SYNC_SERVER_SESSION_H
#define US_SYNC_SERVER_SESSION_H

#include "server/session/host.h"
#include "server/session/service.h"

/* What the program was told beside the configuration. */
struct session_options {
	unsigned protection; /* -p: bits of encryption that something around us provides */
	bool force;          /* -f: every session begins as if APPLY FORCE had been given */
};

/* Serve a client to the end. Gives the process's exit status. */
int session_serve(struct host *host, const struct service_conn *conn,
		  const struct session_options *options);

#endif
