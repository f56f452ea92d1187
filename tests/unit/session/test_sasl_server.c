/* test_sasl_server.c - logging clients in against a sasldb and a stand-in for saslauthd. */
#include "tests/unit/sasl.h"

#include "server/base/base64.h"
#include "server/base/log.h"

#define REALM "b.example.net"

static struct fixture {
	struct sasldb db;
	char mux[60];
	struct sasl_test_options options;
	struct sasl_srv_library *lib;
} fix;

static int make_fixture(void **state UNUSED)
{
	struct sasl_options options = {"csync", sasl_test_get, &fix.options};
	struct us_err err;

	sasldb_make(&fix.db);
	snprintf(fix.mux, sizeof(fix.mux), "%s/mux", fix.db.dir);
	sasldb_add(fix.db.file, REALM, "bob", "bobpw");
	sasldb_add(fix.db.file, REALM, "admin", "adminpw");
	sasldb_add(fix.db.file, REALM, "murder", "murderpw");
	sasl_test_set(&fix.options, "sasl_sasldb_path", fix.db.file);
	sasl_test_set(&fix.options, "sasl_mech_list",
		      "SCRAM-SHA-256 EXTERNAL ANONYMOUS PLAIN LOGIN");
	sasl_test_set(&fix.options, "sasl_pwcheck_method", "auxprop");
	assert_ok(sasl_srv_library_new(&options, &fix.lib, &err), &err);
	return 0;
}

static int drop_fixture(void **state UNUSED)
{
	sasl_srv_library_free(&fix.lib);
	sasldb_drop(&fix.db);
	return 0;
}

static struct sasl_srv_config usual(void)
{
	return (struct sasl_srv_config){
		.service = "csync",
		.servername = REALM,
		.plaintext = true,
		.policy = {.admins = "admin", .proxyservers = "murder", .username_tolower = true},
	};
}

static struct sasl_srv *make(const struct sasl_srv_config *config)
{
	return sasl_srv_new(fix.lib, config);
}

/* PLAIN as a client sends it: authzid NUL authcid NUL password. */
static int plain(struct sasl_srv *s, const char *user, const char *authname, const char *password,
		 struct us_err *err)
{
	struct buf initial = BUF_INIT, challenge = BUF_INIT;
	int rc;

	buf_add(&initial, user, strlen(user) + 1);
	buf_add(&initial, authname, strlen(authname) + 1);
	buf_add_str(&initial, password);
	rc = sasl_srv_begin(s, SPAN_LIT("PLAIN"), buf_span(&initial), &challenge, err);
	assert_int_equal(challenge.len, 0);
	buf_free(&initial);
	buf_free(&challenge);
	return rc;
}

/* ---- PLAIN and what stands around it ---------------------------------------------------------- */

static void the_captured_login_succeeds(void **state UNUSED)
{
	struct sasl_srv_config config = usual();
	struct sasl_srv *s = make(&config);
	struct buf initial = BUF_INIT, challenge = BUF_INIT;
	struct us_err err;

	assert_true(base64_decode(SPAN_LIT("AGFkbWluAGFkbWlucHc="), &initial));
	assert_null(sasl_srv_identity(s));
	assert_ok(sasl_srv_begin(s, SPAN_LIT("plain"), buf_span(&initial), &challenge, &err), &err);
	assert_string_equal(sasl_srv_identity(s)->user, "admin");
	assert_true(sasl_srv_identity(s)->admin);
	assert_string_equal(sasl_srv_mech(s), "plain");
	sasl_srv_free(&s);
	assert_null(s);
	buf_free(&initial);
	buf_free(&challenge);
}

/* Bob is out, and eve without a word; who the admin acts for may be out, too; himself he cannot be. */
static bool deny_some(const void *ctx, const char *user, struct buf *message)
{
	assert_ptr_equal(ctx, &fix);
	assert_string_not_equal(user, "admin");
	if (strcmp(user, "bob") == 0)
		buf_add_str(message, "Go away");
	return strcmp(user, "bob") == 0 || strcmp(user, "eve") == 0;
}

