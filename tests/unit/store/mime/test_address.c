/* test_address.c - address lists as they are and as they should not be. The envelopes of
 * tests/messages/odd hold more. */
#include "tests/unit/test.h"

#include "server/store/mime/address.h"
#include "server/store/mime/nstring.h"

/* Addresses as "[name|route|local|domain]", groups as "{name" and "}"; "-" for what is missing. */
static void describe(struct span value, struct buf *out)
{
	struct mime_addresses list;
	struct mime_address a;

	mime_addresses_init(&list, value);
	while (mime_addresses_next(&list, &a)) {
		const struct span parts[] = {a.name, a.route, a.local, a.domain};
		if (a.kind == MIME_ADDRESS_GROUP) {
			buf_printf(out, "{%.*s", SPAN_ARG(a.name));
		} else if (a.kind == MIME_ADDRESS_GROUP_END) {
			buf_add_str(out, "}");
		} else {
			for (size_t i = 0; i < 4; i++) {
				buf_add_str(out, i ? "|" : "[");
				buf_add_span(out, parts[i].ptr ? parts[i] : SPAN_LIT("-"));
			}
			buf_add_str(out, "]");
		}
	}
	assert_false(mime_addresses_next(&list, &a));
	mime_addresses_fini(&list);
}

static void addresses_are_understood(void **state UNUSED)
{
	static const struct {
		const char *text, *meaning;
	} rows[] = {
		{"", ""},
		{" , ;, ", ""},
		{"(comment) , (other)", ""},
		{"a@b", "[-|-|a|b]"},
		{"a@b,c@d", "[-|-|a|b][-|-|c|d]"},
		{"Ann <a@b>", "[Ann|-|a|b]"},
		{"Ann B. \"C, D\" E <a@b>", "[Ann B. C, D E|-|a|b]"},
		{"\"Ann\" <a@b>", "[Ann|-|a|b]"},
		{"\"\" <a@b>", "[-|-|a|b]"},
		{"Ann<a@b>", "[Ann|-|a|b]"},
		{"<a@b>", "[-|-|a|b]"},
		{"< a @ b >", "[-|-|a|b]"},
		{"a@b (Ann)", "[Ann|-|a|b]"},
		{"<a@b> (Ann)", "[Ann|-|a|b]"},
		{"(one) a@b (two)", "[two|-|a|b]"},
		{"X (one) <a@b> (two)", "[X|-|a|b]"},
		{"a@b (A\\)nn (in))", "[A)nn (in)|-|a|b]"},
		{"a . b @ c (x) . d", "[x|-|a.b|c.d]"},
		{"\"a b\"@c", "[-|-|a b|c]"},
		{"\"a@b\"@c", "[-|-|a@b|c]"},
		{"\"a\\\\\\\"b\"@c", "[-|-|a\\\"b|c]"},
		{"a@[IPv6:::1]", "[-|-|a|[IPv6:::1]]"},
		{"<@r1,@r2:a@b>", "[-|@r1,@r2|a|b]"},
		{"X <@r1:a@b>, c@d", "[X|@r1|a|b][-|-|c|d]"},
		{"g:;", "{g}"},
		{"g:a@b;", "{g[-|-|a|b]}"},
		{"g: a@b, X <c@d> ;, e@f", "{g[-|-|a|b][X|-|c|d]}[-|-|e|f]"},
		{"g: a@b", "{g[-|-|a|b]}"},
		{"g:", "{g}"},
		{"g:;h:;", "{g}{h}"},
		{"g: h: a@b;", "{g[-|-|h: a|b]}"},
		{"\"a:b\": c@d;", "{a:b[-|-|c|d]}"},
		{"foo", "[-|-|foo|-]"},
		{"@b", "[-|-||b]"},
		{"a@", "[-|-|a|-]"},
		{"<>", "[-|-||-]"},
		{"X <>", "[X|-||-]"},
		{"X <", "[X|-||-]"},
		{"X <a@b", "[X|-|a|b]"},
		{"X <a@b, c@d", "[X|-|a|b][-|-|c|d]"},
		{"<<a@b>>", "[-|-|a|b]"},
		{"<a@b><c@d>", "[-|-|a|b]"},
		{"<a@b<c@d>", "[-|-|a|b][-|-|c|d]"},
		{"a@b>", "[-|-|a|b]"},
		{"\"X <a@b>", "[X|-|a|b]"},
		{"a@b (X", "[X|-|a|b]"},
		{"a@b@c", "[-|-|a@b|c]"},
		{"[x", "[-|-|[x|-]"},
		{"a@b;c@d", "[-|-|a|b][-|-|c|d]"},
		{"a@b <c@d>", "[a@b|-|c|d]"},
		{"a\\,b@c", "[-|-|a\\|-][-|-|b|c]"},
		{"\\", "[-|-|\\|-]"},
		{"\"\\", "[-|-|\\|-]"},
		{")", "[-|-|)|-]"},
		{"J\xc3\xb6rg <j@b>", "[J\xc3\xb6rg|-|j|b]"},
		{"\r\n a@b,\r\n c@d", "[-|-|a|b][-|-|c|d]"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct buf out = BUF_INIT;
		describe(span_of(rows[i].text), &out);
		if (strcmp(out.data, rows[i].meaning) != 0)
			fail_msg("%s: %s, not %s", rows[i].text, out.data, rows[i].meaning);
		buf_free(&out);
	}
}

static void strings_are_written_in_a_legal_form(void **state UNUSED)
{
	static const struct {
		struct span in;
		const char *out;
	} rows[] = {
		{{NULL, 0}, "NIL"},
		{{"", 0}, "\"\""},
		{{"NIL", 3}, "\"NIL\""},
		{{"a b", 3}, "\"a b\""},
		{{"a\"b\\c%d*", 8}, "\"a\\\"b\\\\c%d*\""},
		{{"\t\x01\x7f", 3}, "\"\t\x01\x7f\""},
		{{"a\0b", 3}, "\"a?b\""},
		{{"a\r\nb", 4}, "{4}\r\na\r\nb"},
		{{"\xc3\xa9", 2}, "{2}\r\n\xc3\xa9"},
		{{"\xc3\0", 2}, "{2}\r\n\xc3?"},
	};
	struct buf out = BUF_INIT;
	char text[NSTRING_QUOTED_MAX + 1];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		buf_clear(&out);
		nstring_put(&out, rows[i].in);
		assert_string_equal(out.data, rows[i].out);
	}
	memset(text, '"', sizeof(text));
	buf_clear(&out);
	nstring_put(&out, span_make(text, NSTRING_QUOTED_MAX));
	assert_int_equal(out.len, 2 * NSTRING_QUOTED_MAX + 2);
	assert_int_equal(out.data[0], '"');
	buf_clear(&out);
	nstring_put(&out, span_make(text, NSTRING_QUOTED_MAX + 1));
	assert_true(span_starts(buf_span(&out), "{1025}\r\n\""));
	buf_clear(&out);
	nstring_put_upper(&out, SPAN_LIT("us-ascii\xc3\xa9"));
	assert_string_equal(out.data, "{10}\r\nUS-ASCII\xc3\xa9");
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_understood),
		cmocka_unit_test(strings_are_written_in_a_legal_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
