/* child.h - what master and the processes it starts have agreed on: Cyrus's contract, and our additions.
 *
 * A child finds on descriptor 3 the write end of a pipe to master, and on descriptor 4, if it has one, its
 * listening socket. All else but stdio is closed.
 *
 * A service writes struct child_message on descriptor 3, whole, whenever its readiness changes. A Cyrus
 * service handles one connection after the other in one process, so it says UNAVAILABLE when it has
 * accepted and AVAILABLE when it is done. Ours forks for each connection and is always ready: it says
 * FORKING, once, when it is initialised, and only to a master that set CYRUS_MAXCHILD, which a Cyrus's
 * never does. A daemon that others wait for writes "ok" CRLF on descriptor 3 instead.
 *
 * Exit status: 0 well, 75 (EX_TEMPFAIL) asked to stop by a signal; anything else is a failure.
 */
#ifndef US_BASE_CHILD_H
#define US_BASE_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "server/base/err.h"

#define CHILD_STATUS_FD 3
#define CHILD_LISTEN_FD 4

enum child_status {
	CHILD_AVAILABLE = 1,        /* ready for a connection again */
	CHILD_UNAVAILABLE = 2,      /* has taken one, or is going */
	CHILD_CONNECTION = 3,       /* serves one */
	CHILD_CONNECTION_MULTI = 4, /* has taken one more and stays ready */
	CHILD_FORKING = 5,          /* ours: is initialised, and one process of it is enough */
};

/* Native byte order and sizes: both ends are on one machine. */
struct child_message {
	int message; /* enum child_status; int, because a Cyrus writes one */
	pid_t pid;
};

#define CHILD_ENV_SERVICE  "CYRUS_SERVICE"  /* name of the entry in cyrus.conf */
#define CHILD_ENV_ID       "CYRUS_ID"       /* number of the instance: one a listening address */
#define CHILD_ENV_ISDAEMON "CYRUS_ISDAEMON" /* 1: a DAEMON entry, or metad */
#define CHILD_ENV_VERBOSE  "CYRUS_VERBOSE"  /* how much to log beyond the usual */
#define CHILD_ENV_MAXCHILD "CYRUS_MAXCHILD" /* most connections at once; negative: no limit */
#define CHILD_ENV_FORKRATE "CYRUS_FORKRATE" /* most connections a second; 0: no limit */
#define CHILD_ENV_SURVIVORS \
	"CYRUS_SURVIVORS"                 /* pids of connections an earlier process left behind */
#define CHILD_ENV_UNCLEAN "CYRUS_UNCLEAN" /* 1: the store was not stopped in order (design.md 6) */

/* Descriptor 3 is a pipe: somebody above us may be listening. */
bool child_has_status_pipe(void);
/* Tell master. A pipe nobody reads is no error: we may run alone. */
void child_say(enum child_status status);
/* Tell whoever waits for this daemon that it is ready, and give the pipe back. */
void child_say_ok(void);

/* The number in an environment variable; `otherwise` if it is absent or no number. */
int64_t child_env_number(const char *name, int64_t otherwise);

/* How a process ended. */
enum child_end {
	CHILD_END_WELL,   /* exit 0 */
	CHILD_END_KILLED, /* exit 75: asked to go */
	CHILD_END_FAILED, /* any other status, or a signal */
};
enum child_end child_end_of(int status); /* as waitpid(2) gave it */

/* Log the end of a process in the words monitors search for, at the level it deserves. */
struct child_obituary {
	const char *type; /* START, SERVICE, EVENT, DAEMON */
	const char *name, *path;
	int64_t age_ms;
	pid_t pid;
	int status; /* as waitpid(2) gave it */
};
void child_log_end(const struct child_obituary *who);

#endif
