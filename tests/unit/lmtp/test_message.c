/* test_message.c - a message on its way in: dots, line ends and header, in one piece and in any pieces. */
#include "tests/unit/test.h"

#include "server/lmtp/dots.h"
#include "server/lmtp/header_edit.h"

/* ---- dots --------------------------------------------------------------------------------------- */

/* Feed in pieces of `size` bytes (0: at once): how much was taken, the text in *out. */
static size_t undot(struct span wire, size_t size, struct dots *d, struct buf *out)
{
	size_t taken = 0;

	*d = (struct dots)DOTS_INIT;
	while (taken < wire.len && !d->done) {
		struct span piece = span_from(wire, taken);
		size_t n;
		if (size && piece.len > size)
			piece.len = size;
		n = dots_feed(d, piece, out);
		assert_true(n == piece.len || d->done);
		taken += n;
	}
	assert_int_equal(d->size, out->len);
	return taken;
}

static const struct {
	const char *wire, *text, *rest; /* text NULL: it does not end */
} dots_rows[] = {
	{".\r\n", "", ""},
	{".\r\nNOOP\r\n", "", "NOOP\r\n"},
	{"a\r\n.\r\n", "a\r\n", ""},
	{"..a\r\n...\r\n.b\r\na.\r\n.\r\nx", ".a\r\n..\r\nb\r\na.\r\n", "x"},
	{"\r\n.\r\n", "\r\n", ""},
	/* line ends that are none */
	{"a\nb\r\n.\r\n", "a\r\nb\r\n", ""},
	{"a\n.\nb\r\n.\r\n", "a\r\n.\r\nb\r\n", ""},
	{"a\n.\r\nRSET\r\n.\r\n", "a\r\n.\r\nRSET\r\n", ""},
	{"a\r\n.\nRSET\r\n.\r\n", "a\r\n\r\nRSET\r\n", ""},
	{"a\n..\r\n.\r\n", "a\r\n..\r\n",
	 ""}, /* not at the start of a line: both dots are the text's */
	{"a\r.\r\n.\r\n", "a.\r\n", ""},
	{"a\r\r\n.\r\n", "a\r\n", ""},
	{"a\r\n.\r\r\n.\r\n", "a\r\n\r\n", ""},
	{"a\r\n.\rb\r\n.\r\n", "a\r\nb\r\n", ""},
	{"\r\r\r.\r\n.\r\n", ".\r\n", ""},
	{"\n.\r\n\r\n.\r\n", "\r\n.\r\n\r\n", ""},
	/* no end */
	{"a\r\n.", NULL, NULL},
	{"a\r\n.\r", NULL, NULL},
	{".", NULL, NULL},
	{"a.\r\n", NULL, NULL},
	{"a\n.\n", NULL, NULL},
};

static void dots_in_any_pieces(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(dots_rows); i++)
		for (size_t size = 0; size < 6; size++) {
			struct span wire = span_of(dots_rows[i].wire);
			struct buf out = BUF_INIT;
			struct dots d;
			size_t taken = undot(wire, size, &d, &out);

			assert_int_equal(d.done, dots_rows[i].text != NULL);
			if (d.done) {
				assert_string_equal(out.data, dots_rows[i].text);
				assert_span(span_from(wire, taken), dots_rows[i].rest);
			} else {
				assert_int_equal(taken, wire.len);
			}
			buf_free(&out);
		}
}

static void dots_see_nul(void **state UNUSED)
{
	static const struct span with = {"a\0b\r\n.\r\n", 8}, behind = {"ab\r\n.\r\n\0", 8};
	struct buf out = BUF_INIT;
	struct dots d;

	(void)undot(with, 0, &d, &out);
	assert_true(d.has_nul && d.done);
	buf_clear(&out);
	assert_int_equal(undot(behind, 0, &d, &out), 7);
	assert_true(!d.has_nul && d.done);
	buf_free(&out);
}

