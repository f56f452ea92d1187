/* main.c - master: starts and minds everything else. See README.md of this folder for the picture.
 *
 * The life of it, and what each step promises:
 *
 *	setup		the configuration is legible, no other master runs; only root's saved id is left of root
 *	clean mark	removed, durably, before anything is changed
 *	startup		metad, START, listeners, daemons: then "ready for work" and the ready file
 *	turns		until a signal
 *	stop		no child is left; what the logs hold is on the disk; the clean mark
 */
#include <signal.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "server/base/child.h"
#include "server/base/conf.h"
#include "server/base/failpoint.h"
#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/wait.h"
#include "server/master/master_private.h"
#include "server/master/setup.h"

int64_t master_now_ms(void)
{
	return wait_clock_ms();
}

void master_step_up(const struct master *m)
{
	struct us_err err;

	if (m->as_root && process_step_up(&err) < 0)
		log_event(LOG_ERR, "master.root.refused", LF_ERR(&err));
}

void master_step_down(const struct master *m)
{
	struct us_err err;

	if (m->as_root && process_step_down(&m->user, &err) < 0)
		us_panic("%s", err.text);
}

/* Returns 0 when all runs, or a stop signal came; else the status to end with. */
static int start_all(struct master *m, const struct settings *s)
{
	int status = startup_metad(m);

	if (status == 0)
		status = startup_run_start(m, s);
	if (status == 0 && !process_flags.stop)
		status = startup_services(m, s);
	if (status == 0 && !process_flags.stop)
		status = startup_daemons(m, s);
	if (status || process_flags.stop)
		return status;
	event_set_all(m, &s->events);
	m->serving = true;
	log_event(LOG_NOTICE, "master.ready", LF_TEXT("ready for work"));
	marks_set_ready(m);
	return 0;
}

/* After an unclean start the mark is honest only if metad has noted what follows from that. */
static bool deserves_mark(const struct master *m)
{
	return !m->unclean || (m->daemons.n && m->daemons.items[0]->was_up);
}

static int end_all(struct master *m, int status)
{
	struct us_err err;

	marks_clear_ready(m);
	if (!stop_all(m))
		return EX_TEMPFAIL;
	if (deserves_mark(m) && marks_leave_clean(m, &err) < 0) {
		log_event(LOG_ERR, "master.mark.failed", LF_ERR(&err));
		status = status ? status : EX_IOERR;
	}
	log_event(LOG_NOTICE, "master.ended", LF_TEXT("All children have exited, closing down"));
	return status;
}

static void free_all(struct master *m)
{
	master_step_up(m); /* who looks at us for leaks must be who we began as */
	event_free_all(m);
	instance_free_all(m);
	daemon_free_all(m);
	proctable_free(&m->procs);
	conf_free(&m->conf);
	free(m->opt.imapd_conf);
	free(m->opt.cyrus_conf);
	free(m->pid_file);
	free(m->ready_file);
	io_close(&m->pid_fd);
}

static int run(struct master *m, const struct settings *s)
{
	struct us_err err;
	int status;

	marks_clear_ready(m);
	if (marks_take_clean(m, &err) < 0) {
		log_event(LOG_ERR, "master.mark.failed", LF_ERR(&err));
		return EX_IOERR;
	}
	status = start_all(m, s);
	while (status == 0 && !process_flags.stop)
		loop_turn(m, -1);
	return end_all(m, status);
}

int main(int argc, char **argv)
{
	struct master m = {.pid_fd = -1};
	struct settings s;
	struct us_err err;
	int status;

	if (process_reserve_fds(&err) < 0)
		us_fatal(EX_OSERR, "%s", err.text);
	process_close_from(CHILD_LISTEN_FD + 1); /* what whoever started us forgot */
	failpoint_init();
	setup_options(&m, argc, argv);
	setup_conf(&m);
	if (settings_load(m.opt.cyrus_conf, &s, &err) < 0)
		us_fatal(EX_CONFIG, "%s", err.text);
	setup_process(&m);
	status = run(&m, &s);
	settings_free(&s);
	free_all(&m);
	return status;
}
