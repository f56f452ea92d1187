/* metad.c - the one owner of the metadata, started by master before all else.
 *
 *	own the tables, recovering them --> mark the channels, if the last stop was no orderly one --> "ok" --> turns ... TERM
 *
 * master holds the listening socket (descriptor 4): while we are dead, clients wait in its backlog. Started by hand, or by a
 * master that knows nothing of us, we make the socket ourselves.
 *
 * We end with an error when the tables cannot be written any more: the next of us recovers them. If that fails too, clients
 * are told so for a moment before we end, so that they do not wait in vain. The one case in which we stay is that a sync failed
 * and not even the mark of that could be written: then nobody else may open the tables, and everything is refused.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "server/base/child.h"
#include "server/base/conf.h"
#include "server/base/failpoint.h"
#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/process.h"
#include "server/base/wait.h"
#include "server/store/channelmark.h"
#include "server/store/identity.h"
#include "server/store/meta/meta_private.h"
#include "server/store/meta/server.h"

#define PROGRAM      "metad"
#define TURN_MS      250   /* lazy batches and checkpoints are looked at so often */
#define OWN_TRY_MS   100   /* a wait for the lock of the tables; then signals are looked at */
#define OWN_MOST_MS  10000 /* all of them */
#define REFUSE_MS    1000
#define SPARE_FDS    64 /* for Berkeley DB, the log and what else we open */
#define BACKLOG      4096
#define SOCKET_UMASK 0177

struct metad {
	const char *config_path;
	struct conf *conf;
	char *directory;
	struct engine *engine;
	int listen_fd;
};

static int usage(void)
{
	fputs("usage: " PROGRAM " [-C imapd.conf]\n", stderr);
	return EX_USAGE;
}

static int read_options(struct metad *m, int argc, char **argv)
{
	int letter;

	while ((letter = getopt(argc, argv, "C:")) != -1) {
		if (letter != 'C')
			return usage();
		m->config_path = optarg;
	}
	return optind < argc ? usage() : 0;
}

/* Every client is a descriptor. */
static size_t raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return SPARE_FDS;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit); /* what we get is asked for next */
	(void)getrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur > 2 * SPARE_FDS ? (size_t)limit.rlim_cur - SPARE_FDS : SPARE_FDS;
}

static int initialise(struct metad *m, struct us_err *err)
{
	const char *dir;
	int rc = conf_load(m->config_path, PROGRAM, &m->conf, err);

	if (rc == 0)
		rc = process_set_umask(conf_str(m->conf, CONF_umask), err);
	if (rc == 0)
		rc = process_leave_root(conf_str(m->conf, CONF_cyrus_user),
					conf_str(m->conf, CONF_cyrus_group), err);
	if (rc < 0)
		return rc;
	conf_open_log(m->conf, PROGRAM);
	if (child_env_number(CHILD_ENV_VERBOSE, 0) > 0)
		log_set_debug(true);
	dir = conf_str(m->conf, CONF_configdirectory);
	if (!dir)
		return us_fail(err, US_ECONFIG, "configdirectory is not set");
	m->directory = us_asprintf("%s/meta", dir);
	return 0;
}

/* ---- the socket -------------------------------------------------------------------------------- */

