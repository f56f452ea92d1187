/* test_record.c - lines of a sync log, both ways. */
#include "tests/unit/test.h"

#include "synclog/record.h"

static const struct {
	struct synclog_record record;
	const char *line;
} rows[] = {
	{{SYNCLOG_MAILBOX, {{"user.bob", 8}}, 1}, "MAILBOX user.bob\n"},
	{{SYNCLOG_MAILBOX, {{"user.x.q\"uote", 13}}, 1}, "MAILBOX \"user.x.q\\\"uote\"\n"},
	{{SYNCLOG_MAILBOX, {{"user.x.br{a}ce", 14}}, 1}, "MAILBOX \"user.x.br\\{a\\}ce\"\n"},
	{{SYNCLOG_MAILBOX, {{"user.x.pa(re)n", 14}}, 1}, "MAILBOX \"user.x.pa(re)n\"\n"},
	{{SYNCLOG_MAILBOX, {{"user.x.per%cent*", 16}}, 1}, "MAILBOX user.x.per%cent*\n"},
	{{SYNCLOG_MAILBOX, {{"user.x.back\\slash", 17}}, 1}, "MAILBOX \"user.x.back\\\\slash\"\n"},
	{{SYNCLOG_APPEND, {{"%percent first", 14}}, 1}, "APPEND \"%percent first\"\n"},
	{{SYNCLOG_APPEND, {{"\xc3\xa9", 2}}, 1}, "APPEND \xc3\xa9\n"},
	{{SYNCLOG_ANNOTATION, {{"", 0}}, 1}, "ANNOTATION \"\"\n"},
	{{SYNCLOG_RENAME, {{"user.a", 6}, {"user.b c", 8}}, 2}, "RENAME user.a \"user.b c\"\n"},
	{{SYNCLOG_SEEN, {{"bob", 3}, {"6iwtyopbzpcpeqphn7obhvzb", 24}}, 2},
	 "SEEN bob 6iwtyopbzpcpeqphn7obhvzb\n"},
	{{SYNCLOG_SUB, {{"kim@dom.example", 15}, {"dom.example!user.kim.x", 22}}, 2},
	 "SUB kim@dom.example dom.example!user.kim.x\n"},
};

static void lines_go_both_ways(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pool *pool = pool_new();
		struct buf out = BUF_INIT;
		struct synclog_record r;
		struct span rest, bad;
		struct us_err err;

		assert_ok(synclog_format(&rows[i].record, &out, &err), &err);
		assert_string_equal(out.data, rows[i].line);
		rest = buf_span(&out);
		assert_int_equal(synclog_parse(&rest, pool, &r, &bad, &err), 1);
		assert_int_equal(r.kind, rows[i].record.kind);
		for (unsigned arg = 0; arg < r.n_args; arg++)
			assert_true(span_eq(r.arg[arg], rows[i].record.arg[arg]));
		assert_int_equal(rest.len, 0);
		buf_free(&out);
		pool_free(&pool);
	}
}

static void what_cannot_be_logged_is_refused(void **state UNUSED)
{
	struct synclog_record r = {SYNCLOG_MAILBOX, {{"a\nb", 3}}, 1};
	struct buf out = BUF_INIT;

	assert_int_equal(synclog_format(&r, &out, NULL), US_EINVAL);
	r.arg[0] = span_make("a\0b", 3);
	assert_int_equal(synclog_format(&r, &out, NULL), US_EINVAL);
	assert_int_equal(out.len, 0);
}

static void readers_are_lenient_and_go_on_after_rubbish(void **state UNUSED)
{
	struct span rest = SPAN_LIT(
		"mailbox {8+}\r\nuser.bob\nNOSUCH x\n\n\r\nMAILBOX\nMAILBOX \"a\nMAILBOX a b\n"
		"USER  \tbob \r\nSIEVE \"b\\ob\"\nMAILBOX user.last");
	static const char *const good[] = {"user.bob", "bob", "bob", "user.last"};
	static const char *const rubbish[] = {"NOSUCH x", "MAILBOX", "MAILBOX \"a", "MAILBOX a b"};
	struct pool *pool = pool_new();
	size_t n_good = 0, n_bad = 0;
	struct synclog_record r;
	struct span bad;
	int rc;

	while ((rc = synclog_parse(&rest, pool, &r, &bad, NULL)) != 0) {
		if (rc > 0)
			assert_span(r.arg[0], good[n_good++]);
		else
			assert_span(bad, rubbish[n_bad++]);
	}
	assert_int_equal(n_good, ARRAY_SIZE(good));
	assert_int_equal(n_bad, ARRAY_SIZE(rubbish));
	pool_free(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_go_both_ways),
		cmocka_unit_test(what_cannot_be_logged_is_refused),
		cmocka_unit_test(readers_are_lenient_and_go_on_after_rubbish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
