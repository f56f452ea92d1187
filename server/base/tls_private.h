/* tls_private.h - what the TLS layer of a stream needs to know of a context. */
#ifndef US_BASE_TLS_PRIVATE_H
#define US_BASE_TLS_PRIVATE_H

#include <openssl/ssl.h>

#include "server/base/tls.h"

struct tls_context {
	SSL_CTX *ssl;
	BIO_METHOD *bio; /* for streams to put under their SSL; filled by stream_tls.c */
	bool server;
};

/* Make the method of the BIO over a stream. */
BIO_METHOD *stream_bio_method(void);

/* Empty OpenSSL's error queue into one sentence behind "doing: "; returns code. */
int tls_fail(struct us_err *err, int code, const char *doing);

#endif