static void some_are_kept_out(void **state UNUSED)
{
	struct sasl_srv_config config = usual();
	struct sasl_srv *s;
	struct us_err err = US_ERR_INIT;

	config.is_denied = deny_some;
	config.ctx = &fix;
	s = make(&config);
	assert_int_equal(plain(s, "", "bob", "bobpw", &err), US_EPERM);
	assert_string_equal(err.text, "Go away");
	assert_non_null(
		strstr(sasl_srv_detail(s), "user 'bob' is denied access to service 'csync'"));
	assert_null(sasl_srv_identity(s));
	assert_int_equal(plain(s, "", "bob", "wrong", &err),
			 US_EAUTH); /* to whom nothing is told */
	assert_int_equal(sasl_srv_checkpass(s, SPAN_LIT("bob"), SPAN_LIT("bobpw"), &err), US_EPERM);
	assert_string_equal(err.text, "Go away");
	assert_int_equal(plain(s, "bob", "admin", "adminpw", &err), US_EPERM);
	assert_int_equal(plain(s, "eve", "admin", "adminpw", &err), US_EPERM);
	assert_string_equal(err.text, "");
	assert_ok(plain(s, "", "admin", "adminpw", &err), &err);
	assert_ok(plain(s, "alice", "admin", "adminpw", &err), &err);
	sasl_srv_free(&s);
}

static void logins_succeed_and_fail_on_one_connection(void **state UNUSED)
{
	static const struct {
		const char *user, *authname, *password;
		int code;
		const char *is, *detail;
		bool admin, proxy_admin;
	} rows[] = {
		{"", "bob", "bobpw", 0, "bob", "", false, false},
		{"", "bob", "wrong", US_EAUTH, NULL, "", false, false},
		{"", "nobody", "bobpw", US_EAUTH, NULL, "", false, false},
		{"", "BOB ", "bobpw", 0, "bob", "", false, false},
		{"bob", "bob", "bobpw", 0, "bob", "", false, false},
		{"alice", "bob", "bobpw", US_EAUTH, NULL, "user bob is not allowed to proxy", false,
		 false},
		{"alice", "admin", "adminpw", 0, "alice", "", false, false},
		{"ALICE", "murder", "murderpw", 0, "alice", "", false, false},
		{"admin", "murder", "murderpw", 0, "admin", "", false, true},
		{"admin", "bob", "bobpw", US_EAUTH, NULL, "user bob is not allowed to proxy", false,
		 false},
		{"a/b", "admin", "adminpw", US_EAUTH, NULL, "bad userid authenticated", false,
		 false},
		{"", "bob@elsewhere", "bobpw", US_EAUTH, NULL, "", false, false},
		{"", "bob@" REALM, "bobpw", US_EAUTH, NULL,
		 "cross-realm login bob@" REALM " denied", false, false},
		{"", "admin", "adminpw", 0, "admin", "", true, false},
	};
	struct sasl_srv_config config = usual();
	struct sasl_srv *s = make(&config);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct us_err err = US_ERR_INIT;
		int rc = plain(s, rows[i].user, rows[i].authname, rows[i].password, &err);
		const struct identity *who = sasl_srv_identity(s);

		if (rc != rows[i].code)
			fail_msg("row %zu: %d %s (%s)", i, rc, err.text, sasl_srv_detail(s));
		assert_int_equal(who != NULL, rows[i].is != NULL);
		if (rc < 0) {
			/* the same for all reasons */
			assert_string_equal(err.text, "authentication failure");
			assert_true(sasl_srv_detail(s)[0] != '\0');
			if (!strstr(sasl_srv_detail(s), rows[i].detail))
				fail_msg("row %zu: detail %s", i, sasl_srv_detail(s));
			continue;
		}
		assert_string_equal(who->user, rows[i].is);
		assert_int_equal(who->admin, rows[i].admin);
		assert_int_equal(who->proxy_admin, rows[i].proxy_admin);
	}
	sasl_srv_free(&s);
}

