/* fuzz_zstd.c - any bytes on the wire of a stream that unpacks zstd, in pieces of any size: it shows what the library makes of them octet by octet,
 * takes no kind of frame but ours, and never much memory; and what it packs comes back as it was.
 *
 * input = mode piece *OCTET
 * mode  = 1 (pack the octets, and read them at the other end), 2 (some of them as files that go by); ORed
 * piece = the wire gives (piece + 1) bytes, times 7 mod 256 from one to the next
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#include "server/base/mem.h"
#include "server/base/stream.h"
#include "tests/fuzz/pieces.h"

#define MOST_PLAIN  (1u << 20)
#define MOST_MEMORY (2u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One octet for the decoder: its hint, or an error. */
static size_t unpack_octet(ZSTD_DCtx *dctx, const char *octet, struct buf *out)
{
	ZSTD_inBuffer in = {octet, 1, 0};
	ZSTD_outBuffer piece;
	char data[1000];
	size_t hint;

	do {
		piece = (ZSTD_outBuffer){data, sizeof(data), 0};
		hint = ZSTD_decompressStream(dctx, &piece, &in);
		buf_add(out, data, piece.pos);
	} while (!ZSTD_isError(hint) && hint && piece.pos == sizeof(data) && out->len < MOST_PLAIN);
	return hint;
}

/* A frame may say how long its content is, and lie. The library compares that only where it gets the whole frame at once. */
static bool says_length(char descriptor)
{
	return ((unsigned char)descriptor & 0xe0) != 0;
}

/* What the wire bytes say, and how it ends: 0, US_ECLOSED (inside a block) or US_EPROTO. *may_lie: a frame says its length. */
static int read_plainly(struct span wire, struct buf *out, bool *may_lie)
{
	static const char magic[] = "\x28\xb5\x2f\xfd";
	ZSTD_DCtx *dctx = ZSTD_createDCtx();
	size_t hint = 0, in_frame = 0;
	int rc = 0;

	us_assert(dctx && !ZSTD_isError(ZSTD_DCtx_setParameter(dctx, ZSTD_d_windowLogMax, 17)));
	for (size_t i = 0; i < wire.len && rc == 0 && out->len < MOST_PLAIN; i++) {
		in_frame = hint ? in_frame + 1 : 0;
		if (in_frame < 4 && wire.ptr[i] != magic[in_frame]) {
			rc = US_EPROTO;
			break;
		}
		*may_lie |= in_frame == 4 && says_length(wire.ptr[i]);
		hint = unpack_octet(dctx, wire.ptr + i, out);
		rc = ZSTD_isError(hint) ? US_EPROTO : 0;
	}
	ZSTD_freeDCtx(dctx);
	return rc == 0 && hint != 0 && hint != 3 ? US_ECLOSED : rc;
}

/* All that is expected, or of what ends with a fault as much as the pieces let out before it. may_lie: it may end with a fault at the
 * end of a frame. */
static void check_bytes(struct stream *s, struct span expected, int end, bool may_lie)
{
	struct span seen;
	int rc;

	while ((rc = stream_peek(s, &seen, NULL)) > 0) {
		size_t n = seen.len < expected.len ? seen.len : expected.len;

		us_assert(memcmp(seen.ptr, expected.ptr, n) == 0);
		us_assert(end == US_EPROTO || n == seen.len);
		us_assert(stream_memory(s) < MOST_MEMORY);
		stream_take(s, seen.len);
		expected = span_from(expected, n);
	}
	if (may_lie && rc == US_EPROTO)
		end = rc;
	us_assert(rc == end && (end == US_EPROTO || !expected.len));
	us_assert(stream_peek(s, &seen, NULL) == end);
}

static void read_it(struct span wire, uint8_t piece)
{
	struct buf plain = BUF_INIT;
	bool may_lie = false;
	int end = read_plainly(wire, &plain, &may_lie);
	struct stream *ends[2];
	struct feeder feeder = {.rest = wire, .piece = piece};

	stream_pipe(ends, &impatient);
	feeder.s = ends[0];
	stream_pipe_on_empty(ends[1], feed, &feeder);
	us_assert(stream_start_zstd(ends[1], STREAM_PACK_ALL, NULL) == 0);
	if (plain.len < MOST_PLAIN)
		check_bytes(ends[1], buf_span(&plain), end, may_lie);
	stream_free(&feeder.s);
	stream_free(&ends[1]);
	buf_free(&plain);
}

/* Octets as a message goes: from a file. */
static void send_as_file(struct stream *s, struct span octets)
{
	int fd = memfd_create("octets", MFD_CLOEXEC);

	us_assert(fd >= 0 && write(fd, octets.ptr, octets.len) == (ssize_t)octets.len);
	us_assert(stream_send_file(s, fd, 0, octets.len, NULL) == 0);
	close(fd);
}

static void write_it(struct span plain, uint8_t mode, uint8_t piece)
{
	struct stream *ends[2];
	struct span rest = plain;

	stream_pipe(ends, &impatient);
	us_assert(stream_start_zstd(ends[0], 20, NULL) == 0);
	us_assert(stream_start_zstd(ends[1], STREAM_PACK_ALL, NULL) == 0);
	while (rest.len) {
		size_t n = (size_t)piece + 1 < rest.len ? (size_t)piece + 1 : rest.len;

		if ((mode & 2) && (piece & 8))
			send_as_file(ends[0], span_make(rest.ptr, n));
		else
			stream_write(ends[0], rest.ptr, n);
		rest = span_from(rest, n);
		if (piece & 4)
			us_assert(stream_flush(ends[0], NULL) == 0);
		piece = (uint8_t)(piece * 7 + 1);
	}
	us_assert(stream_flush(ends[0], NULL) == 0);
	stream_free(&ends[0]);
	check_bytes(ends[1], plain, 0, false);
	stream_free(&ends[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span octets;

	if (size < 2)
		return 0;
	octets = span_make(data + 2, size - 2);
	if (data[0] & 1)
		write_it(octets, data[0], data[1]);
	else
		read_it(octets, data[1]);
	return 0;
}
