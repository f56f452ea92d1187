/* test_dlist.c - each rule of reading and writing values, and what malformed ones give. */
#include "tests/unit/test.h"

#include "server/base/dlist.h"
#include "server/base/dlist_lexer.h"

static void strings_are_written_in_the_shortest_legal_form(void **state UNUSED)
{
	static const struct {
		const char *text, *written;
	} rows[] = {
		{NULL, "NIL"},
		{"", "\"\""},
		{"NIL", "\"NIL\""},
		{"nil", "nil"},
		{"user.bob", "user.bob"},
		{"a}b[c]!^&#./@", "a}b[c]!^&#./@"},
		{"private msg note", "\"private msg note\""},
		{"bob\tlrs\t", "\"bob\tlrs\t\""},
		{"a{b", "\"a{b\""},
		{"a(b)", "\"a(b)\""},
		{"a*b", "\"a*b\""},
		{"\x7f", "\"\x7f\""},
		{"100%", "{4+}\r\n100%"},
		{"\\Sent", "{5+}\r\n\\Sent"},
		{"a\"b", "{3+}\r\na\"b"},
		{"\xc3\xa9", "{2+}\r\n\xc3\xa9"},
		{"x\r\ny", "{4+}\r\nx\r\ny"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct buf out = BUF_INIT;
		struct dlist_writer w = dlist_writer(&out, true);
		dlist_put_str(&w, span_of(rows[i].text));
		assert_string_equal(out.data, rows[i].written);
		buf_free(&out);
	}
}

static void length_decides_between_atom_and_literal(void **state UNUSED)
{
	char text[1025];
	struct buf out = BUF_INIT;
	struct dlist_writer w = dlist_writer(&out, false);

	memset(text, 'a', sizeof(text));
	dlist_put_str(&w, span_make(text, 1023));
	assert_int_equal(out.len, 1023);
	buf_clear(&out);
	w = dlist_writer(&out, false);
	dlist_put_str(&w, span_make(text, 1024));
	assert_true(span_starts(buf_span(&out), "{1024}\r\na"));
	buf_clear(&out);
	w = dlist_writer(&out, false);
	dlist_put_str(&w, span_make("a\0b", 3));
	assert_true(span_starts(buf_span(&out), "{3}\r\na"));
	buf_free(&out);
}

static void trees_are_read_leniently(void **state UNUSED)
{
	struct pool *pool = pool_new();
	struct span text =
		SPAN_LIT("%(A  1 B (x \"y z\" {3}\r\n{)\" NIL \\Seen) C %() A 2 \"D\" a%b)");
	struct dlist *d;
	const struct dlist *list;
	struct us_err err;
	uint64_t n;
	struct span s;

	assert_ok(dlist_parse(text, pool, &d, &err), &err);
	assert_int_equal(d->kind, DLIST_KVLIST);
	assert_int_equal(d->n_children, 5);
	assert_true(dlist_get_u64(d, "A", &n) && n == 1);
	list = dlist_get_list(d, "B");
	assert_non_null(list);
	assert_int_equal(list->n_children, 5);
	assert_span(list->first->next->text, "y z");
	assert_span(list->first->next->next->text, "{)\"");
	assert_int_equal(list->first->next->next->next->kind, DLIST_NIL);
	assert_int_equal(list->first->next->next->next->next->kind, DLIST_FLAG);
	assert_non_null(dlist_get_kv(d, "C"));
	assert_true(dlist_get_str(d, "D", &s));
	assert_span(s, "a%b");
	assert_false(dlist_get_str(d, "E", &s));
	assert_false(dlist_get_u64(d, "D", &n));
	assert_null(dlist_get_list(d, "C"));
	pool_free(&pool);
}

static void files_keep_their_bytes(void **state UNUSED)
{
	struct pool *pool = pool_new();
	struct span text = SPAN_LIT("(%{default a9993e364706816aba3e25717850c26c9cd0d89d 3}\r\nabc "
				    "%{p2 a9993e364706816aba3e25717850c26c9cd0d89d 0}\r\n)");
	struct buf out = BUF_INIT;
	struct dlist_writer w = dlist_writer(&out, true);
	struct dlist *d;
	struct us_err err;

	assert_ok(dlist_parse(text, pool, &d, &err), &err);
	assert_int_equal(d->n_children, 2);
	assert_span(d->first->bytes, "abc");
	assert_span(d->first->next->text, "p2");
	dlist_put_tree(&w, d);
	assert_span(buf_span(&out), text.ptr);
	buf_free(&out);
	pool_free(&pool);
}

static void malformed_values_are_refused(void **state UNUSED)
{
	static const struct {
		const char *text;
		int code;
	} rows[] = {
		{"", US_EPROTO},
		{"(", US_EPROTO},
		{")", US_EPROTO},
		{"(a))", US_EPROTO},
		{"a b", US_EPROTO},
		{"%(A)", US_EPROTO},
		{"%(A 1 B)", US_EPROTO},
		{"%(A 1 (x) 2)", US_EPROTO},
		{"% (A 1)", US_EPROTO},
		{"%x", US_EPROTO},
		{"\"abc", US_EPROTO},
		{"\"a\nb\"", US_EPROTO},
		{"\"a\\", US_EPROTO},
		{"(a\r\n)", US_EPROTO},
		{"a\r\nb", US_EPROTO},
		{"{3}abc", US_EPROTO},
		{"{3\r\nabc", US_EPROTO},
		{"{}\r\n", US_EPROTO},
		{"{99999999999999999999}\r\n", US_EPROTO},
		{"{3}\r\nab", US_ECLOSED},
		{"{2000000}\r\n", US_ELIMIT},
		{"%{p xyz 3}\r\nabc", US_EPROTO},
		{"%{p a9993e364706816aba3e25717850c26c9cd0d89d}\r\nabc", US_EPROTO},
		{"%{p a9993e364706816aba3e25717850c26c9cd0d89d 3}abc", US_EPROTO},
		{"((((((((((((((((((((1))))))))))))))))))))", US_ELIMIT},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pool *pool = pool_new();
		struct dlist *d = (struct dlist *)0x7;
		struct us_err err = US_ERR_INIT;
		int rc = dlist_parse(span_of(rows[i].text), pool, &d, &err);
		if (rc != rows[i].code)
			fail_msg("row %zu \"%s\": %d (%s)", i, rows[i].text, rc, err.text);
		assert_ptr_equal(d, (void *)0x7);
		pool_free(&pool);
	}
}

/* After a malformed command the reader must find the next one, whatever octets lie between. */
static void skip_line_passes_literals_and_files(void **state UNUSED)
{
	static const char *const rows[] = {
		"APPLY %x abc\r\n",
		"APPLY %x {5+}\r\nX\r\nY\r rest {3}\r\n\r\n\r end\r\n",
		"APPLY (%{default zz 4}\r\n)\r\n( %{p a9993e364706816aba3e25717850c26c9cd0d89d "
		"2}\r\n\r\n)\r\n",
		"APPLY (x\r\n",
		"APPLY % text with 12}\r\n",
		"APPLY (%{default a9993e364706816aba3e25717850c26c9cd0d89d 2}\r\n\r\n %) "
		"\"a\nb\"\r\n",
		"APPLY \"abc\r\n",
		"APPLY {9999999+}x\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct buf in = BUF_INIT;
		struct dlist_lexer lx;
		struct us_err err = US_ERR_INIT;
		struct span rest;
		struct pool *pool = pool_new();
		struct dlist *d;
		int rc = 0;

		buf_printf(&in, "%sNOOP\r\n", rows[i]);
		rest = buf_span(&in);
		dlist_lexer_init(&lx, dlist_source_span(&rest), NULL);
		while (rc == 0)
			rc = dlist_read_tree(&lx, dlist_next(&lx, &err), pool, &d, &err);
		assert_ok(dlist_skip_line(&lx, &err), &err);
		dlist_lexer_restart(&lx);
		rc = dlist_next(&lx, &err);
		/* rows with a line break in a quoted string really are two lines */
		if (strstr(rows[i], "\"a\nb"))
			assert_span(buf_span(&lx.text), "b");
		else if (rc != DLIST_TOKEN_TEXT || strcmp(lx.text.data, "NOOP") != 0)
			fail_msg("row %zu: went on at \"%s\"", i, lx.text.data);
		dlist_lexer_fini(&lx);
		buf_free(&in);
		pool_free(&pool);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings_are_written_in_the_shortest_legal_form),
		cmocka_unit_test(length_decides_between_atom_and_literal),
		cmocka_unit_test(trees_are_read_leniently),
		cmocka_unit_test(files_keep_their_bytes),
		cmocka_unit_test(malformed_values_are_refused),
		cmocka_unit_test(skip_line_passes_literals_and_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
