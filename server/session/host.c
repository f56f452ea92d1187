/* host.c - see host.h. */
#include "server/session/host.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/pool.h"
#include "server/base/tls.h"
#include "server/session/groups.h"
#include "server/session/userdeny.h"
#include "server/store/annotations.h"
#include "server/store/mailbox.h"

/* ---- opening ----------------------------------------------------------------------------------- */

void host_channels_config(const struct conf *conf, struct channels_config *out)
{
	*out = (struct channels_config){
		.configdirectory = conf_str(conf, CONF_configdirectory),
		.sync_log = conf_bool(conf, CONF_sync_log),
		.sync_log_channels = conf_str(conf, CONF_sync_log_channels),
		.sync_log_chain = conf_bool(conf, CONF_sync_log_chain),
		.sync_log_unsuppressable_channels =
			conf_str(conf, CONF_sync_log_unsuppressable_channels),
	};
}

#define PARTITION "partition-"

struct partition_pair {
	const char *name, *path;
};

/* All partition-NAME keys. */
static size_t list_partitions(const struct conf *conf, struct partition_pair **out)
{
	struct partition_pair *pairs = NULL;
	struct conf_item item;
	size_t n = 0, cap = 0, at = 0;

	while (conf_next(conf, PARTITION, &at, &item)) {
		us_grow(&pairs, n, &cap, sizeof(pairs[0]));
		pairs[n++] = (struct partition_pair){item.key + strlen(PARTITION), item.text};
	}
	*out = pairs;
	return n;
}

static int open_store(struct host *host, unsigned parts, struct us_err *err)
{
	const struct conf *conf = host->conf;
	const char *deleteright = conf_str(conf, CONF_deleteright);
	struct partition_pair *pairs;
	struct store_config config = {
		.configdirectory = conf_str(conf, CONF_configdirectory),
		.lockpath = conf_str(conf, CONF_mboxname_lockpath),
		.defaultpartition = conf_str(conf, CONF_defaultpartition),
		.deletedprefix = conf_str(conf, CONF_deletedprefix),
		.deleteright = deleteright,
		.delete_delayed = conf_enum(conf, CONF_delete_mode) == CONF_delete_mode_delayed,
		.expunge_immediate =
			conf_enum(conf, CONF_expunge_mode) == CONF_expunge_mode_immediate,
		.may_own_meta = (parts & HOST_TOOL) != 0,
		.meta_cache_rows = (size_t)conf_int(conf, CONF_metad_client_rows),
		.meta_wait_ms = (unsigned)conf_duration_s(conf, CONF_metad_timeout) * 1000,
		.default_options = (uint32_t)conf_int(conf, CONF_mailbox_default_options),
		.writefail_guid = conf_str(conf, CONF_debug_writefail_guid),
		.limits.message_size = (uint64_t)conf_bytes(conf, CONF_maxmessagesize),
		.limits.meta_request = (size_t)conf_bytes(conf, CONF_metad_max_request),
		.limits.annotation_value = (unsigned)conf_bytes(conf, CONF_annotation_value_max),
	};
	int rc = conf_check_partitions(conf, err);

	if (rc < 0)
		return rc;
	config.n_partitions = list_partitions(conf, &pairs);
	config.partitions = (const void *)pairs;
	if (parts & HOST_STORE_WRITE)
		rc = store_open_write(&config, change_log_observer(host->change_log), &host->store,
				      err);
	else
		rc = store_open_read(&config, &host->store, err);
	free(pairs);
	return rc;
}

static int open_change_log(struct host *host, struct us_err *err)
{
	struct channels_config config;

	host_channels_config(host->conf, &config);
	return change_log_open(&config, &host->change_log, err);
}

