/* service.c - see service.h. From main() to the loop: options, configuration, privileges, initialisation. */
#include "server/session/service.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "server/base/child.h"
#include "server/base/conf.h"
#include "server/base/failpoint.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/process.h"
#include "server/base/span.h"
#include "server/session/host.h"
#include "server/session/proc_note.h"
#include "server/session/service_private.h"

#define DEBUGGER_VERBOSE 30 /* CYRUS_VERBOSE above this: */
#define DEBUGGER_WAIT_S  15 /* time to attach one */
#define MOST_PROTECTION  1024
#define MOST_USES        1000000
#define MOST_PATIENCE_S  86400
#define USES             250 /* as a Cyrus's */
#define PATIENCE_S       60

struct starting {
	const struct service *service;
	struct service_env env;
	struct host host;
	char *config_path;
	char program[4096];
	bool on_stdio; /* -X */
};

/* ---- options ---------------------------------------------------------------------------------- */

static int usage(const struct service *service)
{
	log_event(LOG_ERR, "service.usage", LF_TEXT("usage error"));
	fprintf(stderr, "usage: %s [-C imapd.conf] [-X] [-D] [-U uses] [-T seconds]%s%s\n",
		service->name, service->options ? " and of its own: " : "",
		service->options ? service->options : "");
	return EX_USAGE;
}

/* Options come one in a word, as a Cyrus's service wants them: what would mean two things to the two is an
 * error for both. `before`: optind when this option was looked for. */
static bool stands_alone(int before)
{
	return optind == before + (optarg ? 2 : 1);
}

static int take_number(unsigned *out, unsigned most, int letter, struct us_err *err)
{
	uint64_t number;

	if (!span_u64(span_of(optarg), most, &number))
		return us_fail(err, US_EINVAL, "-%c wants a number", letter);
	*out = (unsigned)number;
	return 0;
}

static int take_own(struct starting *s, int letter, struct us_err *err)
{
	if (letter == 'U')
		return take_number(&s->env.uses, MOST_USES, letter, err);
	if (letter == 'T')
		return take_number(&s->env.patience_s, MOST_PATIENCE_S, letter, err);
	if (letter == 'p')
		return take_number(&s->env.protection, MOST_PROTECTION, letter, err);
	if (letter == 's') {
		s->env.implicit_tls = true;
		return 0;
	}
	return s->service->option(s->service->ctx, letter, optarg, err);
}

static int take_option(struct starting *s, int letter)
{
	struct us_err err;

	switch (letter) {
	case 'C':
		free(s->config_path);
		s->config_path = us_strdup(optarg);
		return 0;
	case 'X':
		s->on_stdio = true;
		return 0;
	case 'D':
		return 0;
	case '?':
		return usage(s->service);
	default:
		break;
	}
	if (take_own(s, letter, &err) == 0)
		return 0;
	fprintf(stderr, "%s: %s\n", s->service->name, err.text);
	return usage(s->service);
}

static int read_options(struct starting *s, int argc, char **argv)
{
	const char *own = s->service->options ? s->service->options : "";
	char *letters = us_asprintf("C:U:T:DX%s", own);
	int letter, before, status = 0;

	optind = 1;
	while (before = optind, status == 0 && (letter = getopt(argc, argv, letters)) != -1) {
		if (letter != '?' && !stands_alone(before)) {
			fprintf(stderr, "%s: -%c: options must stand in words of their own\n",
				s->service->name, letter);
			status = EX_USAGE;
		} else {
			status = take_option(s, letter);
		}
	}
	free(letters);
	return status ? status : optind < argc ? usage(s->service) : 0;
}

/* ---- what surrounds us ------------------------------------------------------------------------ */

static bool has_listener(void)
{
	int listening = 0;
	socklen_t len = sizeof(listening);

	return getsockopt(CHILD_LISTEN_FD, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 &&
	       listening;
}

static void look_around(struct starting *s)
{
	const char *name = getenv(CHILD_ENV_SERVICE);
	ssize_t n = readlink("/proc/self/exe", s->program, sizeof(s->program) - 1);

	s->program[n > 0 ? n : 0] = '\0';
	s->env.name = name && *name ? name : s->service->name;
	s->env.id = (int)child_env_number(CHILD_ENV_ID, 0);
	s->env.unclean = child_env_number(CHILD_ENV_UNCLEAN, 0) != 0;
	s->env.config_path = s->config_path;
	s->env.alone = s->on_stdio || !has_listener();
}

/* ---- configuration and privileges ------------------------------------------------------------- */

static int drop_privileges(const struct starting *s, struct us_err *err)
{
	return process_leave_root(conf_str(s->env.conf, CONF_cyrus_user),
				  conf_str(s->env.conf, CONF_cyrus_group), err);
}

static int open_host(struct starting *s, struct us_err *err)
{
	struct service_env *env = &s->env;
	unsigned parts = s->service->parts;
	int rc;

	if (!parts)
		return 0;
	rc = host_open(env->conf, env->name, parts | (env->alone ? HOST_TOOL : 0), &s->host, err);
	if (rc < 0)
		return rc;
	env->host = &s->host;
	if (env->implicit_tls && !s->host.tls)
		return conf_fail(env->conf, CONF_tls_server_cert, err,
				 "-s needs a certificate and a key");
	return 0;
}

/* The log is opened by whom it will belong to; what goes wrong before is told by stderr and syslog. */
static int initialise(struct starting *s, struct us_err *err)
{
	const struct service *service = s->service;
	int rc;

	rc = conf_load(s->env.config_path, s->env.name, &s->env.conf, err);
	if (rc == 0)
		rc = process_set_umask(conf_str(s->env.conf, CONF_umask), err);
	if (rc == 0 && service->init_as_root)
		rc = service->init_as_root(service->ctx, &s->env, err);
	if (rc == 0)
		rc = drop_privileges(s, err);
	if (rc < 0)
		return rc;
	conf_open_log(s->env.conf, s->env.name);
	if (child_env_number(CHILD_ENV_VERBOSE, 0) > 0)
		log_set_debug(true);
	rc = open_host(s, err);
	return rc == 0 && service->init ? service->init(service->ctx, &s->env, err) : rc;
}

static void wait_for_debugger(void)
{
	if (child_env_number(CHILD_ENV_VERBOSE, 0) > DEBUGGER_VERBOSE)
		sleep(DEBUGGER_WAIT_S);
}

static int serve(const struct starting *s)
{
	int status;

	if (s->env.alone) {
		status = service_serve(s->service, &s->env, STDIN_FILENO, STDOUT_FILENO);
	} else {
		proc_note_clean(s->env.conf, 0);
		status = service_accept_loop(s->service, &s->env, s->program);
	}
	service_end(s->service, &s->env);
	return status;
}

int service_run(const struct service *service, int argc, char **argv)
{
	struct starting s = {.service = service, .env = {.uses = USES, .patience_s = PATIENCE_S}};
	struct us_err err = US_ERR_INIT;
	int status;

	failpoint_init();
	status = read_options(&s, argc, argv);
	if (status == 0) {
		process_title_init(argc, argv);
		process_signals_catch();
		look_around(&s);
		wait_for_debugger();
		if (initialise(&s, &err) < 0)
			us_fatal(us_err_exit(err.code), "%s", err.text);
		status = serve(&s);
		conf_free(&s.env.conf);
	}
	free(s.config_path);
	return status;
}