static void the_initial_response_may_come_later(void **state UNUSED)
{
	struct sasl_srv_config config = usual();
	struct sasl_srv *s = make(&config);
	struct buf challenge = BUF_INIT;
	struct us_err err;

	assert_int_equal(sasl_srv_begin(s, SPAN_LIT("PLAIN"), SPAN_NULL, &challenge, &err),
			 SASL_SRV_MORE);
	assert_int_equal(challenge.len, 0);
	assert_null(sasl_srv_identity(s));
	assert_ok(sasl_srv_step(s, span_make("\0bob\0bobpw", 10), &challenge, &err), &err);
	assert_string_equal(sasl_srv_identity(s)->user, "bob");
	/* LOGIN asks for both in turn */
	assert_int_equal(sasl_srv_begin(s, SPAN_LIT("LOGIN"), SPAN_NULL, &challenge, &err),
			 SASL_SRV_MORE);
	assert_null(sasl_srv_identity(s));
	assert_span(buf_span(&challenge), "Username:");
	assert_int_equal(sasl_srv_step(s, SPAN_LIT("bob"), &challenge, &err), SASL_SRV_MORE);
	assert_span(buf_span(&challenge), "Password:");
	assert_ok(sasl_srv_step(s, SPAN_LIT("bobpw"), &challenge, &err), &err);
	assert_string_equal(sasl_srv_identity(s)->user, "bob");
	buf_free(&challenge);
	sasl_srv_free(&s);
}

static void an_exchange_can_be_given_up(void **state UNUSED)
{
	struct sasl_srv_config config = usual();
	struct sasl_srv *s = make(&config);
	struct buf challenge = BUF_INIT;
	struct us_err err;

	assert_int_equal(sasl_srv_begin(s, SPAN_LIT("LOGIN"), SPAN_NULL, &challenge, &err),
			 SASL_SRV_MORE);
	assert_int_equal(sasl_srv_step(s, SPAN_LIT("bob"), &challenge, &err), SASL_SRV_MORE);
	/* "*": the client has cancelled; nobody is logged in, and a new attempt begins at the beginning */
	assert_int_equal(plain(s, "", "admin", "wrong", &err), US_EAUTH);
	assert_ok(plain(s, "", "admin", "adminpw", &err), &err);
	buf_free(&challenge);
	sasl_srv_free(&s);
}

static void malformed_responses_are_refused(void **state UNUSED)
{
	struct sasl_srv_config config = usual();
	struct sasl_srv *s = make(&config);
	struct buf challenge = BUF_INIT;
	struct us_err err;
	char *large = us_calloc(1, 70000);
	const struct span rows[] = {SPAN_LIT(""),
				    SPAN_LIT("bob"),
				    span_make("\0bob", 4),
				    span_make("\0bob\0bobpw\0x", 12),
				    span_make("\0\0bobpw", 7),
				    span_make(large, 70000)};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int rc = sasl_srv_begin(s, SPAN_LIT("PLAIN"), rows[i], &challenge, &err);

		if (rc != US_EPROTO && rc != US_EAUTH)
			fail_msg("row %zu: %d", i, rc);
		assert_null(sasl_srv_identity(s));
	}
	free(large);
	buf_free(&challenge);
	sasl_srv_free(&s);
}

/* ---- what is offered -------------------------------------------------------------------------- */