static int open_tls(struct host *host, struct us_err *err)
{
	const struct conf *conf = host->conf;
	const char *key = conf_str(conf, CONF_tls_server_key);
	int certs = conf_enum(conf, CONF_tls_client_certs);
	struct tls_config config = {
		.cert = conf_str(conf, CONF_tls_server_cert),
		.key = key,
		.ca_file = conf_str(conf, CONF_tls_client_ca_file),
		.ca_dir = conf_str(conf, CONF_tls_client_ca_dir),
		.client_certs = certs == CONF_tls_client_certs_require ? TLS_CLIENT_CERTS_REQUIRE
				: certs == CONF_tls_client_certs_off   ? TLS_CLIENT_CERTS_OFF
								       : TLS_CLIENT_CERTS_OPTIONAL,
		.versions = conf_str(conf, CONF_tls_versions),
		.ciphers = conf_str(conf, CONF_tls_ciphers),
		.prefer_server_ciphers = conf_bool(conf, CONF_tls_prefer_server_ciphers),
		.session_timeout_s = (long)conf_duration_s(conf, CONF_tls_session_timeout),
	};
	int rc;

	if (!config.cert || !key || strcmp(key, "disabled") == 0)
		return 0;
	rc = tls_server_new(&config, &host->tls, err);
	return rc < 0 ? conf_fail(conf, CONF_tls_server_cert, err, "%s", err ? err->text : "") : 0;
}

static const char *get_option(void *ctx, const char *key)
{
	return conf_text(ctx, key);
}

struct sasl_options host_sasl_options(const struct host *host)
{
	return (struct sasl_options){host->ident, get_option, (void *)host->conf};
}

static int open_sasl(struct host *host, struct us_err *err)
{
	struct sasl_options options = host_sasl_options(host);

	return sasl_srv_library_new(&options, &host->sasl, err);
}

static void fill_facts(struct host *host)
{
	const struct conf *conf = host->conf;
	const char *deleteright = conf_str(conf, CONF_deleteright);
	char bad;

	host->servername = conf_str(conf, CONF_servername);
	host->deleteright = deleteright && *deleteright ? *deleteright : 'c';
	host->implicit_rights =
		acl_parse_rights(span_of(conf_str(conf, CONF_implicit_owner_rights)),
				 host->deleteright, &bad);
	host->policy = (struct identity_policy){
		.admins = conf_str(conf, CONF_admins),
		.proxyservers = conf_str(conf, CONF_proxyservers),
		.loginrealms = conf_str(conf, CONF_loginrealms),
		.username_tolower = conf_bool(conf, CONF_username_tolower),
	};
	host->names = (struct mboxname_view){
		.unixhierarchysep = conf_bool(conf, CONF_unixhierarchysep),
		.altnamespace = conf_bool(conf, CONF_altnamespace),
		.virtdomains = conf_enum(conf, CONF_virtdomains) != CONF_virtdomains_off,
		.userprefix = conf_str(conf, CONF_userprefix),
		.sharedprefix = conf_str(conf, CONF_sharedprefix),
		.defaultdomain = conf_str(conf, CONF_defaultdomain),
		.deletedprefix = conf_str(conf, CONF_deletedprefix),
	};
}

/* A store's first complaint would be of a file in it. */
static int check_directory(const struct host *host, struct us_err *err)
{
	const char *path = conf_str(host->conf, CONF_configdirectory);

	if (path && faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0)
		return conf_fail(host->conf, CONF_configdirectory, err, "%s", strerror(errno));
	return 0;
}

int host_open(const struct conf *conf, const char *ident, unsigned parts, struct host *out,
	      struct us_err *err)
{
	struct host host = {.conf = conf, .ident = ident};
	int rc = 0;

	fill_facts(&host);
	if (parts & (HOST_STORE_READ | HOST_STORE_WRITE))
		rc = check_directory(&host, err);
	if (rc == 0 && parts & HOST_STORE_WRITE)
		rc = open_change_log(&host, err);
	if (rc == 0 && parts & (HOST_STORE_READ | HOST_STORE_WRITE))
		rc = open_store(&host, parts, err);
	if (rc == 0 && parts & HOST_TLS)
		rc = open_tls(&host, err);
	if (rc == 0 && parts & HOST_SASL)
		rc = open_sasl(&host, err);
	if (rc < 0)
		host_close(&host);
	else
		*out = host;
	return rc;
}

