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

/* A connection's process that waits for its client. The parent's end of the pair of sockets between them is all that keeps it:
 * whatever else is forked drops it. */
struct service_spare {
	pid_t pid; /* 0: there is none */
	int fd;
	int64_t born_ms;
};
#define SERVICE_NO_SPARE ((struct service_spare){0, -1, 0})
/* Fork one. Returns false in the parent, with *s as SERVICE_NO_SPARE if it could not be done; true in the spare, with its end of
 * the pair in *from. */
bool service_spare_fork(struct service_spare *s, int *from);
/* In the spare: sleep until its client comes; his descriptor, or -1 when there will be none. */
int service_spare_wait(int from);
/* Let it serve this client, of whom the parent keeps its own descriptor; the process that does, 0: none. *s is empty then. */
pid_t service_spare_hand(struct service_spare *s, int client);
/* Let it go, if there is one. */
void service_spare_drop(struct service_spare *s);

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
