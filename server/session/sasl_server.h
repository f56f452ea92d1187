/* sasl_server.h - authentication of a client, whatever protocol carries it.
 *
 * The protocol moves octets (base64 is its own business, base64.h); in here they are judged:
 *
 *	begin(mech, initial response)
 *	   |--> MORE: send the challenge, get a response, step(response) --> MORE ...
 *	   |--> 0: done, sasl_srv_identity() says who it is
 *	   '--> US_E code: refused, with a text for the client; sasl_srv_detail() has more for the log
 *
 * After a refusal the next begin() starts anew. No security layer is ever negotiated: encryption is TLS. The
 * pause after a failed login is the caller's.
 *
 * libsasl is initialised once a process, before it forks. libsasl itself owns the names sasl_server_*.
 */
#ifndef US_SESSION_SASL_SERVER_H
#define US_SESSION_SASL_SERVER_H

#include <stdbool.h>

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/base/span.h"
#include "server/session/identity.h"
#include "server/session/sasl_options.h"

struct sasl_srv_library; /* opaque: libsasl, ready */
struct sasl_srv;         /* opaque: one connection */

/* Make libsasl ready to be a server. `options` is copied, what it points to is borrowed.
 * US_ECONFIG if libsasl refuses. */
int sasl_srv_library_new(const struct sasl_options *options, struct sasl_srv_library **out,
			 struct us_err *err);
void sasl_srv_library_free(struct sasl_srv_library **lib); /* after all connections */

struct sasl_srv_config {
	const char *service;        /* SASL's name of it: "imap", "csync" */
	const char *servername;     /* host name and realm */
	const char *local, *remote; /* "address;port"; NULL: a Unix socket */
	bool plaintext;             /* passwords may cross without TLS (allowplaintext) */
	bool anonymous;             /* the mechanism ANONYMOUS may be used */
	bool success_data;          /* the protocol can carry data with its OK (ManageSieve) */
	unsigned minimum_layer;     /* bits of encryption without which there is no login */
	struct identity_policy policy;
	/* Whose password was right, and who may act as that user: is the user kept out all the same? Then true, with
	 * what he is to be told appended to *message. NULL: nobody is. Administrators are not asked about. */
	bool (*is_denied)(const void *ctx, const char *user, struct buf *message);
	const void *ctx;
};

/* One connection's authentication. The config is copied, what it points to is borrowed until _free(). */
struct sasl_srv *sasl_srv_new(struct sasl_srv_library *lib, const struct sasl_srv_config *config);
void sasl_srv_free(struct sasl_srv **s);

/* TLS is on now, with a cipher of so many bits; external: the name in the client's verified certificate (with
 * it EXTERNAL can be used), or NULL. Ends whatever exchange was going on. */
void sasl_srv_set_layer(struct sasl_srv *s, unsigned bits, const char *external);

/* May a password be sent in the clear at this moment (LOGIN, USER)? */
bool sasl_srv_plaintext_allowed(const struct sasl_srv *s);

/* Append the mechanisms that can be used now, each after `before`: " AUTH=" gives " AUTH=PLAIN AUTH=LOGIN".
 * Returns how many; with none *out is left alone. */
unsigned sasl_srv_mechs(struct sasl_srv *s, const char *before, struct buf *out);

#define SASL_SRV_MORE 1

/* Begin an exchange, ending any other. `initial` is SPAN_NULL if the client sent no initial response, else
 * the octets (maybe none). *challenge is cleared and, for MORE and with success_data for 0, filled.
 * Returns  SASL_SRV_MORE, 0, or US_EAUTH (refused), US_EPERM (kept out: the text says why), US_ENOTSUP (no such mechanism now), US_EPROTO (malformed),
 *          US_EIO, US_EREMOTE (passwords cannot be checked at the moment).
 * Blocks   while saslauthd or a database is asked. */
int sasl_srv_begin(struct sasl_srv *s, struct span mech, struct span initial, struct buf *challenge,
		   struct us_err *err);
int sasl_srv_step(struct sasl_srv *s, struct span response, struct buf *challenge,
		  struct us_err *err);

/* Check a user and his password as a LOGIN command gives them. Results as above, never MORE. */
int sasl_srv_checkpass(struct sasl_srv *s, struct span user, struct span password,
		       struct us_err *err);

/* Check POP3's APOP: the challenge of our greeting with its <>, and "user digest". */
int sasl_srv_checkapop(struct sasl_srv *s, struct span challenge, struct span response,
		       struct us_err *err);

/* Who it is, after one of the above gave 0; else NULL. */
const struct identity *sasl_srv_identity(const struct sasl_srv *s);
/* The mechanism in use or last used, as it was asked for; "" if there was none. */
const char *sasl_srv_mech(const struct sasl_srv *s);
/* Why the last refusal, for the log only: it may say what a client must not know. */
const char *sasl_srv_detail(const struct sasl_srv *s);

#endif