static void mechanisms_follow_tls_and_configuration(void **state UNUSED)
{
	static const struct {
		bool plaintext, anonymous;
		unsigned minimum, bits;
		const char *external, *offered;
		bool login;
	} rows[] = {
		{true, false, 0, 0, NULL, " SCRAM-SHA-256 PLAIN LOGIN", true},
		{false, false, 0, 0, NULL, " SCRAM-SHA-256", false},
		{false, false, 0, 256, NULL, " SCRAM-SHA-256 PLAIN LOGIN", true},
		{true, false, 1, 0, NULL, "", false},
		{true, false, 128, 256, NULL, " SCRAM-SHA-256 PLAIN LOGIN", true},
		{true, false, 256, 128, NULL, "", false},
		{false, false, 0, 256, "replica-a", " SCRAM-SHA-256 EXTERNAL PLAIN LOGIN", true},
		{false, true, 0, 0, NULL, " SCRAM-SHA-256 ANONYMOUS", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sasl_srv_config config = usual();
		struct buf list = BUF_INIT, challenge = BUF_INIT;
		struct us_err err = US_ERR_INIT;
		struct sasl_srv *s;
		unsigned count = 0;
		int rc;

		config.plaintext = rows[i].plaintext;
		config.anonymous = rows[i].anonymous;
		config.minimum_layer = rows[i].minimum;
		s = make(&config);
		if (rows[i].bits)
			sasl_srv_set_layer(s, rows[i].bits, rows[i].external);
		for (const char *c = rows[i].offered; *c; c++)
			count += *c == ' ';
		assert_int_equal(sasl_srv_mechs(s, " ", &list), count);
		assert_string_equal(list.data, rows[i].offered);
		assert_int_equal(sasl_srv_plaintext_allowed(s), rows[i].login);
		/* what is not offered cannot be had */
		rc = plain(s, "", "bob", "bobpw", &err);
		assert_int_equal(rc, rows[i].login ? 0 : US_EAUTH);
		if (rc < 0)
			assert_string_equal(err.text, "encryption needed to use mechanism");
		rc = sasl_srv_checkpass(s, SPAN_LIT("bob"), SPAN_LIT("bobpw"), &err);
		assert_int_equal(rc, rows[i].login ? 0 : US_EAUTH);
		if (rc < 0)
			assert_string_equal(err.text, "encryption needed to use mechanism");
		buf_free(&list);
		buf_free(&challenge);
		sasl_srv_free(&s);
	}
}

static void unknown_mechanisms_are_not_available(void **state UNUSED)
{
	static const char *const rows[] =
		{"FOO", "", "CRAM-MD5", "PLAIN ", "PLAINPLAINPLAINPLAINPLAIN", "GSSAPI"};
	struct sasl_srv_config config = usual();
	struct sasl_srv *s = make(&config);
	struct buf challenge = BUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct us_err err = US_ERR_INIT;
		int rc = sasl_srv_begin(s, span_of(rows[i]), SPAN_NULL, &challenge, &err);

		if (rc != US_ENOTSUP)
			fail_msg("%s: %d", rows[i], rc);
		assert_string_equal(err.text, "no mechanism available");
	}
	assert_int_equal(sasl_srv_begin(s, span_make("PLAIN\0x", 7), SPAN_NULL, &challenge, NULL),
			 US_ENOTSUP);
	buf_free(&challenge);
	sasl_srv_free(&s);
}

static void options_of_the_service_come_first(void **state UNUSED)
{
	struct sasl_srv_config config = usual();
	struct buf list = BUF_INIT;
	struct sasl_srv *s;

	sasl_test_set(&fix.options, "csync_sasl_mech_list", "LOGIN");
	s = make(&config);
	assert_int_equal(sasl_srv_mechs(s, " AUTH=", &list), 1);
	assert_string_equal(list.data, " AUTH=LOGIN");
	sasl_srv_free(&s);
	sasl_test_set(&fix.options, "csync_sasl_mech_list", NULL);
	sasl_test_set(&fix.options, "imap_sasl_mech_list", "LOGIN");
	buf_clear(&list);
	s = make(&config);
	assert_int_equal(sasl_srv_mechs(s, " ", &list), 3);
	sasl_srv_free(&s);
	buf_free(&list);
}

static void a_certificate_is_an_identity(void **state UNUSED)
{
	struct sasl_srv_config config = usual();
	struct sasl_srv *s = make(&config);
	struct buf challenge = BUF_INIT;
	struct us_err err;

	assert_int_equal(sasl_srv_begin(s, SPAN_LIT("EXTERNAL"), SPAN_LIT(""), &challenge, &err),
			 US_ENOTSUP);
	sasl_srv_set_layer(s, 256, "Admin");
	assert_ok(sasl_srv_begin(s, SPAN_LIT("EXTERNAL"), SPAN_LIT(""), &challenge, &err), &err);
	assert_string_equal(sasl_srv_identity(s)->user, "admin");
	assert_true(sasl_srv_identity(s)->admin);
	assert_ok(sasl_srv_begin(s, SPAN_LIT("EXTERNAL"), SPAN_LIT("alice"), &challenge, &err),
		  &err);
	assert_string_equal(sasl_srv_identity(s)->user, "alice");
	assert_string_equal(sasl_srv_identity(s)->authname, "admin");
	sasl_srv_set_layer(s, 256, "replica-a");
	assert_int_equal(sasl_srv_begin(s, SPAN_LIT("EXTERNAL"), SPAN_LIT("alice"), &challenge,
					&err),
			 US_EAUTH);
	sasl_srv_set_layer(s, 256, "not/an id");
	assert_int_equal(sasl_srv_begin(s, SPAN_LIT("EXTERNAL"), SPAN_LIT(""), &challenge, &err),
			 US_EAUTH);
	buf_free(&challenge);
	sasl_srv_free(&s);
}

