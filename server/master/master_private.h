/* master_private.h - struct master: all that master knows, made in main() and handed to every part.
 *
 *	who changes it		what
 *	main.c			options, conf, user, once at start
 *	reload.c		instances, daemons and events come and go
 *	loop.c			one turn after the other: signals, deaths, what is due, what is wanted
 *	instance.c, daemon.c	their own counts and pipes
 *	stop.c			stopping
 */
#ifndef US_MASTER_MASTER_PRIVATE_H
#define US_MASTER_MASTER_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/process.h"
#include "server/master/daemon.h"
#include "server/master/event.h"
#include "server/master/instance.h"
#include "server/master/proctable.h"
#include "server/master/settings.h"

struct conf;

#define MASTER_BACKLOG 32 /* as Cyrus's */

struct master_options {
	char *imapd_conf;                                /* -C, absolute; NULL: the default place */
	char *cyrus_conf;                                /* -M, absolute */
	const char *pid_file, *ready_file, *output_file; /* -p -r -L; NULL: not given */
	int backlog;
	unsigned verbose;
	bool detach, keep_stdio;
};

struct master {
	struct master_options opt;
	struct conf *conf;
	const char *configdirectory; /* in conf */
	char *pid_file, *ready_file; /* ready_file NULL: none wanted */
	int pid_fd;                  /* holds the lock on it */
	int tos;                     /* of what is sent from our listeners */
	bool bind_errors_fatal;
	bool as_root; /* we may act as root, and children become `user` */
	struct process_user user;
	bool unclean; /* the last run did not end in order, and there is a store */

	struct proctable procs;
	struct instances instances;
	struct daemons daemons; /* metad is the first */
	struct events events;

	int start_status; /* of the START entry that ran last, as waitpid(2) gave it; -1: it runs */
	bool serving;     /* services, daemons and events run: not before, not when stopping */
	bool want_daemons;   /* restart daemons that die */
	int64_t reloaded_ms; /* when to look who outlived the last reload; 0: nothing to look at */
};

int64_t master_now_ms(void);
/* Act as root, or as the user again; no-ops where we cannot. A failure to step up shows in what is tried
 * next; a failure to step down ends master. */
void master_step_up(const struct master *m);
void master_step_down(const struct master *m);

/* loop.c */
/* Wait for something to happen, at most max_ms (-1: no limit), and deal with it. */
void loop_turn(struct master *m, int max_ms);
/* Wait for and bury the dead. */
void loop_reap(struct master *m);

/* startup.c: each returns 0, or an exit status after logging why. A stop signal ends waiting with 0. */
int startup_metad(struct master *m);
int startup_run_start(struct master *m, const struct settings *s);
int startup_services(struct master *m, const struct settings *s);
int startup_daemons(struct master *m, const struct settings *s);

/* reload.c */
void reload(struct master *m);
/* Half a minute after a reload: say once who is still there from before. */
void reload_look_at_leftovers(struct master *m);
int64_t reload_wait_ms(const struct master *m); /* until then; -1: not at all */

/* stop.c: end all children in order. Returns false if some would not die. */
bool stop_all(struct master *m);

/* marks.c: the files by which others see how we are. */
int marks_take_clean(struct master *m,
		     struct us_err *err); /* remove the clean mark; sets m->unclean */
int marks_leave_clean(struct master *m,
		      struct us_err *err); /* the very last act of an orderly stop */
void marks_set_ready(const struct master *m);
void marks_clear_ready(const struct master *m);

#endif
