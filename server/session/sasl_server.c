/* sasl_server.c - see sasl_server.h.
 *
 * A sasl_conn_t carries one attempt: libsasl leaves it in no good state after a refusal, so each attempt gets a
 * fresh one, and properties are set when it is made.
 *
 * libsasl calls back for both names of an attempt: canon_user() gives each its canonical form, and
 * proxy_policy() asks identity.c whether they go together. What that decided is kept until the exchange is
 * done.
 */
#include "server/session/sasl_server.h"

#include <sasl/sasl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"

/* Octets of one response. No key: the longest there are is a Kerberos ticket, and no domain issues one above 65,535. */
#define MOST_RESPONSE 65536

struct sasl_srv_library {
	struct sasl_options options;
	sasl_callback_t callbacks[SASL_OPTIONS_CALLBACKS];
};

struct sasl_srv {
	struct sasl_srv_config config;
	sasl_callback_t callbacks[3];
	sasl_conn_t *conn; /* NULL between attempts */
	unsigned bits;     /* of the TLS around us; 0: none */
	char *external;
	char *local, *remote; /* what config points to */
	bool going_on;        /* begin() gave MORE */
	bool known;           /* identity is filled and holds */
	bool decided;         /* identity is filled, the exchange goes on */
	struct identity identity;
	char mech[SASL_MECHNAMEMAX + 1];
	char detail[240];
	bool is_out;      /* he is who he says, and kept out */
	char denied[240]; /* then: what he is told */
};

/* ---- the library ------------------------------------------------------------------------------ */

int sasl_srv_library_new(const struct sasl_options *options, struct sasl_srv_library **out,
			 struct us_err *err)
{
	struct sasl_srv_library *lib = us_calloc(1, sizeof(*lib));
	int rc;

	lib->options = *options;
	sasl_options_callbacks(&lib->options, lib->callbacks);
	/* the name under which Cyrus, and so its operators' <name>.conf for SASL, knows us */
	rc = sasl_server_init(lib->callbacks, "Cyrus");
	if (rc != SASL_OK) {
		free(lib);
		return us_fail(err, US_ECONFIG, "SASL: %s", sasl_errstring(rc, NULL, NULL));
	}
	*out = lib;
	return 0;
}

void sasl_srv_library_free(struct sasl_srv_library **lib)
{
	if (!*lib)
		return;
	sasl_server_done();
	free(*lib);
	*lib = NULL;
}

/* ---- what libsasl asks us --------------------------------------------------------------------- */

static int canon_user(sasl_conn_t *conn UNUSED, void *ctx, const char *in, unsigned in_len,
		      unsigned flags UNUSED, const char *realm UNUSED, char *out, unsigned out_max,
		      unsigned *out_len)
{
	struct sasl_srv *s = ctx;
	char user[IDENTITY_MAX + 1];
	struct us_err err;

	if (identity_canonicalize(&s->config.policy, span_make(in, in_len), user, &err) < 0) {
		us_err_prefix(&err, "bad userid authenticated");
		snprintf(s->detail, sizeof(s->detail), "%s", err.text);
		return SASL_BADAUTH;
	}
	if (strlen(user) >= out_max)
		return SASL_BUFOVER;
	*out_len = (unsigned)strlen(user);
	memcpy(out, user, *out_len + 1);
	return SASL_OK;
}

static bool keep_out(struct sasl_srv *s)
{
	const struct identity *who = &s->identity;
	struct buf message = BUF_INIT;
	bool denied = !who->admin && s->config.is_denied &&
		      s->config.is_denied(s->config.ctx, who->user, &message);

	if (denied) {
		snprintf(s->denied, sizeof(s->denied), "%.*s", (int)message.len,
			 message.len ? message.data : "");
		snprintf(s->detail, sizeof(s->detail),
			 "user '%.100s' is denied access to service '%.80s'", who->user,
			 s->config.service);
	}
	buf_free(&message);
	return denied;
}

/* The names are as canon_user() gave them. */
static int proxy_policy(sasl_conn_t *conn UNUSED, void *ctx, const char *user, unsigned user_len,
			const char *authname, unsigned authname_len, const char *realm UNUSED,
			unsigned realm_len UNUSED, struct propctx *properties UNUSED)
{
	struct sasl_srv *s = ctx;
	char names[2][IDENTITY_MAX + 1];
	struct us_err err;

	s->decided = false;
	if (user_len > IDENTITY_MAX || authname_len > IDENTITY_MAX)
		return SASL_BADAUTH;
	snprintf(names[0], sizeof(names[0]), "%.*s", (int)authname_len, authname);
	snprintf(names[1], sizeof(names[1]), "%.*s", (int)user_len, user);
	s->decided =
		identity_authorize(&s->config.policy, names[0], names[1], &s->identity, &err) == 0;
	if (!s->decided) {
		snprintf(s->detail, sizeof(s->detail), "%s", err.text);
		return SASL_BADAUTH;
	}
	s->is_out = keep_out(s);
	s->decided = !s->is_out;
	return s->decided ? SASL_OK : SASL_NOAUTHZ;
}

