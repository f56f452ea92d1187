/* test_command.c - command lines and paths: what they mean, and what is answered to those that mean nothing. */
#include "tests/unit/test.h"

#include "server/lmtp/command.h"

static struct lmtp_command parse(struct pool *pool, const char *line)
{
	struct lmtp_command c;
	enum lmtp_reply fault = lmtp_command_parse(span_of(line), false, pool, &c);

	if (fault)
		fail_msg("%s: refused with %u", line, lmtp_reply_code(fault));
	return c;
}

static void verbs_in_any_case(void **state UNUSED)
{
	static const struct {
		const char *line;
		enum lmtp_verb verb;
	} rows[] = {
		{"LHLO x", LMTP_VERB_LHLO},       {"lhlo x", LMTP_VERB_LHLO},
		{"MAIL FROM:<>", LMTP_VERB_MAIL}, {"mail from:<>", LMTP_VERB_MAIL},
		{"RCPT TO:<a>", LMTP_VERB_RCPT},  {"DATA", LMTP_VERB_DATA},
		{"data  ", LMTP_VERB_DATA},       {"RSET", LMTP_VERB_RSET},
		{"NOOP", LMTP_VERB_NOOP},         {"NOOP and more", LMTP_VERB_NOOP},
		{"QUIT", LMTP_VERB_QUIT},         {"VRFY x", LMTP_VERB_VRFY},
		{"AUTH PLAIN", LMTP_VERB_AUTH},   {"STARTTLS", LMTP_VERB_STARTTLS},
	};
	struct pool *pool = pool_new();

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(parse(pool, rows[i].line).verb, rows[i].verb);
	pool_free(&pool);
}

static void lines_that_are_refused(void **state UNUSED)
{
	static const struct {
		const char *line;
		enum lmtp_reply reply;
	} rows[] = {
		{"", LMTP_SYNTAX},
		{"   ", LMTP_SYNTAX},
		{" NOOP", LMTP_SYNTAX},
		{"HELO x", LMTP_SYNTAX},
		{"EHLO x", LMTP_SYNTAX},
		{"EXPN x", LMTP_SYNTAX},
		{"HELP", LMTP_SYNTAX},
		{"NOOPX", LMTP_SYNTAX},
		{"QUIT now", LMTP_SYNTAX},
		{"DATA x", LMTP_SYNTAX},
		{"RSET x", LMTP_SYNTAX},
		{"STARTTLS x", LMTP_SYNTAX},
		{"VRFY", LMTP_SYNTAX},
		{"VRFY ", LMTP_SYNTAX},
		{"AUTH", LMTP_SYNTAX},
		{"AUTH PLAIN a b", LMTP_SYNTAX},
		{"LHLO", LMTP_PARAMETERS},
		{"LHLO ", LMTP_PARAMETERS},
		{"LHLO a(b", LMTP_PARAMETERS},
		{"LHLO a\x01", LMTP_PARAMETERS},
		{"LHLO \xe4", LMTP_PARAMETERS},
		{"MAIL", LMTP_PARAMETERS},
		{"MAIL FROM", LMTP_PARAMETERS},
		{"MAIL TO:<a>", LMTP_PARAMETERS},
		{"MAIL  FROM:<a>", LMTP_PARAMETERS},
		{"MAIL FROM: <a@b>", LMTP_PARAMETERS},
		{"MAIL FROM:a@b", LMTP_PARAMETERS},
		{"MAIL FROM:<a@b>SIZE=1", LMTP_PARAMETERS},
		{"MAIL FROM:<a@b> FOO", LMTP_NO_PARAMETER},
		{"MAIL FROM:<a@b> FOO=bar", LMTP_NO_PARAMETER},
		{"MAIL FROM:<a@b> SIZE", LMTP_NO_PARAMETER},
		{"MAIL FROM:<a@b> SIZE=", LMTP_NO_SIZE},
		{"MAIL FROM:<a@b> SIZE=x", LMTP_NO_SIZE},
		{"MAIL FROM:<a@b> SIZE=-1", LMTP_NO_SIZE},
		{"MAIL FROM:<a@b> SIZE=1 SIZE=1", LMTP_PARAMETERS},
		{"MAIL FROM:<a@b> BODY=BINARYMIME", LMTP_NO_BODY_TYPE},
		{"MAIL FROM:<a@b> BODY=7BIT BODY=7BIT", LMTP_PARAMETERS},
		{"MAIL FROM:<a@b> AUTH=a+2", LMTP_PARAMETERS},
		{"MAIL FROM:<a@b> AUTH=a+2x", LMTP_PARAMETERS},
		{"MAIL FROM:<a@b> AUTH=a=b", LMTP_PARAMETERS},
		{"MAIL FROM:<a@b> IGNOREQUOTA", LMTP_NO_PARAMETER},
		{"RCPT", LMTP_PARAMETERS},
		{"RCPT FROM:<a>", LMTP_PARAMETERS},
		{"RCPT TO:<a> SIZE=1", LMTP_NO_PARAMETER},
		{"RCPT TO:<a> NOTIFY=NEVER", LMTP_NO_PARAMETER},
		{"RCPT TO:<a> IGNOREQUOTA IGNOREQUOTA", LMTP_PARAMETERS},
	};
	struct pool *pool = pool_new();

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct lmtp_command c = {.verb = LMTP_VERBS};
		enum lmtp_reply reply = lmtp_command_parse(span_of(rows[i].line), false, pool, &c);
		if (reply != rows[i].reply)
			fail_msg("\"%s\": %d instead of %d", rows[i].line, (int)reply,
				 (int)rows[i].reply);
		assert_int_equal(c.verb, LMTP_VERBS); /* untouched */
	}
	assert_int_equal(lmtp_command_parse(span_make("NOOP\0", 5), false, pool, NULL),
			 LMTP_SYNTAX);
	pool_free(&pool);
}

