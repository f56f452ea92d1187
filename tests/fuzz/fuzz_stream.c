/* fuzz_stream.c - any bytes on the wire, in pieces of any size: what a stream shows is what a plain reading
 * of them gives, with and without inflating, and what it deflates comes back as it was.
 *
 * input = mode piece *OCTET
 * mode  = 1 (deflate), 2 (read by lines), 4 (write the octets, and read them at the other end); ORed
 * piece = the wire gives (piece + 1) bytes, times 7 mod 256 from one to the next
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "server/base/mem.h"
#include "server/base/stream.h"
#include "tests/fuzz/pieces.h"

#define LINE_LIMIT 20
#define MOST_PLAIN (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the wire bytes say, and how it ends: 0 or US_EPROTO. */
static int read_plainly(struct span wire, bool deflate, struct buf *out)
{
	z_stream z = {0};
	int rc = Z_OK;

	if (!deflate) {
		buf_add_span(out, wire);
		return 0;
	}
	us_assert(inflateInit2(&z, -15) == Z_OK);
	z.next_in = (z_const Bytef *)wire.ptr;
	z.avail_in = (uInt)wire.len;
	do {
		char piece[1000];

		z.next_out = (Bytef *)piece;
		z.avail_out = sizeof(piece);
		rc = inflate(&z, Z_SYNC_FLUSH);
		buf_add(out, piece, sizeof(piece) - z.avail_out);
	} while (rc == Z_OK && out->len < MOST_PLAIN);
	inflateEnd(&z);
	return rc == Z_DATA_ERROR ? US_EPROTO : 0;
}

static void check_bytes(struct stream *s, struct span expected, int end)
{
	struct span seen;
	size_t step = 1;
	int rc;

	while ((rc = stream_peek(s, &seen, NULL)) > 0) {
		size_t n = step < seen.len ? step : seen.len;

		us_assert(n <= expected.len && memcmp(seen.ptr, expected.ptr, n) == 0);
		stream_take(s, n);
		expected = span_from(expected, n);
		step = step * 3 % 4099;
	}
	us_assert(rc == end && !expected.len);
	us_assert(stream_peek(s, &seen, NULL) == end);
}

/* The next line of `rest` as stream_line() has to see it. */
static int line_plainly(struct span *rest, struct span *line, int end)
{
	const char *lf = span_find(*rest, '\n');
	size_t len = lf ? (size_t)(lf - rest->ptr) : rest->len;
	bool cr = len && rest->ptr[len - 1] == '\r';

	*line = span_make(rest->ptr, len - (lf && cr));
	*rest = span_from(*rest, len + (lf != NULL));
	/* at the end of the input a CR may still become part of a line end */
	if (line->len > LINE_LIMIT && !(!lf && cr && len == LINE_LIMIT + 1)) {
		line->len = LINE_LIMIT;
		return US_ELIMIT;
	}
	if (lf)
		return 1;
	return end < 0 ? end : len ? US_ECLOSED : 0;
}

static void check_lines(struct stream *s, struct span expected, int end)
{
	struct buf line = BUF_INIT;
	struct span wanted;
	int rc;

	do {
		int want = line_plainly(&expected, &wanted, end);

		rc = stream_line(s, LINE_LIMIT, &line, NULL);
		us_assert(rc == want);
		if (rc == 1 || rc == US_ELIMIT)
			us_assert(span_eq(buf_span(&line), wanted));
		if (rc == US_ELIMIT)
			rc = stream_skip_line(s, NULL);
	} while (rc > 0);
	buf_free(&line);
}

static void read_it(struct span wire, uint8_t mode, uint8_t piece)
{
	struct buf plain = BUF_INIT;
	int end = read_plainly(wire, mode & 1, &plain);
	struct stream *ends[2];
	struct feeder feeder = {.rest = wire, .piece = piece};

	stream_pipe(ends, &impatient);
	feeder.s = ends[0];
	stream_pipe_on_empty(ends[1], feed, &feeder);
	if (mode & 1)
		us_assert(stream_start_deflate(ends[1], NULL) == 0);
	if (plain.len < MOST_PLAIN) {
		if (mode & 2)
			check_lines(ends[1], buf_span(&plain), end);
		else
			check_bytes(ends[1], buf_span(&plain), end);
	}
	stream_free(&feeder.s);
	stream_free(&ends[1]);
	buf_free(&plain);
}

static void write_it(struct span plain, uint8_t mode, uint8_t piece)
{
	struct stream *ends[2];
	struct span rest = plain;

	stream_pipe(ends, &impatient);
	for (int i = 0; i < 2 && (mode & 1); i++)
		us_assert(stream_start_deflate(ends[i], NULL) == 0);
	while (rest.len) {
		size_t n = (size_t)piece + 1 < rest.len ? (size_t)piece + 1 : rest.len;

		stream_write(ends[0], rest.ptr, n);
		rest = span_from(rest, n);
		if (piece & 4)
			us_assert(stream_flush(ends[0], NULL) == 0);
		piece = (uint8_t)(piece * 7 + 1);
	}
	us_assert(stream_flush(ends[0], NULL) == 0);
	stream_free(&ends[0]);
	check_bytes(ends[1], plain, 0);
	stream_free(&ends[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span octets;

	if (size < 2)
		return 0;
	octets = span_make(data + 2, size - 2);
	if (data[0] & 4)
		write_it(octets, data[0], data[1]);
	else
		read_it(octets, data[0], data[1]);
	return 0;
}
