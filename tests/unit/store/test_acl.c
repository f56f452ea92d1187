/* test_acl.c - rights, old letters, negative entries, order kept. */
#include "tests/unit/test.h"

#include "server/store/acl.h"

static void letters_go_both_ways(void **state UNUSED)
{
	static const struct {
		const char *given, *shown;
	} rows[] = {
		{"lrs", "lrs"},
		{"nadcetxkpiwsrl", "lrswipkxtecdan"},
		{"lrswipkxtea", "lrswipkxtecda"},
		{"cd", "kxtecd"},
		{"k", "kc"},
		{"t", "td"},
		/* Shown again, they are the same rights. */
		{"kc", "kc"},
		{"xc", "xc"},
		{"ltd", "ltd"},
		{"led", "led"},
		{"09", "09"},
		{"", ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct buf out = BUF_INIT;
		char bad = 'x';
		acl_format_rights(acl_parse_rights(span_of(rows[i].given), 'c', &bad), 'c', &out);
		assert_int_equal(bad, 0);
		assert_string_equal(out.data, rows[i].shown);
		buf_free(&out);
	}
}

static void unknown_letters_are_named(void **state UNUSED)
{
	char bad = 0;

	acl_parse_rights(SPAN_LIT("lrq"), 'c', &bad);
	assert_int_equal(bad, 'q');
}

/* ctx: how often he was asked */
static const char *const *staff(void *ctx, size_t *n)
{
	static const char *const groups[] = {"group:staff"};

	++*(int *)ctx;
	*n = 1;
	return groups;
}

static void rights_are_given_and_taken(void **state UNUSED)
{
	int asked = 0;
	struct span acl = SPAN_LIT("anyone\tlr\tbob\tlrswi\t-bob\tw\tgroup:staff\tp\t-anyone\ts\t");
	struct acl_identity bob = {"bob", staff, &asked}, eve = {"eve", NULL, NULL};

	assert_int_equal(acl_rights(acl, &bob, 'c'), ACL_LOOKUP | ACL_READ | ACL_INSERT | ACL_POST);
	assert_int_equal(acl_rights(acl, &eve, 'c'), ACL_LOOKUP | ACL_READ);
	assert_int_equal(asked, 1);
	assert_int_equal(acl_rights(SPAN_LIT(""), &bob, 'c'), 0);
	assert_int_equal(acl_rights(SPAN_LIT("bob"), &bob, 'c'), 0);
	assert_int_equal(acl_rights(SPAN_LIT("bob\tl"), &bob, 'c'), ACL_LOOKUP);
	assert_int_equal(asked, 1); /* only where an ACL has a group */
}

static void set_keeps_the_places_of_others(void **state UNUSED)
{
	struct buf out = BUF_INIT;

	acl_set(SPAN_LIT("a\tl\tb\tlr\tc\tlrs\t"), SPAN_LIT("b"), ACL_LOOKUP, 'c', &out);
	assert_string_equal(out.data, "a\tl\tb\tl\tc\tlrs\t");
	buf_clear(&out);
	acl_set(SPAN_LIT("a\tl\tb\tlr\t"), SPAN_LIT("a"), 0, 'c', &out);
	assert_string_equal(out.data, "b\tlr\t");
	buf_clear(&out);
	acl_set(SPAN_LIT("a\tl\t"), SPAN_LIT("-d"), ACL_WRITE, 'c', &out);
	assert_string_equal(out.data, "a\tl\t-d\tw\t");
	buf_clear(&out);
	acl_rename(SPAN_LIT("a\tl\tbob\tlr\t"), SPAN_LIT("bob"), SPAN_LIT("rob"), &out);
	assert_string_equal(out.data, "a\tl\trob\tlr\t");
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(letters_go_both_ways),
		cmocka_unit_test(unknown_letters_are_named),
		cmocka_unit_test(rights_are_given_and_taken),
		cmocka_unit_test(set_keeps_the_places_of_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
