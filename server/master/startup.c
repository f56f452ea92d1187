/* startup.c - from nothing to "ready for work", one step after the other.
 *
 *	metad ready -> START, in order -> listeners -> DAEMON wait=y, in order -> the rest
 *
 * While we wait for one thing the loop turns: what dies is buried, and metad is started again, for programs
 * in START need it. A stop signal ends each step early, and main() goes on with stopping.
 */
#include "server/master/master_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "server/base/child.h"
#include "server/base/log.h"
#include "server/master/programs.h"
#include "server/master/spawn.h"

/* How often metad may die before its first word. One that was left over from a killed master needs a moment
 * to be gone, and holds the lock of the metadata until then. */
#define METAD_TRIES 10
#define LOOK_MS     50 /* at an address that is in use */

static bool stop_wanted(void)
{
	return process_flags.stop;
}

int startup_metad(struct master *m)
{
	struct us_err err;
	struct daemon *d;

	if (daemon_add_metad(m, &err) < 0) {
		log_event(LOG_ERR, "master.metad.failed", LF_TEXT("can't run metad"), LF_ERR(&err));
		return EX_CONFIG;
	}
	m->want_daemons = true;
	d = m->daemons.items[0];
	while (d->state != DAEMON_UP && !stop_wanted()) {
		if (d->deaths >= METAD_TRIES) {
			log_event(LOG_ERR, "master.metad.failed",
				  LF_TEXT("metad does not become ready"));
			return 1;
		}
		loop_turn(m, -1);
	}
	return 0;
}

/* ---- START ------------------------------------------------------------------------------------ */

/* The loop puts its status into m->start_status when it is dead. */
static int run_and_wait(struct master *m, const struct entry *e, int *status, struct us_err *err)
{
	struct spawn what = {.argv = e->argv,
			     .user = m->as_root ? &m->user : NULL,
			     .status_fd = -1,
			     .listen_fd = -1,
			     .unclean = m->unclean};
	char *program = NULL;
	pid_t pid;
	int rc;

	rc = programs_find(e->argv[0], &program, err);
	if (rc < 0)
		return rc;
	what.path = program;
	pid = spawn_program(&what, err);
	if (pid > 0) {
		m->start_status = -1;
		proctable_add(&m->procs, pid, PROC_START, e->name, program, master_now_ms());
		while (m->start_status < 0 && !stop_wanted())
			loop_turn(m, -1);
		*status = m->start_status;
	}
	free(program);
	return pid < 0 ? pid : 0;
}

int startup_run_start(struct master *m, const struct settings *s)
{
	for (size_t i = 0; i < s->start.n && !stop_wanted(); i++) {
		const struct entry *e = &s->start.items[i];
		struct us_err err = US_ERR_INIT;
		int status = 0, rc;

		rc = run_and_wait(m, e, &status, &err);
		if (rc == 0 && stop_wanted())
			return 0;
		/* 75 is how a Cyrus tool says it was asked to stop, and no reason to stay down. */
		if (rc == 0 && child_end_of(status) != CHILD_END_FAILED)
			continue;
		if (rc == 0)
			us_fail(&err, US_EREMOTE, "%s failed", e->cmd);
		log_event(LOG_ERR, "master.start.failed", LF_TEXT("can't run startup"),
			  LF_STR("service", e->name), LF_ERR(&err));
		return 1;
	}
	return 0;
}

/* ---- SERVICES and DAEMON ---------------------------------------------------------------------- */

static bool any_retries(const struct master *m)
{
	for (size_t i = 0; i < m->instances.n; i++)
		if (instance_retries(m->instances.items[i]))
			return true;
	return false;
}

int startup_services(struct master *m, const struct settings *s)
{
	bool well = true;

	for (size_t i = 0; i < s->services.n; i++)
		if (!instance_set_entry(m, &s->services.items[i]))
			well = false;
	while (any_retries(m) && !stop_wanted())
		loop_turn(m, LOOK_MS);
	for (size_t i = 0; i < m->instances.n; i++)
		if (m->instances.items[i]->refused)
			well = false;
	if (well || !m->bind_errors_fatal || stop_wanted())
		return 0;
	log_event(LOG_ERR, "master.listen.fatal",
		  LF_TEXT("can't bind every listener, and master_bind_errors_fatal is set"));
	return EX_UNAVAILABLE;
}

static int start_and_wait(struct master *m, const struct entry *e)
{
	struct daemon *d = daemon_add(m, e);

	if (!d->program)
		return EX_CONFIG; /* logged */
	while (d->state != DAEMON_UP && !stop_wanted()) {
		if (d->deaths) {
			log_event(LOG_ERR, "master.daemon.lost",
				  LF_TEXT("wait daemon did not become ready"),
				  LF_STR("service", e->name));
			return 1;
		}
		loop_turn(m, -1);
	}
	return 0;
}

int startup_daemons(struct master *m, const struct settings *s)
{
	for (size_t i = 0; i < s->daemons.n && !stop_wanted(); i++) {
		int status;

		if (!s->daemons.items[i].wait)
			continue;
		status = start_and_wait(m, &s->daemons.items[i]);
		if (status)
			return status;
	}
	for (size_t i = 0; i < s->daemons.n && !stop_wanted(); i++)
		if (!s->daemons.items[i].wait)
			daemon_add(m, &s->daemons.items[i]);
	return 0;
}