/* A chunk full of bare CRs is passed in time that grows with its length, not with the square. */
static void dots_many_bare_crs(void **state UNUSED)
{
	size_t len = 4u << 20;
	char *wire = us_malloc(len);
	struct buf out = BUF_INIT;
	struct dots d = DOTS_INIT;

	for (size_t i = 0; i < len; i++)
		wire[i] = i % 2 ? '\r' : 'x';
	assert_int_equal(dots_feed(&d, span_make(wire, len), &out), len);
	assert_int_equal(out.len, len / 2);
	buf_free(&out);
	free(wire);
}

/* ---- the header ---------------------------------------------------------------------------------- */

static const struct header_rules rules = {.munge8bit = true,
					  .message_id = SPAN_LIT("<made@here>"),
					  .date = SPAN_LIT("now")};

static size_t edit(const struct header_rules *r, struct span in, size_t size, struct header_edit *h,
		   struct buf *out)
{
	size_t taken = 0;

	header_edit_init(h, r);
	while (taken < in.len && !h->ended) {
		struct span piece = span_from(in, taken);
		size_t n;
		if (size && piece.len > size)
			piece.len = size;
		n = header_edit_feed(h, piece, out);
		assert_true(n == piece.len || h->ended);
		taken += n;
	}
	header_edit_finish(h, out);
	return taken;
}

#define ID   "Message-ID: <a@b>\r\n"
#define DATE "Date: x\r\n"
#define MORE "Message-ID: <made@here>\r\nDate: now\r\n"

static const struct {
	const char *in, *out, *body, *id, *date;
} header_rows[] = {
	{"", MORE, "", "<made@here>", "now"},
	{"\r\n", MORE "\r\n", "", "<made@here>", "now"},
	{"\r\nbody\r\n", MORE "\r\n", "body\r\n", "<made@here>", "now"},
	{"A: b\r\n", "A: b\r\n" MORE, "", "<made@here>", "now"},
	{ID DATE "\r\nbody", ID DATE "\r\n", "body", "<a@b>", "x"},
	{ID "A: b\r\n\r\n", ID "A: b\r\nDate: now\r\n\r\n", "", "<a@b>", "now"},
	{DATE "\r\n", DATE "Message-ID: <made@here>\r\n\r\n", "", "<made@here>", "x"},
	{"MESSAGE-id : \r\n <a@b>\t\r\ndate:x\r\n y \r\n\r\n",
	 "MESSAGE-id : \r\n <a@b>\t\r\ndate:x\r\n y \r\n\r\n", "", "<a@b>", "x y"},
	{ID "Message-ID: <second@x>\r\n" DATE "Date: y\r\n\r\n",
	 ID "Message-ID: <second@x>\r\n" DATE "Date: y\r\n\r\n", "", "<a@b>", "x"},
	{"Message-ID:\r\nDate:\r\n\r\n", "Message-ID:\r\nDate:\r\n\r\n", "", "", ""},
	{"Return-Path: <evil@x>\r\n" ID DATE "\r\n", ID DATE "\r\n", "", "<a@b>", "x"},
	{ID "return-path : <evil@x>\r\n and\r\n\tmore\r\n" DATE "\r\n", ID DATE "\r\n", "", "<a@b>",
	 "x"},
	{"A: b\r\n \r\n\t\r\n c\r\n" ID DATE "\r\nx", "A: b\r\n \r\n\t\r\n c\r\n" ID DATE "\r\n",
	 "x", "<a@b>", "x"},
	{"1-a!#~: b\r\nX:\r\nY:nospace\r\n" ID DATE "\r\n",
	 "1-a!#~: b\r\nX:\r\nY:nospace\r\n" ID DATE "\r\n", "", "<a@b>", "x"},
	{"Subject: \xe4\xf6\r\n \xff\r\n" ID DATE "\r\n\xe4",
	 "Subject: XX\r\n X\r\n" ID DATE "\r\n", "\xe4", "<a@b>", "x"},
	{"Subject: : :\r\n" ID DATE "\r\n", "Subject: : :\r\n" ID DATE "\r\n", "", "<a@b>", "x"},
};

