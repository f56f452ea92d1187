/* lines.h - lines over a stream, for the tests of what a stream is made of. */
#ifndef US_TESTS_LINES_H
#define US_TESTS_LINES_H

#include "server/base/stream.h"
#include "tests/unit/test.h"

static inline void expect_line(struct stream *s, const char *text)
{
	struct buf line = BUF_INIT;
	struct us_err err = US_ERR_INIT;

	if (stream_line(s, 1000, &line, &err) != 1)
		fail_msg("no line: %s", err.text);
	assert_string_equal(line.data, text);
	buf_free(&line);
}

static inline void send_line(struct stream *s, const char *text)
{
	struct us_err err;

	stream_printf(s, "%s\r\n", text);
	assert_ok(stream_flush(s, &err), &err);
}

/* Questions and answers over two ends that compress: each flush can be read at once, and what is counted agrees. */
static inline void talk_in_turns(struct stream *end[2])
{
	char text[40];

	for (int i = 0; i < 200; i++) {
		snprintf(text, sizeof(text), "GET USER bob%d", i);
		send_line(end[0], text);
		expect_line(end[1], text);
		send_line(end[1], "OK success");
		expect_line(end[0], "OK success");
	}
	assert_true(stream_stats(end[0]).wire_out < stream_stats(end[0]).plain_out);
	assert_int_equal(stream_stats(end[0]).wire_out, stream_stats(end[1]).wire_in);
	assert_int_equal(stream_stats(end[0]).plain_out, stream_stats(end[1]).plain_in);
}

#endif
