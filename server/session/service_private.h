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

/* Connections' processes that wait for a client, or will again (service_spare.c). The parent's end of the pair of sockets between
 * them is all that keeps one that waits: whatever else is forked drops them. */
#define SERVICE_SPARES 8
struct service_spares {
	struct service_spare {
		pid_t pid;        /* 0: none */
		int fd;           /* -1: it is about to end */
		int64_t since_ms; /* when it began to wait, or its client came */
		bool busy;
	} slots[SERVICE_SPARES];
};
void service_spares_init(struct service_spares *all);
void service_spares_drop(struct service_spares *all);
/* Does one wait, or did until it died unburied? */
bool service_spares_any(const struct service_spares *all);
/* Fork one when none waits. Returns false in the parent, though it could not be done; true in the new process, with its end of
 * the pair in *from. */
bool service_spare_fork(struct service_spares *all, int *from);
/* Let one serve this client, of whom the parent keeps its own descriptor; the process that does, 0: none waits. */
pid_t service_spare_hand(struct service_spares *all, int client);
/* Its descriptor is readable: it is free again, and returned; or gone, and 0. */
pid_t service_spare_heard(struct service_spare *s);
/* That process has ended; true if it was one that waited, with since when. */
bool service_spare_bury(struct service_spares *all, pid_t pid, int64_t *born_ms);
/* Let those go that have waited so long beside another (0: none); milliseconds until the next has, or -1. */
int service_spares_thin(struct service_spares *all, int64_t patience_ms);

/* In the process: sleep until a client comes; his descriptor, or -1 when there will be none. */
int service_spare_wait(int from);
/* The client has left, another may come. False: none will. */
bool service_spare_free(int from);

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
