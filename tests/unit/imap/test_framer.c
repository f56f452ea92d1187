/* test_framer.c - commands are found in bytes however they are cut, and nothing a client sends exceeds the limits. */
#include "tests/unit/test.h"

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/imap/framer.h"

static const struct framer_limits small = {.word = 20,
					   .quoted = 30,
					   .literal = 40,
					   .frame = 120,
					   .literals = 3};

struct run {
	struct buf log; /* "READY <frame>\n", "CONTINUE\n", "BAD <tag> <text>\n", "HAND\n" */
	struct buf streamed;
	int put_code;
	size_t most; /* bytes of memory the framer ever held */
};

static enum framer_verdict stream_append(void *ctx UNUSED, const struct framer_literal *literal,
					 struct us_err *err)
{
	if (span_starts(literal->before, "S ")) {
		us_fail(err, US_ENOENT, "no such mailbox");
		return FRAMER_REFUSE;
	}
	return span_starts(literal->before, "A APPEND x ") ? FRAMER_STREAM : FRAMER_KEEP;
}

static int put(void *ctx, const void *data, size_t len, struct us_err *err)
{
	struct run *run = ctx;

	if (run->put_code)
		return us_fail(err, run->put_code, "disk full");
	buf_add(&run->streamed, data, len);
	return 0;
}

static bool is_sync(void *ctx UNUSED, struct span verb)
{
	return span_is_nocase(verb, "SYNCGET");
}

static bool note(struct run *run, struct framer *f, enum framer_state state)
{
	if (f->frame.text.cap > run->most)
		run->most = f->frame.text.cap;
	if (state == FRAMER_CONTINUE)
		buf_add_str(&run->log, "CONTINUE\n");
	if (state == FRAMER_READY)
		buf_printf(&run->log, "READY %.*s\n", (int)f->frame.text.len, f->frame.text.data);
	if (state == FRAMER_BAD)
		buf_printf(&run->log, "BAD %.*s %s\n", SPAN_ARG(framer_tag(f)), f->err.text);
	if (state == FRAMER_HAND_OVER)
		buf_add_str(&run->log, "HAND\n");
	if (state == FRAMER_READY || state == FRAMER_BAD)
		framer_restart(f, false);
	return state != FRAMER_HAND_OVER;
}

/* Feed `in` in pieces of `piece` bytes, as a client would who needs no "+". */
static void feed(struct run *run, struct span in, size_t piece)
{
	const struct framer_hooks hooks = {stream_append, put, is_sync, run};
	struct framer f;
	bool on = true;

	framer_init(&f, &small, &hooks);
	while (in.len && on) {
		struct span some = span_make(in.ptr, in.len < piece ? in.len : piece);
		size_t used;

		on = note(run, &f, framer_feed(&f, some, &used));
		in = span_from(in, used);
	}
	if (on && !framer_is_empty(&f))
		buf_add_str(&run->log, "rest\n");
	framer_fini(&f);
}

struct frame_case {
	const char *in, *log;
};

static void check(const struct frame_case *c)
{
	for (size_t piece = 1; piece < 200; piece = piece < 8 ? piece + 1 : piece * 3) {
		struct run run = {.log = BUF_INIT, .streamed = BUF_INIT};

		feed(&run, span_of(c->in), piece);
		if (strcmp(run.log.data, c->log) != 0)
			fail_msg("%s\nby %zu: %s\nwanted %s", c->in, piece, run.log.data, c->log);
		buf_free(&run.log);
		buf_free(&run.streamed);
	}
}

