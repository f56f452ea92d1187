/* sasl_client.h - authentication of ourselves to another server, whatever protocol carries it.
 *
 *	begin(mechanisms offered) --> the mechanism, and its initial response if it has one
 *	   |--> the server asks: step(challenge) --> the response to send
 *	   '--> the server says OK: finish(): 0, or US_EAUTH if he has not proved who he is
 *
 * An initial response that the protocol cannot send along is the answer to the server's first, empty challenge:
 * that is the caller's to know. No security layer is ever negotiated. libsasl itself owns the names
 * sasl_client_*.
 */
#ifndef US_SESSION_SASL_CLIENT_H
#define US_SESSION_SASL_CLIENT_H

#include <stdbool.h>

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/base/span.h"
#include "server/session/sasl_options.h"

struct sasl_cli_library; /* opaque: libsasl, ready */
struct sasl_cli;         /* opaque: one exchange */

/* Make libsasl ready to be a client, once a process. As sasl_srv_library_new(). */
int sasl_cli_library_new(const struct sasl_options *options, struct sasl_cli_library **out,
			 struct us_err *err);
void sasl_cli_library_free(struct sasl_cli_library **lib);

struct sasl_cli_config {
	const char *service;  /* SASL's name of the service: "csync", "imap", "lmtp", "mupdate" */
	const char *host;     /* the server's name */
	const char *authname; /* whose password it is */
	const char *password;
	const char *user;  /* to act as; NULL or empty: as authname */
	const char *realm; /* NULL: the server's choice */
	const char *
		mech; /* blank-separated: only these (force_sasl_client_mech, <host>_mechs); NULL: any */
	unsigned tls_bits; /* of the TLS around us; 0: none */
};

/* An exchange with these names. The config is copied, all of it; the copy of the password is wiped at the end.
 * US_ECONFIG: no authname or password; US_EIO: libsasl fails. */
int sasl_cli_new(struct sasl_cli_library *lib, const struct sasl_cli_config *config,
		 struct sasl_cli **out, struct us_err *err);
void sasl_cli_free(struct sasl_cli **c);

/* Choose the best mechanism of those the server offers, a list with blanks between. *mech lives until the next
 * call here. *initial holds the initial response if *has_initial: to be wiped after it was sent.
 * US_ENOTSUP: he offers none that we can use. */
int sasl_cli_begin(struct sasl_cli *c, struct span offered, const char **mech, bool *has_initial,
		   struct buf *initial, struct us_err *err);

/* Answer a challenge; *response is replaced, and to be wiped. US_EAUTH: the server is not who he says he is;
 * US_EPROTO: he asks what makes no sense. The exchange is to be cancelled then. */
int sasl_cli_step(struct sasl_cli *c, struct span challenge, struct buf *response,
		  struct us_err *err);

/* The server has accepted; `data` is what came with his OK, SPAN_NULL if nothing can. */
int sasl_cli_finish(struct sasl_cli *c, struct span data, struct us_err *err);

#endif
