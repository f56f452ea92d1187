/* service_private.h - between the files of the service skeleton. */
#ifndef US_SESSION_SERVICE_PRIVATE_H
#define US_SESSION_SERVICE_PRIVATE_H

#include "server/session/service.h"

/* Serve what comes in at the listening socket until it is time to leave; returns the exit status. In a
 * connection's process it does not return. `program`: what was executed. */
int service_accept_loop(const struct service *service, const struct service_env *env,
			const char *program);

/* Serve one client on two descriptors, in this process; returns the exit status. */
int service_serve(const struct service *service, const struct service_env *env, int fd_in,
		  int fd_out);

/* What init took goes back, and the host: in the process that had them opened. */
void service_end(const struct service *service, const struct service_env *env);

/* Fill in who talks to whom over these descriptors. */
void service_conn_init(struct service_conn *conn, int fd_in, int fd_out);

/* The program file as it was when it was started. */
struct service_binary {
	const char *path; /* borrowed */
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime;
};
void service_binary_note(struct service_binary *b, const char *path);
/* Another file is there now. A file that is not there is no reason to go: who would follow us? */
bool service_binary_replaced(const struct service_binary *b);

/* Connections of an earlier parent, as master listed them. */
struct service_survivors {
	struct service_survivor {
		pid_t pid, group;
	} * items;
	size_t n, cap;
};
void service_survivors_read(struct service_survivors *s, const char *list);
/* Forget those that have ended. */
void service_survivors_prune(struct service_survivors *s);
void service_survivors_free(struct service_survivors *s);

#endif