static void framer_finds_commands(void **state UNUSED)
{
	static const struct frame_case cases[] = {
		{"a noop\r\nb check\n", "READY a noop\nREADY b check\n"},
		{"\r\na x\r\n", "READY \nREADY a x\n"},
		{"a login {3}\r\nb\r\n \"x y\"\r\n",
		 "CONTINUE\nREADY a login {3}\r\nb\r\n \"x y\"\n"},
		{"a login {3+}\r\nbob {0+}\r\n\r\n", "READY a login {3+}\r\nbob {0+}\r\n\n"},
		{"a x {2+}\n\r\n\r\n", "READY a x {2+}\r\n\r\n\n"}, /* LF alone becomes CRLF */
		{"a x ~{2+}\r\n{} \r\n", "READY a x ~{2+}\r\n{} \n"},
		{"a x {-1}\r\n{}\r\nx{}\r\n", "READY a x {-1}\nREADY {}\nREADY x{}\n"},
		{"a x }\r\n3}\r\n{3\r\n", "READY a x }\nREADY 3}\nREADY {3\n"},
		{"unfinished {3+}\r\nx", "rest\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check(&cases[i]);
}

static void framer_passes_over_what_is_too_long(void **state UNUSED)
{
	static const struct frame_case cases[] = {
		{"a 123456789012345678901\r\nb c\r\n", "BAD a Word too long\nREADY b c\n"},
		{"a 12345678901234567890\r\n", "READY a 12345678901234567890\n"},
		{"a \"1234567890 1234567890 1234567890\" x\r\nb c\r\n",
		 "BAD a Quoted string too long\nREADY b c\n"},
		/* A literal on the line that was too long is part of it. */
		{"a 123456789012345678901 {3+}\r\nb\r\n\r\nb c\r\n",
		 "BAD a Word too long\nREADY b c\n"},
		{"a 1234567890123456789012{3+}\r\nb\r\n\r\nb c\r\n",
		 "BAD a Word too long\nREADY b c\n"},
		{"a 123456789012345678901 {3}\r\nb c\r\n", "BAD a Word too long\nREADY b c\n"},
		{"a x {41}\r\nb c\r\n", "BAD a Literal too long\nREADY b c\n"},
		{"a x {5000000000000}\r\nb c\r\n", "BAD a Literal too long\nREADY b c\n"},
		{"a x {99999999999999999999}\r\nb c\r\n", "BAD a Word too long\nREADY b c\n"},
		{"a x {41+}\r\n12345678901234567890123456789012345678901 y\r\nb c\r\n",
		 "BAD a Literal too long\nREADY b c\n"},
		{"a {1+}\r\na {1+}\r\na {1+}\r\na {1+}\r\na\r\nb c\r\n",
		 "BAD a Too many literals\nREADY b c\n"},
		{"a {40+}\r\n1234567890123456789012345678901234567890 "
		 "{40+}\r\n1234567890123456789012345678901234567890 {40}\r\nb c\r\n",
		 "BAD a Command too long\nREADY b c\n"},
		{"a bb bb bb bb bb bb bb bb bb bb bb bb bb bb bb bb bb bb bb bb bb bb bb bb bb bb "
		 "bb bb "
		 "bb bb bb bb bb bb bb bb bb bb bb bb bb bb\r\nb c\r\n",
		 "BAD a Command too long\nREADY b c\n"},
		{"(a) 123456789012345678901\r\n", "BAD * Word too long\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check(&cases[i]);
}

static void framer_asks_about_literals(void **state UNUSED)
{
	static const struct frame_case cases[] = {
		{"A APPEND x {50+}\r\n12345678901234567890123456789012345678901234567890\r\nb "
		 "c\r\n",
		 "READY A APPEND x {50+}\r\n\nREADY b c\n"},
		{"A APPEND x {5}\r\n12345 {3}\r\nabc\r\n",
		 "CONTINUE\nCONTINUE\nREADY A APPEND x {5}\r\n {3}\r\n\n"},
		{"S x {5}\r\nb c\r\n", "BAD S no such mailbox\nREADY b c\n"},
		{"S x {5+}\r\n12345 {3+}\r\nabc\r\nb c\r\n", "BAD S no such mailbox\nREADY b c\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check(&cases[i]);
}

static void framer_streams_literals(void **state UNUSED)
{
	struct run run = {.log = BUF_INIT, .streamed = BUF_INIT};
	const struct framer_hooks hooks = {stream_append, put, is_sync, &run};
	static const char in[] = "A APPEND x {6+}\r\nab\0cd\n\r\n";
	static const char two[] = "A APPEND x {2+}\r\nab () {4+}\r\ncdef\r\n";
	struct framer f;
	size_t used;

	framer_init(&f, &small, &hooks);
	assert_int_equal(framer_feed(&f, span_make(in, sizeof(in) - 1), &used), FRAMER_READY);
	assert_int_equal(used, sizeof(in) - 1);
	assert_int_equal(run.streamed.len, 6);
	assert_memory_equal(run.streamed.data, "ab\0cd\n", 6);
	assert_int_equal(f.frame.n_streamed, 1);
	assert_int_equal(f.frame.streamed[0].at, 11);
	assert_int_equal(f.frame.streamed[0].size, 6);
	assert_int_equal(f.frame.streamed_code, 0);

	framer_restart(&f, true);
	assert_int_equal(f.frame.n_streamed, 0);
	buf_clear(&run.streamed);
	assert_int_equal(framer_feed(&f, span_of(two), &used), FRAMER_READY);
	assert_string_equal(run.streamed.data, "abcdef");
	assert_string_equal(f.frame.text.data, "A APPEND x {2+}\r\n () {4+}\r\n");
	assert_int_equal(f.frame.n_streamed, 2);
	assert_int_equal(f.frame.streamed[1].at, 21);
	assert_int_equal(f.frame.streamed[1].size, 4);

	framer_restart(&f, true);
	run.put_code = US_ENOSPC;
	assert_int_equal(framer_feed(&f, span_make(in, sizeof(in) - 1), &used), FRAMER_READY);
	assert_int_equal(f.frame.streamed_code, US_ENOSPC);
	assert_string_equal(f.err.text, "disk full");
	framer_fini(&f);
	buf_free(&run.log);
	buf_free(&run.streamed);
}

static void framer_hands_over(void **state UNUSED)
{
	static const struct frame_case cases[] = {
		{"S1 SYNCGET USER x\r\n", "HAND\n"},
		{"S1 syncget \r\n", "HAND\n"},
		{"S1 SYNCGET\r\n", "READY S1 SYNCGET\n"},
		{"S1 x SYNCGET \r\n", "READY S1 x SYNCGET \n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check(&cases[i]);
}

static void framer_holds_little_memory(void **state UNUSED)
{
	struct run run = {.log = BUF_INIT, .streamed = BUF_INIT};
	struct buf in = BUF_INIT;

	buf_add_str(&in, "a ");
	for (size_t i = 0; i < 1000000; i++)
		buf_add_str(&in, i % 10 ? "x" : " ");
	buf_add_str(&in, " {500000+}\r\n");
	for (size_t i = 0; i < 500000; i++)
		buf_add_char(&in, '\n');
	buf_add_str(&in, "\r\n");
	feed(&run, buf_span(&in), 4096);
	assert_string_equal(run.log.data, "BAD a Command too long\n");
	assert_true(run.most <= 4096);
	buf_free(&run.log);
	buf_free(&run.streamed);
	buf_free(&in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(framer_finds_commands),
		cmocka_unit_test(framer_passes_over_what_is_too_long),
		cmocka_unit_test(framer_asks_about_literals),
		cmocka_unit_test(framer_streams_literals),
		cmocka_unit_test(framer_hands_over),
		cmocka_unit_test(framer_holds_little_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
