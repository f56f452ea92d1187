/* stream_tls.c - the TLS layer: OpenSSL between the plain bytes and the wire.
 *
 * OpenSSL reads and writes through a BIO that is the wire end of the stream, so that counting, reading
 * ahead, and the transport in memory work below TLS as without it. Nothing in here waits but the handshake.
 */
#include "server/base/stream_private.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"
#include "server/base/tls_private.h"
#include "server/base/wait.h"

struct stream_tls_layer {
	SSL *ssl;
	bool up;         /* the handshake is done, nothing fatal came since */
	char *peer_name; /* NULL: the peer has no verified certificate */
};

/* ---- the BIO over the wire -------------------------------------------------------------------- */

static int bio_read(BIO *bio, char *data, size_t len, size_t *out)
{
	struct stream *s = BIO_get_data(bio);
	int rc = stream_wire_read(s, data, len, &s->wire_error);

	BIO_clear_retry_flags(bio);
	if (rc > 0) {
		*out = (size_t)rc;
		return 1;
	}
	if (rc == STREAM_BLOCKED)
		BIO_set_retry_read(bio);
	else if (rc == 0)
		BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
	return 0;
}

static int bio_write(BIO *bio, const char *data, size_t len, size_t *out)
{
	struct stream *s = BIO_get_data(bio);
	int rc = stream_wire_write(s, data, len, &s->wire_error);

	BIO_clear_retry_flags(bio);
	if (rc >= 0) {
		*out = (size_t)rc;
		return 1;
	}
	if (rc == STREAM_BLOCKED)
		BIO_set_retry_write(bio);
	return 0;
}

static long bio_ctrl(BIO *bio, int command, long number UNUSED, void *pointer UNUSED)
{
	if (command == BIO_CTRL_EOF)
		return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
	return command == BIO_CTRL_FLUSH;
}

static int bio_create(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

BIO_METHOD *stream_bio_method(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "stream");

	if (!method || !BIO_meth_set_read_ex(method, bio_read) ||
	    !BIO_meth_set_write_ex(method, bio_write) || !BIO_meth_set_ctrl(method, bio_ctrl) ||
	    !BIO_meth_set_create(method, bio_create))
		return NULL;
	return method;
}

/* ---- reading and writing ---------------------------------------------------------------------- */

/* What a call that did not succeed means; `end` is what the peer's close_notify is to the caller. */
static int judge(struct stream *s, int rc, int end, const char *doing, struct us_err *err)
{
	struct stream_tls_layer *tls = s->tls;

	switch (SSL_get_error(tls->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		s->want = POLLIN;
		return STREAM_BLOCKED;
	case SSL_ERROR_WANT_WRITE:
		s->want = POLLOUT;
		return STREAM_BLOCKED;
	case SSL_ERROR_ZERO_RETURN:
		return end ? us_fail(err, end, "%s: the peer closed the connection", doing) : 0;
	case SSL_ERROR_SYSCALL:
		tls->up = false;
		ERR_clear_error();
		if (s->wire_error.code)
			return us_fail(err, s->wire_error.code, "%s", s->wire_error.text);
		return us_fail(err, US_ECLOSED, "%s: the connection broke", doing);
	default:
		tls->up = false;
		return tls_fail(err, US_EPROTO, doing);
	}
}

static int most(size_t len)
{
	return len > INT_MAX ? INT_MAX : (int)len;
}

int stream_tls_read(struct stream *s, void *data, size_t len, struct us_err *err)
{
	int rc;

	ERR_clear_error();
	rc = SSL_read(s->tls->ssl, data, most(len));
	return rc > 0 ? rc : judge(s, rc, 0, "reading TLS", err);
}

int stream_tls_write(struct stream *s, const void *data, size_t len, struct us_err *err)
{
	int rc;

	ERR_clear_error();
	rc = SSL_write(s->tls->ssl, data, most(len));
	return rc > 0 ? rc : judge(s, rc, US_ECLOSED, "writing TLS", err);
}

/* ---- the handshake ---------------------------------------------------------------------------- */

static bool is_address(const char *host)
{
	return strchr(host, ':') || strspn(host, "0123456789.") == strlen(host);
}

static int set_host(SSL *ssl, const struct stream_tls *how, struct us_err *err)
{
	bool address;

	/* who asks for it must not believe that it was done */
	if (how->verify_hostname && (!how->hostname || SSL_get_verify_mode(ssl) == SSL_VERIFY_NONE))
		return us_fail(err, US_ECONFIG,
			       "a host name can be verified with a name and a CA only");
	if (!how->hostname)
		return 0;
	address = is_address(how->hostname);
	if (!address && SSL_set_tlsext_host_name(ssl, how->hostname) != 1)
		return tls_fail(err, US_EINVAL, "host name for TLS");
	if (!how->verify_hostname)
		return 0;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (address ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), how->hostname) != 1
		    : SSL_set1_host(ssl, how->hostname) != 1)
		return tls_fail(err, US_EINVAL, "host name to verify");
	return 0;
}

