/* sasl_options.h - how libsasl asks for its options and where it logs; the server's side and the client's. */
#ifndef US_SESSION_SASL_OPTIONS_H
#define US_SESSION_SASL_OPTIONS_H

#include <sasl/sasl.h>

#include "server/base/err.h"

/* Where options come from. For the option x of libsasl these keys are asked for, in this order; <plugin> only
 * where a plugin asks for itself:
 *
 *	<ident>_sasl_<plugin>_x  sasl_<plugin>_x  <ident>_sasl_x  sasl_x
 *
 * All is borrowed and must outlive the library it was given to. */
struct sasl_options {
	const char *ident; /* of the service, "imap"; NULL: no such prefix */
	/* The value of a key of imapd.conf, living on; NULL: not set. */
	const char *(*get)(void *ctx, const char *key);
	void *ctx;
};

/* A row of a callback list: libsasl has one type for functions of all kinds. */
#define SASL_OPTIONS_ROW(id, fn, ctx) \
	((sasl_callback_t){id, (int (*)(void))(void (*)(void))(fn), ctx})
#define SASL_OPTIONS_END       ((sasl_callback_t){SASL_CB_LIST_END, NULL, NULL})

/* Fill the callbacks that a library is initialised with. Both must stay where they are. */
#define SASL_OPTIONS_CALLBACKS 3
void sasl_options_callbacks(struct sasl_options *options,
			    sasl_callback_t out[SASL_OPTIONS_CALLBACKS]);

/* What a result of libsasl means to us: its class, and its text, which tells a stranger no more than he may
 * know. */
int sasl_options_fail(struct us_err *err, int result);

#endif
