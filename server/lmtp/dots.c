/* dots.c - see dots.h. */
#include "server/lmtp/dots.h"

#include <string.h>

/* Where the next LF is, looked for once however many bare CRs stand before it. */
struct cursor {
	const char *at, *end;
	const char *lf; /* at or behind `at`, or end; NULL: not known */
};

static const char *next_lf(struct cursor *c)
{
	if (!c->lf || c->lf < c->at) {
		c->lf = memchr(c->at, '\n', (size_t)(c->end - c->at));
		if (!c->lf)
			c->lf = c->end;
	}
	return c->lf;
}

/* Text up to the next CR or LF, which is taken too. */
static void take_text(struct dots *d, struct cursor *c, struct buf *out)
{
	const char *lf = next_lf(c);
	const char *cr = memchr(c->at, '\r', (size_t)(lf - c->at));
	const char *stop = cr ? cr : lf;

	buf_add(out, c->at, (size_t)(stop - c->at));
	c->at = stop;
	if (stop == c->end)
		return;
	c->at++;
	if (cr)
		d->state = DOTS_TEXT_CR;
	else
		buf_add(out, "\r\n", 2); /* a bare LF: the line ends, but none begins */
}

/* At the start of a line: what most mail is made of, whole lines that go through as they are, in one piece. */
static bool take_lines(struct cursor *c, struct buf *out)
{
	const char *from = c->at, *to = from;

	while (to < c->end && *to != '.') {
		const char *lf = memchr(to, '\n', (size_t)(c->end - to));
		if (!lf || lf == to || memchr(to, '\r', (size_t)(lf - to)) != lf - 1)
			break;
		to = lf + 1;
	}
	buf_add(out, from, (size_t)(to - from));
	c->at = to;
	return to != from;
}

static void step(struct dots *d, struct cursor *c, struct buf *out)
{
	char byte = *c->at;

	switch (d->state) {
	case DOTS_START:
		if (take_lines(c, out))
			break;
		d->state = byte == '.' ? DOTS_DOT : DOTS_TEXT;
		c->at += byte == '.';
		break;
	case DOTS_DOT:
		d->state = byte == '\r' ? DOTS_DOT_CR : DOTS_TEXT;
		c->at += byte == '\r';
		break;
	case DOTS_DOT_CR:
		d->done = byte == '\n';
		d->state = d->done ? DOTS_START : DOTS_TEXT_CR;
		c->at += d->done;
		break;
	case DOTS_TEXT:
		take_text(d, c, out);
		break;
	case DOTS_TEXT_CR:
		if (byte == '\n')
			buf_add(out, "\r\n", 2);
		d->state = byte == '\n' ? DOTS_START : byte == '\r' ? DOTS_TEXT_CR : DOTS_TEXT;
		c->at += byte == '\n' || byte == '\r';
		break;
	}
}

size_t dots_feed(struct dots *d, struct span in, struct buf *out)
{
	struct cursor c = {in.ptr, in.ptr + in.len, NULL};
	size_t before = out->len, taken;

	while (c.at < c.end && !d->done)
		step(d, &c, out);
	taken = (size_t)(c.at - in.ptr);
	d->has_nul = d->has_nul || memchr(in.ptr, '\0', taken);
	d->size += out->len - before;
	return taken;
}

/* ---- the other way -------------------------------------------------------------------------------- */

static void stuff_byte(enum dots_source *state, char byte, struct buf *out)
{
	bool at_start = *state == DOTS_SOURCE_START || *state == DOTS_SOURCE_START_CR;

	if (byte == '\n') {
		buf_add(out, "\r\n", 2);
		*state = DOTS_SOURCE_START;
	} else if (byte == '\r') {
		*state = at_start ? DOTS_SOURCE_START_CR : DOTS_SOURCE_TEXT_CR;
	} else {
		if (at_start && byte == '.')
			buf_add_char(out, '.');
		buf_add_char(out, byte);
		*state = DOTS_SOURCE_TEXT;
	}
}

/* Within a line: what goes through as it is, in one piece. */
static size_t stuff_run(struct span text, struct buf *out)
{
	const char *lf = memchr(text.ptr, '\n', text.len);
	size_t len = lf ? (size_t)(lf - text.ptr) : text.len;
	const char *cr = memchr(text.ptr, '\r', len);

	if (cr)
		len = (size_t)(cr - text.ptr);
	buf_add(out, text.ptr, len);
	return len;
}

void dots_stuff(enum dots_source *state, struct span text, struct buf *out)
{
	while (text.len) {
		size_t n = *state == DOTS_SOURCE_TEXT ? stuff_run(text, out) : 0;
		if (n < text.len)
			stuff_byte(state, text.ptr[n++], out);
		text = span_from(text, n);
	}
}

void dots_stuff_end(enum dots_source *state, struct buf *out)
{
	if (*state == DOTS_SOURCE_TEXT || *state == DOTS_SOURCE_TEXT_CR)
		buf_add(out, "\r\n", 2);
	buf_add(out, ".\r\n", 3);
	*state = DOTS_SOURCE_START;
}
