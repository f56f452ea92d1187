/* main.c - imapd: mail over IMAP, run by master as the services imap and imaps. */
#include "server/base/mem.h"
#include "server/imap/session.h"
#include "server/session/groups.h"
#include "server/session/host.h"
#include "server/session/service.h"
#include "server/store/mime/mime_text.h"

static int init(void *ctx, const struct service_env *env, struct us_err *err UNUSED)
{
	imap_options_read(env, ctx);
	mime_text_start();
	if (conf_bool(env->conf, CONF_unix_group_enable))
		groups_warm_up();
	return 0;
}

static int connection(void *ctx, const struct service_env *env, struct service_conn *conn)
{
	return imap_serve(env->host, ctx, conn);
}

static void shut_down(void *ctx UNUSED)
{
	mime_text_stop();
}

int main(int argc, char **argv)
{
	struct imap_options options = {0};
	const struct service service = {
		.name = "imap",
		.options = "p:s",
		.parts = HOST_STORE_WRITE | HOST_TLS | HOST_SASL,
		.ctx = &options,
		.init = init,
		.connection = connection,
		.again = true,
		.shutdown = shut_down,
	};

	return service_run(&service, argc, argv);
}
