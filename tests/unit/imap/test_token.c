/* test_token.c - each scanner takes what RFC 3501 allows, all of it, and nothing else. */
#include "tests/unit/test.h"

#include "server/imap/token.h"
#include "server/imap/uidset.h"
#include "server/store/state.h"

struct word_case {
	const char *in, *out; /* NULL: refused */
	size_t taken;
};

static void check_words(struct span (*take)(struct scan *s, struct pool *pool),
			const struct word_case *cases, size_t n)
{
	struct pool *pool = pool_new();

	for (size_t i = 0; i < n; i++) {
		struct scan s = scan_init(span_of(cases[i].in));
		struct span word = take(&s, pool);

		if (!cases[i].out) {
			if (!s.bad || word.ptr)
				fail_msg("taken: %s", cases[i].in);
			continue;
		}
		if (s.bad)
			fail_msg("refused: %s", cases[i].in);
		assert_span(word, cases[i].out);
		assert_int_equal(scan_offset(&s),
				 cases[i].taken ? cases[i].taken : strlen(cases[i].in));
	}
	pool_free(&pool);
}

static struct span tag(struct scan *s, struct pool *pool UNUSED)
{
	return token_tag(s);
}

static struct span atom(struct scan *s, struct pool *pool UNUSED)
{
	return token_atom(s);
}

static struct span flag(struct scan *s, struct pool *pool UNUSED)
{
	return token_flag(s);
}

static void words_are_taken(void **state UNUSED)
{
	static const struct word_case tags[] = {
		{"A1 x", "A1", 2}, {"a]b", "a]b", 0}, {"+ x", NULL, 0},
		{"", NULL, 0},     {" a", NULL, 0},   {"a+b", "a", 1},
	};
	static const struct word_case atoms[] = {
		{"abc", "abc", 0},  {"a(b", "a", 1},       {"a]", "a", 1},
		{"{1}", NULL, 0},   {"a*", "a", 1},        {"\x80", NULL, 0},
		{"\"a\"", NULL, 0}, {"+a-.!", "+a-.!", 0}, {"\\a", NULL, 0},
	};
	static const struct word_case astrings[] = {
		{"a]b c", "a]b", 3},
		{"\"\"", "", 0},
		{"\"a b\" c", "a b", 5},
		{"\"a\\\"b\\\\\"", "a\"b\\", 0},
		{"\"a\\b\"", NULL, 0},
		{"\"abc", NULL, 0},
		{"\"a\\", NULL, 0},
		{"\"a\r\n\"", NULL, 0},
		{"\"\xc3\xa4\"", "\xc3\xa4", 0},
		{"{3}\r\na\r\n x", "a\r\n", 8},
		{"{3+}\r\nabc", "abc", 0},
		{"{0}\r\n", "", 0},
		{"{4}\r\nabc", NULL, 0},
		{"{3}abc", NULL, 0},
		{"{}\r\n", NULL, 0},
		{"{18446744073709551615}\r\nabc", NULL, 0},
		{"{99999999999999999999}\r\nabc", NULL, 0},
		{"a%", "a", 1},
	};
	static const struct word_case patterns[] = {
		{"INBOX.%", "INBOX.%", 0},
		{"*", "*", 0},
		{"\"a b*\"", "a b*", 0},
		{"a(", "a", 1},
		{"", NULL, 0},
	};
	static const struct word_case flags[] = {
		{"\\Seen)", "\\Seen", 5}, {"work ", "work", 4},  {"\\", NULL, 0},
		{"\\*", NULL, 0},         {"$Junk", "$Junk", 0},
	};

	check_words(tag, tags, ARRAY_SIZE(tags));
	check_words(atom, atoms, ARRAY_SIZE(atoms));
	check_words(token_astring, astrings, ARRAY_SIZE(astrings));
	check_words(token_list_mailbox, patterns, ARRAY_SIZE(patterns));
	check_words(flag, flags, ARRAY_SIZE(flags));
}