static void paths(void **state UNUSED)
{
	static const struct {
		const char *path, *local, *domain, *text;
	} rows[] = {
		{"<>", "", NULL, ""},
		{"<a>", "a", NULL, "a"},
		{"<a@b>", "a", "b", "a@b"},
		{"<a.b@c.d>", "a.b", "c.d", "a.b@c.d"},
		{"<.a..b.@c>", ".a..b.", "c", ".a..b.@c"},
		{"<a+b/c@d>", "a+b/c", "d", "a+b/c@d"},
		{"<+shared/pub>", "+shared/pub", NULL, "+shared/pub"},
		{"<\"a b\"@c>", "a b", "c", "\"a b\"@c"},
		{"<\"a\\\"\\\\b>\"@c>", "a\"\\b>", "c", "\"a\\\"\\\\b>\"@c"},
		{"<\"\"@c>", "", "c", "\"\"@c"},
		{"<a\\+b@c>", "a+b", "c", "a\\+b@c"},
		{"<a\\@b@c>", "a@b", "c", "a\\@b@c"},
		{"<@x:a@b>", "a", "b", "a@b"},
		{"<@x,@y.z,@[1.2.3.4]:a>", "a", NULL, "a"},
		{"<a@[192.0.2.1]>", "a", "[192.0.2.1]", "a@[192.0.2.1]"},
		{"<a@[IPv6:2001:db8::1]>", "a", "[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::1]"},
	};
	struct pool *pool = pool_new();

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct scan s = scan_init(span_of(rows[i].path));
		struct lmtp_address a;

		if (!lmtp_address_scan(&s, false, pool, &a) || !scan_ok_at_end(&s))
			fail_msg("%s is no path", rows[i].path);
		assert_span(a.local, rows[i].local);
		if (rows[i].domain)
			assert_span(a.domain, rows[i].domain);
		else
			assert_null(a.domain.ptr);
		assert_span(a.text, rows[i].text);
	}
	pool_free(&pool);
}

