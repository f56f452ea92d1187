/* test_text.c - decoding for SEARCH, and matching. */
#include "tests/unit/test.h"

#include "server/store/mime/matcher.h"
#include "server/store/mime/mime_text.h"

static int start(void **state UNUSED)
{
	mime_text_start();
	return 0;
}

static int stop(void **state UNUSED)
{
	mime_text_stop();
	return 0;
}

static void fields_are_decoded(void **state UNUSED)
{
	static const struct {
		const char *value, *form;
	} rows[] = {
		{"", ""},
		{" Plain Text ", "plain text"},
		{"a\r\n b", "a b"},
		{"=?utf-8?q?J=C3=B6rg?= <a@b>", "jorg <a@b>"},
		{"=?UTF-8?B?SsO2cmc=?=\r\n =?utf-8?q?_x?=", "jorg x"},
		{"=?utf-8?q?J=C3?= =?utf-8?q?=B6rg?=", "jorg"},
		{"=?iso-8859-1?q?J=F6rg?=", "jorg"},
		{"=?gb2312?B?1tDOxA==?=", "中文"},
		{"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本"},
		{"\"=?utf-8?q?J=C3=B6rg?=\" <a@b>", "\"jorg\" <a@b>"},
		{"=?utf-8?q?foo?=<a@b>", "foo<a@b>"},
		{"=?nonsense?q?J=F6rg?=", "jorg"},
		{"raw J\xf6rg and J\xc3\xb6rg", "raw jorg and jorg"},
		{"=?utf-8?q?unfinished", "=?utf-8?q?unfinished"},
	};
	struct mime_text *text = mime_text_new(NULL);
	struct buf out = BUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		buf_clear(&out);
		mime_text_header(text, span_of(rows[i].value), &out);
		if (strcmp(out.data, rows[i].form) != 0)
			fail_msg("\"%s\": \"%s\", not \"%s\"", rows[i].value, out.data,
				 rows[i].form);
	}
	buf_free(&out);
	mime_text_free(&text);
}

/* A long value goes to GMime in pieces, none of which may cut an encoded word. */
static void long_fields_are_decoded_to_the_end(void **state UNUSED)
{
	struct mime_text *text = mime_text_new(NULL);
	struct buf value = BUF_INIT, out = BUF_INIT;
	size_t n = 0;

	while (value.len < 40000)
		buf_add_str(&value, "=?utf-8?q?J=C3=B6rg?= <j@example.com>,\r\n ");
	mime_text_header(text, buf_span(&value), &out);
	for (const char *p = out.data; (p = strstr(p, "jorg <j@example.com>,")); p++)
		n++;
	assert_int_equal(n, 40000 / 41 + 1);
	assert_null(strstr(out.data, "=?"));
	buf_free(&value);
	buf_free(&out);
	mime_text_free(&text);
}

static int collect(void *ctx, struct span piece)
{
	buf_add_span(ctx, piece);
	return 0;
}

static void assert_part(const struct mime_text_options *options, const char *message,
			const char *expected)
{
	struct mime_text *text = mime_text_new(options);
	struct pool *pool = pool_new();
	struct buf out = BUF_INIT;
	struct mime_tree *tree = mime_scan(span_of(message), NULL, pool);

	assert_int_equal(mime_text_part(text, tree->message, tree->root, collect, &out), 0);
	assert_string_equal(out.data, expected);
	buf_free(&out);
	pool_free(&pool);
	mime_text_free(&text);
}

static void bodies_are_decoded(void **state UNUSED)
{
	const struct mime_text_options no_html = {.skip_html = true};

	assert_part(NULL, "A: b\n\nHello\r\n  World\n", "hello world ");
	assert_part(NULL, "Content-Transfer-Encoding: quoted-printable\n\nJ=C3=B6=\nrg =3D=\n",
		    "jorg =");
	assert_part(NULL, "Content-Transfer-Encoding: base64\n\nSsO2\ncmc=\n", "jorg");
	assert_part(NULL,
		    "Content-Transfer-Encoding: x-uuencode\n\nbegin 644 x\n$:F]R9P``\n`\nend\n",
		    "jorg");
	assert_part(NULL, "Content-Type: text/plain; charset=iso-8859-2\n\n\xb1\xa1x\n", "aax ");
	assert_part(NULL, "Content-Type: text/plain; charset=\"koi8-r\"\n\n\xf0\xd2\xc9\n", "при ");
	assert_part(NULL, "Content-Type: text/plain; charset=shift_jis\n\n\x93\xfa\x96{\n",
		    "日本 ");
	assert_part(NULL,
		    "Content-Type: text/plain; charset=utf-16be\nContent-Transfer-Encoding: "
		    "base64\n\n"
		    "AEoA9gByAGc=\n",
		    "jorg");
	assert_part(NULL, "Content-Type: text/plain; charset=us-ascii\n\nJ\xf6rg J\xc3\xb6rg\n",
		    "jorg jorg ");
	assert_part(NULL, "Content-Type: text/plain; charset=no-such\n\nJ\xc3\xb6rg\n", "jorg ");
	assert_part(NULL, "Content-Type: text/plain; charset=../../x\n\nabc\n", "abc ");
	assert_part(NULL, "Content-Type: text/plain; charset=gb2312\n\n\xff\xd6\xd0\n",
		    "\xef\xbf\xbd中 ");
	assert_part(NULL, "Content-Type: text/html\n\n<p>Two&nbsp;<b>w</b>ords</p>\n",
		    " two words ");
	assert_part(&no_html, "Content-Type: text/html\n\n<p>Two</p>\n", "");
	assert_part(NULL, "Content-Type: image/png\n\nabc\n", "");
}

