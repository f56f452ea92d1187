/* daemon.h - a DAEMON entry of cyrus.conf, or metad: one process that is there all the time.
 *
 *	DOWN --spawn--> STARTING --"ok" CRLF on its descriptor 3--> UP
 *	 ^                 |                                          |
 *	 +----- its death -+------------------------------------------+
 *
 * An entry without wait=y is UP as soon as it is started. What dies is started again at once, later and
 * later if it keeps dying (throttle.h).
 */
#ifndef US_MASTER_DAEMON_H
#define US_MASTER_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/forkrate.h"
#include "server/master/settings.h"
#include "server/master/throttle.h"

struct master;
struct proc;

enum daemon_state { DAEMON_DOWN, DAEMON_STARTING, DAEMON_UP };

struct daemon {
	struct entry entry; /* ours */
	char *program;      /* path; NULL: not found */
	enum daemon_state state;
	pid_t pid;     /* while not DOWN */
	int listen_fd; /* metad's socket, ours for as long as we live; else -1 */
	int heard_fd;  /* read end of its descriptor 3; -1: none */
	char heard[4]; /* what it said so far of its "ok" */
	size_t n_heard;
	bool was_up;     /* ready at least once */
	unsigned deaths; /* before it was ready for the first time */
	struct forkrate rate;
	struct throttle pace;
	bool removed; /* no longer in cyrus.conf */
	bool kept;
};

struct daemons {
	struct daemon **items; /* in order of start */
	size_t n, cap;
};

/* Add one that is DOWN. A program that is not there is logged; the daemon then stays DOWN for ever. */
struct daemon *daemon_add(struct master *m, const struct entry *e);
/* The owner of the metadata, which is in no cyrus.conf: makes and keeps its listening socket. */
int daemon_add_metad(struct master *m, struct us_err *err);
void daemon_free_all(struct master *m);
/* Free those that are out of cyrus.conf and DOWN. */
void daemon_sweep(struct master *m);

/* Start it if it is DOWN, wanted, and not held back. */
void daemon_start_wanted(struct master *m, struct daemon *d, int64_t now_ms);
/* Milliseconds until that may change; -1: never. */
int64_t daemon_wait_ms(const struct daemon *d, int64_t now_ms);
/* heard_fd is readable. */
void daemon_hear(struct daemon *d);
/* Its process p ended (already logged). */
void daemon_bury(struct master *m, const struct proc *p, int status, int64_t now_ms);

#endif