/* ---- one connection --------------------------------------------------------------------------- */

struct sasl_srv *sasl_srv_new(struct sasl_srv_library *lib UNUSED,
			      const struct sasl_srv_config *config)
{
	struct sasl_srv *s = us_calloc(1, sizeof(*s));

	s->config = *config;
	/* Each attempt tells libsasl anew, and the caller's may be gone by then. */
	s->config.local = s->local = config->local ? us_strdup(config->local) : NULL;
	s->config.remote = s->remote = config->remote ? us_strdup(config->remote) : NULL;
	s->callbacks[0] = SASL_OPTIONS_ROW(SASL_CB_CANON_USER, canon_user, s);
	s->callbacks[1] = SASL_OPTIONS_ROW(SASL_CB_PROXY_POLICY, proxy_policy, s);
	s->callbacks[2] = SASL_OPTIONS_END;
	return s;
}

static void end_attempt(struct sasl_srv *s)
{
	sasl_dispose(&s->conn);
	s->going_on = s->decided = false;
}

void sasl_srv_free(struct sasl_srv **s)
{
	if (!*s)
		return;
	end_attempt(*s);
	free((*s)->external);
	free((*s)->local);
	free((*s)->remote);
	free(*s);
	*s = NULL;
}

void sasl_srv_set_layer(struct sasl_srv *s, unsigned bits, const char *external)
{
	end_attempt(s);
	s->bits = bits;
	free(s->external);
	s->external = external ? us_strdup(external) : NULL;
}

static bool layer_suffices(const struct sasl_srv *s)
{
	return s->bits >= s->config.minimum_layer;
}

bool sasl_srv_plaintext_allowed(const struct sasl_srv *s)
{
	return (s->bits || s->config.plaintext) && layer_suffices(s);
}

static int set_properties(struct sasl_srv *s)
{
	sasl_security_properties_t wanted = {.security_flags = 0};
	sasl_ssf_t bits = s->bits;
	int rc;

	if (!sasl_srv_plaintext_allowed(s))
		wanted.security_flags |= SASL_SEC_NOPLAINTEXT;
	if (!s->config.anonymous)
		wanted.security_flags |= SASL_SEC_NOANONYMOUS;
	rc = sasl_setprop(s->conn, SASL_SEC_PROPS, &wanted);
	if (rc == SASL_OK && bits)
		rc = sasl_setprop(s->conn, SASL_SSF_EXTERNAL, &bits);
	if (rc == SASL_OK && s->external)
		rc = sasl_setprop(s->conn, SASL_AUTH_EXTERNAL, s->external);
	return rc;
}

static int new_attempt(struct sasl_srv *s)
{
	const struct sasl_srv_config *c = &s->config;
	int rc;

	end_attempt(s);
	s->known = s->is_out = false;
	s->detail[0] = '\0';
	rc = sasl_server_new(c->service, c->servername, NULL, c->local, c->remote, s->callbacks,
			     c->success_data ? SASL_SUCCESS_DATA : 0, &s->conn);
	return rc == SASL_OK ? set_properties(s) : rc;
}

unsigned sasl_srv_mechs(struct sasl_srv *s, const char *before, struct buf *out)
{
	const char *list;
	unsigned len;
	int count = 0;

	if (!layer_suffices(s) || (!s->conn && new_attempt(s) != SASL_OK))
		return 0;
	if (sasl_listmech(s->conn, NULL, before, before, "", &list, &len, &count) != SASL_OK)
		return 0;
	buf_add(out, list, len);
	return (unsigned)count;
}

/* ---- an exchange ------------------------------------------------------------------------------ */

static int refuse(struct sasl_srv *s, int result, struct us_err *err)
{
	/* what a callback of ours said is nearer to the truth than libsasl's summary of it */
	if (!s->detail[0])
		snprintf(s->detail, sizeof(s->detail), "%s",
			 s->conn ? sasl_errdetail(s->conn) : sasl_errstring(result, NULL, NULL));
	end_attempt(s);
	return s->is_out ? us_fail(err, US_EPERM, "%s", s->denied) : sasl_options_fail(err, result);
}