/* A character, an escape or a line cut by the end of a piece is whole again. */
static void pieces_are_joined(void **state UNUSED)
{
	static const char *const rows[][3] = {
		/* header, what is repeated, its search form */
		{"Content-Type: text/plain; charset=utf-8\n\n", "Jörg,", "jorg,"},
		{"Content-Type: text/plain; charset=gb18030\n\n", "\xd6\xd0,", "中,"},
		{"Content-Type: text/plain; charset=euc-jp\n\n", "\xc6\xfc\xcb\xdc.", "日本."},
		{"Content-Transfer-Encoding: quoted-printable\n\n", "J=C3=\n=B6rg,", "jorg,"},
		{"Content-Type: text/html\n\n", "a<b x=\"y\">&ouml;</b>.", "ao."},
	};
	struct mime_text *text = mime_text_new(NULL);
	struct pool *pool = pool_new();

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct buf message = BUF_INIT, out = BUF_INIT, expected = BUF_INIT;
		struct mime_tree *tree;
		buf_add_str(&message, rows[i][0]);
		while (message.len < 100000) {
			buf_add_str(&message, rows[i][1]);
			buf_add_str(&expected, rows[i][2]);
		}
		tree = mime_scan(buf_span(&message), NULL, pool);
		assert_int_equal(mime_text_part(text, tree->message, tree->root, collect, &out), 0);
		assert_string_equal(out.data, expected.data);
		buf_free(&message);
		buf_free(&out);
		buf_free(&expected);
	}
	pool_free(&pool);
	mime_text_free(&text);
}

static int stop_at_once(void *ctx, struct span piece UNUSED)
{
	++*(int *)ctx;
	return 7;
}

static void put_can_stop_and_nothing_remains(void **state UNUSED)
{
	struct mime_text *text = mime_text_new(NULL);
	struct pool *pool = pool_new();
	struct buf message = BUF_INIT, out = BUF_INIT;
	struct mime_tree *tree;
	int calls = 0;

	buf_add_str(&message, "A: b\n\n");
	while (message.len < 16384 + 6 - 1)
		buf_add_char(&message, 'x');
	buf_add_str(&message, "é and more"); /* cut in the middle */
	tree = mime_scan(buf_span(&message), NULL, pool);
	assert_int_equal(mime_text_part(text, tree->message, tree->root, stop_at_once, &calls), 7);
	assert_int_equal(calls, 1);
	mime_text_fold(text, SPAN_LIT("clean"), &out);
	assert_string_equal(out.data, "clean");
	buf_free(&message);
	buf_free(&out);
	pool_free(&pool);
	mime_text_free(&text);
}

#define MESSAGE                                                                               \
	"From: =?utf-8?q?J=C3=B6rg?= <joerg@example.com>\r\n"                                 \
	"Subject: A  folded\r\n subject\r\nList-Id: <announce.example.com>\r\n"               \
	"Content-Type: multipart/mixed; boundary=bound\r\n\r\n"                               \
	"preamble text\r\n--bound\r\n"                                                        \
	"Content-Type: text/plain; charset=iso-8859-1\r\n\r\nGr\xfc\xdf"                      \
	"e aus\r\nM\xfcnchen\r\n"                                                             \
	"--bound\r\nContent-Type: image/png; "                                                \
	"name=\"=?utf-8?q?=C3=9Cbersicht.png?=\"\r\n\r\npicture text\r\n"                     \
	"--bound\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner subject\r\n\r\nin\r\n" \
	"--bound--\r\n"

