/* sasl_client.c - see sasl_client.h. */
#include "server/session/sasl_client.h"

#include <sasl/sasl.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"

struct sasl_cli_library {
	struct sasl_options options;
	sasl_callback_t callbacks[SASL_OPTIONS_CALLBACKS];
};

struct sasl_cli {
	char *service, *host, *authname, *user, *realm, *mechs;
	sasl_secret_t *secret;
	unsigned tls_bits;
	sasl_callback_t callbacks[5];
	sasl_conn_t *conn;
	bool done; /* libsasl has nothing left to ask or to check */
};

/* ---- the library ------------------------------------------------------------------------------ */

int sasl_cli_library_new(const struct sasl_options *options, struct sasl_cli_library **out,
			 struct us_err *err)
{
	struct sasl_cli_library *lib = us_calloc(1, sizeof(*lib));
	int rc;

	lib->options = *options;
	sasl_options_callbacks(&lib->options, lib->callbacks);
	rc = sasl_client_init(lib->callbacks);
	if (rc != SASL_OK) {
		free(lib);
		return us_fail(err, US_ECONFIG, "SASL: %s", sasl_errstring(rc, NULL, NULL));
	}
	*out = lib;
	return 0;
}

void sasl_cli_library_free(struct sasl_cli_library **lib)
{
	if (!*lib)
		return;
	sasl_client_done();
	free(*lib);
	*lib = NULL;
}

/* ---- what libsasl asks us --------------------------------------------------------------------- */

static int get_name(void *ctx, int id, const char **result, unsigned *len)
{
	const struct sasl_cli *c = ctx;

	*result = id == SASL_CB_AUTHNAME ? c->authname : c->user;
	if (len)
		*len = (unsigned)strlen(*result);
	return SASL_OK;
}

static int get_secret(sasl_conn_t *conn UNUSED, void *ctx, int id UNUSED, sasl_secret_t **secret)
{
	const struct sasl_cli *c = ctx;

	*secret = c->secret;
	return SASL_OK;
}

static int get_realm(void *ctx, int id UNUSED, const char **available, const char **result)
{
	const struct sasl_cli *c = ctx;

	*result = c->realm ? c->realm : available && available[0] ? available[0] : "";
	return SASL_OK;
}

/* ---- one exchange ----------------------------------------------------------------------------- */

static char *copy_or_null(const char *text)
{
	return text ? us_strdup(text) : NULL;
}

static sasl_secret_t *new_secret(const char *password)
{
	size_t len = strlen(password);
	sasl_secret_t *secret = us_malloc(sizeof(*secret) + len);

	secret->len = len;
	memcpy(secret->data, password, len + 1);
	return secret;
}

static void set_callbacks(struct sasl_cli *c)
{
	c->callbacks[0] = SASL_OPTIONS_ROW(SASL_CB_USER, get_name, c);
	c->callbacks[1] = SASL_OPTIONS_ROW(SASL_CB_AUTHNAME, get_name, c);
	c->callbacks[2] = SASL_OPTIONS_ROW(SASL_CB_PASS, get_secret, c);
	c->callbacks[3] = SASL_OPTIONS_ROW(SASL_CB_GETREALM, get_realm, c);
	c->callbacks[4] = SASL_OPTIONS_END;
}

static int new_conn(struct sasl_cli *c)
{
	sasl_security_properties_t wanted = {.security_flags = SASL_SEC_NOANONYMOUS};
	sasl_ssf_t bits = c->tls_bits;
	int rc;

	rc = sasl_client_new(c->service, c->host, NULL, NULL, c->callbacks, 0, &c->conn);
	if (rc == SASL_OK)
		rc = sasl_setprop(c->conn, SASL_SEC_PROPS, &wanted);
	if (rc == SASL_OK && bits)
		rc = sasl_setprop(c->conn, SASL_SSF_EXTERNAL, &bits);
	return rc;
}

int sasl_cli_new(struct sasl_cli_library *lib UNUSED, const struct sasl_cli_config *config,
		 struct sasl_cli **out, struct us_err *err)
{
	struct sasl_cli *c;
	int rc;

