/* service.h - the skeleton of every service: main.c fills a struct service and calls service_run().
 *
 * A service is started by master (server/base/child.h) with a listening socket. Its process is initialised
 * once and then forks for each connection, so that a connection costs what it touches, and the death of
 * one is noticed by nobody else:
 *
 *	master --+-- imapd, the parent --+-- connection		parent killed: master starts another, and its
 *		 |			 +-- connection		connections, now master's children, go on and
 *		 +-- connection		(of an earlier parent)	count against maxchild until they end
 *
 * Once somebody has come, one process is forked ahead of the next client (service_spare.c), who then waits for no fork. Where
 * the service allows it, a process whose client has left takes another, one after the other and not without end.
 *
 * The parent leaves, and its connections stay, when it gets HUP, when its program file was replaced, and when
 * master is gone. TERM ends all: a connection has its stop flag set, leaves where it next waits for its
 * client, and exits with 75. At maxchild connections the parent stops accepting; clients wait in the
 * listener's queue.
 *
 * Without a listening socket on descriptor 4, or with -X, one client is served on stdin and stdout: from a
 * shell, a test, inetd.
 *
 * Options all services have (each in a word of its own):
 *	-C file		imapd.conf
 *	-X		serve stdin and stdout once
 *	-U n		a process takes so many clients, one after the other, if the service allows it [250]; 1: each has a new one
 *	-T seconds	how long a process waits for a client beside another that does [60]; 0: without end
 *	-D		of a Cyrus's debugging: read and ignored
 * and those that several have, read here for a service that names them among its own:
 *	-p bits		a layer around us protects connections with so many bits of encryption
 *	-s		TLS from the first byte; without a certificate that is an error of the configuration
 */
#ifndef US_SESSION_SERVICE_H
#define US_SESSION_SERVICE_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "server/base/err.h"

struct conf;
struct host;
struct proc_note;

/* What a service is told about itself; lives as long as the process, read only. */
struct service_env {
	const char *name; /* entry of cyrus.conf ("imap", "imaps"); our own name without a master */
	int id;           /* which of the entry's listening addresses */
	const char *config_path; /* -C; NULL: the default */
	struct conf *conf;       /* read with `name` as ident */
	bool alone;              /* no master: stdin and stdout are served */
	bool unclean;            /* the store was not stopped in order before this master started */
	unsigned protection;     /* -p; 0: none */
	unsigned uses;           /* -U */
	unsigned patience_s;     /* -T */
	bool implicit_tls;       /* -s */
	struct host *host;       /* open, if the service asked for parts of it; else NULL */
};

/* One end of a connection. */
struct service_address {
	char host[64]; /* "192.0.2.1", "2001:db8::1"; "" unless it is an internet socket */
	unsigned port;
	char text[192]; /* "[192.0.2.1]:143", a path, "stdio": for greetings and the log */
};

struct service_conn {
	int fd_in,
		fd_out; /* the same, or 0 and 1; the service closes them, or leaves that to the end */
	struct service_address local, remote;
	bool is_unix;
	uid_t peer_uid; /* of a unix socket; else (uid_t)-1 */
	/* Set when the connection is to end; for stream_config.stop. */
	const volatile sig_atomic_t *stop;
	struct proc_note *
		note; /* proc_note.h: for the protocol to say who and where its client is; NULL: none */
};

struct service {
	const char *name;    /* when no master gives one: "imap" */
	const char *options; /* its own, as for getopt(3), beside those all have; NULL: none */
	unsigned parts;      /* of the host (host.h) that are opened before init(); 0: none */
	void *ctx;           /* handed to all functions below; borrowed */

	/* One of its options. US_EINVAL: not one of them, or a bad value. May be NULL if there are none. */
	int (*option)(void *ctx, int letter, const char *value, struct us_err *err);

	/* Once a process, before the first connection. The first runs as root when somebody started the
	 * program as root by hand, else both run as the service user. Either may be NULL. */
	int (*init_as_root)(void *ctx, const struct service_env *env, struct us_err *err);
	int (*init)(void *ctx, const struct service_env *env, struct us_err *err);

	/* In a process of its own: serve this client to the end. Returns the exit status, 0 when well. With `again` the process
	 * may get another client then: nothing of this one stays, his descriptors are closed. */
	int (*connection)(void *ctx, const struct service_env *env, struct service_conn *conn);
	bool again;

	/* In the process that had init(), when it ends in order, after all else but the host: give back what init took.
	 * A connection's process just goes. May be NULL. */
	void (*shutdown)(void *ctx);
};

/* Returns the exit status for main() to return; may also exit. argv is overwritten with a title for ps(1). */
int service_run(const struct service *service, int argc, char **argv);

#endif
