/* service_accept.c - the parent: accept, fork, count, leave.
 *
 * What ends the loop, and what becomes of the connections then:
 *
 *	TERM, INT, QUIT		they are told to stop		exit 75
 *	HUP			they finish their clients	exit 0
 *	program file replaced	the same			exit 0
 *	master is gone		the same			exit 0
 *
 * A connection is a child of ours and holds nothing of ours but what fork copied: neither the listener nor
 * the status pipe. When we die it becomes master's child.
 */
#include "server/session/proc_note.h"
#include "server/session/service_private.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "config.h"
#include "server/base/child.h"
#include "server/base/forkrate.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/process.h"
#include "server/base/wait.h"
#include "server/session/host.h"

#define LOOK_MS  100  /* how often to look whether there is room again, where no signal tells */
#define PAUSE_MS 1000 /* after the system had no descriptor or process for us */

struct connection {
	pid_t pid;
	int64_t born_ms;
};

struct acceptor {
	const struct service *service;
	const struct service_env *env;
	struct service_binary binary;
	struct connection *connections;
	size_t n, cap;
	struct service_spares spares;
	bool wants_spare; /* somebody came since the last, so others will */
	struct service_survivors survivors;
	int64_t maxchild; /* negative: no limit */
	unsigned maxforkrate;
	struct forkrate rate;
	int64_t not_before_ms;
	bool was_full;
};

/* ---- the program file ------------------------------------------------------------------------- */

void service_binary_note(struct service_binary *b, const char *path)
{
	struct stat st;

	*b = (struct service_binary){.path = path};
	if (stat(path, &st) < 0) {
		b->path = NULL; /* not known by that name: never replaced */
		return;
	}
	b->dev = st.st_dev;
	b->ino = st.st_ino;
	b->size = st.st_size;
	b->mtime = st.st_mtim;
}

bool service_binary_replaced(const struct service_binary *b)
{
	struct stat st;

	if (!b->path || stat(b->path, &st) < 0)
		return false;
	return st.st_dev != b->dev || st.st_ino != b->ino || st.st_size != b->size ||
	       st.st_mtim.tv_sec != b->mtime.tv_sec || st.st_mtim.tv_nsec != b->mtime.tv_nsec;
}

/* ---- counting --------------------------------------------------------------------------------- */

static bool is_full(struct acceptor *a)
{
	if (a->maxchild < 0)
		return false;
	if ((int64_t)(a->n + a->survivors.n) >= a->maxchild)
		service_survivors_prune(&a->survivors); /* nobody tells us when one of them ends */
	return (int64_t)(a->n + a->survivors.n) >= a->maxchild;
}

static void log_abnormal(const struct acceptor *a, pid_t pid, int64_t born_ms, int status)
{
	struct child_obituary who = {.type = "SERVICE",
				     .name = a->env->name,
				     .path = a->binary.path ? a->binary.path : a->service->name,
				     .age_ms = wait_clock_ms() - born_ms,
				     .pid = pid,
				     .status = status};

	if (child_end_of(status) == CHILD_END_FAILED)
		child_log_end(&who);
}

/* When it began, or -1: no connection of ours. */
static int64_t forget(struct acceptor *a, pid_t pid)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->connections[i].pid == pid) {
			int64_t born_ms = a->connections[i].born_ms;
			a->connections[i] = a->connections[--a->n];
			return born_ms;
		}
	return -1;
}

static void bury(struct acceptor *a, pid_t pid, int status)
{
	int64_t born_ms = forget(a, pid);

	if (born_ms < 0)
		return;
	log_abnormal(a, pid, born_ms, status);
	if (status)
		proc_note_clean(a->env->conf, pid);
}

static void reap(struct acceptor *a)
{
	int64_t born_ms;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (service_spare_bury(&a->spares, pid, &born_ms)) {
			log_abnormal(a, pid, born_ms, status);
			/* Another when somebody came, not before: it might die again. */
			a->wants_spare = false;
		} else {
			bury(a, pid, status);
		}
}

/* Who said that its client has left, and who has ended. */
static void hear_spares(struct acceptor *a, const struct pollfd *fds)
{
	for (size_t i = 0; i < SERVICE_SPARES; i++)
		if (fds[i].revents) {
			pid_t pid = service_spare_heard(&a->spares.slots[i]);
			if (pid)
				forget(a, pid);
		}
}

