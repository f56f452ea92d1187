/* stop.c - the end, in order and within two seconds.
 *
 *	at once			listeners are closed; TERM to all but metad and the daemons others wait for
 *	then, one by one	TERM to those daemons, in reverse order of their start
 *	last			TERM to metad, when nobody is left who could ask it anything
 *
 * Who is still there when the time of a step is up gets KILL, which loses nothing that was acknowledged.
 * We ask the kernel who our children are, again and again: a connection whose process has gone is ours from
 * that moment on, and so is whatever else was started by somebody who is no more.
 */
#include "server/master/master_private.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/wait.h"
#include "server/master/kin.h"

#define SERVICES_MS 1200 /* all from the beginning of the stop */
#define DAEMONS_MS  1600
#define METAD_MS    1900
#define GIVE_UP_MS  20000 /* what KILL does not end by then hangs in the kernel */
#define LOOK_MS     20

struct stopping {
	struct master *m;
	int64_t began_ms;
	size_t spared; /* of the daemons, how many from the first on may stay for now */
	pid_t *told;   /* who got TERM */
	size_t n_told, cap_told;
};

static bool is_spared(const struct stopping *st, pid_t pid)
{
	const struct proc *p = proctable_find(&st->m->procs, pid);

	if (!p || !p->daemon || !p->daemon->entry.wait)
		return false;
	for (size_t i = 0; i < st->spared; i++)
		if (st->m->daemons.items[i] == p->daemon)
			return true;
	return false;
}

static bool was_told(const struct stopping *st, pid_t pid)
{
	for (size_t i = 0; i < st->n_told; i++)
		if (st->told[i] == pid)
			return true;
	return false;
}

/* All pids here are those of children not waited for, so they cannot be anybody else's. */
static void tell(struct stopping *st, pid_t pid, bool time_is_up)
{
	if (time_is_up) {
		(void)kill(pid, SIGKILL);
	} else if (!was_told(st, pid)) {
		us_grow(&st->told, st->n_told, &st->cap_told, sizeof(*st->told));
		st->told[st->n_told++] = pid;
		(void)kill(pid, SIGTERM);
		(void)kill(pid, SIGCONT); /* a stopped one hears nothing */
	}
}

/* Tell all who must go now; returns how many there are. */
static size_t tell_all(struct stopping *st, bool time_is_up)
{
	pid_t *kin = NULL;
	size_t n = 0, targets = 0;
	struct us_err err;

	if (kin_list(&kin, &n, &err) < 0) {
		log_event(LOG_ERR, "master.kin.unknown", LF_ERR(&err));
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		if (is_spared(st, kin[i]))
			continue;
		targets++;
		tell(st, kin[i], time_is_up);
	}
	free(kin);
	return targets;
}

static void nap(void)
{
	struct us_err err;

	process_flags.wake = 0;
	if (!process_flags.child)
		(void)wait_ready(NULL, 0, LOOK_MS, &process_flags.wake,
				 &err); /* woken is as good */
	process_flags.child = 0;
}

/* End all but the spared ones, at the latest so long after the stop began. */
static bool end_step(struct stopping *st, int64_t until_ms)
{
	bool killing = false;

	for (;;) {
		int64_t age_ms = master_now_ms() - st->began_ms;
		size_t left;

		loop_reap(st->m);
		left = tell_all(st, age_ms >= until_ms);
		if (left == 0)
			return true;
		if (age_ms >= until_ms && !killing)
			log_event(LOG_WARNING, "master.stop.killing",
				  LF_TEXT("processes do not end, killing them"),
				  LF_NUM("processes", left));
		killing = age_ms >= until_ms;
		if (age_ms >= GIVE_UP_MS)
			return false;
		nap();
	}
}

static bool has_children(void)
{
	siginfo_t info;

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
}

bool stop_all(struct master *m)
{
	struct stopping st = {.m = m, .began_ms = master_now_ms(), .spared = m->daemons.n};
	bool well;

	m->serving = m->want_daemons = false;
	for (size_t i = 0; i < m->instances.n; i++)
		listener_close(&m->instances.items[i]->listener);
	well = end_step(&st, SERVICES_MS);
	while (well && st.spared > 1) {
		st.spared--;
		if (m->daemons.items[st.spared]->entry.wait)
			well = end_step(&st, DAEMONS_MS);
	}
	st.spared = 0;
	/* The list of children may miss one that is just being adopted; that there is none is certain. */
	while (well && has_children())
		well = end_step(&st, METAD_MS);
	free(st.told);
	if (!well)
		log_event(LOG_ERR, "master.stop.failed",
			  LF_TEXT("some processes cannot be killed"));
	return well;
}
