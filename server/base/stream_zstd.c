/* stream_zstd.c - the zstd codec: frames of RFC 8878, one behind the other, without end.
 *
 *	frame   compressed   a flush ends a block; the next block refers back to what all before it said
 *	frame   raw          a long file's octets, in blocks that only say how many follow
 *
 * A conversation of short lines costs next to nothing once the window holds some: the same names, keys and
 * dates come again and again. So both contexts live as long as the stream, also a quiet one; deflate, which
 * many hundred readers may use at once, gives its compressor back.
 *
 * Window: 128 KB. It is as long as zstd's largest block, so a smaller one would only make blocks smaller; one
 * of 256 KB packs mail by 2.5 % better, and takes 128 KB more in each context. As it is, packing takes
 * 950 KB and unpacking 600 KB. A frame that wants a larger window is refused before anything is allocated, and
 * so is one of any other kind: the library would read what its first versions wrote too, with memory
 * as it was then, and pass over skippable frames of any length.
 *
 * Level 1: mail is packed at 300 to 500 MB/s to two thirds; level 3 saves 1 % more for a third less speed, and
 * takes twice the memory. That is still slower than a loopback, so there a file of some length goes raw, by
 * sendfile(2), in a frame of its own. The frame after it begins with an empty history, which the lines of
 * the next command or two fill again.
 *
 * No checksums: they would come at the end of a frame, which for most of what is said never comes. Bodies
 * have their SHA-1, lists of records their CRC, the wire TCP's sum or TLS.
 */
#include "server/base/stream_private.h"

#include <stdlib.h>
#include <zstd.h>

#include "server/base/mem.h"

#define WINDOW_LOG  17
#define LEVEL       1
#define LARGEST_RAW (1u << WINDOW_LOG) /* a block: no longer than the window, nor than 128 KB */

struct stream_zstd {
	ZSTD_CCtx *out;
	ZSTD_DCtx *in;
	bool out_open;  /* a compressed frame is begun */
	bool out_dirty; /* it holds bytes that no flush has driven out */
	bool raw_open;  /* a raw frame is begun */
	bool in_more;   /* the decoder may have output left without new input */
	size_t in_hint; /* what the decoder said last: how much it waits for (0: a frame), or a fault */
	unsigned in_magic; /* octets of the frame's magic number seen */
};

static const unsigned char magic[] = {0x28, 0xb5, 0x2f, 0xfd};

/* ---- reading ---------------------------------------------------------------------------------- */

/* What waits may go to the decoder, if a frame that begins in it is of the one kind we know. */
static bool is_our_frame(struct stream_zstd *z, const struct stream_chunk *c)
{
	if (z->in_hint == 0)
		z->in_magic = 0;
	for (size_t at = c->at; at < c->end && z->in_magic < sizeof(magic); at++)
		if ((unsigned char)c->data[at] != magic[z->in_magic++])
			return false;
	return true;
}

/* > 0: plain bytes; 0: no more from what we have; US_EPROTO, which the stream keeps. */
static int unpack_some(struct stream *s, void *data, size_t len, struct us_err *err)
{
	struct stream_zstd *z = s->codec_state;
	ZSTD_inBuffer in = {s->packed.data, s->packed.end, s->packed.at};
	ZSTD_outBuffer out = {data, len, 0};

	if (!is_our_frame(z, &s->packed))
		return us_fail(err, US_EPROTO, "the peer does not send zstd");
	z->in_hint = ZSTD_decompressStream(z->in, &out, &in);
	if (ZSTD_isError(z->in_hint))
		return us_fail(err, US_EPROTO, "the peer does not send zstd as agreed: %s",
			       ZSTD_getErrorName(z->in_hint));
	s->packed.at = in.pos;
	z->in_more = z->in_hint && out.pos == out.size;
	return (int)out.pos;
}

/* Between two blocks the decoder waits for a block's header, or, at the end of a frame, for nothing. */
static bool is_inside_block(const struct stream_zstd *z)
{
	return z->in_hint != 0 && z->in_hint != 3;
}

static int read_zstd(struct stream *s, void *data, size_t len, struct us_err *err)
{
	struct stream_zstd *z = s->codec_state;
	int rc;

	for (;;) {
		if (s->packed.at < s->packed.end || z->in_more) {
			rc = unpack_some(s, data, len, err);
			if (rc)
				return rc;
		}
		if (s->packed.at < s->packed.end)
			continue;
		rc = stream_packed_fill(s, err);
		if (rc == 0 && is_inside_block(z))
			return us_fail(err, US_ECLOSED,
				       "the connection ended inside a block of zstd");
		if (rc <= 0)
			return rc;
	}
}

/* ---- writing ---------------------------------------------------------------------------------- */

