/* main.c - sync_server: the replica's side of replication, run by master as the service csync. */
#include <stdlib.h>

#include "server/base/conf.h"
#include "server/base/err.h"
#include "server/base/mem.h"
#include "server/base/span.h"
#include "server/session/host.h"
#include "server/session/service.h"
#include "sync_server/session.h"

struct program {
	struct host host;
	struct session_options options;
};

static int option(void *ctx, int letter, const char *value, struct us_err *err)
{
	struct program *p = ctx;
	uint64_t bits;

	if (letter == 'f') {
		p->options.force = true;
		return 0;
	}
	if (!span_u64(span_of(value), 1024, &bits))
		return us_fail(err, US_EINVAL, "-p wants a number of bits");
	p->options.protection = (unsigned)bits;
	return 0;
}

static int init(void *ctx, const struct service_env *env, struct us_err *err)
{
	struct program *p = ctx;

	return host_open(env->conf, env->name, HOST_STORE_WRITE | HOST_TLS | HOST_SASL, &p->host,
			 err);
}

static int connection(void *ctx, const struct service_env *env UNUSED, struct service_conn *conn)
{
	struct program *p = ctx;

	host_after_fork(&p->host);
	return session_serve(&p->host, conn, &p->options);
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
		.name = "csync",
		.options = "p:f",
		.ctx = &program,
		.option = option,
		.init = init,
		.connection = connection,
		.shutdown = shut_down,
	};

	return service_run(&service, argc, argv);
}