void host_close(struct host *host)
{
	store_close(&host->store);
	change_log_close(&host->change_log);
	tls_context_free(&host->tls);
	sasl_srv_library_free(&host->sasl);
	memset(host, 0, sizeof(*host));
}

void host_after_fork(struct host *host)
{
	if (host->store)
		store_after_fork(host->store);
}

void host_prepare(struct host *host)
{
	struct buf text = BUF_INIT;

	if (host->store)
		(void)annotation_get(host->store, NULL, ANNOTATION_MOTD, SPAN_LIT(""), &text, NULL);
	buf_free(&text);
}

/* ---- connections ------------------------------------------------------------------------------- */

struct stream *host_stream(const struct host *host, const struct service_conn *conn,
			   int64_t read_timeout_s)
{
	struct stream_config config = STREAM_CONFIG_DEFAULT;
	int64_t most_s = 0x7fffffff / 1000;

	config.read_timeout_ms =
		read_timeout_s <= 0
			? -1
			: (int)(read_timeout_s < most_s ? read_timeout_s : most_s) * 1000;
	config.stop = conn->stop;
	config.keepalive = conf_bool(host->conf, CONF_tcp_keepalive);
	config.keepalive_count = conf_int(host->conf, CONF_tcp_keepalive_cnt);
	config.keepalive_idle_s = (int)conf_duration_s(host->conf, CONF_tcp_keepalive_idle);
	config.keepalive_interval_s = (int)conf_duration_s(host->conf, CONF_tcp_keepalive_intvl);
	return stream_new(conn->fd_in, conn->fd_out, &config);
}

bool host_denies(const struct host *host, const char *user, struct buf *message)
{
	struct us_err err = US_ERR_INIT;
	int rc = userdeny_check(host->conf, user, host->ident, message, &err);

	if (rc < 0)
		log_event(LOG_ERR, "session.userdeny.unreadable", LF_ERR(&err));
	if (rc > 0 && !message->len)
		buf_add_str(message, USERDENY_MESSAGE);
	return rc > 0;
}

static bool is_denied(const void *ctx, const char *user, struct buf *message)
{
	return host_denies(ctx, user, message);
}

struct sasl_srv *host_sasl(const struct host *host, const struct service_conn *conn,
			   const char *service)
{
	char local[80], remote[80];
	struct sasl_srv_config config = {
		.service = service,
		.servername = host->servername,
		.plaintext = conf_bool(host->conf, CONF_allowplaintext),
		.anonymous = conf_bool(host->conf, CONF_allowanonymouslogin),
		.minimum_layer = (unsigned)conf_int(host->conf, CONF_sasl_minimum_layer),
		.policy = host->policy,
		.is_denied = is_denied,
		.ctx = host,
	};

	if (conn->local.host[0] && conn->remote.host[0]) {
		snprintf(local, sizeof(local), "%s;%u", conn->local.host, conn->local.port);
		snprintf(remote, sizeof(remote), "%s;%u", conn->remote.host, conn->remote.port);
		config.local = local;
		config.remote = remote;
	}
	return sasl_srv_new(host->sasl, &config);
}

int host_start_tls(const struct host *host, struct stream *stream, struct sasl_srv *sasl,
		   struct us_err *err)
{
	struct stream_tls_info info;
	int rc = stream_start_tls(stream, host->tls, NULL, err);

	if (rc < 0)
		return rc;
	stream_tls_info(stream, &info);
	sasl_srv_set_layer(sasl, info.bits, info.peer_name);
	return 0;
}

