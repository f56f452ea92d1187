/* main_smmapd.c - smmapd: an MTA asks whether lmtpd would take mail for an address; run by master as a service. */
#include "server/base/mem.h"
#include "server/lmtp/smmap.h"

static int init(void *ctx, const struct service_env *env, struct us_err *err UNUSED)
{
	lmtp_options_read(env->conf, ctx);
	return 0;
}

static int connection(void *ctx, const struct service_env *env, struct service_conn *conn)
{
	return smmap_serve(env->host, ctx, conn);
}

int main(int argc, char **argv)
{
	struct lmtp_options options = {0};
	const struct service service = {
		.name = "smmap",
		.parts = HOST_STORE_READ,
		.ctx = &options,
		.init = init,
		.connection = connection,
	};

	return service_run(&service, argc, argv);
}
