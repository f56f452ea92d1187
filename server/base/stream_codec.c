/* stream_codec.c - what the ways to compress have in common: being switched on, and their input.
 *
 * Bytes that arrived behind the command that switches a codec on are compressed ones: they move from `in`,
 * where the plain ones wait, to `packed`. Its room follows the traffic as that of `in` does, up to what the
 * codec allows.
 */
#include "server/base/stream_private.h"

#include <string.h>

#include "server/base/mem.h"

const char *stream_compression(const struct stream *s)
{
	return s->codec ? s->codec->name : NULL;
}

int stream_codec_ready(struct stream *s, struct us_err *err)
{
	if (s->codec)
		return us_fail(err, US_EINVAL, "compression is on already");
	return stream_flush(s, err);
}

static void adopt_early_bytes(struct stream *s)
{
	size_t n = s->in.end - s->in.at;

	if (!n)
		return;
	s->packed.cap = n > STREAM_IN_MIN ? n : STREAM_IN_MIN;
	s->packed.data = us_malloc(s->packed.cap);
	memcpy(s->packed.data, s->in.data + s->in.at, n);
	s->packed.end = n;
	s->stats.plain_in -= n;
	s->in.at = s->in.end;
}

void stream_codec_on(struct stream *s, const struct stream_codec *codec, void *state)
{
	s->codec = codec;
	s->codec_state = state;
	s->packed_size = STREAM_IN_MIN;
	adopt_early_bytes(s);
}

int stream_packed_fill(struct stream *s, struct us_err *err)
{
	struct stream_chunk *c = &s->packed;
	int rc;

	us_assert(c->at == c->end);
	if (c->cap < s->packed_size) {
		stream_chunk_free(c);
		c->data = us_malloc(s->packed_size);
		c->cap = s->packed_size;
	}
	c->at = c->end = 0;
	rc = stream_lower_read(s, c->data, c->cap, err);
	if (rc <= 0)
		return rc;
	c->end = (size_t)rc;
	if (c->end == c->cap && s->packed_size < s->codec->most_in)
		s->packed_size *= 2;
	return rc;
}

void stream_codec_shrink(struct stream *s)
{
	if (!s->codec)
		return;
	s->codec->shrink(s);
	s->packed_size = STREAM_IN_MIN;
	if (s->packed.at == s->packed.end)
		stream_chunk_free(&s->packed);
}

void stream_codec_end(struct stream *s)
{
	if (s->codec)
		s->codec->end(s);
	s->codec = NULL;
	stream_chunk_free(&s->packed);
}