static bool has_listener(void)
{
	int listening = 0;
	socklen_t len = sizeof(listening);

	return getsockopt(CHILD_LISTEN_FD, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 &&
	       listening;
}

static int bind_here(int fd, const char *path, struct us_err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	mode_t before;
	int rc = 0;

	if (strlen(path) >= sizeof(address.sun_path))
		return us_fail(err, US_ECONFIG, "the path %s is too long for a socket", path);
	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	if (unlink(path) < 0 && errno != ENOENT)
		return us_fail_errno(err, "remove %s", path);
	before = umask(SOCKET_UMASK); /* whoever may connect may do everything */
	if (bind(fd, (const void *)&address, sizeof(address)) < 0 || listen(fd, BACKLOG) < 0)
		rc = us_fail_errno(err, "listen on %s", path);
	umask(before);
	return rc;
}

/* Only for the owner of the tables: whatever is at that path belongs to nobody any more. */
static int listen_ourselves(struct metad *m, struct us_err *err)
{
	char *dir = us_asprintf("%s/socket", conf_str(m->conf, CONF_configdirectory));
	char *path = us_asprintf("%s/metad", dir);
	int rc = io_mkdirs(FP("meta.socket.mkdir"), dir, err);

	m->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (rc == 0 && m->listen_fd < 0)
		rc = us_fail_errno(err, "socket");
	if (rc == 0)
		rc = bind_here(m->listen_fd, path, err);
	free(path);
	free(dir);
	return rc;
}

static int get_listener(struct metad *m, struct us_err *err)
{
	m->listen_fd = has_listener() ? CHILD_LISTEN_FD : -1;
	return m->listen_fd >= 0 ? 0 : listen_ourselves(m, err);
}

/* ---- the tables --------------------------------------------------------------------------------- */

/* Whoever has them may be about to end: a metad of a master that died, a tool. */
static int own(struct metad *m, struct us_err *err)
{
	const struct engine_config config =
		{.directory = m->directory,
		 .cache_bytes = (size_t)conf_bytes(m->conf, CONF_metad_cache_size),
		 .wait_ms = OWN_TRY_MS,
		 .backup = {.interval_s =
				    (unsigned)conf_duration_s(m->conf, CONF_metad_backup_interval),
			    .rate = (uint64_t)conf_bytes(m->conf, CONF_metad_backup_rate),
			    .log_bytes = (uint64_t)conf_bytes(m->conf, CONF_metad_backup_log),
			    .log_percent =
				    (unsigned)conf_int(m->conf, CONF_metad_backup_log_percent)}};
	int64_t deadline = wait_deadline_ms(OWN_MOST_MS);
	int rc;

	do
		rc = engine_open(&config, &m->engine, err);
	while (rc == US_EBUSY && !process_flags.stop && wait_left_ms(deadline));
	return rc;
}

/* Sync logs are not synced, so after a stop that was no orderly one every channel owes a full comparison. */
static int mark_channels(struct metad *m, struct us_err *err)
{
	struct meta *meta;
	int rc;

	if (!child_env_number(CHILD_ENV_UNCLEAN, 0))
		return 0;
	meta = meta_of_engine(m->engine);
	rc = channelmark_owe_all(meta, "unclean", err);
	meta_close(&meta);
	if (rc >= 0)
		log_event(LOG_NOTICE, "meta.unclean",
			  LF_TEXT("the last stop was no orderly one: all channels compare "
				  "everything"),
			  LF_NUM("times", rc));
	return rc < 0 ? rc : 0;
}

/* ---- turns --------------------------------------------------------------------------------------- */

static int make_server(struct metad *m, struct meta_server **out, struct us_err *err)
{
	struct meta_server_config config = {
		.engine = m->engine,
		.listen_fd = m->listen_fd,
		.max_request = (size_t)conf_bytes(m->conf, CONF_metad_max_request),
		.max_clients = raise_descriptors(),
	};

	return meta_server_new(&config, out, err);
}

static bool must_stay(const struct metad *m)
{
	return engine_failed(m->engine) && !engine_may_be_left(m->engine);
}

/* Until we are told to stop, or cannot go on. Signals come in while we wait, and only then: no stop is slept through. */
static int serve(struct metad *m, struct meta_server *server, struct us_err *err)
{
	sigset_t held, open;
	int rc = 0;

	sigfillset(&held);
	sigprocmask(SIG_BLOCK, &held, &open);
	while (!process_flags.stop && (!engine_failed(m->engine) || must_stay(m))) {
		rc = meta_server_turn(server, engine_wait_ms(m->engine, TURN_MS), &open, err);
		if (engine_tend(m->engine, err) < 0)
			rc = err->code;
		if (rc < 0 && !engine_failed(m->engine))
			break;
	}
	return rc;
}

static int run(struct metad *m)
{
	struct meta_server *server = NULL;
	struct us_err err;
	int rc = make_server(m, &server, &err);

	if (rc == 0) {
		child_say_ok();
		log_event(LOG_NOTICE, "meta.ready", LF_TEXT("metadata is ready"));
		rc = serve(m, server, &err);
	}
	if (rc < 0 && !process_flags.stop)
		log_event(LOG_ERR, "meta.ends", LF_TEXT("metad cannot go on"), LF_ERR(&err));
	meta_server_free(&server);
	return rc < 0 ? EX_IOERR : EX_TEMPFAIL;
}

/* Nothing can be served: say so to whoever is waiting. */
static void refuse_for_a_moment(struct metad *m)
{
	struct meta_server *server = NULL;
	int64_t deadline = wait_deadline_ms(REFUSE_MS);
	struct us_err err;
	int rc = m->listen_fd >= 0 ? make_server(m, &server, &err) : -1;

	while (rc == 0 && !process_flags.stop && wait_left_ms(deadline))
		rc = meta_server_turn(server, wait_left_ms(deadline), NULL, &err);
	meta_server_free(&server);
}

static int own_and_run(struct metad *m)
{
	struct us_err err = US_ERR_INIT, closing;
	int status = EX_IOERR;
	int rc = own(m, &err);

	if (rc == 0)
		rc = identity_ensure(conf_str(m->conf, CONF_configdirectory), &err);
	if (rc == 0)
		rc = mark_channels(m, &err);
	if (rc == 0)
		rc = get_listener(m, &err);
	if (rc == 0) {
		status = run(m);
	} else if (!process_flags.stop) {
		log_event(LOG_ERR, "meta.unusable", LF_TEXT("IOERROR: opening the metadata"),
			  LF_ERR(&err));
		m->listen_fd = has_listener() ? CHILD_LISTEN_FD : -1;
		(void)engine_close(&m->engine, &closing); /* *err tells what went wrong */
		if (rc != US_EBUSY)
			refuse_for_a_moment(m);
		status = us_err_exit(rc);
	} else {
		status = EX_TEMPFAIL;
	}
	if (engine_close(&m->engine, &closing) < 0) {
		log_event(LOG_ERR, "meta.close.failed", LF_ERR(&closing));
		status = EX_IOERR;
	}
	return status;
}

int main(int argc, char **argv)
{
	struct metad m = {.listen_fd = -1};
	struct us_err err;
	int status;

	if (process_reserve_fds(&err) < 0)
		us_fatal(EX_OSERR, "%s", err.text);
	failpoint_init();
	status = read_options(&m, argc, argv);
	if (status)
		return status;
	process_signals_catch();
	if (initialise(&m, &err) < 0)
		us_fatal(us_err_exit(err.code), "%s", err.text);
	status = own_and_run(&m);
	free(m.directory);
	conf_free(&m.conf);
	return status;
}
