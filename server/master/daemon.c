/* daemon.c - see daemon.h. */
#include "server/master/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/base/child.h"
#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/master/master_private.h"
#include "server/master/programs.h"
#include "server/master/spawn.h"

#define METAD_BACKLOG  4096 /* while it is away everybody queues; the system may cut this */
#define METAD_MODE     0600 /* whoever may connect may do everything */
#define METAD_FORKRATE 20   /* a second */
#define RATE_LOOK_MS   400

/* ---- coming and going ------------------------------------------------------------------------- */

struct daemon *daemon_add(struct master *m, const struct entry *e)
{
	struct daemon *d = us_calloc(1, sizeof(*d));
	struct us_err err;
	char text[256];

	d->entry = entry_copy(e);
	d->listen_fd = d->heard_fd = -1;
	d->kept = true;
	us_grow(&m->daemons.items, m->daemons.n, &m->daemons.cap, sizeof(*m->daemons.items));
	m->daemons.items[m->daemons.n++] = d;
	if (programs_find(e->argv[0], &d->program, &err) < 0) {
		snprintf(text, sizeof(text), "cannot find executable for %s '%s'",
			 e->wait ? "waitdaemon" : "daemon", e->name);
		log_event(LOG_ERR, "master.program.missing", LF_TEXT(text),
			  LF_STR("service", e->name), LF_ERR(&err));
	}
	return d;
}

/* The socket is master's: it outlives metad, so that clients of a metad that died queue and do not fail. */
static int listen_for_metad(struct master *m, int *out, struct us_err *err)
{
	char *dir = us_asprintf("%s/socket", m->configdirectory);
	char *path = us_asprintf("%s/metad", dir);
	struct listener_spec spec = {.path = path, .type = SOCK_STREAM};
	struct listener *l = NULL;
	size_t n;
	int rc;

	rc = io_mkdirs(FP("master.socket.mkdir"), dir, err);
	if (rc == 0)
		rc = listener_resolve(&spec, &l, &n, err);
	if (rc == 0) {
		rc = listener_open(l, SOCK_STREAM, METAD_BACKLOG, 0, METAD_MODE);
		if (rc < 0)
			us_fail(err, rc, "%s", l->err.text);
		else
			*out = l->fd;
	}
	free(l);
	free(path);
	free(dir);
	return rc;
}

int daemon_add_metad(struct master *m, struct us_err *err)
{
	char *argv[] = {(char *)"metad", NULL, NULL, NULL};
	struct entry e = {.name = (char *)"metad",
			  .argv = argv,
			  .wait = true,
			  .maxforkrate = METAD_FORKRATE};
	struct daemon *d;
	char *cmd;
	int rc, fd = -1;

	rc = listen_for_metad(m, &fd, err);
	if (rc < 0)
		return rc;
	if (m->opt.imapd_conf) {
		argv[1] = (char *)"-C";
		argv[2] = m->opt.imapd_conf;
	}
	cmd = us_asprintf("metad%s%s", argv[1] ? " -C " : "", argv[1] ? argv[2] : "");
	e.cmd = cmd;
	d = daemon_add(m, &e);
	d->listen_fd = fd;
	free(cmd);
	return d->program ? 0 : us_fail(err, US_ECONFIG, "the program metad is not there");
}

static void stop_hearing(struct daemon *d)
{
	io_close(&d->heard_fd);
	d->n_heard = 0;
}

static void free_daemon(struct daemon *d)
{
	stop_hearing(d);
	io_close(&d->listen_fd);
	entry_fini(&d->entry);
	free(d->program);
	free(d);
}

void daemon_sweep(struct master *m)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->daemons.n; i++) {
		struct daemon *d = m->daemons.items[i];
		if (d->removed && d->state == DAEMON_DOWN)
			free_daemon(d);
		else
			m->daemons.items[kept++] = d;
	}
	m->daemons.n = kept;
}

void daemon_free_all(struct master *m)
{
	for (size_t i = 0; i < m->daemons.n; i++)
		free_daemon(m->daemons.items[i]);
	free(m->daemons.items);
	m->daemons = (struct daemons){NULL, 0, 0};
}

/* ---- starting --------------------------------------------------------------------------------- */

/* metad must learn once that the last run did not end well, and has done what follows from that when it is
 * ready. To all others it is a fact about this run. */
static bool tell_unclean(const struct master *m, const struct daemon *d)
{
	return m->unclean && !(d->listen_fd >= 0 && d->was_up);
}

