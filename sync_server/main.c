/* main.c - sync_server: the replica's side of replication, run by master as the service csync. */
#include "server/base/mem.h"
#include "server/session/host.h"
#include "server/session/service.h"
#include "sync_server/session.h"

static int option(void *ctx, int letter UNUSED, const char *value UNUSED, struct us_err *err UNUSED)
{
	bool *force = ctx;

	*force = true; /* -f, the only one */
	return 0;
}

static int connection(void *ctx, const struct service_env *env, struct service_conn *conn)
{
	const bool *force = ctx;

	return session_serve(env, conn, *force);
}

int main(int argc, char **argv)
{
	bool force = false;
	const struct service service = {
		.name = "csync",
		.options = "p:f",
		.parts = HOST_STORE_WRITE | HOST_TLS | HOST_SASL,
		.ctx = &force,
		.option = option,
		.connection = connection,
	};

	return service_run(&service, argc, argv);
}
