/* tls.h - what our side of TLS is made of: certificate, trust, versions, ciphers.
 *
 * A context is made once a process, before it forks: children share its session-ticket keys, so a client
 * that comes back to another child resumes. There is no session cache to lock. stream_start_tls() puts a
 * context to use; which side it plays was decided when it was made.
 */
#ifndef US_BASE_TLS_H
#define US_BASE_TLS_H

#include <stdbool.h>

#include "server/base/err.h"

struct tls_context; /* opaque */

enum tls_client_certs { TLS_CLIENT_CERTS_OFF, TLS_CLIENT_CERTS_OPTIONAL, TLS_CLIENT_CERTS_REQUIRE };

/* Strings are PEM file names or lists; NULL or empty: not set. Nothing is kept. */
struct tls_config {
	const char *cert, *key; /* a server needs both; a client may have both */
	const char *ca_file,
		*ca_dir; /* whom to believe about the peer; neither: he is not verified */
	enum tls_client_certs client_certs; /* of a server, with a CA: ask for them */
	const char *versions; /* words tls1_2, tls1_3; NULL: both. Older ones are an error */
	const char *ciphers;  /* OpenSSL cipher list for TLS 1.2; NULL: DEFAULT */
	bool prefer_server_ciphers;
	long session_timeout_s; /* how long a client may resume; 0: not at all */
};

/* US_ECONFIG, with the file and the reason, if anything is not as it should be. */
int tls_server_new(const struct tls_config *config, struct tls_context **out, struct us_err *err);
int tls_client_new(const struct tls_config *config, struct tls_context **out, struct us_err *err);
void tls_context_free(struct tls_context **tls);

#endif