/* ---- one connection --------------------------------------------------------------------------- */

/* What init() and libraries hold is the parent's, and goes with the process: to take it down, page by page that would have
 * to be copied first, costs more than to log in. A sanitizer looks for leaks at the exit. */
static void end_connection(int status) __attribute__((noreturn));
static void end_connection(int status)
{
#ifdef US_SANITIZERS
	exit(status);
#else
	fflush(NULL);
	_exit(status);
#endif
}

/* In the child: away with what is the parent's. process_flags.stop stays as it is: TERM may have come to the parent just
 * before the fork. */
static void leave_parent(struct acceptor *a)
{
	close(CHILD_LISTEN_FD);
	close(CHILD_STATUS_FD);
	signal(SIGHUP, SIG_IGN); /* the client is served to the end in any case */
	service_spares_drop(&a->spares);
	free(a->connections);
	service_survivors_free(&a->survivors);
	if (a->env->host)
		host_after_fork(a->env->host);
}

/* The life of a spare: one client, or as many as it may have. What a session may leave behind in memory is bounded. */
static int serve_in_turn(struct acceptor *a, int from)
{
	unsigned left = a->service->again ? a->env->uses : 1;
	int client, status = 0;

	do {
		process_title_set("%s waits for a client", a->env->name);
		client = service_spare_wait(from);
		if (client >= 0)
			status = service_serve(a->service, a->env, client, client);
	} while (client >= 0 && status == 0 && left-- > 1 && service_spare_free(from));
	return status;
}

static void make_spare(struct acceptor *a)
{
	int from;

	if (service_spare_fork(&a->spares, &from)) {
		leave_parent(a);
		if (a->env->host)
			host_prepare(a->env->host);
		end_connection(serve_in_turn(a, from));
	}
	if (!service_spares_any(&a->spares))
		a->not_before_ms = wait_clock_ms() + PAUSE_MS;
}

static pid_t fork_for(struct acceptor *a, int fd)
{
	pid_t pid = fork();

	if (pid == 0) {
		leave_parent(a);
		end_connection(service_serve(a->service, a->env, fd, fd));
	}
	return pid;
}

static void serve(struct acceptor *a, int fd)
{
	int64_t now_ms = wait_clock_ms();
	pid_t pid = service_spare_hand(&a->spares, fd);

	if (!pid)
		pid = fork_for(a, fd);
	close(fd);
	if (pid < 0) {
		log_event(LOG_ERR, "service.fork.failed", LF_STR("reason", strerror(errno)));
		a->not_before_ms = now_ms + PAUSE_MS;
		return;
	}
	forkrate_note(&a->rate, now_ms);
	us_grow(&a->connections, a->n, &a->cap, sizeof(*a->connections));
	a->connections[a->n++] = (struct connection){pid, now_ms};
	a->wants_spare = true;
}

static void accept_one(struct acceptor *a)
{
	int fd = accept4(CHILD_LISTEN_FD, NULL, NULL, SOCK_CLOEXEC);

	if (fd >= 0) {
		serve(a, fd);
		return;
	}
	switch (errno) {
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		log_event(LOG_ERR, "service.accept.failed", LF_STR("reason", strerror(errno)));
		a->not_before_ms = wait_clock_ms() + PAUSE_MS;
		break;
	default: /* another took him, or he has gone: accept(2) lists what a network can do to us */
		break;
	}
}

/* ---- the loop --------------------------------------------------------------------------------- */

static void tell_all(const struct acceptor *a)
{
	for (size_t i = 0; i < a->n; i++)
		(void)kill(a->connections[i].pid, SIGTERM); /* our child, not waited for yet */
}

static int leave(const char *why)
{
	log_event(LOG_INFO, "service.leaves", LF_STR("reason", why));
	return 0;
}

