/* session_private.h - the state of one csync connection. */
#ifndef US_SYNC_SERVER_SESSION_PRIVATE_H
#define US_SYNC_SERVER_SESSION_PRIVATE_H

#include <signal.h>
#include <stdbool.h>

#include "server/base/dlist_lexer.h"
#include "server/base/stream.h"
#include "server/csync/csync.h"
#include "server/session/host.h"
#include "server/session/sasl_server.h"

struct session {
	struct host *host;
	const volatile sig_atomic_t *stop;
	struct stream *stream;
	struct sasl_srv *sasl;
	struct proc_note *note;
	struct dlist_lexer lexer;
	struct csync *csync;             /* for an administrator */
	const struct identity *identity; /* NULL: not logged in */
	bool identity_is_admin;
	bool trusted; /* a Unix socket */
	bool tls, force, done;
	const char *peer; /* his address */
	char id[SESSION_ID_MAX];
	struct buf args[2]; /* of the command at hand */
	size_t n_args;
};

void session_logged_in(struct session *s, const struct identity *identity);

#endif