static void what_is_no_path(void **state UNUSED)
{
	static const char *const bad[] = {
		"",
		"<",
		"a",
		"<a",
		"<@>",
		"<a@>",
		"<@b>",
		"<a@b@c>",
		"<a b>",
		"<a,b>",
		"<a:b>",
		"<@x>",
		"<@x:>",
		"<@:a>",
		"<@x,y:a>",
		"<\"a>",
		"<\"a\"b@c>",
		"<\"a\\\">",
		"<a\\>",
		"<a(b)@c>",
		"<a@[1>",
		"<a@b[>",
		"<a\x01>",
		"<\"a\x01\"@b>",
		"<a\x7f>",
		"<\xe4@b>",
		"<\"\xe4\"@b>",
		"<a@\xe4>",
		"<\"a\r\n\"@b>",
	};
	struct pool *pool = pool_new();

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct scan s = scan_init(span_of(bad[i]));
		struct lmtp_address a = {.text = SPAN_LIT("kept")};

		if (lmtp_address_scan(&s, false, pool, &a))
			fail_msg("%s was taken for a path", bad[i]);
		assert_true(s.bad);
		assert_span(a.text, "kept");
	}
	pool_free(&pool);
}

static void eight_bit_as_x(void **state UNUSED)
{
	struct pool *pool = pool_new();
	struct scan s = scan_init(SPAN_LIT("<\xe4z\"@b>"));
	struct lmtp_address a;

	assert_false(lmtp_address_scan(&s, true, pool, &a)); /* the quote is still one */
	s = scan_init(SPAN_LIT("<\xe4z@b>"));
	assert_true(lmtp_address_scan(&s, true, pool, &a));
	assert_span(a.local, "Xz");
	assert_span(a.text, "Xz@b");
	s = scan_init(SPAN_LIT("<\"\xe4 z\"@b>"));
	assert_true(lmtp_address_scan(&s, true, pool, &a));
	assert_span(a.local, "X z");
	assert_span(a.text, "\"X z\"@b");
	s = scan_init(SPAN_LIT("<z@\xe4>"));
	assert_false(lmtp_address_scan(&s, true, pool, &a)); /* only in the local part */
	pool_free(&pool);
}

static void parameters(void **state UNUSED)
{
	struct pool *pool = pool_new();
	struct lmtp_command c =
		parse(pool, "MAIL FROM:<a@b>  size=17 Body=8bitmime AUTH=e+3Dmc2+40x");

	assert_true(c.has_size);
	assert_int_equal(c.size, 17);
	assert_true(c.has_body && c.has_auth);
	assert_span(c.submitter, "e=mc2@x");
	c = parse(pool, "MAIL FROM:<a@b> AUTH=<> BODY=7BIT ");
	assert_true(c.has_auth && !c.has_size);
	assert_int_equal(c.submitter.len, 0);
	assert_true(parse(pool, "MAIL FROM:<> SIZE=18446744073709551616").size == UINT64_MAX);
	assert_true(parse(pool, "MAIL FROM:<> SIZE=18446744073709551614").size == UINT64_MAX - 1);
	assert_true(parse(pool, "RCPT TO:<a> ignorequota").ignore_quota);
	assert_false(parse(pool, "RCPT TO:<a>").ignore_quota);
	pool_free(&pool);
}

static void words(void **state UNUSED)
{
	struct pool *pool = pool_new();
	struct lmtp_command c = parse(pool, "AUTH plain AGE=");

	assert_span(c.word, "plain");
	assert_span(c.initial, "AGE=");
	c = parse(pool, "AUTH PLAIN");
	assert_null(c.initial.ptr);
	assert_span(parse(pool, "LHLO [192.0.2.1] and more").word, "[192.0.2.1]");
	pool_free(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verbs_in_any_case),
		cmocka_unit_test(lines_that_are_refused),
		cmocka_unit_test(paths),
		cmocka_unit_test(what_is_no_path),
		cmocka_unit_test(eight_bit_as_x),
		cmocka_unit_test(parameters),
		cmocka_unit_test(words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
