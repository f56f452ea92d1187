/* test_field.c - headers as fields, unfolding, and what HEADER.FIELDS shows. */
#include "tests/unit/test.h"

#include "server/store/mime/field.h"

static void fields_are_taken_one_by_one(void **state UNUSED)
{
	struct span rest = SPAN_LIT("A: 1\r\nB : 2\r\n\t3\n \r\njunk\r\n more\nC:\n\r\nD: 4\n");
	static const struct {
		const char *name, *value, *raw;
		uint32_t lines;
	} rows[] = {
		{"A", " 1", "A: 1\r\n", 1},
		{"B", " 2\r\n\t3\n ", "B : 2\r\n\t3\n \r\n", 3},
		{NULL, "junk\r\n more", "junk\r\n more\n", 2},
		{"C", "", "C:\n", 1},
	};
	struct mime_field f;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_true(mime_field_next(&rest, &f));
		if (rows[i].name)
			assert_span(f.name, rows[i].name);
		else
			assert_null(f.name.ptr);
		assert_span(f.value, rows[i].value);
		assert_span(f.raw, rows[i].raw);
		assert_int_equal(f.lines, rows[i].lines);
	}
	assert_false(mime_field_next(&rest, &f));
	assert_span(rest, "\r\nD: 4\n");
	assert_int_equal(mime_blank_line(rest), 2);
}

static void names_hold_visible_ascii_only(void **state UNUSED)
{
	static const char *const good[] = {"A:", "a-b_1!: x", "X,;Y: z", "A \t: x", "From:"};
	static const char *const bad[] = {"",     ":",      " A: x",  "A B: x",        "A",
					  "A\n:", "\x80: ", "A\x7f:", "From a@b 10:00"};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(mime_field_starts(span_of(good[i])));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(mime_field_starts(span_of(bad[i])));
}

static void unfolding_removes_line_ends_only(void **state UNUSED)
{
	static const struct {
		const char *folded, *unfolded;
	} rows[] = {
		{"", ""},           {" x ", "x"},
		{"\r\n x", "x"},    {" a\r\n  b\n\tc\r\n ", "a  b\tc"},
		{"a\rb", "a\rb"},   {"a\r\r\n b", "a b"},
		{"\r\n \r\n ", ""},
	};
	struct pool *pool = pool_new();

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_span(mime_unfold(span_of(rows[i].folded), pool), rows[i].unfolded);
	pool_free(&pool);
}

static void fields_are_filtered_as_imap_wants(void **state UNUSED)
{
	const struct span header =
		SPAN_LIT("From: a\r\nX-1: b\r\n c\r\njunk\r\nTo: d\r\nx-1: e\r\nLast: f");
	const struct span names[] = {SPAN_LIT("x-1"), SPAN_LIT("to"), SPAN_LIT("last"),
				     SPAN_LIT("none")};
	struct buf out = BUF_INIT;

	mime_field_filter(header, names, 4, /* inverse */ false, &out);
	assert_string_equal(out.data, "X-1: b\r\n c\r\nTo: d\r\nx-1: e\r\nLast: f\r\n\r\n");
	buf_clear(&out);
	mime_field_filter(header, names, 4, /* inverse */ true, &out);
	assert_string_equal(out.data, "From: a\r\n\r\n");
	buf_clear(&out);
	mime_field_filter(header, names, 0, /* inverse */ false, &out);
	assert_string_equal(out.data, "\r\n");
	buf_clear(&out);
	mime_field_filter(SPAN_LIT(""), names, 4, /* inverse */ true, &out);
	assert_string_equal(out.data, "\r\n");
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_taken_one_by_one),
		cmocka_unit_test(names_hold_visible_ascii_only),
		cmocka_unit_test(unfolding_removes_line_ends_only),
		cmocka_unit_test(fields_are_filtered_as_imap_wants),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
