/* spawn.h - start a program as a child: its descriptors, environment, limits and user. */
#ifndef US_MASTER_SPAWN_H
#define US_MASTER_SPAWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "server/base/err.h"
#include "server/base/process.h"

struct spawn {
	const char *path;
	char *const *argv;
	const struct process_user *user; /* become that one; NULL: stay who we are */
	int status_fd, listen_fd;        /* its descriptors 3 and 4; -1: none */
	unsigned maxfds;                 /* soft limit of descriptors; 0: leave it */
	bool dies_with_us;               /* gets TERM when master dies */

	/* Environment; those that are NULL or negative are absent there. */
	const char *service;   /* CYRUS_SERVICE */
	int id;                /* CYRUS_ID */
	bool is_daemon;        /* CYRUS_ISDAEMON */
	bool unclean;          /* CYRUS_UNCLEAN */
	bool counts;           /* a stream service: the next three */
	int maxchild;          /* CYRUS_MAXCHILD */
	unsigned maxforkrate;  /* CYRUS_FORKRATE */
	const char *survivors; /* CYRUS_SURVIVORS */
};

/* Returns the pid, or US_EIO: no process could be made. What goes wrong in the child from there on is
 * logged there and shows as exit status 71 (EX_OSERR). Each child leads a process group of its own. */
pid_t spawn_program(const struct spawn *what, struct us_err *err);

#endif