static void headers_in_any_pieces(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(header_rows); i++)
		for (size_t size = 0; size < 7; size++) {
			struct span in = span_of(header_rows[i].in);
			struct buf out = BUF_INIT;
			struct header_edit h;
			size_t taken = edit(&rules, in, size, &h, &out);

			assert_int_equal(h.fault, HEADER_WELL);
			assert_string_equal(out.data, header_rows[i].out);
			assert_span(span_from(in, taken), header_rows[i].body);
			assert_string_equal(h.message_id.data, header_rows[i].id);
			assert_string_equal(h.date.data, header_rows[i].date);
			header_edit_fini(&h);
			buf_free(&out);
		}
}

static void headers_that_are_none(void **state UNUSED)
{
	static const char *const bad[] = {
		"hello world\r\nmore\r\n",
		"A: b\r\nnot a field\r\n\r\nbody",
		" starts folded\r\nA: b\r\n\r\n",
		"\tstarts folded\r\nA: b\r\n\r\n",
		"From alice Mon Jan 1\r\nA: b\r\n\r\n",
		": no name\r\n\r\n",
		"no colon\r\n\r\n",
		"nocolon\r\n\r\n",
		"X-\xe4: b\r\n\r\n",
		"A\x01: b\r\n\r\n",
		"A\r\n : b\r\n\r\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		for (size_t size = 0; size < 7; size++) {
			struct buf out = BUF_INIT;
			struct header_edit h;

			(void)edit(&rules, span_of(bad[i]), size, &h, &out);
			if (h.fault != HEADER_BAD || !h.ended)
				fail_msg("taken for a header: %s", bad[i]);
			header_edit_fini(&h);
			buf_free(&out);
		}
}

static void eight_bit_refused_or_kept(void **state UNUSED)
{
	static const struct span in = SPAN_LIT("A: \xe4\r\n" ID DATE "\r\n\xe4");
	struct header_rules strict = rules, loose = rules;
	struct header_edit h;
	struct buf out = BUF_INIT;

	strict.reject8bit = true;
	(void)edit(&strict, in, 0, &h, &out);
	assert_int_equal(h.fault, HEADER_8BIT);
	header_edit_fini(&h);
	buf_clear(&out);
	loose.munge8bit = false;
	(void)edit(&loose, in, 0, &h, &out);
	assert_int_equal(h.fault, HEADER_WELL);
	assert_string_equal(out.data, "A: \xe4\r\n" ID DATE "\r\n");
	header_edit_fini(&h);
	buf_free(&out);
}

/* A header without end: what is kept of it stays small. */
static void headers_without_end(void **state UNUSED)
{
	struct header_edit h;
	struct buf out = BUF_INIT;
	char name[2000];

	header_edit_init(&h, &rules);
	(void)header_edit_feed(&h, SPAN_LIT("Message-ID: "), &out);
	for (int i = 0; i < 10000; i++) {
		buf_clear(&out);
		assert_int_equal(header_edit_feed(&h,
						  SPAN_LIT("<aaaaaaaaaaaaaaaaaaaaaaaaaaaaa>\r\n\t"),
						  &out),
				 34);
	}
	assert_true(h.message_id.over);
	assert_true(h.message_id.cap <= 2 * HEADER_VALUE_MAX);
	assert_false(h.ended);
	header_edit_fini(&h);

	memset(name, 'n', sizeof(name));
	header_edit_init(&h, &rules);
	(void)header_edit_feed(&h, span_make(name, sizeof(name)), &out);
	assert_int_equal(h.fault, HEADER_BAD);
	header_edit_fini(&h);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dots_in_any_pieces),
		cmocka_unit_test(dots_see_nul),
		cmocka_unit_test(dots_many_bare_crs),
		cmocka_unit_test(headers_in_any_pieces),
		cmocka_unit_test(headers_that_are_none),
		cmocka_unit_test(eight_bit_refused_or_kept),
		cmocka_unit_test(headers_without_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
