/* dial.c - see dial.h. */
#include "sync_client/dial.h"

#include <limits.h>

#include "server/base/log.h"
#include "server/base/wait.h"
#include "server/session/sasl_client.h"

#define FIRST_PAUSE_MS 100

static int ms_of(int64_t s)
{
	return s > INT_MAX / 1000 ? INT_MAX : (int)(s * 1000);
}

/* What the keys of the channel say that can be wrong. */
static int take_numbers(struct dial *d, const struct conf *conf, const char *channel,
			struct us_err *err)
{
	int64_t answer_s, connect_s, silence_s, longest_s;
	int rc = conf_channel_bool(conf, channel, CONF_sync_try_imap, &d->config.try_imap, err);

	if (rc == 0)
		rc = conf_channel_bool(conf, channel, CONF_sync_compress, &d->config.compress, err);
	if (rc == 0)
		rc = conf_channel_duration_s(conf, channel, CONF_sync_timeout, &answer_s, err);
	if (rc == 0)
		rc = conf_channel_duration_s(conf, channel, CONF_sync_connect_timeout, &connect_s,
					     err);
	if (rc == 0)
		rc = conf_channel_duration_s(conf, channel, CONF_sync_silence_max, &silence_s, err);
	if (rc == 0)
		rc = conf_channel_duration_s(conf, channel, CONF_sync_reconnect_maxwait, &longest_s,
					     err);
	if (rc < 0)
		return rc;
	d->config.answer_ms = ms_of(answer_s);
	d->config.connect_ms = ms_of(connect_s);
	d->config.silence_ms = ms_of(silence_s);
	/* 0 and less: no ceiling, as in Cyrus. */
	d->retry = (struct retry){.first_ms = FIRST_PAUSE_MS,
				  .most_ms = longest_s > 0 ? (uint32_t)ms_of(longest_s) : INT_MAX};
	return 0;
}

static void take_tls(struct link_config *c, const struct conf *conf)
{
	c->tls_cert = conf_str(conf, CONF_tls_client_cert);
	c->tls_key = conf_str(conf, CONF_tls_client_key);
	c->tls_ca_file = conf_str(conf, CONF_tls_client_ca_file);
	c->tls_ca_dir = conf_str(conf, CONF_tls_client_ca_dir);
	c->tls_versions = conf_str(conf, CONF_tls_versions);
	c->tls_ciphers = conf_str(conf, CONF_tls_ciphers);
}

int dial_init(struct dial *d, const struct host *host, const struct options *options,
	      const volatile sig_atomic_t *stop, struct us_err *err)
{
	const char *channel = options->channel;
	const struct conf *conf = host->conf;
	struct sasl_options sasl = host_sasl_options(host);
	struct link_config *c = &d->config;
	int rc;

	*d = (struct dial){.config.stop = stop};
	c->target =
		options->server ? options->server : conf_channel_str(conf, channel, CONF_sync_host);
	if (!c->target)
		return conf_channel_fail(conf, channel, CONF_sync_host, err,
					 "names no replica, and there is no -S");
	c->port = conf_channel_str(conf, channel, CONF_sync_port);
	c->authname = conf_channel_str(conf, channel, CONF_sync_authname);
	c->password = conf_channel_str(conf, channel, CONF_sync_password);
	c->realm = conf_channel_str(conf, channel, CONF_sync_realm);
	c->mechs = conf_host_text(conf, c->target, "mechs");
	if (!c->mechs)
		c->mechs = conf_str(conf, CONF_force_sasl_client_mech);
	c->need_compress = options->compress;
	c->force = options->no_copyback;
	c->wire_dump = options->verbose > 1;
	take_tls(c, conf);
	rc = take_numbers(d, conf, channel, err);
	return rc == 0 ? sasl_cli_library_new(&sasl, &c->sasl, err) : rc;
}

void dial_fini(struct dial *d)
{
	sasl_cli_library_free(&d->config.sasl);
}

bool dial_is_final(int code)
{
	return code == US_EAUTH || code == US_ENOTSUP || code == US_ECONFIG || code == US_EINVAL;
}

int dial_sleep(const struct dial *d, uint32_t ms, struct us_err *err)
{
	return wait_ready(NULL, 0, (int)ms, d->config.stop, err);
}

int dial_until(struct dial *d, bool once, struct link **out, struct us_err *err)
{
	for (;;) {
		struct us_err why = US_ERR_INIT;
		int rc = link_open(&d->config, out, &why);
		uint32_t pause;

		if (rc == 0) {
			retry_succeeded(&d->retry);
			return 0;
		}
		if (*d->config.stop || once || dial_is_final(rc)) {
			if (err)
				*err = why;
			return rc;
		}
		pause = retry_failed(&d->retry);
		log_event(LOG_WARNING, "sync.connect.failed", LF_STR("host", d->config.target),
			  LF_NUM("again_ms", pause), LF_ERR(&why));
		rc = dial_sleep(d, pause, err);
		if (rc < 0)
			return rc;
	}
}
