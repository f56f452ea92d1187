/* test_sasl_client.c - logging in to our own server side, and to servers that cheat. */
#include "tests/unit/sasl.h"

#include "server/base/base64.h"
#include "server/session/sasl_client.h"

#define REALM "b.example.net"

static struct fixture {
	struct sasldb db;
	struct sasl_test_options options;
	struct sasl_srv_library *server;
	struct sasl_cli_library *client;
} fix;

static int make_fixture(void **state UNUSED)
{
	struct sasl_options options = {"csync", sasl_test_get, &fix.options};
	struct us_err err;

	sasldb_make(&fix.db);
	sasldb_add(fix.db.file, REALM, "admin", "adminpw");
	sasl_test_set(&fix.options, "sasl_sasldb_path", fix.db.file);
	sasl_test_set(&fix.options, "sasl_mech_list",
		      "PLAIN LOGIN SCRAM-SHA-1 SCRAM-SHA-256 EXTERNAL");
	assert_ok(sasl_srv_library_new(&options, &fix.server, &err), &err);
	assert_ok(sasl_cli_library_new(&options, &fix.client, &err), &err);
	return 0;
}

static int drop_fixture(void **state UNUSED)
{
	sasl_cli_library_free(&fix.client);
	sasl_srv_library_free(&fix.server);
	sasldb_drop(&fix.db);
	return 0;
}

static struct sasl_cli *make_client(const char *user, const char *password, const char *mech)
{
	struct sasl_cli_config config = {.service = "csync",
					 .host = REALM,
					 .authname = "admin",
					 .user = user,
					 .password = password,
					 .mech = mech};
	struct sasl_cli *c = NULL;
	struct us_err err;

	assert_ok(sasl_cli_new(fix.client, &config, &c, &err), &err);
	return c;
}

static struct sasl_srv *make_server(void)
{
	struct sasl_srv_config config = {.service = "csync",
					 .servername = REALM,
					 .plaintext = true,
					 .policy = {.admins = "admin"}};

	return sasl_srv_new(fix.server, &config);
}

/* Go through a whole exchange; the protocol between carries an initial response or does not. What the server
 * comes to, or the client, if he gives up first. */
static int exchange(struct sasl_cli *c, struct sasl_srv *s, struct span offered, bool sasl_ir,
		    char mech_used[32], struct us_err *err)
{
	struct buf response = BUF_INIT, challenge = BUF_INIT;
	bool has_initial, held_back;
	const char *mech;
	int rc;

	rc = sasl_cli_begin(c, offered, &mech, &has_initial, &response, err);
	if (rc == 0) {
		snprintf(mech_used, 32, "%s", mech);
		held_back = has_initial && !sasl_ir;
		rc = sasl_srv_begin(s, span_of(mech),
				    has_initial && sasl_ir ? buf_span(&response) : SPAN_NULL,
				    &challenge, err);
		while (rc == SASL_SRV_MORE) {
			if (!held_back)
				rc = sasl_cli_step(c, buf_span(&challenge), &response, err);
			held_back = false;
			if (rc < 0)
				break;
			rc = sasl_srv_step(s, buf_span(&response), &challenge, err);
		}
		if (rc == 0)
			rc = sasl_cli_finish(c, SPAN_NULL, err);
	}
	buf_wipe(&response);
	buf_free(&response);
	buf_free(&challenge);
	return rc;
}

