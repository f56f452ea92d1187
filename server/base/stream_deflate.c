/* stream_deflate.c - the deflate codec: zlib, raw (RFC 1951), window 15.
 *
 * Every flush ends with Z_SYNC_FLUSH: an empty stored block, on a byte boundary. What was written before it
 * never needs what comes after, and a new compressor may start right there: the peer's inflater cannot tell.
 * So a quiet stream frees its compressor (256 KB) and only loses the dictionary. The inflater (40 KB) must
 * stay: the peer's compressor refers back to what it sent.
 *
 * A peer who finishes his deflate stream has ended: what follows it is not looked at.
 */
#include "server/base/stream_private.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "server/base/mem.h"

#define WINDOW_BITS    (-15) /* negative: raw */
#define MEM_LEVEL      8
#define DEFLATE_MEMORY ((1u << (15 + 2)) + (1u << (MEM_LEVEL + 9))) /* zconf.h */
#define INFLATE_MEMORY ((1u << 15) + 7 * 1024)

struct stream_deflate {
	z_stream in, out;
	bool out_made;  /* there is a compressor */
	bool out_dirty; /* it holds bytes that no flush has driven out */
	bool in_ended;  /* the peer finished his stream */
	bool in_more;   /* the inflater may have output left without new input */
};

/* ---- reading ---------------------------------------------------------------------------------- */

/* > 0: plain bytes; 0: no more from what we have; US_EPROTO. What came out before a fault is shown first;
 * zlib then repeats the fault. */
static int inflate_some(struct stream *s, void *data, size_t len, struct us_err *err)
{
	struct stream_deflate *d = s->codec_state;
	int rc, got;

	d->in.next_in = s->packed.data ? (z_const Bytef *)s->packed.data + s->packed.at : Z_NULL;
	d->in.avail_in = (uInt)(s->packed.end - s->packed.at);
	d->in.next_out = data;
	d->in.avail_out = (uInt)len;
	rc = inflate(&d->in, Z_SYNC_FLUSH);
	us_assert(rc != Z_MEM_ERROR);
	s->packed.at = s->packed.end - d->in.avail_in;
	got = (int)(len - d->in.avail_out);
	d->in_ended = rc == Z_STREAM_END;
	d->in_more = d->in.avail_out == 0;
	if (d->in_ended || rc == Z_OK || rc == Z_BUF_ERROR)
		return got;
	d->in_more = true;
	return got ? got
		   : us_fail(err, US_EPROTO, "the peer does not send deflate: %s",
			     d->in.msg ? d->in.msg : "broken data");
}

static int read_deflate(struct stream *s, void *data, size_t len, struct us_err *err)
{
	struct stream_deflate *d = s->codec_state;
	int rc;

	for (;;) {
		if (!d->in_ended && (s->packed.at < s->packed.end || d->in_more)) {
			rc = inflate_some(s, data, len, err);
			if (rc)
				return rc;
		}
		if (d->in_ended)
			return 0;
		rc = stream_packed_fill(s, err);
		if (rc <= 0)
			return rc;
	}
}

/* ---- writing ---------------------------------------------------------------------------------- */

static void make_compressor(struct stream_deflate *d)
{
	if (d->out_made)
		return;
	us_assert(deflateInit2(&d->out, Z_DEFAULT_COMPRESSION, Z_DEFLATED, WINDOW_BITS, MEM_LEVEL,
			       Z_DEFAULT_STRATEGY) == Z_OK); /* else out of memory */
	d->out_made = true;
}

static int push_piece(struct stream *s, uInt len, int mode, struct us_err *err)
{
	struct stream_deflate *d = s->codec_state;
	char packed[16384];
	int rc;

	d->out.avail_in = len;
	do {
		d->out.next_out = (Bytef *)packed;
		d->out.avail_out = sizeof(packed);
		rc = deflate(&d->out, mode);
		us_assert(rc == Z_OK || rc == Z_BUF_ERROR); /* Z_BUF_ERROR: it had nothing to do */
		rc = stream_push_wire(s, packed, sizeof(packed) - d->out.avail_out, err);
		if (rc < 0)
			return rc;
	} while (d->out.avail_out == 0);
	return 0;
}

static int push_deflate(struct stream *s, const void *data, size_t len, bool flush,
			struct us_err *err)
{
	struct stream_deflate *d = s->codec_state;
	const char *at = data;

	if (!len && !(flush && d->out_dirty))
		return 0;
	make_compressor(d);
	do {
		uInt piece = len > 1u << 30 ? 1u << 30 : (uInt)len;
		bool last = piece == len;
		int rc;

		d->out.next_in = (z_const Bytef *)at;
		rc = push_piece(s, piece, last && flush ? Z_SYNC_FLUSH : Z_NO_FLUSH, err);
		if (rc < 0)
			return rc;
		at += piece;
		len -= piece;
	} while (len);
	d->out_dirty = !flush;
	return 0;
}

/* ---- memory ----------------------------------------------------------------------------------- */

static void shrink_deflate(struct stream *s)
{
	struct stream_deflate *d = s->codec_state;

	if (d->out_made && !d->out_dirty) {
		(void)deflateEnd(&d->out); /* Z_DATA_ERROR only says that the stream goes on */
		d->out_made = false;
	}
}

static size_t memory_of_deflate(const struct stream *s)
{
	const struct stream_deflate *d = s->codec_state;

	return sizeof(*d) + INFLATE_MEMORY + (d->out_made ? DEFLATE_MEMORY : 0);
}

static void end_deflate(struct stream *s)
{
	struct stream_deflate *d = s->codec_state;

	if (d->out_made)
		(void)deflateEnd(&d->out); /* as above */
	(void)inflateEnd(&d->in);          /* fails only on a stream that was never begun */
	free(d);
}

/* ---- switching it on -------------------------------------------------------------------------- */

int stream_start_deflate(struct stream *s, struct us_err *err)
{
	static const struct stream_codec deflate_codec = {.name = "DEFLATE",
							  .most_in = STREAM_IN_MIN,
							  .read = read_deflate,
							  .push = push_deflate,
							  .shrink = shrink_deflate,
							  .memory = memory_of_deflate,
							  .end = end_deflate};
	struct stream_deflate *d;
	int rc = stream_codec_ready(s, err);

	if (rc < 0)
		return rc;
	d = us_calloc(1, sizeof(*d));
	us_assert(inflateInit2(&d->in, WINDOW_BITS) == Z_OK); /* else out of memory */
	stream_codec_on(s, &deflate_codec, d);
	return 0;
}
