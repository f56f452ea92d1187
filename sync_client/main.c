/* main.c - sync_client: makes a replica equal to this server, by hand or for ever. */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "server/base/conf.h"
#include "server/base/failpoint.h"
#include "server/base/log.h"
#include "server/base/process.h"
#include "server/session/host.h"
#include "sync_client/byhand.h"
#include "sync_client/dial.h"
#include "sync_client/options.h"
#include "sync_client/rolling.h"
#include "sync_client/sync.h"

struct program {
	struct options options;
	struct conf *conf;
	struct host host;
	struct dial dial;
	struct sync sync;
	int detached; /* tells the parent how the start went; -1: there is none */
};

/* What was done by then stays done; how it ended is what the shell sees. */
static int complain(const struct us_err *why)
{
	log_event(LOG_ERR, "sync.client.failed", LF_ERR(why));
	fprintf(stderr, "sync_client: %s\n", why->text);
	return EXIT_FAILURE;
}

static int start(struct program *p, struct us_err *err)
{
	const struct options *o = &p->options;
	int rc = conf_load(o->config, "sync_client", &p->conf, err);

	if (rc < 0)
		return rc;
	rc = process_set_umask(conf_str(p->conf, CONF_umask), err);
	if (rc == 0) /* whoever started us as root gets the service user's mail, not root's */
		rc = process_leave_root(conf_str(p->conf, CONF_cyrus_user),
					conf_str(p->conf, CONF_cyrus_group), err);
	if (rc < 0)
		return rc;
	conf_open_log(p->conf, "sync_client"); /* by whom it will belong to */
	/* As a DAEMON of master, it is master who has us in the background. */
	if (rc == 0 && o->mode == MODE_ROLLING && o->background && !getenv("CYRUS_ISDAEMON"))
		rc = process_detach(&p->detached, err);
	process_signals_catch();
	if (rc == 0)
		rc = host_open(p->conf, "sync_client", HOST_STORE_WRITE | HOST_TOOL, &p->host, err);
	if (rc == 0)
		rc = dial_init(&p->dial, &p->host, o, &process_flags.stop, err);
	if (rc < 0)
		return rc;
	sync_init(&p->sync, &p->host);
	p->sync.lock_host = p->dial.config.target;
	p->sync.no_wait = o->no_wait;
	p->sync.verbose = o->verbose > 0;
	p->sync.log_actions = o->log_actions;
	p->sync.local_only = o->local_only;
	p->sync.options.force = o->no_copyback;
	p->sync.options.partition = span_of(o->partition);
	log_context("channel", *o->channel ? o->channel : NULL);
	return 0;
}

static int run(struct program *p)
{
	struct us_err why = US_ERR_INIT;
	unsigned failures = 0;
	int rc;

	if (p->options.mode == MODE_ROLLING) {
		rc = rolling_run(&p->sync, &p->dial, &p->options, &why);
	} else {
		rc = byhand_run(&p->sync, &p->dial, &p->options, &failures, &why);
	}
	if (rc < 0)
		return complain(&why);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}

static void finish(struct program *p)
{
	sync_fini(&p->sync);
	dial_fini(&p->dial);
	host_close(&p->host);
	conf_free(&p->conf);
}

int main(int argc, char **argv)
{
	struct program p = {.detached = -1};
	struct us_err why = US_ERR_INIT;
	int status;

	failpoint_init();
	if (options_read(argc, argv, &p.options, &why) < 0) {
		fprintf(stderr, "sync_client: %s\n%s", why.text, options_usage());
		return EX_USAGE;
	}
	if (start(&p, &why) < 0) {
		status = complain(&why);
		if (why.code == US_ECONFIG) /* without a sync_host it ends as Cyrus does */
			status = p.host.conf && !p.dial.config.target ? EX_SOFTWARE : EX_CONFIG;
	} else {
		if (p.detached >= 0) {
			process_detached(&p.detached, 0);
			(void)process_null_stdio(
				0, NULL); /* whoever reads what we say would wait for ever */
		}
		status = run(&p);
	}
	finish(&p);
	return status;
}