static int push_as(struct stream *s, const void *data, size_t len, ZSTD_EndDirective how,
		   struct us_err *err)
{
	struct stream_zstd *z = s->codec_state;
	ZSTD_inBuffer in = {data, len, 0};
	char packed[16384];
	size_t left;
	int rc;

	do {
		ZSTD_outBuffer out = {packed, sizeof(packed), 0};

		left = ZSTD_compressStream2(z->out, &out, &in, how);
		us_assert(!ZSTD_isError(left)); /* out of memory, or a fault of ours */
		rc = stream_push_wire(s, packed, out.pos, err);
		if (rc < 0)
			return rc;
	} while (in.pos < in.size || (how != ZSTD_e_continue && left));
	z->out_open = how != ZSTD_e_end;
	z->out_dirty = how == ZSTD_e_continue;
	return 0;
}

static int push_zstd(struct stream *s, const void *data, size_t len, bool flush, struct us_err *err)
{
	struct stream_zstd *z = s->codec_state;

	if (!len && !(flush && z->out_dirty))
		return 0;
	return push_as(s, data, len, flush ? ZSTD_e_flush : ZSTD_e_continue, err);
}

/* RFC 8878, 3.1.1: magic number, a descriptor that says nothing, the window: 2^(10 + 5 bits), nothing added. */
static int begin_raw_frame(struct stream *s, struct us_err *err)
{
	static const unsigned char rest[] = {0, (WINDOW_LOG - 10) << 3};
	struct stream_zstd *z = s->codec_state;
	int rc = z->out_open ? push_as(s, NULL, 0, ZSTD_e_end, err) : 0;

	if (rc == 0)
		rc = stream_push_wire(s, magic, sizeof(magic), err);
	if (rc == 0)
		rc = stream_push_wire(s, rest, sizeof(rest), err);
	z->raw_open = rc == 0;
	return rc;
}

/* 3.1.1.2: 3 octets, low first: last block (1 bit), type (2, 0: raw), size (21). */
static int announce_raw_block(struct stream *s, uint64_t left, struct us_err *err)
{
	struct stream_zstd *z = s->codec_state;
	bool last = left <= LARGEST_RAW;
	uint32_t size = last ? (uint32_t)left : LARGEST_RAW, word = size << 3 | last;
	const unsigned char header[] = {word & 0xff, word >> 8 & 0xff, word >> 16 & 0xff};
	int rc = stream_push_wire(s, header, sizeof(header), err);

	z->raw_open = !last;
	return rc < 0 ? rc : (int)size;
}

static int let_by(struct stream *s, uint64_t left, struct us_err *err)
{
	struct stream_zstd *z = s->codec_state;
	int rc = z->raw_open ? 0 : begin_raw_frame(s, err);

	return rc < 0 ? rc : announce_raw_block(s, left, err);
}

/* ---- memory ----------------------------------------------------------------------------------- */

static void shrink_nothing(struct stream *s UNUSED)
{
}

static size_t memory_of_zstd(const struct stream *s)
{
	const struct stream_zstd *z = s->codec_state;

	return sizeof(*z) + ZSTD_sizeof_CCtx(z->out) + ZSTD_sizeof_DCtx(z->in);
}

static void end_zstd(struct stream *s)
{
	struct stream_zstd *z = s->codec_state;

	(void)ZSTD_freeCCtx(z->out); /* cannot fail for what we own */
	(void)ZSTD_freeDCtx(z->in);
	free(z);
}

/* ---- switching it on -------------------------------------------------------------------------- */

static void set(ZSTD_CCtx *out, ZSTD_cParameter parameter, int value)
{
	us_assert(!ZSTD_isError(ZSTD_CCtx_setParameter(out, parameter, value)));
}

static struct stream_zstd *new_state(void)
{
	struct stream_zstd *z = us_calloc(1, sizeof(*z));

	z->out = ZSTD_createCCtx();
	z->in = ZSTD_createDCtx();
	us_assert(z->out && z->in); /* out of memory */
	set(z->out, ZSTD_c_compressionLevel, LEVEL);
	set(z->out, ZSTD_c_windowLog, WINDOW_LOG);
	us_assert(!ZSTD_isError(ZSTD_DCtx_setParameter(z->in, ZSTD_d_windowLogMax, WINDOW_LOG)));
	return z;
}

int stream_start_zstd(struct stream *s, uint64_t let_by_from, struct us_err *err)
{
	static const struct stream_codec zstd_codec = {.name = "ZSTD",
						       .most_in = STREAM_IN_MAX,
						       .read = read_zstd,
						       .push = push_zstd,
						       .let_by = let_by,
						       .shrink = shrink_nothing,
						       .memory = memory_of_zstd,
						       .end = end_zstd};
	int rc = stream_codec_ready(s, err);

	if (rc < 0)
		return rc;
	s->let_by_from = let_by_from;
	stream_codec_on(s, &zstd_codec, new_state());
	return 0;
}
