/* test_identity.c - the form of user ids, and every way to act for somebody. */
#include "tests/unit/test.h"

#include "server/session/identity.h"

static void ids_take_one_form(void **state UNUSED)
{
	static const struct {
		const char *given, *lower, *as_is;
	} rows[] = {
		{"bob", "bob", "bob"},
		{"Bob", "bob", "Bob"},
		{"  bob ", "bob", "bob"},
		{"first.last", "first.last", "first.last"},
		{"Bob@Example.NET", "bob@example.net", "Bob@Example.NET"},
		{"4711", "4711", "4711"},
		{"bob+work", "bob+work", "bob+work"},
		{"_x-y=z~1", "_x-y=z~1", "_x-y=z~1"},
		{"two words", "two words", "two words"},
		{"anonymous", "anonymous", "anonymous"},
		{"anyone2", "anyone2", "anyone2"},
	};
	const struct identity_policy lower = {.username_tolower = true}, as_is = {0};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char out[IDENTITY_MAX + 1];
		struct us_err err;

		assert_ok(identity_canonicalize(&lower, span_of(rows[i].given), out, &err), &err);
		assert_string_equal(out, rows[i].lower);
		assert_ok(identity_canonicalize(&as_is, span_of(rows[i].given), out, &err), &err);
		assert_string_equal(out, rows[i].as_is);
	}
}

static void ids_that_are_none(void **state UNUSED)
{
	static const char *const bad[] = {
		"",       " ",       "a&b",     "a:b",  "a/b",  "a*",    "a%b",     "a?",
		"a!b",    "a^b",     "---",     ". .",  "a\tb", "a\x7f", "\r\nbob", "\xc3\xb6ko",
		"Anyone", "ANYBODY", "group:x", "bob@", "@dom", "a@b@",
	};
	const struct identity_policy policy = {0};
	char out[IDENTITY_MAX + 1] = "kept", longer[IDENTITY_MAX + 2];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (identity_canonicalize(&policy, span_of(bad[i]), out, NULL) != US_EINVAL)
			fail_msg("\"%s\" was taken for an id", bad[i]);
	assert_int_equal(identity_canonicalize(&policy, span_make("a\0b", 3), out, NULL),
			 US_EINVAL);
	memset(longer, 'a', sizeof(longer));
	assert_int_equal(identity_canonicalize(&policy, span_make(longer, IDENTITY_MAX + 1), out,
					       NULL),
			 US_EINVAL);
	assert_string_equal(out, "kept");
	assert_int_equal(identity_canonicalize(&policy, span_make(longer, IDENTITY_MAX), out, NULL),
			 0);
	assert_int_equal(strlen(out), IDENTITY_MAX);
}

static bool in_group(void *ctx UNUSED, const char *user, struct span group)
{
	return strcmp(user, "gina") == 0 && span_is(group, "staff");
}

static bool acl_allows(void *ctx, const char *authname, const char *user)
{
	return strcmp(authname, ctx) == 0 && strcmp(user, "bob") == 0;
}

static void who_may_act_as_whom(void **state UNUSED)
{
	static const struct {
		const char *authname, *user;
		bool allowed, admin, proxy_admin;
	} rows[] = {
		{"bob", "bob", true, false, false},
		{"cyrus", "cyrus", true, true, false},
		{"cyrus", "bob", true, false, false},
		{"cyrus", "admin2", true, false, true},
		{"murder", "murder", true, false, false},
		{"murder", "bob", true, false, false},
		{"murder", "cyrus", true, false, true}, /* an administrator behind a frontend */
		{"bob", "alice", false, false, false},
		{"bob", "cyrus", false, false, false},
		{"cyru", "bob", false, false, false},
		{"Cyrus", "bob", false, false, false},
		{"gina", "gina", true, true, false}, /* group:staff */
		{"gina", "bob", true, false, false},
		{"sec", "bob", true, false, false}, /* by bob's ACL */
		{"sec", "alice", false, false, false},
		{"kim@home.example", "kim@home.example", true, false, false},
		{"kim@away.example", "kim@away.example", false, false, false},
		{"kim@home.example.org", "kim@home.example.org", false, false, false},
		{"cyrus", "kim@away.example", true, false, false},
	};
	const struct identity_policy policy = {
		.admins = "cyrus admin2 group:staff",
		.proxyservers = " murder\tmurder2",
		.loginrealms = "other.example HOME.example",
		.in_group = in_group,
		.acl_allows = acl_allows,
		.ctx = (void *)"sec",
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct identity who = {.user = "kept"};
		int rc = identity_authorize(&policy, rows[i].authname, rows[i].user, &who, NULL);

		if (rc != (rows[i].allowed ? 0 : US_EAUTH))
			fail_msg("row %zu: %d", i, rc);
		assert_string_equal(who.user, rows[i].allowed ? rows[i].user : "kept");
		if (rc == 0)
			assert_string_equal(who.authname, rows[i].authname);
		assert_int_equal(who.admin, rows[i].admin);
		assert_int_equal(who.proxy_admin, rows[i].proxy_admin);
	}
}

static void empty_lists_allow_nobody(void **state UNUSED)
{
	const struct identity_policy nothing = {0},
				     admins_only = {.admins = "cyrus", .admins_only = true};
	struct identity who;
	struct us_err err;

	assert_int_equal(identity_authorize(&nothing, "bob", "alice", &who, &err), US_EAUTH);
	assert_string_equal(err.text, "user bob is not allowed to proxy");
	assert_int_equal(identity_authorize(&nothing, "bob@here", "bob@here", &who, &err),
			 US_EAUTH);
	assert_ok(identity_authorize(&nothing, "cyrus", "cyrus", &who, &err), &err);
	assert_false(who.admin);
	assert_int_equal(identity_authorize(&admins_only, "bob", "bob", &who, &err), US_EAUTH);
	assert_ok(identity_authorize(&admins_only, "cyrus", "cyrus", &who, &err), &err);
	assert_true(who.admin);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_take_one_form),
		cmocka_unit_test(ids_that_are_none),
		cmocka_unit_test(who_may_act_as_whom),
		cmocka_unit_test(empty_lists_allow_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