static void messages_are_matched(void **state UNUSED)
{
	static const struct {
		const char *string;
		bool in_text, in_body;
	} rows[] = {
		{"", true, true},
		{"GRÜSSE AUS", true, true},
		{"grusse aus munchen", true, true},
		{"inner subject", true, true},
		{"subject: inner", true, true},
		{"name=\"übersicht.png", true, true},
		{"jorg", true, false},
		{"jörg <JOERG", true, false},
		{"a folded subject", true, false},
		{"list-id: <announce", true, false},
		{"preamble", false, false},
		{"picture", false, false},
		{"bound--", false, false},
		{"grusseaus", false, false},
		{"?utf-8?", false, false},
	};
	struct mime_text *text = mime_text_new(NULL);
	struct pool *pool = pool_new();
	struct mime_tree *tree = mime_scan(span_of(MESSAGE), NULL, pool);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct mime_matcher *m = NULL;
		struct us_err err;
		assert_ok(mime_matcher_new(text, span_of(rows[i].string), SPAN_LIT("UTF-8"), &m,
					   &err),
			  &err);
		if (mime_matcher_text(m, tree) != rows[i].in_text ||
		    mime_matcher_body(m, tree) != rows[i].in_body)
			fail_msg("\"%s\"", rows[i].string);
		mime_matcher_free(&m);
	}
	pool_free(&pool);
	mime_text_free(&text);
}

static void strings_are_in_the_charset_of_the_command(void **state UNUSED)
{
	static const struct {
		const char *string, *charset;
		int rc;
		const char *matches;
	} rows[] = {
		{"M\xfcnchen", "ISO-8859-1", 0, "in münchen"},
		{"\xed\xec", "windows-1250", 0, "ÍĚ"},
		{"\xc6\xfc\xcb\xdc", "EUC-JP", 0, "日本語"},
		{"AEoA9g-", "UTF-7", 0, "aeoa9g-"},
		{"m\xc3\xbcnchen", NULL, 0, "in münchen"},
		{"munchen", "US-ASCII", 0, "in münchen"},
		{"\xff\xff", "EUC-JP", US_EPROTO, NULL},
		{"\xc6", "EUC-JP", US_EPROTO, NULL},
		{"x", "KLINGON", US_EINVAL, NULL},
		{"x", "utf-8//TRANSLIT", US_EINVAL, NULL},
		{"x", "a b", US_EINVAL, NULL},
	};
	struct mime_text *text = mime_text_new(NULL);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct mime_matcher *m = NULL;
		int rc = mime_matcher_new(text, span_of(rows[i].string), span_of(rows[i].charset),
					  &m, NULL);
		if (rc != rows[i].rc)
			fail_msg("%s: %d", rows[i].charset, rc);
		if (rc == 0 && !mime_matcher_value(m, span_of(rows[i].matches)))
			fail_msg("%s does not match", rows[i].charset);
		assert_true((rc == 0) == (m != NULL));
		mime_matcher_free(&m);
	}
	for (size_t i = 0; mime_text_charsets[i]; i++) {
		struct mime_matcher *m = NULL;
		int rc = mime_matcher_new(text, SPAN_LIT(""), span_of(mime_text_charsets[i]), &m,
					  NULL);
		if (rc < 0)
			fail_msg("%s is not known", mime_text_charsets[i]);
		mime_matcher_free(&m);
	}
	mime_text_free(&text);
}

/* The string at every place around the cuts between pieces, also one longer than a piece. */
static void strings_across_pieces_are_found(void **state UNUSED)
{
	struct mime_text *text = mime_text_new(NULL);
	struct pool *pool = pool_new();
	struct buf message = BUF_INIT, needle = BUF_INIT;
	struct mime_matcher *m = NULL;

	while (needle.len < 40000)
		buf_printf(&needle, "w%zu ", needle.len);
	for (size_t before = 16384 - 40; before < 16384 + 40; before++) {
		for (int longer = 0; longer < 2; longer++) {
			struct span find = longer ? buf_span(&needle) : SPAN_LIT("needle in hay");
			buf_clear(&message);
			buf_add_str(&message, "A: b\n\n");
			memset(buf_reserve(&message, before), '.', before);
			message.len += before;
			buf_add_span(&message, find);
			buf_add_str(&message, "................");
			assert_int_equal(mime_matcher_new(text, find, SPAN_NULL, &m, NULL), 0);
			assert_true(
				mime_matcher_body(m, mime_scan(buf_span(&message), NULL, pool)));
			message.data[6 + before + find.len / 2] = '#';
			assert_false(
				mime_matcher_body(m, mime_scan(buf_span(&message), NULL, pool)));
			mime_matcher_free(&m);
			pool_clear(pool);
		}
	}
	buf_free(&needle);
	buf_free(&message);
	pool_free(&pool);
	mime_text_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_decoded),
		cmocka_unit_test(long_fields_are_decoded_to_the_end),
		cmocka_unit_test(bodies_are_decoded),
		cmocka_unit_test(pieces_are_joined),
		cmocka_unit_test(put_can_stop_and_nothing_remains),
		cmocka_unit_test(messages_are_matched),
		cmocka_unit_test(strings_are_in_the_charset_of_the_command),
		cmocka_unit_test(strings_across_pieces_are_found),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
