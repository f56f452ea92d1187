/* listener.h - the sockets behind one `listen` value of cyrus.conf. */
#ifndef US_MASTER_LISTENER_H
#define US_MASTER_LISTENER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "server/base/err.h"

/* What is listened for: a path, or a host (NULL: every address of this machine) and a port. */
struct listener_spec {
	const char *path;
	const char *host, *port;
	int family; /* AF_UNSPEC, AF_INET, AF_INET6 */
	int type;   /* SOCK_STREAM, SOCK_DGRAM */
};

union listener_address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
};

/* One address of it. */
struct listener {
	int fd;             /* -1: not open; err may say why */
	char text[160];     /* for the log: "192.0.2.1:143", "[::1]:143", a path */
	const char *family; /* "ipv4", "ipv6", "unix" */
	bool family_missing; /* this machine has no addresses of that family: no reason to complain */
	bool in_use;         /* somebody else has it, maybe not for long */
	struct us_err err;
	union listener_address address;
	socklen_t len;
};

/* Find the addresses: one for a path, one or more for a host. Opens nothing. *out is the caller's to
 * free(). US_EINVAL: no such host or port, or a path too long. Blocks while a name is looked up. */
int listener_resolve(const struct listener_spec *spec, struct listener **out, size_t *n_out,
		     struct us_err *err);

/* Open, bind and listen; sets l->fd, or l->err and returns its code. A path: a socket that was there before
 * is removed, and the new one gets `mode`. Ports below 1024 need root's rights. tos: what IP_TOS says on
 * its packets; 0: nothing. */
int listener_open(struct listener *l, int type, int backlog, int tos, unsigned mode);
void listener_close(struct listener *l);

#endif