static int judge_handshake(struct stream *s, int rc, struct us_err *err)
{
	long verdict = SSL_get_verify_result(s->tls->ssl);
	int code = judge(s, rc, US_ECLOSED, "TLS handshake", err);

	if (code == US_EPROTO && verdict != X509_V_OK)
		return us_fail(err, US_EAUTH, "TLS handshake: certificate of the peer: %s",
			       X509_verify_cert_error_string(verdict));
	return code;
}

static int wait_handshake(struct stream *s, int64_t deadline, struct us_err *err)
{
	int left = wait_left_ms(deadline);

	if (left == 0)
		return us_fail(err, US_ETIMEOUT, "TLS handshake: the peer did not finish in time");
	return stream_wait_read(s, left, err);
}

static int shake_hands(struct stream *s, int timeout_ms, struct us_err *err)
{
	int64_t deadline = wait_deadline_ms(timeout_ms);
	int rc;

	for (;;) {
		ERR_clear_error();
		rc = SSL_do_handshake(s->tls->ssl);
		if (rc == 1)
			return 0;
		rc = judge_handshake(s, rc, err);
		if (rc == STREAM_BLOCKED)
			rc = wait_handshake(s, deadline, err);
		if (rc < 0)
			return rc;
	}
}

/* The common name, if the certificate was verified and the name is whole and without a NUL. */
static char *verified_name(SSL *ssl)
{
	X509 *cert = SSL_get0_peer_certificate(ssl);
	X509_NAME *subject;
	unsigned char *text = NULL;
	char *name = NULL;
	int at, len;

	if (!cert || SSL_get_verify_result(ssl) != X509_V_OK ||
	    SSL_get_verify_mode(ssl) == SSL_VERIFY_NONE)
		return NULL;
	subject = X509_get_subject_name(cert);
	at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	if (at < 0)
		return NULL;
	len = ASN1_STRING_to_UTF8(&text,
				  X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	if (len > 0 && strlen((char *)text) == (size_t)len)
		name = us_strdup((char *)text);
	OPENSSL_free(text);
	return name;
}

static struct stream_tls_layer *new_layer(struct stream *s, struct tls_context *context)
{
	struct stream_tls_layer *tls = us_calloc(1, sizeof(*tls));
	BIO *bio = BIO_new(context->bio);

	tls->ssl = SSL_new(context->ssl);
	us_assert(tls->ssl && bio); /* out of memory */
	BIO_set_data(bio, s);
	SSL_set_bio(tls->ssl, bio, bio);
	SSL_set_read_ahead(tls->ssl, 1);
	if (context->server)
		SSL_set_accept_state(tls->ssl);
	else
		SSL_set_connect_state(tls->ssl);
	return tls;
}

static int refuse_plain_bytes(struct stream *s, struct us_err *err)
{
	struct us_err failure;

	us_fail(&failure, US_EPROTO, "%zu bytes came unprotected where the TLS handshake begins",
		s->in.end - s->in.at);
	s->in.at = s->in.end;
	return stream_fail(&s->read_error, &failure, err);
}

int stream_start_tls(struct stream *s, struct tls_context *context, const struct stream_tls *how,
		     struct us_err *err)
{
	struct us_err failure = US_ERR_INIT;
	const struct stream_tls server = {.timeout_ms = s->config.read_timeout_ms};
	int rc;

	if (!how)
		how = &server;
	if (s->tls || s->codec)
		return us_fail(err, US_EINVAL, "TLS goes below all other layers, once");
	rc = stream_flush(s, err);
	if (rc == 0 && s->in.at < s->in.end)
		rc = refuse_plain_bytes(s, err);
	if (rc < 0)
		return rc;
	s->tls = new_layer(s, context);
	rc = set_host(s->tls->ssl, how, &failure);
	if (rc == 0)
		rc = shake_hands(s, how->timeout_ms, &failure);
	if (rc < 0) {
		stream_fail(&s->read_error, &failure, NULL);
		return stream_fail(&s->write_error, &failure, err);
	}
	s->tls->up = true;
	s->tls->peer_name = verified_name(s->tls->ssl);
	return 0;
}

void stream_tls_end(struct stream *s)
{
	struct stream_tls_layer *tls = s->tls;

	if (tls->up && !s->write_error.code)
		(void)SSL_shutdown(tls->ssl); /* the peer learns of the end in any case */
	ERR_clear_error();
	SSL_free(tls->ssl);
	free(tls->peer_name);
	free(tls);
	s->tls = NULL;
}

bool stream_tls_info(const struct stream *s, struct stream_tls_info *out)
{
	const SSL *ssl = s->tls ? s->tls->ssl : NULL;

	if (!ssl || !s->tls->up)
		return false;
	*out = (struct stream_tls_info){
		.version = SSL_get_version(ssl),
		.cipher = SSL_get_cipher_name(ssl),
		.bits = (unsigned)SSL_get_cipher_bits(ssl, NULL),
		.resumed = SSL_session_reused(ssl) != 0,
		.peer_name = s->tls->peer_name,
	};
	return true;
}
