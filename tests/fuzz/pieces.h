/* pieces.h - a wire that brings octets in pieces of any size, for the fuzzers of what a stream makes of them. */
#ifndef US_TESTS_FUZZ_PIECES_H
#define US_TESTS_FUZZ_PIECES_H

#include "server/base/err.h"
#include "server/base/stream.h"

static const struct stream_config impatient = {0, 0, 1000, 64, NULL, false, 0, 0, 0};

struct feeder {
	struct stream *s; /* the writing end */
	struct span rest;
	uint8_t piece;
};

/* The reader would block: another piece, or the end. */
static inline void feed(void *ctx)
{
	struct feeder *feeder = ctx;
	size_t n = (size_t)feeder->piece + 1;

	if (!feeder->rest.len) {
		stream_free(&feeder->s);
		return;
	}
	if (n > feeder->rest.len)
		n = feeder->rest.len;
	stream_write(feeder->s, feeder->rest.ptr, n);
	us_assert(stream_flush(feeder->s, NULL) == 0);
	feeder->rest = span_from(feeder->rest, n);
	feeder->piece = (uint8_t)(feeder->piece * 7);
}

#endif
