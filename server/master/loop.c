/* loop.c - one turn: signals, deaths, what is due, what is wanted, then sleep until something happens.
 *
 * A dead child's last messages are in its pipe before it is dead to us: so we look who died without taking
 * him off the kernel's list, read his pipe empty, and take him off then. No message can come too late, and
 * until that moment his pid is nobody else's.
 */
#include "server/master/master_private.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "server/base/child.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/wait.h"

#define RETRY_LOOK_MS 50 /* how often to look whether an address that was in use is free */

/* ---- the dead --------------------------------------------------------------------------------- */

/* The pid of somebody who died and is not waited for yet; 0: nobody. */
static pid_t next_dead(void)
{
	siginfo_t info = {.si_pid = 0};
	int rc;

	do
		rc = waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT);
	while (rc < 0 && errno == EINTR);
	return rc < 0 ? 0 : info.si_pid;
}

static void log_end(const struct proc *p, int status, int64_t now_ms)
{
	struct child_obituary who = {.type = proc_kind_name(p->kind),
				     .name = p->name,
				     .path = p->path,
				     .age_ms = now_ms - p->born_ms,
				     .pid = p->pid,
				     .status = status};

	child_log_end(&who);
}

static void bury(struct master *m, struct proc *p, int status)
{
	int64_t now_ms = master_now_ms();

	log_end(p, status, now_ms);
	switch (p->kind) {
	case PROC_START:
		m->start_status = status;
		break;
	case PROC_SERVICE:
	case PROC_SURVIVOR:
		instance_bury(m, p, status, now_ms);
		break;
	case PROC_DAEMON:
		daemon_bury(m, p, status, now_ms);
		break;
	case PROC_EVENT:
		break;
	}
	proctable_remove(&m->procs, p->pid);
}

/* Before the dead is taken off the kernel's list: hear its last words and take in its orphans. */
static void attend(struct master *m, pid_t pid)
{
	struct proc *p = proctable_find(&m->procs, pid);

	if (!p || p->kind != PROC_SERVICE)
		return;
	instance_read_status(m, p->instance);
	instance_adopt(m, p, master_now_ms());
}

void loop_reap(struct master *m)
{
	pid_t pid;

	while ((pid = next_dead()) != 0) {
		struct proc *p;
		int status;

		attend(m, pid);
		if (waitpid(pid, &status, 0) != pid)
			return;
		p = proctable_find(&m->procs, pid);
		if (p)
			bury(m, p, status); /* else an orphan of some child, none of our business */
	}
}

/* ---- what is wanted --------------------------------------------------------------------------- */

static void start_wanted(struct master *m)
{
	int64_t now_ms = master_now_ms();

	if (m->want_daemons)
		for (size_t i = 0; i < m->daemons.n; i++)
			daemon_start_wanted(m, m->daemons.items[i], now_ms);
	for (size_t i = 0; i < m->instances.n; i++)
		instance_retry(m, m->instances.items[i]);
	if (!m->serving)
		return;
	for (size_t i = 0; i < m->instances.n; i++)
		instance_start_wanted(m, m->instances.items[i], now_ms);
	event_run_due(m);
}

static int64_t sooner(int64_t a, int64_t b)
{
	if (a < 0 || b < 0)
		return a < 0 ? b : a;
	return a < b ? a : b;
}

static int64_t wait_for_ms(const struct master *m)
{
	int64_t now_ms = master_now_ms(), wait = -1;

	if (m->want_daemons)
		for (size_t i = 0; i < m->daemons.n; i++)
			wait = sooner(wait, daemon_wait_ms(m->daemons.items[i], now_ms));
	for (size_t i = 0; i < m->instances.n; i++)
		if (instance_retries(m->instances.items[i]))
			wait = sooner(wait, RETRY_LOOK_MS);
	if (!m->serving)
		return wait;
	for (size_t i = 0; i < m->instances.n; i++) {
		const struct instance *in = m->instances.items[i];
		if (in->listener.fd >= 0 && in->program)
			wait = sooner(wait,
				      account_wait_ms(&in->account, &in->entry.rules, now_ms));
	}
	return sooner(sooner(wait, event_wait_ms(m)), reload_wait_ms(m));
}

/* ---- sleeping --------------------------------------------------------------------------------- */

/* What we sleep on: an instance has two places, its pipe and its listener; a daemon one. */
static size_t count_places(const struct master *m)
{
	return 2 * m->instances.n + m->daemons.n;
}

static void fill_places(const struct master *m, struct pollfd *fds)
{
	int64_t now_ms = master_now_ms();

	for (size_t i = 0; i < m->instances.n; i++) {
		const struct instance *in = m->instances.items[i];
		bool watch = m->serving && in->program && in->listener.fd >= 0 &&
			     account_watches(&in->account, &in->entry.rules, now_ms);
		*fds++ = (struct pollfd){in->status_read, POLLIN, 0};
		*fds++ = (struct pollfd){watch ? in->listener.fd : -1, POLLIN, 0};
	}
	for (size_t i = 0; i < m->daemons.n; i++)
		*fds++ = (struct pollfd){m->daemons.items[i]->heard_fd, POLLIN, 0};
}

static void heed_places(struct master *m, const struct pollfd *fds)
{
	for (size_t i = 0; i < m->instances.n; i++) {
		struct instance *in = m->instances.items[i];
		if ((fds++)->revents)
			instance_read_status(m, in);
		if ((fds++)->revents)
			in->knocking = true;
	}
	for (size_t i = 0; i < m->daemons.n; i++)
		if ((fds++)->revents)
			daemon_hear(m->daemons.items[i]);
}

static void sleep_a_while(struct master *m, int64_t most_ms)
{
	size_t n = count_places(m);
	struct pollfd *fds = us_calloc(n + 1, sizeof(*fds));
	struct us_err err;
	int rc;

	fill_places(m, fds);
	rc = wait_ready(fds, n, most_ms > INT32_MAX ? INT32_MAX : (int)most_ms, &process_flags.wake,
			&err);
	if (rc > 0)
		heed_places(m, fds);
	else if (rc < 0 && rc != US_ECLOSED)
		us_panic("poll: %s", err.text);
	free(fds);
}

void loop_turn(struct master *m, int max_ms)
{
	/* Before the flags are looked at: one that comes now wakes us again. */
	process_flags.wake = 0;
	if (process_flags.child || process_flags.reload)
		max_ms = 0; /* the caller may have waited for just that */
	if (process_flags.child) {
		process_flags.child = 0;
		loop_reap(m);
		instance_sweep(m);
		daemon_sweep(m);
	}
	if (process_flags.reload && m->serving) {
		process_flags.reload = 0;
		reload(m);
	}
	reload_look_at_leftovers(m);
	start_wanted(m);
	sleep_a_while(m, sooner(max_ms, wait_for_ms(m)));
}
