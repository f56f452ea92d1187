/* connect.h - find the other server and connect to it.
 *
 *	target = host [":" port] *("/" option)
 *	host   = name / IPv4 / "[" IPv6 "]" / IPv6	bare IPv6 only without a port
 *	port   = number / service name
 *	option = "tls" / "noauth"
 *	target = "/" path				a Unix socket; nothing else is looked for in it
 *
 * As sync_host and its like have it, where an option for the port may stand beside it.
 */
#ifndef US_BASE_CONNECT_H
#define US_BASE_CONNECT_H

#include <signal.h>
#include <stdbool.h>

#include "server/base/err.h"
#include "server/base/span.h"

struct connect_target {
	struct span host; /* without brackets; the whole path for a Unix socket */
	struct span port; /* SPAN_NULL: not given */
	bool local;       /* a Unix socket */
	bool tls;         /* TLS first, straight after connecting */
	bool noauth;      /* no authentication */
};

/* Read a target; the spans in *out borrow from `text`. US_EINVAL, *out untouched, if it is malformed. Pure. */
int connect_parse(struct span text, struct connect_target *out, struct us_err *err);

/* Connect to a target: all addresses of its host in turn, until one accepts. `port` is used where the target
 * has none: a number or a service name, of which csync, mupdate, lmtp, sieve and the usual mail services are
 * known even where the system's list lacks them.
 * Returns  0 with a connected, close-on-exec, non-blocking socket in *fd_out, or US_ETIMEOUT, US_ECLOSED
 *          (refused, unreachable; or *stop was set), US_ENOENT (no such host, service or path), US_EIO. Texts
 *          name the host and, if there were several addresses, the last one tried.
 * Blocks   at most timeout_ms (-1: no limit), of which each address gets an equal share of what is left;
 *          plus what the resolver takes. */
int connect_open(const struct connect_target *target, const char *port, int timeout_ms,
		 const volatile sig_atomic_t *stop, int *fd_out, struct us_err *err);

/* Give up a TCP connection when the other machine has acknowledged nothing for that long, whether we send or wait;
 * it then fails like one that was closed. Nothing on other sockets, and for 0. */
void connect_limit_silence(int fd, int silence_ms);

#endif