static void strings_hold_no_nul(void **state UNUSED)
{
	struct pool *pool = pool_new();
	static const char literal[] = "{3}\r\na\0b", quoted[] = "\"a\0b\"";
	struct scan s = scan_init(span_make(literal, sizeof(literal) - 1));

	assert_null(token_string(&s, pool).ptr);
	s = scan_init(span_make(quoted, sizeof(quoted) - 1));
	assert_null(token_string(&s, pool).ptr);
	assert_true(s.bad);
	pool_free(&pool);
}

static void values_hold_nul_in_a_literal8(void **state UNUSED)
{
	struct pool *pool = pool_new();
	static const char octets[] = "~{3}\r\na\0b";
	struct scan s = scan_init(span_make(octets, sizeof(octets) - 1));
	struct span value = token_value(&s, pool);

	assert_int_equal(value.len, 3);
	assert_memory_equal(value.ptr, "a\0b", 3);
	assert_true(scan_ok_at_end(&s));
	s = scan_init(span_make(octets + 1, sizeof(octets) - 2));
	assert_null(token_value(&s, pool).ptr);
	assert_true(s.bad);
	s = scan_init(SPAN_LIT("~\"a\""));
	assert_null(token_value(&s, pool).ptr);
	assert_true(s.bad);
	s = scan_init(SPAN_LIT("NIL"));
	assert_null(token_value(&s, pool).ptr);
	assert_true(scan_ok_at_end(&s));
	pool_free(&pool);
}

static void nil_is_no_string(void **state UNUSED)
{
	struct pool *pool = pool_new();
	struct scan s = scan_init(SPAN_LIT("nil"));

	assert_null(token_nstring(&s, pool).ptr);
	assert_true(scan_ok_at_end(&s));
	s = scan_init(SPAN_LIT("\"NIL\""));
	assert_span(token_nstring(&s, pool), "NIL");
	s = scan_init(SPAN_LIT("NILS"));
	assert_null(token_nstring(&s, pool).ptr);
	assert_true(s.bad);
	pool_free(&pool);
}

static void lists_are_taken_whole(void **state UNUSED)
{
	struct pool *pool = pool_new();
	struct buf many = BUF_INIT;
	struct scan s = scan_init(SPAN_LIT("(a \"b c\" {1}\r\nd) x"));
	struct token_list list = token_astring_list(&s, pool);
	static const char *const bad[] = {"(", "( )", "(a", "(a  b)", "(a )", "a", ")", "(()"};

	assert_int_equal(list.n, 3);
	assert_span(list.item[1], "b c");
	assert_span(list.item[2], "d");
	assert_int_equal(scan_peek(&s), ' ');
	s = scan_init(SPAN_LIT("()"));
	assert_int_equal(token_flag_list(&s, pool).n, 0);
	assert_true(scan_ok_at_end(&s));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		s = scan_init(span_of(bad[i]));
		assert_int_equal(token_astring_list(&s, pool).n, 0);
		assert_true(s.bad);
	}
	buf_add_str(&many, "(f0");
	for (int i = 1; i < 5000; i++)
		buf_printf(&many, " f%d", i);
	buf_add_str(&many, ")");
	s = scan_init(buf_span(&many));
	list = token_flag_list(&s, pool);
	assert_int_equal(list.n, 5000);
	assert_span(list.item[0], "f0");
	assert_span(list.item[4999], "f4999");
	buf_free(&many);
	pool_free(&pool);
}

static void system_flags_are_known(void **state UNUSED)
{
	assert_int_equal(token_system_flag(SPAN_LIT("\\seen")), FLAG_SEEN);
	assert_int_equal(token_system_flag(SPAN_LIT("\\Deleted")), FLAG_DELETED);
	assert_int_equal(token_system_flag(SPAN_LIT("\\Recent")), 0);
	assert_int_equal(token_system_flag(SPAN_LIT("Seen")), 0);
}

static void check_set(const char *text, uint32_t max, bool within, const char *wanted)
{
	struct pool *pool = pool_new();
	struct scan s = scan_init(span_of(text));
	struct token_set set = token_sequence_set(&s, pool);
	struct uidset out = UIDSET_INIT;
	struct buf shown = BUF_INIT;

	assert_true(scan_ok_at_end(&s));
	if (token_set_resolve(&set, max, &out) != within)
		fail_msg("%s of %u: within is not %d", text, max, within);
	uidset_format(&out, &shown);
	assert_string_equal(shown.data, wanted);
	buf_free(&shown);
	uidset_free(&out);
	pool_free(&pool);
}

