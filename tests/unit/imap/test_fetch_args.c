/* test_fetch_args.c - what a FETCH asks for is understood, and nothing else is. */
#include "tests/unit/test.h"

#include "server/base/buf.h"
#include "server/imap/commands.h"
#include "server/imap/fetch_args.h"

static const struct command command = {.name = "FETCH", .shown = "Fetch"};

static int parse(const char *text, bool uid, struct pool *pool, const struct fetch_args **out,
		 struct us_err *err)
{
	struct parse p = {.s = scan_init(span_of(text)),
			  .pool = pool,
			  .command = &command,
			  .uid = uid};
	void *args = NULL;
	int rc = parse_fetch(&p, &args, err);

	*out = args;
	return rc;
}

/* ---- as text, to compare ------------------------------------------------------------------------- */

static void put_section(struct buf *out, const struct fetch_section *section)
{
	static const char *const texts[] = {"ALL", "HEADER", "FIELDS", "NOT", "TEXT", "MIME"};

	buf_printf(out, " %.*s=%.*s/%s", SPAN_ARG(section->label), SPAN_ARG(section->section.path),
		   texts[section->section.text]);
	for (size_t i = 0; i < section->n_fields; i++)
		buf_printf(out, ",%.*s", SPAN_ARG(section->fields[i]));
	if (section->partial)
		buf_printf(out, "@%llu+%llu", (unsigned long long)section->offset,
			   (unsigned long long)section->length);
}

static void put_args(struct buf *out, const struct fetch_args *args)
{
	static const char *const names[] = {"FLAGS",  "UID",      "DIGEST",        "DATE",
					    "MODSEQ", "SIZE",     "EMAILID",       "THREADID",
					    "SAVED",  "ENVELOPE", "BODYSTRUCTURE", "BODY"};

	for (size_t i = 0; i < args->set.n; i++)
		buf_printf(out, "%s%u:%u", i ? "," : "", args->set.range[i].from,
			   args->set.range[i].to);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (args->items >> i & 1)
			buf_printf(out, " %s", names[i]);
	for (size_t i = 0; i < args->n_sections; i++)
		put_section(out, &args->section[i]);
	if (args->sees)
		buf_add_str(out, " sees");
	if (args->only_changed)
		buf_printf(out, " since %llu%s", (unsigned long long)args->changed_since,
			   args->vanished ? " vanished" : "");
}

