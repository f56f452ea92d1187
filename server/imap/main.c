/* main.c - imapd: mail over IMAP, run by master as the services imap and imaps. */
#include <stdlib.h>

#include "server/base/conf.h"
#include "server/base/err.h"
#include "server/base/mem.h"
#include "server/base/span.h"
#include "server/imap/session.h"
#include "server/session/host.h"
#include "server/session/service.h"
#include "server/store/mime/mime_text.h"

struct program {
	struct host host;
	struct imap_options options;
};

static int option(void *ctx, int letter, const char *value, struct us_err *err)
{
	struct program *p = ctx;
	uint64_t bits;

	if (letter == 's') {
		p->options.implicit_tls = true;
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
	unsigned parts = HOST_STORE_WRITE | HOST_TLS | HOST_SASL | (env->alone ? HOST_TOOL : 0);
	int rc = host_open(env->conf, env->name, parts, &p->host, err);

	if (rc == 0 && p->options.implicit_tls && !p->host.tls) {
		host_close(&p->host);
		return conf_fail(env->conf, CONF_tls_server_cert, err,
				 "-s needs a certificate and a key");
	}
	if (rc == 0) {
		imap_options_read(env->conf, &p->options);
		mime_text_start();
	}
	return rc;
}

static int connection(void *ctx, const struct service_env *env, struct service_conn *conn)
{
	struct program *p = ctx;

	if (!env->alone) /* that one does not fork */
		host_after_fork(&p->host);
	return imap_serve(&p->host, &p->options, conn);
}

static void shut_down(void *ctx)
{
	struct program *p = ctx;

	mime_text_stop();
	host_close(&p->host);
}

int main(int argc, char **argv)
{
	struct program program = {0};
	const struct service service = {
		.name = "imap",
		.options = "p:s",
		.ctx = &program,
		.option = option,
		.init = init,
		.connection = connection,
		.shutdown = shut_down,
	};

	return service_run(&service, argc, argv);
}