	if (!config->authname || !*config->authname || !config->password)
		return us_fail(err, US_ECONFIG, "no name or no password to log in to %s with",
			       config->host);
	c = us_calloc(1, sizeof(*c));
	c->service = us_strdup(config->service);
	c->host = us_strdup(config->host);
	c->authname = us_strdup(config->authname);
	c->user = us_strdup(config->user ? config->user : "");
	c->realm = copy_or_null(config->realm);
	c->mechs = copy_or_null(config->mech);
	c->secret = new_secret(config->password);
	c->tls_bits = config->tls_bits;
	set_callbacks(c);
	rc = new_conn(c);
	if (rc != SASL_OK) {
		sasl_cli_free(&c);
		return us_fail(err, US_EIO, "SASL: %s", sasl_errstring(rc, NULL, NULL));
	}
	*out = c;
	return 0;
}

void sasl_cli_free(struct sasl_cli **cp)
{
	struct sasl_cli *c = *cp;

	if (!c)
		return;
	sasl_dispose(&c->conn);
	explicit_bzero(c->secret->data, c->secret->len);
	free(c->secret);
	free(c->service);
	free(c->host);
	free(c->authname);
	free(c->user);
	free(c->realm);
	free(c->mechs);
	free(c);
	*cp = NULL;
}

/* ---- the steps -------------------------------------------------------------------------------- */

/* What of the offer we may use, for libsasl, which takes the best of it. */
static void keep_allowed(const struct sasl_cli *c, struct span offered, struct buf *out)
{
	struct span mech;

	while (span_word(&offered, &mech)) {
		struct span allowed = span_of(c->mechs), word;
		bool fits = c->mechs == NULL;

		while (!fits && span_word(&allowed, &word))
			fits = span_eq_nocase(word, mech);
		if (fits)
			buf_printf(out, "%s%.*s", out->len ? " " : "", SPAN_ARG(mech));
	}
}

static int failed(struct sasl_cli *c, int result, struct us_err *err)
{
	int code = sasl_options_fail(err, result);

	return us_fail(err, code, "%s", sasl_errdetail(c->conn));
}

static void put(struct buf *out, const char *data, unsigned len)
{
	buf_clear(out);
	if (data)
		buf_add(out, data, len);
}

int sasl_cli_begin(struct sasl_cli *c, struct span offered, const char **mech, bool *has_initial,
		   struct buf *initial, struct us_err *err)
{
	struct buf list = BUF_INIT;
	const char *data = NULL;
	unsigned len = 0;
	int result;

	keep_allowed(c, offered, &list);
	result = list.len ? sasl_client_start(c->conn, list.data, NULL, &data, &len, mech)
			  : SASL_NOMECH;
	buf_free(&list);
	if (result == SASL_NOMECH)
		return us_fail(err, US_ENOTSUP,
			       "no mechanism that we can use is among \"%.*s\"%s%s",
			       SPAN_ARG(offered), c->mechs ? ", allowed are " : "",
			       c->mechs ? c->mechs : "");
	if (result != SASL_OK && result != SASL_CONTINUE)
		return failed(c, result, err);
	c->done = result == SASL_OK;
	*has_initial = data != NULL;
	put(initial, data, len);
	return 0;
}

int sasl_cli_step(struct sasl_cli *c, struct span challenge, struct buf *response,
		  struct us_err *err)
{
	struct buf copy = BUF_INIT; /* libsasl wants a NUL behind it */
	const char *data = NULL;
	unsigned len = 0;
	int result;

	if (c->done && challenge.len)
		return us_fail(err, US_EPROTO, "the server asks on when all has been said");
	buf_add_span(&copy, challenge);
	result = c->done ? SASL_OK
			 : sasl_client_step(c->conn, copy.data, (unsigned)copy.len, NULL, &data,
					    &len);
	buf_free(&copy);
	if (result != SASL_OK && result != SASL_CONTINUE)
		return failed(c, result, err);
	c->done = result == SASL_OK;
	put(response, data, len);
	return 0;
}

int sasl_cli_finish(struct sasl_cli *c, struct span data, struct us_err *err)
{
	struct buf nothing = BUF_INIT;
	int rc = 0;

	if (!c->done && data.ptr)
		rc = sasl_cli_step(c, data, &nothing, err);
	buf_wipe(&nothing);
	buf_free(&nothing);
	if (rc < 0)
		return rc;
	return c->done ? 0
		       : us_fail(err, US_EAUTH,
				 "the server accepts us before it has shown that it knows the "
				 "password");
}