static const struct {
	const char *in, *out;
} good[] = {
	{" 1 FLAGS", "1:1 FLAGS"},
	{" 1:3,7 (UID)", "1:3,7:7 UID"},
	{" 1 ALL", "1:1 FLAGS DATE SIZE ENVELOPE"},
	{" 1 fast", "1:1 FLAGS DATE SIZE"},
	{" 1 Full", "1:1 FLAGS DATE SIZE ENVELOPE BODY"},
	{" 1 (UID UID FLAGS)", "1:1 FLAGS UID"},
	{" 1 (RFC822.SIZE INTERNALDATE ENVELOPE BODYSTRUCTURE BODY)",
	 "1:1 DATE SIZE ENVELOPE BODYSTRUCTURE BODY"},
	{" 1 BODY", "1:1 BODY"},
	{" 1 BODY[]", "1:1 BODY[]=/ALL sees"},
	{" 1 BODY.PEEK[]", "1:1 BODY[]=/ALL"},
	{" 1 body.peek[text]", "1:1 BODY[TEXT]=/TEXT"},
	{" 1 BODY[1.2.header]", "1:1 BODY[1.2.HEADER]=1.2/HEADER sees"},
	{" 1 BODY[1.MIME]", "1:1 BODY[1.MIME]=1/MIME sees"},
	{" 1 BODY.PEEK[4.1.TEXT]<7.9>", "1:1 BODY[4.1.TEXT]<7>=4.1/TEXT@7+9"},
	{" 1 BODY.PEEK[]<0.4294967296>", "1:1 BODY[]<0>=/ALL@0+4294967296"},
	{" 1 BODY.PEEK[HEADER.FIELDS (From \"to\")]",
	 "1:1 BODY[HEADER.FIELDS (From to)]=/FIELDS,From,to"},
	{" 1 BODY.PEEK[2.header.fields.not ({3+}\r\na b)]<1.2>",
	 "1:1 BODY[2.HEADER.FIELDS.NOT (\"a b\")]<1>=2/NOT,a b@1+2"},
	{" 1 BODY.PEEK[HEADER.FIELDS (\"\")]", "1:1 BODY[HEADER.FIELDS (\"\")]=/FIELDS,"},
	{" 1 RFC822", "1:1 RFC822=/ALL sees"},
	{" 1 (SAVEDATE THREADID emailid MODSEQ digest.sha1)",
	 "1:1 DIGEST MODSEQ EMAILID THREADID SAVED"},
	{" 1 FLAGS (CHANGEDSINCE 7)", "1:1 FLAGS MODSEQ since 7"},
	{" 1 (FLAGS) (changedsince 0)", "1:1 FLAGS MODSEQ since 0"},
	{" 1 RFC822.HEADER", "1:1 RFC822.HEADER=/HEADER"},
	{" 1 RFC822.TEXT", "1:1 RFC822.TEXT=/TEXT sees"},
	/* The order is a Cyrus's, and each section is answered as often as it was asked for. */
	{" 1 (BODY.PEEK[1] BODY.PEEK[HEADER.FIELDS (a)] RFC822 RFC822.TEXT RFC822.HEADER "
	 "BODY.PEEK[1] UID)",
	 "1:1 UID RFC822.HEADER=/HEADER RFC822.TEXT=/TEXT RFC822=/ALL "
	 "BODY[HEADER.FIELDS (a)]=/FIELDS,a BODY[1]=1/ALL BODY[1]=1/ALL sees"},
};

static void fetch_is_understood(void **state UNUSED)
{
	struct pool *pool = pool_new();

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct buf text = BUF_INIT;
		const struct fetch_args *args;
		struct us_err err;

		assert_ok(parse(good[i].in, false, pool, &args, &err), &err);
		put_args(&text, args);
		assert_string_equal(text.data, good[i].out);
		buf_free(&text);
		pool_clear(pool);
	}
	pool_free(&pool);
}

static const struct {
	const char *in, *text;
} bad[] = {
	{"", "Missing required argument to Fetch"},
	{" 1", "Missing required argument to Fetch"},
	{" x FLAGS", "Invalid sequence in Fetch"},
	{" 0 FLAGS", "Invalid sequence in Fetch"},
	{" 1, FLAGS", "Invalid sequence in Fetch"},
	{"  1 FLAGS", "Invalid sequence in Fetch"},
	{" 1 ", "Invalid Fetch attribute "},
	{" 1 ()", "Invalid Fetch attribute "},
	{" 1 BOGUS", "Invalid Fetch attribute BOGUS"},
	{" 1 (ALL)", "Invalid Fetch attribute ALL"},
	{" 1 (FLAGS  UID)", "Invalid Fetch attribute "},
	{" 1 ( FLAGS)", "Invalid Fetch attribute "},
	{" 1 (FLAGS )", "Invalid Fetch attribute "},
	{" 1 BODY.PEEK", "Invalid Fetch attribute BODY.PEEK"},
	{" 1 (FLAGS", "Missing close parenthesis in Fetch"},
	{" 1 FLAGS UID", "Unexpected extra arguments to Fetch"},
	{" 1 (FLAGS) ", "Unexpected extra arguments to Fetch"},
	{" 1 BODY[", "Invalid body section"},
	{" 1 FLAGS ()", "Invalid Fetch modifier "},
	{" 1 FLAGS (BOGUS)", "Invalid Fetch modifier BOGUS"},
	{" 1 FLAGS (VANISHED)", "Invalid Fetch modifier VANISHED"},
	{" 1 FLAGS (CHANGEDSINCE)", "Missing required argument to Fetch CHANGEDSINCE"},
	{" 1 FLAGS (CHANGEDSINCE x)", "Invalid argument to Fetch CHANGEDSINCE"},
	{" 1 FLAGS (CHANGEDSINCE 1", "Missing close parenthesis in Fetch"},
	{" 1 FLAGS (CHANGEDSINCE 1) x", "Unexpected extra arguments to Fetch"},
	{" 1 BODY[BOGUS]", "Invalid body section"},
	{" 1 BODY[0]", "Invalid body section"},
	{" 1 BODY[1.]", "Invalid body section"},
	{" 1 BODY[.1]", "Invalid body section"},
	{" 1 BODY[1 ]", "Invalid body section"},
	{" 1 BODY[MIME]", "Invalid body section"},
	{" 1 BODY[HEADER (a)]", "Invalid body section"},
	{" 1 BODY[HEADER.FIELDS]", "Invalid body section"},
	{" 1 BODY[HEADER.FIELDS (a) ]", "Invalid body section"},
	{" 1 BODY[HEADER.FIELDS ()]", "Invalid field-name in Fetch BODY[HEADER.FIELDS"},
	{" 1 BODY[HEADER.FIELDS (a b]", "Invalid field-name in Fetch BODY[HEADER.FIELDS"},
	{" 1 BODY[HEADER.FIELDS a]", "Invalid field-name in Fetch BODY[HEADER.FIELDS"},
	{" 1 BODY[]<5>", "Invalid body partial"},
	{" 1 BODY[]<0.0>", "Invalid body partial"},
	{" 1 BODY[]<.5>", "Invalid body partial"},
	{" 1 BODY[]<1.5", "Invalid body partial"},
	{" 1 BODY[]<1.99999999999999999999>", "Invalid body partial"},
};