void host_banner(const struct host *host, const char *product, struct buf *out)
{
	int much = conf_enum(host->conf, CONF_serverinfo);

	buf_add_str(out, host->servername);
	if (much == CONF_serverinfo_off)
		return;
	buf_printf(out, " %s", product);
	if (much == CONF_serverinfo_on)
		buf_add_str(out, " " CYRUS_INTERFACE_VERSION "-Understudy-" UNDERSTUDY_VERSION);
}

void session_id_new(const struct host *host, char out[SESSION_ID_MAX])
{
	uint64_t random;

	if (getentropy(&random, sizeof(random)) < 0)
		us_panic("no random bytes");
	snprintf(out, SESSION_ID_MAX, "%.40s-%lld-%d-1-%llu", host->ident, (long long)store_now(),
		 (int)getpid(), (unsigned long long)random);
}

void host_login_pause(const struct host *host, const volatile sig_atomic_t *stop)
{
	struct timespec pause = {(time_t)conf_duration_s(host->conf, CONF_failedloginpause), 0};

	/* A signal ends the pause; only if it was not the one that ends the connection it goes on. */
	while ((!stop || !*stop) && nanosleep(&pause, &pause) < 0 && errno == EINTR)
		;
}

/* ---- rights ------------------------------------------------------------------------------------ */

struct mboxname_view host_view(const struct host *host, const struct identity *who)
{
	struct mboxname_view view = host->names;

	view.userid = who ? who->user : NULL;
	view.admin = who && who->admin;
	return view;
}

bool host_owns(const struct host *host, const struct identity *who, struct span name)
{
	struct buf owner = BUF_INIT;
	bool owns = who && mboxname_owner(name, host->names.deletedprefix, &owner) &&
		    span_is(buf_span(&owner), who->user);

	buf_free(&owner);
	return owns;
}

uint32_t host_rights(const struct host *host, const struct identity *who, struct span name,
		     struct span acl)
{
	struct acl_identity id = {who ? who->user : "anonymous", groups_names,
				  who ? who->groups : NULL};
	uint32_t rights = acl_rights(acl, &id, host->deleteright);

	if (who && host_owns(host, who, name) &&
	    !mboxname_is_deleted(name, host->names.deletedprefix))
		rights |= host->implicit_rights;
	if (who && who->admin)
		rights |= ACL_LOOKUP | ACL_ADMIN;
	return rights;
}

/* "anyone lrs": words, an identifier and its rights in turn. */
static void default_acl(const struct host *host, struct buf *out)
{
	struct span rest = span_of(conf_str(host->conf, CONF_defaultacl)), id, rights;

	while (span_word(&rest, &id) && span_word(&rest, &rights)) {
		char bad;
		uint32_t bits = acl_parse_rights(rights, host->deleteright, &bad);
		buf_add_span(out, id);
		buf_add_char(out, '\t');
		acl_format_rights(bits, host->deleteright, out);
		buf_add_char(out, '\t');
	}
}

int host_initial_acl(const struct host *host, struct span name, struct buf *out, struct us_err *err)
{
	struct pool *pool = pool_new();
	struct buf owner = BUF_INIT;
	struct span parent;
	int rc = 0;

	if (mboxname_is_inbox(name)) {
		(void)mboxname_owner(name, NULL, &owner); /* an INBOX has one */
		acl_set(SPAN_NULL, buf_span(&owner), ACL_ALL, host->deleteright, out);
		goto out;
	}
	for (parent = mboxname_parent(name); rc == 0 && parent.len;
	     parent = mboxname_parent(parent)) {
		struct mailbox_row row;
		rc = mailbox_row_get(host->store, parent, pool, &row, NULL, NULL, err);
		if (rc > 0 && mailbox_row_is_real(&row))
			buf_add_span(out, row.acl);
		else if (rc > 0)
			rc = 0;
	}
	if (rc == 0)
		default_acl(host, out);
out:
	buf_free(&owner);
	pool_free(&pool);
	return rc < 0 ? rc : 0;
}