static pid_t start_process(struct master *m, struct daemon *d, int say_fd, struct us_err *err)
{
	struct spawn what = {.path = d->program,
			     .argv = d->entry.argv,
			     .user = m->as_root ? &m->user : NULL,
			     .status_fd = say_fd,
			     .listen_fd = d->listen_fd,
			     .maxfds = d->entry.maxfds,
			     .dies_with_us = true,
			     .service = d->entry.name,
			     .is_daemon = true,
			     .unclean = tell_unclean(m, d)};

	return spawn_program(&what, err);
}

static void start(struct master *m, struct daemon *d, int64_t now_ms)
{
	struct us_err err = US_ERR_INIT;
	int ends[2] = {-1, -1};

	if (pipe2(ends, O_CLOEXEC) < 0) {
		us_fail_errno(&err, "pipe");
		d->pid = -1;
	} else {
		(void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
		d->pid = start_process(m, d, ends[1], &err);
	}
	io_close(&ends[1]);
	forkrate_note(&d->rate, now_ms);
	if (d->pid < 0) {
		log_event(LOG_ERR, "master.fork.failed", LF_STR("service", d->entry.name),
			  LF_ERR(&err));
		io_close(&ends[0]);
		throttle_note(&d->pace, now_ms);
		return;
	}
	d->heard_fd = ends[0];
	d->state = d->entry.wait ? DAEMON_STARTING : DAEMON_UP;
	proctable_add(&m->procs, d->pid, PROC_DAEMON, d->entry.name, d->program, now_ms)->daemon =
		d;
}

void daemon_start_wanted(struct master *m, struct daemon *d, int64_t now_ms)
{
	if (d->state == DAEMON_DOWN && d->program && !d->removed &&
	    now_ms >= d->pace.not_before_ms &&
	    !forkrate_exceeds(&d->rate, d->entry.maxforkrate, now_ms))
		start(m, d, now_ms);
}

int64_t daemon_wait_ms(const struct daemon *d, int64_t now_ms)
{
	if (d->state != DAEMON_DOWN || !d->program || d->removed)
		return -1;
	if (now_ms < d->pace.not_before_ms)
		return d->pace.not_before_ms - now_ms;
	return RATE_LOOK_MS;
}

/* ---- what it says, and its end ---------------------------------------------------------------- */

static void now_up(struct daemon *d)
{
	stop_hearing(d);
	d->state = DAEMON_UP;
	d->was_up = true;
	log_event(LOG_NOTICE, "master.daemon.ready", LF_STR("service", d->entry.name),
		  LF_NUM("pid", d->pid));
}

/* A daemon nobody waits for may say what it likes; a Cyrus's skeleton says it is available. */
static void drain(struct daemon *d)
{
	char sink[256];
	ssize_t n;

	do
		n = read(d->heard_fd, sink, sizeof(sink));
	while (n > 0 || (n < 0 && errno == EINTR));
	if (n == 0)
		stop_hearing(d);
}

void daemon_hear(struct daemon *d)
{
	static const char ok[4] = {'o', 'k', '\r', '\n'};
	ssize_t n;

	if (d->state != DAEMON_STARTING) {
		drain(d);
		return;
	}
	do
		n = read(d->heard_fd, d->heard + d->n_heard, sizeof(d->heard) - d->n_heard);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return; /* nothing there */
	d->n_heard += (size_t)n;
	if (n > 0 && memcmp(d->heard, ok, d->n_heard) == 0) {
		if (d->n_heard == sizeof(ok))
			now_up(d);
		return;
	}
	/* The end, or something else: this process will never be ready. What follows from its death is
	 * the same as if it had died by itself. */
	log_event(LOG_ERR, "master.daemon.unready", LF_TEXT("daemon did not say it is ready"),
		  LF_STR("service", d->entry.name), LF_NUM("pid", d->pid));
	stop_hearing(d);
	(void)kill(d->pid, SIGKILL); /* our child, not waited for yet */
}

static void pace(struct daemon *d, int status, int64_t age_ms, int64_t now_ms)
{
	char text[256];
	unsigned row;

	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && age_ms >= THROTTLE_WHILE_MS)
		return;
	row = throttle_note(&d->pace, now_ms);
	if (child_end_of(status) != CHILD_END_FAILED || row % THROTTLE_TOO_MANY != 0)
		return;
	snprintf(text, sizeof(text), "daemon %s is repeatedly failing", d->entry.name);
	log_event(LOG_ERR, "master.daemon.failing", LF_TEXT(text), LF_STR("service", d->entry.name),
		  LF_NUM("times", row));
}

void daemon_bury(struct master *m, const struct proc *p, int status, int64_t now_ms)
{
	struct daemon *d = p->daemon;

	stop_hearing(d);
	d->state = DAEMON_DOWN;
	d->pid = 0;
	if (!d->was_up)
		d->deaths++;
	if (m->want_daemons)
		pace(d, status, now_ms - p->born_ms, now_ms);
}
