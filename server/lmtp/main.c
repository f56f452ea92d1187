/* main.c - lmtpd: mail comes in over LMTP, run by master as the services lmtp and lmtpunix. */
#include <stdlib.h>

#include "server/base/conf.h"
#include "server/base/err.h"
#include "server/base/mem.h"
#include "server/lmtp/session.h"
#include "server/session/host.h"
#include "server/session/service.h"

struct program {
	struct host host;
	struct lmtp_options options;
};

static int option(void *ctx, int letter UNUSED, const char *value UNUSED, struct us_err *err UNUSED)
{
	struct program *p = ctx;

	p->options.trusted = true; /* -a, the only one */
	return 0;
}

static int init(void *ctx, const struct service_env *env, struct us_err *err)
{
	struct program *p = ctx;
	int rc = host_open(env->conf, env->name, HOST_STORE_WRITE | HOST_TLS | HOST_SASL, &p->host,
			   err);

	if (rc < 0)
		return rc;
	p->host.policy.admins_only = true;
	lmtp_options_read(env->conf, &p->options);
	return 0;
}

static int connection(void *ctx, const struct service_env *env UNUSED, struct service_conn *conn)
{
	struct program *p = ctx;

	host_after_fork(&p->host);
	return lmtp_serve(&p->host, &p->options, conn);
}

static void shut_down(void *ctx)
{
	struct program *p = ctx;

	host_close(&p->host);
}

int main(int argc, char **argv)
{
	struct program program = {0};
	const struct service service = {
		.name = "lmtp",
		.options = "a",
		.ctx = &program,
		.option = option,
		.init = init,
		.connection = connection,
		.shutdown = shut_down,
	};

	return service_run(&service, argc, argv);
}
