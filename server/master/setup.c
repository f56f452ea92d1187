/* setup.c - see setup.h. */
#include "server/master/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "config.h"
#include "server/base/child.h"
#include "server/base/conf.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/master/kin.h"
#include "server/master/master_private.h"
#include "server/master/pidfile.h"

/* ---- the command line ------------------------------------------------------------------------- */

static void usage(void) __attribute__((noreturn));
static void usage(void)
{
	fprintf(stderr, "usage: master [-C imapd.conf] [-M cyrus.conf] [-l backlog] [-p pid file] "
			"[-r ready file] [-L output file] [-j n] [-d | -D] [-v] [-V]\n");
	exit(EX_USAGE);
}

static unsigned number(const char *text)
{
	uint64_t n;

	if (!span_u64(span_of(text), INT_MAX, &n))
		usage();
	return (unsigned)n;
}

static void set_path(char **path, const char *value)
{
	free(*path);
	*path = us_strdup(value);
}

static void take_option(struct master_options *opt, int letter)
{
	switch (letter) {
	case 'C':
		set_path(&opt->imapd_conf, optarg);
		break;
	case 'M':
		set_path(&opt->cyrus_conf, optarg);
		break;
	case 'l':
		opt->backlog = (int)number(optarg);
		break;
	case 'p':
		opt->pid_file = optarg;
		break;
	case 'r':
		opt->ready_file = optarg;
		break;
	case 'L':
		opt->output_file = optarg;
		break;
	case 'j': /* a Cyrus's master must look for late messages that often; see loop.c for why not we */
		(void)number(optarg);
		break;
	case 'd':
		opt->detach = true;
		break;
	case 'D':
		opt->keep_stdio = true;
		break;
	case 'v':
		opt->verbose++;
		break;
	case 'V':
		printf("cyrus-imapd %s-Understudy-%s\n", CYRUS_INTERFACE_VERSION,
		       UNDERSTUDY_VERSION);
		exit(0);
	default:
		usage();
	}
}

/* With -d we change directory, and read these files later. */
static void make_absolute(char **path)
{
	char *full = *path ? realpath(*path, NULL) : NULL;

	if (!full)
		return; /* a file that is not there: its reader says so */
	free(*path);
	*path = full;
}

static void set_verbosity(const struct master *m)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", m->opt.verbose);
	if (m->opt.verbose)
		setenv(CHILD_ENV_VERBOSE, text, 1);
}

void setup_options(struct master *m, int argc, char **argv)
{
	int letter;

	m->opt.backlog = MASTER_BACKLOG;
	while ((letter = getopt(argc, argv, "C:M:l:p:r:L:j:dDvV")) != -1)
		take_option(&m->opt, letter);
	if (optind < argc)
		usage();
	if (m->opt.detach && m->opt.keep_stdio)
		us_fatal(EX_CONFIG, "master: -d and -D exclude each other");
	set_verbosity(m);
	make_absolute(&m->opt.imapd_conf);
	make_absolute(&m->opt.cyrus_conf);
}

/* ---- imapd.conf ------------------------------------------------------------------------------- */

/* What IP_TOS says for a class of service: its DSCP stands in the upper six bits (RFC 2474). */
static int tos_of(const char *word)
{
	if (strcmp(word, "ef") == 0)
		return 46 << 2;
	if (strncmp(word, "af", 2) == 0)
		return ((word[2] - '0') * 8 + (word[3] - '0') * 2) << 2;
	return (word[2] - '0') << 5; /* cs0 to cs7 */
}

static void take_values(struct master *m)
{
	const char *ready =
		m->opt.ready_file ? m->opt.ready_file : conf_str(m->conf, CONF_master_ready_file);
	const char *pid =
		m->opt.pid_file ? m->opt.pid_file : conf_str(m->conf, CONF_master_pid_file);

	m->configdirectory = conf_str(m->conf, CONF_configdirectory);
	m->pid_file = us_strdup(pid);
	m->ready_file = ready && *ready ? us_strdup(ready) : NULL;
	m->bind_errors_fatal = conf_bool(m->conf, CONF_master_bind_errors_fatal);
	m->tos = tos_of(conf_word_text(conf_enum(m->conf, CONF_qosmarking)));
}