static void every_mechanism_logs_in(void **state UNUSED)
{
	static const char *const mechs[] = {"PLAIN", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-256"};

	for (size_t i = 0; i < ARRAY_SIZE(mechs) * 4; i++) {
		const char *mech = mechs[i / 4];
		bool sasl_ir = i & 1, right = i & 2;
		struct sasl_cli *c = make_client(NULL, right ? "adminpw" : "wrong", mech);
		struct sasl_srv *s = make_server();
		struct us_err err = US_ERR_INIT;
		char used[32] = "";
		int rc = exchange(c, s, SPAN_LIT("PLAIN LOGIN SCRAM-SHA-1 SCRAM-SHA-256"), sasl_ir,
				  used, &err);

		if (rc != (right ? 0 : US_EAUTH))
			fail_msg("%s: %d %s (%s)", mech, rc, err.text, sasl_srv_detail(s));
		assert_string_equal(used, mech);
		assert_int_equal(sasl_srv_identity(s) != NULL, right);
		if (right)
			assert_string_equal(sasl_srv_identity(s)->user, "admin");
		sasl_cli_free(&c);
		sasl_srv_free(&s);
	}
}

/* What the real client sends, to the byte. */
static void plain_is_as_captured(void **state UNUSED)
{
	struct sasl_cli *c = make_client(NULL, "adminpw", NULL);
	struct buf initial = BUF_INIT, coded = BUF_INIT;
	bool has_initial = false;
	struct us_err err;
	const char *mech;

	assert_ok(sasl_cli_begin(c, SPAN_LIT("PLAIN LOGIN"), &mech, &has_initial, &initial, &err),
		  &err);
	assert_string_equal(mech, "PLAIN");
	assert_true(has_initial);
	base64_encode(buf_span(&initial), &coded);
	assert_string_equal(coded.data, "AGFkbWluAGFkbWlucHc=");
	assert_ok(sasl_cli_finish(c, SPAN_NULL, &err), &err);
	buf_free(&coded);
	buf_free(&initial);
	sasl_cli_free(&c);
}

static void the_best_of_the_offer_is_taken(void **state UNUSED)
{
	static const struct {
		const char *offered, *allowed, *taken;
	} rows[] = {
		{"PLAIN LOGIN", NULL, "PLAIN"},
		{"LOGIN PLAIN SCRAM-SHA-1", NULL, "SCRAM-SHA-1"},
		{"SCRAM-SHA-1 SCRAM-SHA-256", NULL, "SCRAM-SHA-256"},
		{"PLAIN SCRAM-SHA-256", "plain", "PLAIN"},
		{"PLAIN LOGIN SCRAM-SHA-256", "LOGIN PLAIN", "PLAIN"},
		{"ANONYMOUS PLAIN", NULL, "PLAIN"},
		{"X-UNKNOWN LOGIN", NULL, "LOGIN"},
		{"PLAIN", "SCRAM-SHA-256", NULL},
		{"X-UNKNOWN", NULL, NULL},
		{"ANONYMOUS", NULL, NULL},
		{"", NULL, NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sasl_cli *c = make_client(NULL, "adminpw", rows[i].allowed);
		struct buf initial = BUF_INIT;
		const char *mech = NULL;
		struct us_err err = US_ERR_INIT;
		bool has_initial;
		int rc = sasl_cli_begin(c, span_of(rows[i].offered), &mech, &has_initial, &initial,
					&err);

		if (rc != (rows[i].taken ? 0 : US_ENOTSUP))
			fail_msg("row %zu: %d %s", i, rc, err.text);
		if (rc == 0)
			assert_string_equal(mech, rows[i].taken);
		buf_free(&initial);
		sasl_cli_free(&c);
	}
}

static void one_can_act_as_another(void **state UNUSED)
{
	static const char *const mechs[] = {"PLAIN", "SCRAM-SHA-256"};

	for (size_t i = 0; i < ARRAY_SIZE(mechs); i++) {
		struct sasl_cli *c = make_client("bob", "adminpw", mechs[i]);
		struct sasl_srv *s = make_server();
		struct us_err err;
		char used[32];

		assert_ok(exchange(c, s, SPAN_LIT("PLAIN SCRAM-SHA-256"), true, used, &err), &err);
		assert_string_equal(sasl_srv_identity(s)->user, "bob");
		assert_string_equal(sasl_srv_identity(s)->authname, "admin");
		assert_false(sasl_srv_identity(s)->admin);
		sasl_cli_free(&c);
		sasl_srv_free(&s);
	}
}

/* Someone between who says OK to everything has not shown that he knows the password. */
static void a_server_must_prove_itself_where_the_mechanism_can(void **state UNUSED)
{
	struct sasl_cli *c = make_client(NULL, "adminpw", "SCRAM-SHA-256");
	struct buf response = BUF_INIT;
	bool has_initial;
	struct us_err err;
	const char *mech;

	assert_ok(sasl_cli_begin(c, SPAN_LIT("SCRAM-SHA-256"), &mech, &has_initial, &response,
				 &err),
		  &err);
	assert_int_equal(sasl_cli_finish(c, SPAN_NULL, &err), US_EAUTH);
	assert_non_null(strstr(err.text, "before it has shown"));
	sasl_cli_free(&c);

	c = make_client(NULL, "adminpw", "SCRAM-SHA-256");
	assert_ok(sasl_cli_begin(c, SPAN_LIT("SCRAM-SHA-256"), &mech, &has_initial, &response,
				 &err),
		  &err);
	assert_true(sasl_cli_step(c, SPAN_LIT("r=notours,s=QUJD,i=4096"), &response, &err) < 0);
	sasl_cli_free(&c);

	c = make_client(NULL, "adminpw", "PLAIN");
	assert_ok(sasl_cli_begin(c, SPAN_LIT("PLAIN"), &mech, &has_initial, &response, &err), &err);
	assert_ok(sasl_cli_step(c, SPAN_LIT(""), &response, &err),
		  &err); /* an empty one is no question */
	assert_int_equal(response.len, 0);
	assert_int_equal(sasl_cli_step(c, SPAN_LIT("and your other password?"), &response, &err),
			 US_EPROTO);
	sasl_cli_free(&c);
	buf_free(&response);
}

/* The server's last word can come with the OK (ManageSieve) or as a challenge before it. */
static void the_proof_may_come_with_the_ok(void **state UNUSED)
{
	for (int spoilt = 0; spoilt < 2; spoilt++) {
		struct sasl_srv_config config = {.service = "sieve",
						 .servername = REALM,
						 .success_data = true,
						 .policy = {.admins = "admin"}};
		struct sasl_srv *s = sasl_srv_new(fix.server, &config);
		struct sasl_cli *c = make_client(NULL, "adminpw", "SCRAM-SHA-1");
		struct buf response = BUF_INIT, challenge = BUF_INIT;
		bool has_initial;
		struct us_err err;
		const char *mech;

		assert_ok(sasl_cli_begin(c, SPAN_LIT("SCRAM-SHA-1"), &mech, &has_initial, &response,
					 &err),
			  &err);
		assert_int_equal(sasl_srv_begin(s, span_of(mech), buf_span(&response), &challenge,
						&err),
				 SASL_SRV_MORE);
		assert_ok(sasl_cli_step(c, buf_span(&challenge), &response, &err), &err);
		assert_ok(sasl_srv_step(s, buf_span(&response), &challenge, &err), &err);
		assert_true(challenge.len > 0);
		if (spoilt)
			challenge.data[4] ^= 1; /* of "v=" and base64 */
		assert_int_equal(sasl_cli_finish(c, buf_span(&challenge), &err) < 0, spoilt);
		buf_free(&response);
		buf_free(&challenge);
		sasl_cli_free(&c);
		sasl_srv_free(&s);
	}
}

static void without_a_name_there_is_no_login(void **state UNUSED)
{
	struct sasl_cli_config config = {.service = "csync", .host = REALM, .password = "x"};
	struct sasl_cli *c = NULL;
	struct us_err err;

	assert_int_equal(sasl_cli_new(fix.client, &config, &c, &err), US_ECONFIG);
	config.authname = "";
	assert_int_equal(sasl_cli_new(fix.client, &config, &c, &err), US_ECONFIG);
	config.authname = "admin";
	config.password = NULL;
	assert_int_equal(sasl_cli_new(fix.client, &config, &c, &err), US_ECONFIG);
	assert_null(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_mechanism_logs_in),
		cmocka_unit_test(plain_is_as_captured),
		cmocka_unit_test(the_best_of_the_offer_is_taken),
		cmocka_unit_test(one_can_act_as_another),
		cmocka_unit_test(a_server_must_prove_itself_where_the_mechanism_can),
		cmocka_unit_test(the_proof_may_come_with_the_ok),
		cmocka_unit_test(without_a_name_there_is_no_login),
	};

	return cmocka_run_group_tests(tests, make_fixture, drop_fixture);
}