static void others_are_refused(void **state UNUSED)
{
	struct pool *pool = pool_new();

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const struct fetch_args *args;
		struct us_err err;

		if (parse(bad[i].in, false, pool, &args, &err) != US_EPROTO)
			fail_msg("taken: %s", bad[i].in);
		assert_string_equal(err.text, bad[i].text);
		assert_null(args);
	}
	pool_free(&pool);
}

static void the_uid_form_shows_uids(void **state UNUSED)
{
	struct pool *pool = pool_new();
	const struct fetch_args *args;
	struct us_err err;

	assert_ok(parse(" 5:* FLAGS", true, pool, &args, &err), &err);
	assert_int_equal(args->items, FETCH_FLAGS | FETCH_UID);
	assert_int_equal(args->set.range[0].to, TOKEN_STAR);
	assert_ok(parse(" 1 FLAGS (CHANGEDSINCE 3 VANISHED)", true, pool, &args, &err), &err);
	assert_true(args->vanished && args->only_changed && args->changed_since == 3);
	assert_int_equal(parse(" 1 FLAGS (VANISHED)", true, pool, &args, &err), US_EPROTO);
	assert_string_equal(err.text, "Invalid UID Fetch modifier VANISHED");
	pool_free(&pool);
}

static void partials_are_clipped(void **state UNUSED)
{
	static const struct {
		uint64_t offset, length, size, from, len;
	} cases[] = {
		{0, 10, 5, 0, 5},
		{2, 2, 5, 2, 2},
		{4, 9, 5, 4, 1},
		{5, 1, 5, 5, 0},
		{9, 1, 5, 5, 0},
		{0, INT64_MAX, 5, 0, 5},
		{INT64_MAX, INT64_MAX, 5, 5, 0},
		{0, 1, 0, 0, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fetch_section section = {.partial = true,
						.offset = cases[i].offset,
						.length = cases[i].length};
		struct mime_range range = {100, cases[i].size};

		fetch_section_clip(&section, &range);
		assert_int_equal(range.offset, 100 + cases[i].from);
		assert_int_equal(range.size, cases[i].len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fetch_is_understood),
		cmocka_unit_test(others_are_refused),
		cmocka_unit_test(the_uid_form_shows_uids),
		cmocka_unit_test(partials_are_clipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
