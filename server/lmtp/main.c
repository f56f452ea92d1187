/* main.c - lmtpd: mail comes in over LMTP, run by master as the services lmtp and lmtpunix. */
#include "server/base/mem.h"
#include "server/lmtp/session.h"
#include "server/session/host.h"
#include "server/session/service.h"

static int option(void *ctx, int letter UNUSED, const char *value UNUSED, struct us_err *err UNUSED)
{
	struct lmtp_options *options = ctx;

	options->trusted = true; /* -a, the only one */
	return 0;
}

static int init(void *ctx, const struct service_env *env, struct us_err *err UNUSED)
{
	env->host->policy.admins_only = true;
	lmtp_options_read(env->conf, ctx);
	return 0;
}

static int connection(void *ctx, const struct service_env *env, struct service_conn *conn)
{
	return lmtp_serve(env->host, ctx, conn);
}

int main(int argc, char **argv)
{
	struct lmtp_options options = {0};
	const struct service service = {
		.name = "lmtp",
		.options = "a",
		.parts = HOST_STORE_WRITE | HOST_TLS | HOST_SASL,
		.ctx = &options,
		.option = option,
		.init = init,
		.connection = connection,
		.again = true,
	};

	return service_run(&service, argc, argv);
}
