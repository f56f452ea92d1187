/* test_reply.c - whatever a value holds, what is written can be read again as that value. */
#include "tests/unit/test.h"

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/base/stream.h"
#include "server/imap/reply.h"
#include "server/imap/texts.h"
#include "server/imap/token.h"

static void written(void (*write)(struct stream *out, struct span text), struct span text,
		    struct buf *out)
{
	struct stream *ends[2];
	struct span in;

	stream_pipe(ends, NULL);
	write(ends[0], text);
	assert_int_equal(stream_flush(ends[0], NULL), 0);
	while (stream_readable(ends[1]) && stream_peek(ends[1], &in, NULL) > 0) {
		buf_add_span(out, in);
		stream_take(ends[1], in.len);
	}
	stream_free(&ends[0]);
	stream_free(&ends[1]);
}

static void check(void (*write)(struct stream *out, struct span text), const char *text,
		  const char *wanted)
{
	struct buf out = BUF_INIT;

	written(write, span_of(text), &out);
	assert_string_equal(out.data, wanted);
	buf_free(&out);
}

static void values_have_the_simplest_form(void **state UNUSED)
{
	check(reply_astring, "INBOX", "INBOX");
	check(reply_astring, "a b", "\"a b\"");
	check(reply_astring, "", "\"\"");
	check(reply_astring, "nil", "\"nil\"");
	check(reply_astring, "a]b", "a]b");
	check(reply_astring, "a(b", "\"a(b\"");
	check(reply_astring, "\xc3\xa4", "{2}\r\n\xc3\xa4");
	check(reply_string, "abc", "\"abc\"");
	check(reply_string, "a\r\nb", "{4}\r\na\r\nb");
	check(reply_string, "\"\\", "\"\\\"\\\\\"");
	check(reply_nstring, NULL, "NIL");
	check(reply_nstring, "NIL", "\"NIL\"");
	check(reply_literal, "", "{0}\r\n");
	check(reply_text, "a\r\nb\t", "a??b?");
	check(reply_text, "", "-");
}

static void values_can_be_read_again(void **state UNUSED)
{
	struct pool *pool = pool_new();

	srand(5);
	for (int i = 0; i < 20000; i++) {
		struct buf out = BUF_INIT;
		char text[24];
		size_t n = (size_t)rand() % sizeof(text);
		struct scan s;
		struct span back;

		for (size_t j = 0; j < n; j++)
			text[j] = (char)(1 + rand() % (rand() % 2 ? 255 : 126));
		written(i % 2 ? reply_astring : reply_string, span_make(text, n), &out);
		s = scan_init(buf_span(&out));
		back = i % 2 ? token_astring(&s, pool) : token_string(&s, pool);
		assert_true(scan_ok_at_end(&s));
		assert_true(span_eq(back, span_make(text, n)));
		buf_free(&out);
		pool_clear(pool);
	}
	pool_free(&pool);
}

static void every_error_has_words(void **state UNUSED)
{
	static const int codes[] = {
#define X(name, value, class, imap, text) name,
		US_ERRORS(X)
#undef X
	};

	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		assert_string_not_equal(imap_text(codes[i]), "Internal Error");
		assert_true(codes[i] == US_EPROTO || imap_code(codes[i]));
	}
	assert_string_equal(imap_text(-9999), "Internal Error");
	assert_string_equal(imap_text(US_ENOENT), "Mailbox does not exist");
	assert_string_equal(imap_code(US_EPERM), "NOPERM");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_have_the_simplest_form),
		cmocka_unit_test(values_can_be_read_again),
		cmocka_unit_test(every_error_has_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
