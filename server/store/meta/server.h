/* server.h - metad's loop: requests of all clients, in turns.
 *
 *	accept, read and carry out whatever is ready --> one flush, if somebody changed something --> send the answers
 *
 * Requests of one connection are answered in its order. A barrier is answered two turns after the one it came in: by then
 * everything that anybody had sent before was read. Whoever has closed is gone, and what he had sent and was not
 * read is dropped: he has given up on it, and others may have gone on since.
 */
#ifndef US_STORE_META_SERVER_H
#define US_STORE_META_SERVER_H

#include <signal.h>

#include "server/store/meta/engine.h"

struct meta_server; /* opaque */

struct meta_server_config {
	struct engine *engine; /* borrowed; NULL: every request is answered with UNAVAILABLE */
	int listen_fd;         /* borrowed, set non-blocking */
	size_t max_request;    /* bytes of one request */
	size_t max_clients;    /* others wait in the backlog */
};

int meta_server_new(const struct meta_server_config *config, struct meta_server **out,
		    struct us_err *err);
void meta_server_free(struct meta_server **server);

/* Wait at most timeout_ms (less if there is something to do, or a signal comes) and take one turn. US_E codes: the turn
 * could not be taken; nothing that depends on it was answered. If the engine failed in it, later turns answer
 * everything with UNAVAILABLE. */
int meta_server_turn(struct meta_server *server, int timeout_ms, const sigset_t *mask,
		     struct us_err *err);

#endif
