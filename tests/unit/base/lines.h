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

#endif
