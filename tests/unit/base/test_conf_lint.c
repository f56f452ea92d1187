/* test_conf_lint.c - what conf_lint() tells about each kind of key. */
#include "tests/unit/test.h"

#include "server/base/buf.h"
#include "server/base/conf.h"
#include "server/base/err.h"

static const char *const kinds[] = {
	[CONF_LINT_UNKNOWN] = "unknown",   [CONF_LINT_OLD_NAME] = "old",
	[CONF_LINT_BAD] = "bad",           [CONF_LINT_CLAMPED] = "clamped",
	[CONF_LINT_ACCEPTED] = "accepted", [CONF_LINT_IGNORED] = "ignored",
	[CONF_LINT_SERVICE] = "service",
};

/* "kind key:line [text]" a line. Why a key is ignored is not shown: it is prose. */
static void note(void *ctx, const struct conf_lint *lint)
{
	buf_printf(ctx, "%s %s:%u", kinds[lint->kind], lint->item.key, lint->item.line);
	if (lint->text && lint->kind != CONF_LINT_IGNORED)
		buf_printf(ctx, " %s", lint->text);
	assert_true(lint->kind != CONF_LINT_IGNORED || (lint->text && *lint->text));
	buf_add_str(ctx, "\n");
}

static void check(const char *text, const char *ident, const char *expected)
{
	struct buf out = BUF_INIT;
	struct conf *conf = NULL;
	struct us_err err = US_ERR_INIT;

	assert_ok(conf_parse(span_of(text), "f", ident, NULL, &conf, &err), &err);
	conf_lint(conf, note, &out);
	assert_string_equal(out.data, expected);
	conf_free(&conf);
	buf_free(&out);
}

/* Keys whose status will not change: what our own code obeys, and what is not here. */
static void keys_of_the_table_are_told_by_their_status(void **state UNUSED)
{
	check("configdirectory: /c\nlogfile: /l\ndebug: yes\n", "", "");
	check("jmap_max_calls_in_request: 5\n", "", "ignored jmap_max_calls_in_request:1\n");
	check("imap_jmap_vacation: no\n", "imap", "ignored imap_jmap_vacation:1\n");
	check("ldap_servers: x\n", "", "old ldap_servers:1 ldap_uri\nignored ldap_servers:1\n");
}

static void other_keys_are_told_by_their_form(void **state UNUSED)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{"partition-default: /p\nmetapartition-a: /m\narchivepartition-a: /x\n", ""},
		{"searchpartition-a: /s\nt1searchpartition-a: /s\n", ""},
		{"partition-: /p\n", "unknown partition-:1\n"},
		{"backuppartition-a: /b\n", "ignored backuppartition-a:1\n"},
		{"sasl_mech_list: PLAIN\nxlist-junk: Spam\n", ""},
		{"b1_password: x\nb1_mechs: x\nb1_client_cert: x\nb1_client_key: x\n", ""},
		{"_password: x\n", "unknown _password:1\n"},
		{"expunge_days: 3\ntimeuot: 5\n", "unknown expunge_days:1\nunknown timeuot:2\n"},
		{"imap_bogus: 1\n_timeout: 1\n", "unknown _timeout:2\nunknown imap_bogus:1\n"},
		{"uidbatches_x: 1\nsieve_mdn_x: 1\n",
		 "accepted sieve_mdn_x:2\naccepted uidbatches_x:1\n"},
		{"pop3_sasl_mech_list: PLAIN\n", "service pop3_sasl_mech_list:1 pop3\n"},
		{"http_jmap_vacation: no\n",
		 "service http_jmap_vacation:1 http\nignored http_jmap_vacation:1\n"},
		{"http_jmap_vacation: perhaps\n",
		 "service http_jmap_vacation:1 http\n"
		 "bad http_jmap_vacation:1 \"perhaps\" is neither yes nor no\n"
		 "ignored http_jmap_vacation:1\n"},
		{"x_ldap_servers: u\n", "service x_ldap_servers:1 x\nignored x_ldap_servers:1\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check(rows[i].text, "imap", rows[i].expected);
}

static bool tells(const char *text, const char *ident, const char *line)
{
	struct buf out = BUF_INIT;
	struct conf *conf = NULL;
	struct us_err err = US_ERR_INIT;
	bool found;

	assert_ok(conf_parse(span_of(text), "f", ident, NULL, &conf, &err), &err);
	conf_lint(conf, note, &out);
	found = strstr(out.data, line) != NULL;
	conf_free(&conf);
	buf_free(&out);
	return found;
}

/* The status of these keys changes as they come to be obeyed. */
static void values_are_looked_at_too(void **state UNUSED)
{
	assert_true(tells("timeout: 5\n", "", "clamped timeout:1 30m\n"));
	assert_false(tells("timeout: 35\n", "", "clamped"));
	assert_true(tells("pop3_timeout: 5\n", "imap", "clamped pop3_timeout:1 30m\n"));
	assert_true(tells("west_sync_timeout: zz\n", "",
			  "bad west_sync_timeout:1 \"zz\" is not a duration such as 1h30m\n"));
	assert_true(tells("west_sync_timeout: 1\n", "", "clamped west_sync_timeout:1 3s\n"));
	assert_false(tells("west_sync_host: h\n", "", "service"));
	assert_false(tells("west_sync_host: h\n", "", "unknown"));
	assert_true(tells("autocreatequota: 5\n", "", "old autocreatequota:1 autocreate_quota\n"));
	assert_true(tells("autocreatequota: 5\nautocreate_quota: 5\n", "",
			  "old autocreatequota:1 autocreate_quota\n"));
	assert_false(tells("quotawarnpercent: 5\n", "", "old"));
}

static void an_accepted_key_is_told(void **state UNUSED)
{
	for (int i = 0; i < CONF_KEYS; i++) {
		const struct conf_option *o = conf_option((enum conf_key)i);
		char *text, *line;

		if (o->status == CONF_IGNORED || !o->fallback || !*o->fallback)
			continue;
		text = us_asprintf("%s: %s\n", o->name, o->fallback);
		line = us_asprintf("accepted %s:1\n", o->name);
		assert_int_equal(tells(text, "", line), o->status == CONF_ACCEPTED);
		free(text);
		free(line);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_of_the_table_are_told_by_their_status),
		cmocka_unit_test(other_keys_are_told_by_their_form),
		cmocka_unit_test(values_are_looked_at_too),
		cmocka_unit_test(an_accepted_key_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