/* How long to sleep; *watch: is a client welcome now? */
static int next_look_ms(struct acceptor *a, bool *watch)
{
	int64_t now_ms = wait_clock_ms();
	bool full = is_full(a);

	if (full && !a->was_full)
		log_event(LOG_NOTICE, "service.full", LF_NUM("limit", a->maxchild));
	a->was_full = full;
	*watch = false;
	if (now_ms < a->not_before_ms)
		return (int)(a->not_before_ms - now_ms);
	if (full)
		return a->survivors.n ? LOOK_MS : -1;
	if (forkrate_exceeds(&a->rate, a->maxforkrate, now_ms))
		return LOOK_MS;
	*watch = true;
	return -1;
}

/* What the loop sleeps on. */
enum { STATUS, LISTENER, SPARES, WATCHED = SPARES + SERVICE_SPARES };

static void watch_all(const struct acceptor *a, bool client_is_welcome, struct pollfd *fds)
{
	fds[STATUS] = (struct pollfd){child_has_status_pipe() ? CHILD_STATUS_FD : -1, 0, 0};
	fds[LISTENER] = (struct pollfd){client_is_welcome ? CHILD_LISTEN_FD : -1, POLLIN, 0};
	for (size_t i = 0; i < SERVICE_SPARES; i++)
		fds[SPARES + i] = (struct pollfd){a->spares.slots[i].fd, POLLIN, 0};
}

/* The next thing to be done by itself: -1, there is none. */
static int sleep_ms(struct acceptor *a, bool *watch, bool *idle)
{
	int timeout_ms = next_look_ms(a, watch),
	    thin_ms = service_spares_thin(&a->spares, (int64_t)a->env->patience_s * 1000);

	*idle = *watch && a->wants_spare && !service_spares_any(&a->spares);
	if (*idle) /* if nobody is there just now */
		return 0;
	return timeout_ms < 0 || (thin_ms >= 0 && thin_ms < timeout_ms) ? thin_ms : timeout_ms;
}

/* Returns an exit status, or -1 to go on. */
static int take_turn(struct acceptor *a)
{
	struct pollfd fds[WATCHED];
	struct us_err err;
	bool watch, idle;
	int timeout_ms = sleep_ms(a, &watch, &idle), rc;

	watch_all(a, watch, fds);
	rc = wait_ready(fds, WATCHED, timeout_ms, &process_flags.wake, &err);
	if (rc < 0 && rc != US_ECLOSED)
		us_panic("poll: %s", err.text);
	if (rc == 0 && idle)
		make_spare(a);
	if (rc <= 0)
		return -1;
	if (fds[STATUS].revents & POLLERR)
		return leave("master is gone");
	hear_spares(a, fds + SPARES);
	if (!fds[LISTENER].revents)
		return -1;
	if (service_binary_replaced(&a->binary))
		return leave("the program was replaced");
	accept_one(a);
	return -1;
}

static int look_at_signals(struct acceptor *a)
{
	/* Before the flags are looked at: one that comes now wakes us again. */
	process_flags.wake = 0;
	if (process_flags.child) {
		process_flags.child = 0;
		reap(a);
	}
	if (process_flags.stop) {
		log_event(LOG_INFO, "service.stops", LF_TEXT("graceful shutdown"),
			  LF_NUM("connections", a->n));
		tell_all(a);
		return EX_TEMPFAIL;
	}
	return process_flags.reload ? leave("SIGHUP") : -1;
}

int service_accept_loop(const struct service *service, const struct service_env *env,
			const char *program)
{
	struct acceptor a = {.service = service,
			     .env = env,
			     .maxchild = child_env_number(CHILD_ENV_MAXCHILD, -1),
			     .maxforkrate = (unsigned)child_env_number(CHILD_ENV_FORKRATE, 0)};
	int status;

	service_spares_init(&a.spares);
	service_binary_note(&a.binary, program);
	service_survivors_read(&a.survivors, getenv(CHILD_ENV_SURVIVORS));
	/* With a Cyrus's master several of us may watch one listener, and another may be faster. */
	(void)fcntl(CHILD_LISTEN_FD, F_SETFL, O_NONBLOCK);
	if (getenv(CHILD_ENV_MAXCHILD))
		child_say(CHILD_FORKING);
	do {
		status = look_at_signals(&a);
		if (status < 0)
			status = take_turn(&a);
	} while (status < 0);
	service_spares_drop(&a.spares);
	free(a.connections);
	service_survivors_free(&a.survivors);
	return status;
}
