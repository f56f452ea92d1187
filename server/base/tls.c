/* tls.c - TLS contexts; see tls.h. */
#include "server/base/tls.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"
#include "server/base/span.h"
#include "server/base/tls_private.h"

int tls_fail(struct us_err *err, int code, const char *doing)
{
	unsigned long number = ERR_peek_error();
	const char *reason = ERR_reason_error_string(number);

	if (number && ERR_SYSTEM_ERROR(number))
		reason = strerror(ERR_GET_REASON(number));
	ERR_clear_error();
	return us_fail(err, code, "%s: %s", doing, reason ? reason : "failed");
}

static bool is_set(const char *text)
{
	return text && *text;
}

static int config_fail(struct us_err *err, const char *what, const char *value)
{
	char doing[160];

	snprintf(doing, sizeof(doing), "%s %s", what, value);
	return tls_fail(err, US_ECONFIG, doing);
}

/* ---- versions --------------------------------------------------------------------------------- */

static int version_of(struct span word, struct us_err *err)
{
	if (span_is(word, "tls1_2"))
		return TLS1_2_VERSION;
	if (span_is(word, "tls1_3"))
		return TLS1_3_VERSION;
	if (span_is(word, "tls1_0") || span_is(word, "tls1_1") || span_is(word, "ssl2") ||
	    span_is(word, "ssl3"))
		return us_fail(err, US_ECONFIG,
			       "TLS version %.*s is not safe and not served: list tls1_2 and "
			       "tls1_3",
			       SPAN_ARG(word));
	return us_fail(err, US_ECONFIG, "unknown TLS version %.*s", SPAN_ARG(word));
}

static int set_versions(SSL_CTX *ssl, const char *list, struct us_err *err)
{
	struct span rest = span_of(is_set(list) ? list : "tls1_2 tls1_3"), word;
	int low = 0, high = 0;

	while (span_word(&rest, &word)) {
		int version = version_of(word, err);

		if (version < 0)
			return version;
		low = !low || version < low ? version : low;
		high = version > high ? version : high;
	}
	if (!low)
		return us_fail(err, US_ECONFIG, "no TLS version is listed");
	if (!SSL_CTX_set_min_proto_version(ssl, low) || !SSL_CTX_set_max_proto_version(ssl, high))
		return tls_fail(err, US_ECONFIG, "setting the TLS versions");
	return 0;
}

/* ---- files ------------------------------------------------------------------------------------ */

/* A key that wants a passphrase would make OpenSSL ask at the terminal: a daemon must fail instead. */
static int no_passphrase(char *buf UNUSED, int size UNUSED, int writing UNUSED, void *ctx UNUSED)
{
	return -1;
}

static int load_own(SSL_CTX *ssl, const struct tls_config *config, struct us_err *err)
{
	SSL_CTX_set_default_passwd_cb(ssl, no_passphrase);
	if (SSL_CTX_use_certificate_chain_file(ssl, config->cert) != 1)
		return config_fail(err, "TLS certificate", config->cert);
	if (SSL_CTX_use_PrivateKey_file(ssl, config->key, SSL_FILETYPE_PEM) != 1)
		return config_fail(err, "TLS key", config->key);
	if (SSL_CTX_check_private_key(ssl) != 1)
		return config_fail(err, "TLS key does not belong to the certificate:", config->key);
	return 0;
}

static int load_trust(SSL_CTX *ssl, const struct tls_config *config, struct us_err *err)
{
	if (is_set(config->ca_file) && SSL_CTX_load_verify_file(ssl, config->ca_file) != 1)
		return config_fail(err, "TLS CA file", config->ca_file);
	if (is_set(config->ca_dir) && SSL_CTX_load_verify_dir(ssl, config->ca_dir) != 1)
		return config_fail(err, "TLS CA directory", config->ca_dir);
	return 0;
}

static bool has_trust(const struct tls_config *config)
{
	return is_set(config->ca_file) || is_set(config->ca_dir);
}

/* ---- contexts --------------------------------------------------------------------------------- */