static void anonymous_is_a_user_of_that_name(void **state UNUSED)
{
	struct sasl_srv_config config = usual();
	struct buf challenge = BUF_INIT;
	struct sasl_srv *s;
	struct us_err err;

	config.anonymous = true;
	s = make(&config);
	assert_ok(sasl_srv_begin(s, SPAN_LIT("ANONYMOUS"), SPAN_LIT("somebody"), &challenge, &err),
		  &err);
	assert_string_equal(sasl_srv_identity(s)->user, "anonymous");
	buf_free(&challenge);
	sasl_srv_free(&s);
}

/* ---- LOGIN and APOP --------------------------------------------------------------------------- */

static void passwords_are_checked_without_an_exchange(void **state UNUSED)
{
	static const struct {
		struct span user, password;
		int code;
	} rows[] = {
		{SPAN_LIT("bob"), SPAN_LIT("bobpw"), 0},
		{SPAN_LIT("Bob"), SPAN_LIT("bobpw"), 0},
		{SPAN_LIT("bob"), SPAN_LIT("bobpw2"), US_EAUTH},
		{SPAN_LIT("bob"), SPAN_LIT("bobp"), US_EAUTH},
		{SPAN_LIT("bob"), SPAN_LIT(""), US_EAUTH},
		{SPAN_LIT(""), SPAN_LIT("bobpw"), US_EAUTH},
		{SPAN_LIT("alice"), SPAN_LIT("bobpw"), US_EAUTH},
		{SPAN_LIT("bob\0x"), SPAN_LIT("bobpw"), US_EAUTH},
		{SPAN_LIT("bob"), SPAN_LIT("bobpw\0x"), US_EAUTH},
		{SPAN_LIT("bob@" REALM), SPAN_LIT("bobpw"), US_EAUTH},
		{SPAN_LIT("bob/x"), SPAN_LIT("bobpw"), US_EAUTH},
	};
	struct sasl_srv_config config = usual();
	struct sasl_srv *s = make(&config);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct us_err err = US_ERR_INIT;
		int rc = sasl_srv_checkpass(s, rows[i].user, rows[i].password, &err);

		if (rc != rows[i].code)
			fail_msg("row %zu: %d %s", i, rc, err.text);
		assert_int_equal(sasl_srv_identity(s) != NULL, rc == 0);
		if (rc == 0)
			assert_string_equal(sasl_srv_identity(s)->user, "bob");
		else
			assert_string_equal(err.text, "authentication failure");
	}
	sasl_srv_free(&s);
}

/* The digest is MD5 of challenge and password, as in RFC 1939. */
static void apop_needs_the_right_digest(void **state UNUSED)
{
	struct sasl_srv_config config = usual();
	struct sasl_srv *s = make(&config);
	struct span challenge = SPAN_LIT("<1896.697170952@b.example.net>");
	struct us_err err = US_ERR_INIT;

	assert_ok(sasl_srv_checkapop(s, challenge, SPAN_LIT("bob 17ee208d67743c247b26d3fc21670ae6"),
				     &err),
		  &err);
	assert_string_equal(sasl_srv_identity(s)->user, "bob");
	assert_int_equal(sasl_srv_checkapop(s, challenge,
					    SPAN_LIT("bob 00000000000000000000000000000000"), &err),
			 US_EAUTH);
	assert_null(sasl_srv_identity(s));
	sasl_srv_free(&s);
}

/* ---- saslauthd -------------------------------------------------------------------------------- */

