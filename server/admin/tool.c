/* tool.c - see tool.h. */
#include "server/admin/tool.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "server/base/failpoint.h"
#include "server/base/log.h"
#include "server/base/process.h"

int tool_begin(struct tool *t, const char *name, const char *conf_path, unsigned parts,
	       struct us_err *err)
{
	int rc;

	memset(t, 0, sizeof(*t));
	t->name = name;
	failpoint_init();
	rc = conf_load(conf_path, name, &t->conf, err);
	if (rc == 0)
		rc = process_set_umask(conf_str(t->conf, CONF_umask), err);
	if (rc == 0)
		rc = process_leave_root(conf_str(t->conf, CONF_cyrus_user),
					conf_str(t->conf, CONF_cyrus_group), err);
	if (rc < 0)
		return rc;
	conf_open_log(t->conf, name);
	return host_open(t->conf, name, parts ? parts | HOST_TOOL : 0, &t->host, err);
}

/* What a person at a terminal reads, and what stays. */
static void say(const struct tool *t, const char *before, const struct us_err *err, int level)
{
	fprintf(stderr, "%s%s\n", before, err->text);
	if (t->conf)
		log_event(level, "admin.tool.failed", LF_ERR(err));
}

void tool_warn(const struct tool *t, const struct us_err *err)
{
	say(t, "", err, LOG_WARNING);
}

int tool_end(struct tool *t, int rc, const struct us_err *err)
{
	int status = rc < 0 ? us_err_exit(rc) : rc;

	if (rc < 0)
		say(t, "fatal error: ", err, LOG_ERR);
	if (t->host.conf)
		host_close(&t->host);
	conf_free(&t->conf);
	if ((fflush(stdout) != 0 || ferror(stdout)) && status == 0) {
		fprintf(stderr, "%s: cannot write to standard output\n", t->name);
		status = EX_IOERR;
	}
	return status;
}