static int settle(struct sasl_srv *s, int result, struct us_err *err)
{
	s->going_on = result == SASL_CONTINUE;
	if (s->going_on)
		return SASL_SRV_MORE;
	/* no OK but through proxy_policy(), whatever libsasl thinks */
	if (result == SASL_OK && !s->decided)
		result = SASL_BADAUTH;
	if (result != SASL_OK)
		return refuse(s, result, err);
	end_attempt(s);
	s->known = true;
	return 0;
}

/* libsasl wants a NUL behind what it gets, and may get a password: a copy, to be wiped. */
static int feed(struct sasl_srv *s, bool begin, struct span in, struct buf *challenge,
		struct us_err *err)
{
	struct buf copy = BUF_INIT;
	const char *data = NULL, *octets;
	unsigned len = 0, n = (unsigned)in.len;
	int result;

	buf_clear(challenge);
	if (in.len > MOST_RESPONSE)
		return refuse(s, SASL_BADPROT, err);
	buf_add_span(&copy, in);
	octets = in.ptr ? copy.data : NULL;
	result = begin ? sasl_server_start(s->conn, s->mech, octets, n, &data, &len)
		       : sasl_server_step(s->conn, octets, n, &data, &len);
	buf_wipe(&copy);
	buf_free(&copy);
	if (data && (result == SASL_OK || result == SASL_CONTINUE))
		buf_add(challenge, data, len);
	return settle(s, result, err);
}

int sasl_srv_begin(struct sasl_srv *s, struct span mech, struct span initial, struct buf *challenge,
		   struct us_err *err)
{
	int result = new_attempt(s);

	snprintf(s->mech, sizeof(s->mech), "%.*s", SPAN_ARG(mech));
	if (result == SASL_OK && (strlen(s->mech) != mech.len || !mech.len))
		result = SASL_NOMECH;
	if (result == SASL_OK && !layer_suffices(s))
		result = SASL_ENCRYPT;
	return result == SASL_OK ? feed(s, true, initial, challenge, err) : refuse(s, result, err);
}

int sasl_srv_step(struct sasl_srv *s, struct span response, struct buf *challenge,
		  struct us_err *err)
{
	us_assert(s->going_on);
	if (!response.ptr)
		response = SPAN_LIT("");
	return feed(s, false, response, challenge, err);
}

/* ---- passwords without an exchange ------------------------------------------------------------ */

static bool has_nul(struct span text)
{
	return text.len && memchr(text.ptr, '\0', text.len);
}

int sasl_srv_checkpass(struct sasl_srv *s, struct span user, struct span password,
		       struct us_err *err)
{
	struct buf name = BUF_INIT, secret = BUF_INIT;
	int result = new_attempt(s);

	s->mech[0] = '\0';
	if (result == SASL_OK && !sasl_srv_plaintext_allowed(s))
		result = SASL_ENCRYPT;
	else if (result == SASL_OK && (has_nul(user) || has_nul(password) || !user.len ||
				       user.len > IDENTITY_MAX || password.len > MOST_RESPONSE))
		result = SASL_BADAUTH;
	if (result != SASL_OK)
		return refuse(s, result, err);
	buf_add_span(&name, user);
	buf_add_span(&secret, password);
	result = sasl_checkpass(s->conn, name.data, (unsigned)name.len, secret.data,
				(unsigned)secret.len);
	buf_wipe(&secret);
	buf_free(&secret);
	buf_free(&name);
	return settle(s, result, err);
}

int sasl_srv_checkapop(struct sasl_srv *s, struct span challenge, struct span response,
		       struct us_err *err)
{
	struct buf texts[2] = {BUF_INIT, BUF_INIT};
	int result = new_attempt(s);

	snprintf(s->mech, sizeof(s->mech), "APOP");
	if (result == SASL_OK && (!layer_suffices(s) || response.len > MOST_RESPONSE))
		result = SASL_BADAUTH;
	if (result != SASL_OK)
		return refuse(s, result, err);
	buf_add_span(&texts[0], challenge);
	buf_add_span(&texts[1], response);
	result = sasl_checkapop(s->conn, texts[0].data, (unsigned)texts[0].len, texts[1].data,
				(unsigned)texts[1].len);
	buf_free(&texts[0]);
	buf_free(&texts[1]);
	return settle(s, result, err);
}

/* ---- the outcome ------------------------------------------------------------------------------ */

const struct identity *sasl_srv_identity(const struct sasl_srv *s)
{
	return s->known ? &s->identity : NULL;
}

const char *sasl_srv_mech(const struct sasl_srv *s)
{
	return s->mech;
}

const char *sasl_srv_detail(const struct sasl_srv *s)
{
	return s->detail;
}
