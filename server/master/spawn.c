/* spawn.c - see spawn.h. */
#include "server/master/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include "server/base/child.h"
#include "server/base/log.h"
#include "server/base/mem.h"

static void set_number(const char *name, int64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)number);
	setenv(name, text, 1);
}

/* Our own environment may come from another master: nothing of that kind goes on but what we say. */
static void set_environment(const struct spawn *what)
{
	static const char *const ours[] = {
		CHILD_ENV_SERVICE,  CHILD_ENV_ID,        CHILD_ENV_ISDAEMON, CHILD_ENV_MAXCHILD,
		CHILD_ENV_FORKRATE, CHILD_ENV_SURVIVORS, CHILD_ENV_UNCLEAN,
	};

	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		unsetenv(ours[i]);
	if (what->unclean)
		setenv(CHILD_ENV_UNCLEAN, "1", 1);
	if (!what->service)
		return;
	setenv(CHILD_ENV_SERVICE, what->service, 1);
	set_number(CHILD_ENV_ID, what->id);
	if (what->is_daemon)
		setenv(CHILD_ENV_ISDAEMON, "1", 1);
	if (!what->counts)
		return;
	setenv("LD_BIND_NOW", "1",
	       1); /* functions are looked up before it forks, not by each connection */
	set_number(CHILD_ENV_MAXCHILD, what->maxchild);
	set_number(CHILD_ENV_FORKRATE, what->maxforkrate);
	if (what->survivors)
		setenv(CHILD_ENV_SURVIVORS, what->survivors, 1);
}

static void limit_fds(const struct spawn *what)
{
	struct rlimit limit;

	if (!what->maxfds || getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = what->maxfds;
	if (limit.rlim_cur > limit.rlim_max) {
		log_event(LOG_WARNING, "master.maxfds.capped", LF_STR("path", what->path),
			  LF_NUM("wanted", what->maxfds), LF_NUM("limit", limit.rlim_max));
		limit.rlim_cur = limit.rlim_max;
	}
	(void)setrlimit(RLIMIT_NOFILE,
			&limit); /* lowering what we have, or up to what we may: cannot fail */
}

/* Descriptors 0 to 4 are taken in master (process_reserve_fds()), so a source never is one of the targets. */
static int set_fds(const struct spawn *what, struct us_err *err)
{
	if (what->status_fd >= 0 && dup2(what->status_fd, CHILD_STATUS_FD) < 0)
		return us_fail_errno(err, "status pipe");
	if (what->listen_fd >= 0 && dup2(what->listen_fd, CHILD_LISTEN_FD) < 0)
		return us_fail_errno(err, "listening socket");
	if (what->status_fd < 0)
		close(CHILD_STATUS_FD);
	if (what->listen_fd < 0)
		close(CHILD_LISTEN_FD);
	process_close_on_exec_from(CHILD_LISTEN_FD + 1); /* the log is needed until then */
	return 0;
}

/* Asked for after the change of user, which would undo it; if master died before, the request comes late. */
static void follow_into_death(pid_t master)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0); /* fails for a bad signal number only */
	if (getppid() != master)
		_exit(EX_TEMPFAIL);
}

static void become_child(const struct spawn *what, pid_t master) __attribute__((noreturn));
static void become_child(const struct spawn *what, pid_t master)
{
	struct us_err err = US_ERR_INIT;

	setpgid(0, 0); /* cannot fail: we lead no session */
	process_signals_default();
	if (what->user && process_become(what->user, &err) < 0)
		goto out;
	if (what->dies_with_us)
		follow_into_death(master);
	if (set_fds(what, &err) < 0)
		goto out;
	limit_fds(what);
	set_environment(what);
	execv(what->path, what->argv);
	us_fail_errno(&err, "execute %s", what->path);
out:
	log_event(LOG_ERR, "master.exec.failed", LF_TEXT("couldn't start a program"),
		  LF_STR("path", what->path), LF_ERR(&err));
	_exit(EX_OSERR);
}

pid_t spawn_program(const struct spawn *what, struct us_err *err)
{
	pid_t master = getpid(), pid;

	pid = fork();
	if (pid < 0)
		return us_fail_errno(err, "fork for %s", what->path);
	if (pid == 0)
		become_child(what, master);
	setpgid(pid,
		pid); /* here as well: who comes first does not matter; refused once it has exec'ed */
	return pid;
}