/* What both sides have in common. No renegotiation, no compression; buffers only while bytes are in them;
 * an end without close_notify is an end: our protocols all say how much is to come. */
static void set_modes(SSL_CTX *ssl)
{
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_clear_mode(ssl, SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					 SSL_OP_IGNORE_UNEXPECTED_EOF);
}

static int set_common(SSL_CTX *ssl, const struct tls_config *config, struct us_err *err)
{
	int rc;

	set_modes(ssl);
	rc = set_versions(ssl, config->versions, err);
	if (rc == 0 && is_set(config->ciphers) &&
	    SSL_CTX_set_cipher_list(ssl, config->ciphers) != 1)
		rc = config_fail(err, "TLS ciphers", config->ciphers);
	if (rc == 0)
		rc = load_trust(ssl, config, err);
	if (rc == 0 && is_set(config->cert) != is_set(config->key))
		rc = us_fail(err, US_ECONFIG, "a TLS certificate and its key come together");
	if (rc == 0 && is_set(config->cert))
		rc = load_own(ssl, config, err);
	return rc;
}

static void set_sessions(SSL_CTX *ssl, long timeout_s)
{
	static const unsigned char name[] = "understudy";

	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	/* Without it a client that showed a certificate could not resume. */
	us_assert(SSL_CTX_set_session_id_context(ssl, name, sizeof(name) - 1) == 1);
	if (timeout_s > 0) {
		SSL_CTX_set_timeout(ssl, timeout_s);
		SSL_CTX_set_num_tickets(ssl, 1);
	} else {
		SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
		SSL_CTX_set_num_tickets(ssl, 0);
	}
}

static int set_client_certs(SSL_CTX *ssl, const struct tls_config *config, struct us_err *err)
{
	bool require = config->client_certs == TLS_CLIENT_CERTS_REQUIRE;

	if (require && !has_trust(config))
		return us_fail(err, US_ECONFIG,
			       "client certificates are required, but no CA is named");
	if (config->client_certs == TLS_CLIENT_CERTS_OFF || !has_trust(config))
		return 0;
	SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | (require ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
			   NULL);
	if (is_set(config->ca_file))
		SSL_CTX_set_client_CA_list(ssl, SSL_load_client_CA_file(config->ca_file));
	return 0;
}

static struct tls_context *new_context(bool server)
{
	struct tls_context *tls = us_calloc(1, sizeof(*tls));

	tls->server = server;
	tls->ssl = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
	tls->bio = stream_bio_method();
	us_assert(tls->ssl && tls->bio); /* out of memory */
	return tls;
}

static int give(struct tls_context *tls, int rc, struct tls_context **out)
{
	ERR_clear_error();
	if (rc < 0)
		tls_context_free(&tls);
	else
		*out = tls;
	return rc;
}

int tls_server_new(const struct tls_config *config, struct tls_context **out, struct us_err *err)
{
	struct tls_context *tls;
	int rc;

	if (!is_set(config->cert) || !is_set(config->key))
		return us_fail(err, US_ECONFIG, "a TLS server needs a certificate and a key");
	tls = new_context(true);
	set_sessions(tls->ssl, config->session_timeout_s);
	SSL_CTX_set_dh_auto(tls->ssl, 1);
	if (config->prefer_server_ciphers)
		SSL_CTX_set_options(tls->ssl, SSL_OP_CIPHER_SERVER_PREFERENCE);
	rc = set_common(tls->ssl, config, err);
	if (rc == 0)
		rc = set_client_certs(tls->ssl, config, err);
	return give(tls, rc, out);
}

int tls_client_new(const struct tls_config *config, struct tls_context **out, struct us_err *err)
{
	struct tls_context *tls = new_context(false);

	if (has_trust(config))
		SSL_CTX_set_verify(tls->ssl, SSL_VERIFY_PEER, NULL);
	return give(tls, set_common(tls->ssl, config, err), out);
}

void tls_context_free(struct tls_context **tls)
{
	if (!*tls)
		return;
	SSL_CTX_free((*tls)->ssl);
	BIO_meth_free((*tls)->bio);
	free(*tls);
	*tls = NULL;
}