static void check_configdirectory(const struct master *m)
{
	struct stat st;

	if (stat(m->configdirectory, &st) < 0)
		us_fatal(EX_CONFIG, "configdirectory %s: %s", m->configdirectory, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		us_fatal(EX_CONFIG, "configdirectory %s is no directory", m->configdirectory);
}

static void find_user(struct master *m)
{
	struct us_err err;

	m->as_root = geteuid() == 0;
	if (m->as_root &&
	    process_user_find(conf_str(m->conf, CONF_cyrus_user),
			      conf_str(m->conf, CONF_cyrus_group), &m->user, &err) < 0)
		us_fatal(EX_CONFIG, "%s", err.text);
}

/* As the user, whose processes write into the same file. */
static void open_log(const struct master *m)
{
	master_step_down(m);
	conf_open_log(m->conf, "master");
	master_step_up(m);
	if (child_env_number(CHILD_ENV_VERBOSE, 0) > 0)
		log_set_debug(true);
}

void setup_conf(struct master *m)
{
	struct us_err err;

	log_open("master", LOG_MAIL); /* until we know better */
	if (conf_load(m->opt.imapd_conf, "master", &m->conf, &err) < 0)
		us_fatal(EX_CONFIG, "%s", err.text);
	find_user(m);
	open_log(m);
	take_values(m);
	check_configdirectory(m);
}

/* ---- the process ------------------------------------------------------------------------------ */

static void raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit); /* up to what we may: cannot fail */
}

/* -L gets standard output and error; else, without -D, nobody does. */
static void redirect_output(const struct master *m)
{
	struct us_err err;
	int fd;

	if (m->opt.keep_stdio)
		return;
	if (process_null_stdio(0, &err) < 0)
		us_fatal(EX_OSERR, "%s", err.text);
	if (!m->opt.output_file)
		return;
	fd = open(m->opt.output_file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
	if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
		us_fatal(EX_CANTCREAT, "%s: %s", m->opt.output_file, strerror(errno));
	close(fd);
}

/* Where a process of ours may leave its core. */
static void go_to_cores(const struct master *m)
{
	char *cores = us_asprintf("%s/cores", m->configdirectory);

	(void)!chdir(cores); /* usually there is none, and we stay where we are */
	free(cores);
}

static void take_lock(struct master *m, int *tell)
{
	struct us_err err;
	int rc = pidfile_lock(m->pid_file, &m->pid_fd, &err);

	if (rc < 0)
		process_detached(tell, EX_OSERR);
	if (rc == US_EBUSY)
		us_fatal(EX_OSERR,
			 "cannot get exclusive lock on pidfile %s (is another master still "
			 "running?)",
			 m->pid_file);
	if (rc < 0)
		us_fatal(EX_OSERR, "%s", err.text);
}

void setup_process(struct master *m)
{
	struct us_err err;
	int tell = -1;

	raise_limits();
	if (m->opt.detach) {
		if (process_detach(&tell, &err) < 0)
			us_fatal(EX_OSERR, "%s", err.text);
		go_to_cores(m);
	}
	process_signals_catch();
	umask(022);
	take_lock(m, &tell);
	redirect_output(m);
	process_detached(&tell, 0);
	if (process_set_umask(conf_str(m->conf, CONF_umask), &err) < 0)
		us_fatal(EX_CONFIG, "%s", err.text);
	if (kin_become_reaper(&err) < 0)
		us_fatal(EX_OSERR, "%s", err.text);
	if (m->as_root && process_step_down(&m->user, &err) < 0)
		us_fatal(EX_NOPERM, "%s", err.text);
}