static void sequence_sets_are_resolved(void **state UNUSED)
{
	static const char *const bad[] = {"",      "0",          "1:", ":1", "1,,2", "1,",  "a",
					  "1:2:3", "4294967296", "-1", "1 ", "$,1",  "1,$", "1:$"};
	struct pool *pool = pool_new();

	check_set("1", 5, true, "1");
	check_set("5:1", 5, true, "1:5");
	check_set("*", 5, true, "5");
	check_set("*:4", 5, true, "4:5");
	check_set("3,1,2", 5, true, "1:3");
	check_set("1:3,2:5,9", 10, true, "1:5,9");
	check_set("4:*", 3, false,
		  "3"); /* RFC 3501: contains the last message, whatever its number */
	check_set("1:*", 0, false, "");
	check_set("6", 5, false, "");
	check_set("4:9", 5, false, "4:5");
	check_set("4294967295", 5, true, "5"); /* the number "*" is kept as */
	check_set("1:4294967294", 4294967295u, true, "1:4294967294");
	check_set("$", 5, true, ""); /* known to the selected mailbox only */
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct scan s = scan_init(span_of(bad[i]));

		(void)token_sequence_set(&s, pool);
		assert_false(scan_ok_at_end(&s));
	}
	pool_free(&pool);
}

static void dates_are_taken(void **state UNUSED)
{
	struct scan s = scan_init(SPAN_LIT("1-Feb-2026"));
	struct datetime when;

	assert_int_equal(token_date(&s), 1769904000);
	s = scan_init(SPAN_LIT("\"01-Feb-2026\" x"));
	assert_int_equal(token_date(&s), 1769904000);
	assert_int_equal(scan_peek(&s), ' ');
	s = scan_init(SPAN_LIT("\"01-Feb-2026"));
	(void)token_date(&s);
	assert_true(s.bad);
	s = scan_init(SPAN_LIT("\" 1-Feb-2026 01:00:00 +0100\""));
	when = token_date_time(&s);
	assert_true(scan_ok_at_end(&s));
	assert_int_equal(when.time, 1769904000);
	assert_int_equal(when.zone_s, 3600);
	s = scan_init(SPAN_LIT("\"32-Feb-2026 01:00:00 +0100\""));
	(void)token_date_time(&s);
	assert_true(s.bad);
}

static void section_parts_stop_before_words(void **state UNUSED)
{
	struct pool *pool = pool_new();
	struct scan s = scan_init(SPAN_LIT("1.2.13.MIME]"));
	struct token_part part = token_section_part(&s, pool);

	assert_int_equal(part.n, 3);
	assert_int_equal(part.number[2], 13);
	assert_int_equal(scan_offset(&s), 6);
	s = scan_init(SPAN_LIT("1.0"));
	assert_int_equal(token_section_part(&s, pool).n, 0);
	assert_true(s.bad);
	pool_free(&pool);
}

static void unescaping_needs_the_pool_only(void **state UNUSED)
{
	struct pool *pool = pool_new();
	struct scan s = scan_init(SPAN_LIT("INBOX inbox"));

	assert_true(token_is_word(&s, "inbox"));
	token_space(&s);
	assert_false(token_is_word(&s, "inbo"));
	assert_true(token_is_word(&s, "INBOX"));
	assert_true(scan_ok_at_end(&s));
	assert_int_equal(token_number64(&(struct scan){SPAN_LIT("9223372036854775807"), 0, false}),
			 INT64_MAX);
	pool_free(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_taken),
		cmocka_unit_test(strings_hold_no_nul),
		cmocka_unit_test(values_hold_nul_in_a_literal8),
		cmocka_unit_test(nil_is_no_string),
		cmocka_unit_test(lists_are_taken_whole),
		cmocka_unit_test(system_flags_are_known),
		cmocka_unit_test(sequence_sets_are_resolved),
		cmocka_unit_test(dates_are_taken),
		cmocka_unit_test(section_parts_stop_before_words),
		cmocka_unit_test(unescaping_needs_the_pool_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
