/* process.h - what a daemon does with its own process: signals, privileges, descriptors, its title.
 *
 * Signal handlers only set flags, which whoever waits looks at (wait.h). The flags are file-scope state of
 * process_signals.c, one of the two places where the house allows that.
 */
#ifndef US_BASE_PROCESS_H
#define US_BASE_PROCESS_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "server/base/err.h"

/* ---- signals ---------------------------------------------------------------------------------- */

struct process_flags {
	volatile sig_atomic_t stop;   /* TERM, INT or QUIT came */
	volatile sig_atomic_t reload; /* HUP came */
	volatile sig_atomic_t child;  /* CHLD came */
	volatile sig_atomic_t wake; /* any of them: the flag to sleep by where all of them matter */
};
extern struct process_flags process_flags;

/* Catch the signals above, all flags down; ignore PIPE. */
void process_signals_catch(void);
/* As a program expects to find them after exec: every signal does what it does by default, none is
 * blocked. For a child between fork and exec. */
void process_signals_default(void);

/* ---- privileges ------------------------------------------------------------------------------- */

struct process_user {
	char name[64];
	uid_t uid;
	gid_t gid;
};

#define PROCESS_DEFAULT_USER "cyrus"

/* Look up who the services run as. An empty or NULL user means the default, an empty or NULL group the user's
 * own. US_ECONFIG: no such user or group. */
int process_user_find(const char *user, const char *group, struct process_user *out,
		      struct us_err *err);
/* Become that user for good: groups, real, effective and saved ids; verified. Needs root, effective or
 * saved. */
int process_become(const struct process_user *user, struct us_err *err);
/* The two above, of a program that root has started; well, and nothing done, for others. */
int process_leave_root(const char *user, const char *group, struct us_err *err);
/* Act as that user while staying able to act as root again: what a root process that works in directories
 * of that user must do, or a link there leads it astray. The user cannot send such a process a signal. */
int process_step_down(const struct process_user *user, struct us_err *err);
int process_step_up(struct us_err *err);

/* Set the umask from octal digits, as imapd.conf has it. US_ECONFIG: it is none. */
int process_set_umask(const char *octal, struct us_err *err);

/* ---- descriptors and the terminal ------------------------------------------------------------- */

/* See to it that descriptors 0 to 4 are open, on /dev/null where nothing else is there, so that nothing we
 * open later gets one of the numbers that mean something (child.h). */
int process_reserve_fds(struct us_err *err);
/* Put /dev/null in the place of descriptors first..2; first 0 or 1. */
int process_null_stdio(int first, struct us_err *err);
void process_close_from(int first);
/* Let all descriptors from `first` on be closed when this process executes another program. */
void process_close_on_exec_from(int first);

/* Go on in a child that has a session of its own. The parent stays until the child calls
 * process_detached(), then exits with the status given there, or with 1 if the child died before. *tell is
 * the child's to hand to process_detached(). Returns in the child only, unless it fails. */
int process_detach(int *tell, struct us_err *err);
void process_detached(int *tell, int status);

/* ---- the title: what ps(1) shows -------------------------------------------------------------- */

/* Remember where the words of the command line lie. From here on argv[1] and what follows may be
 * overwritten: call it when the options have been read and what they point to was copied. */
void process_title_init(int argc, char **argv);
/* Show this text behind argv[0]; what does not fit in the place of the old words is cut off. */
void process_title_set(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
