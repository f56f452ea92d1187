/* main.c - idled: tells sessions in IDLE when their mailbox changes (hall.h).
 *
 * Nobody depends on it: a session that finds it gone listens for itself. Started by master as a DAEMON it stays in the
 * foreground; from START, or by hand, it goes on in the background once it listens, unless -d says otherwise.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include "server/base/child.h"
#include "server/base/conf.h"
#include "server/base/failpoint.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/process.h"
#include "server/idle/hall.h"

#define PROGRAM "idled"

struct options {
	const char *config_path;
	bool foreground;
};

static int read_options(struct options *o, int argc, char **argv)
{
	int letter;

	opterr = 0; /* in the words of a Cyrus, and only those */
	while ((letter = getopt(argc, argv, "C:d")) != -1) {
		if (letter == 'C') {
			o->config_path = optarg;
		} else if (letter == 'd') {
			o->foreground = true;
		} else {
			fputs("invalid argument\n", stderr);
			return EX_USAGE;
		}
	}
	return 0;
}

/* Every session is a descriptor. */
static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE,
			&limit); /* what we do not get is told of when it is missed */
}

static int initialise(const struct options *o, struct conf **conf, struct us_err *err)
{
	int rc = conf_load(o->config_path, PROGRAM, conf, err);

	if (rc == 0)
		rc = process_set_umask(conf_str(*conf, CONF_umask), err);
	if (rc == 0)
		rc = process_leave_root(conf_str(*conf, CONF_cyrus_user),
					conf_str(*conf, CONF_cyrus_group), err);
	if (rc < 0)
		return rc;
	conf_open_log(*conf, PROGRAM);
	if (o->foreground || child_env_number(CHILD_ENV_VERBOSE, 0) > 0)
		log_set_debug(true);
	if (o->foreground)
		log_set_stderr(true);
	raise_descriptors();
	return 0;
}

/* Signals come in while we wait, and only then: no stop is slept through. */
static int serve(struct hall *hall)
{
	sigset_t held, open;
	struct us_err err;
	int rc = 0;

	sigfillset(&held);
	sigprocmask(SIG_BLOCK, &held, &open);
	while (rc == 0 && !process_flags.stop && !process_flags.reload)
		rc = hall_turn(hall, &open, &err);
	if (rc < 0)
		log_event(rc == US_ECHANGED ? LOG_NOTICE : LOG_ERR, "idled.ends", LF_ERR(&err));
	if (rc < 0)
		return rc == US_ECHANGED ? EX_TEMPFAIL : EX_OSERR;
	return process_flags.stop ? EX_TEMPFAIL
				  : 0; /* HUP: master starts the next, which reads anew */
}

int main(int argc, char **argv)
{
	struct options options = {0};
	struct conf *conf = NULL;
	struct hall *hall = NULL;
	struct us_err err;
	int tell = -1, status;

	if (process_reserve_fds(&err) < 0)
		us_fatal(EX_OSERR, "%s", err.text);
	failpoint_init();
	status = read_options(&options, argc, argv);
	if (status)
		return status;
	process_signals_catch();
	if (initialise(&options, &conf, &err) < 0)
		us_fatal(us_err_exit(err.code), "%s", err.text);
	if (!options.foreground && !child_env_number(CHILD_ENV_ISDAEMON, 0) &&
	    process_detach(&tell, &err) < 0)
		us_fatal(EX_OSERR, "%s", err.text);
	if (hall_open(conf, &hall, &err) < 0)
		us_fatal(us_err_exit(err.code), "%s", err.text);
	if (tell >= 0 && process_null_stdio(0, &err) < 0)
		us_fatal(EX_OSERR, "%s", err.text);
	process_detached(&tell, 0);
	child_say_ok();
	log_event(LOG_INFO, "idled.ready");
	status = serve(hall);
	hall_close(&hall);
	conf_free(&conf);
	return status;
}