static void saslauthd_is_asked(void **state UNUSED)
{
	struct sasl_srv_config config = usual();
	struct saslauthd daemon;
	struct us_err err;
	struct sasl_srv *s;

	sasl_test_set(&fix.options, "sasl_pwcheck_method", "saslauthd");
	sasl_test_set(&fix.options, "sasl_saslauthd_path", fix.mux);
	saslauthd_start(&daemon, fix.db.dir, "carol", "carolpw");
	s = make(&config);
	assert_ok(sasl_srv_checkpass(s, SPAN_LIT("Carol"), SPAN_LIT("carolpw"), &err), &err);
	assert_string_equal(sasl_srv_identity(s)->user, "carol");
	assert_string_equal(daemon.service, "csync");
	assert_ok(plain(s, "", "carol", "carolpw", &err), &err);
	assert_int_equal(plain(s, "", "carol", "wrong", &err), US_EAUTH);
	assert_int_equal(sasl_srv_checkpass(s, SPAN_LIT("carol"), SPAN_LIT("wrong"), &err),
			 US_EAUTH);
	/* bob is in the sasldb only, and that is not asked */
	assert_int_equal(plain(s, "", "bob", "bobpw", &err), US_EAUTH);
	assert_int_equal(daemon.asked, 5);
	saslauthd_stop(&daemon);

	/* nobody there: no verdict on the password, and the client may come again */
	assert_int_equal(sasl_srv_checkpass(s, SPAN_LIT("carol"), SPAN_LIT("carolpw"), &err),
			 US_EIO);
	assert_int_equal(us_err_class(err.code), US_RETRY);
	assert_int_equal(plain(s, "", "carol", "carolpw", &err), US_EIO);
	sasl_srv_free(&s);
	sasl_test_set(&fix.options, "sasl_pwcheck_method", "auxprop");
}

/* ---- secrets ---------------------------------------------------------------------------------- */

static bool log_contains(const char *path, const char *word)
{
	char data[20000];
	FILE *file = fopen(path, "r");
	size_t n;

	assert_non_null(file);
	n = fread(data, 1, sizeof(data) - 1, file);
	fclose(file);
	data[n] = '\0';
	return strstr(data, word) != NULL;
}

static void passwords_reach_no_log(void **state UNUSED)
{
	struct sasl_srv_config config = usual();
	struct sasl_srv *s = make(&config);
	struct us_err err;
	char path[100];

	snprintf(path, sizeof(path), "%s/log", fix.db.dir);
	log_set_file(path);
	log_set_debug(true);
	sasl_test_set(&fix.options, "sasl_log_level", "7"); /* libsasl shows all it has */
	assert_int_equal(plain(s, "", "bob", "myhiddenword", &err), US_EAUTH);
	assert_int_equal(sasl_srv_checkpass(s, SPAN_LIT("bob"), SPAN_LIT("myhiddenword"), &err),
			 US_EAUTH);
	assert_int_equal(sasl_srv_begin(s, SPAN_LIT("FOO"), SPAN_NULL, &(struct buf)BUF_INIT, &err),
			 US_ENOTSUP);
	sasl_test_set(&fix.options, "sasl_log_level", NULL);
	log_set_debug(false);
	log_set_file(NULL);
	assert_true(log_contains(path, "event=session.sasl.said"));
	assert_false(log_contains(path, "myhiddenword"));
	assert_false(log_contains(path, "bobpw"));
	unlink(path);
	sasl_srv_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_captured_login_succeeds),
		cmocka_unit_test(some_are_kept_out),
		cmocka_unit_test(logins_succeed_and_fail_on_one_connection),
		cmocka_unit_test(the_initial_response_may_come_later),
		cmocka_unit_test(an_exchange_can_be_given_up),
		cmocka_unit_test(malformed_responses_are_refused),
		cmocka_unit_test(mechanisms_follow_tls_and_configuration),
		cmocka_unit_test(unknown_mechanisms_are_not_available),
		cmocka_unit_test(options_of_the_service_come_first),
		cmocka_unit_test(a_certificate_is_an_identity),
		cmocka_unit_test(anonymous_is_a_user_of_that_name),
		cmocka_unit_test(passwords_are_checked_without_an_exchange),
		cmocka_unit_test(apop_needs_the_right_digest),
		cmocka_unit_test(saslauthd_is_asked),
		cmocka_unit_test(passwords_reach_no_log),
	};

	return cmocka_run_group_tests(tests, make_fixture, drop_fixture);
}
