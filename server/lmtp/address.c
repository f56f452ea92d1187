/* address.c - see address.h. */
#include "server/lmtp/address.h"

#include <string.h>

#include "server/base/buf.h"

struct reader {
	struct scan *s;
	bool x_for_8bit;
};

static bool is_plain(int c)
{
	return c > ' ' && c < 0x7f && !strchr("<>()[]\\,;:@\"", c);
}

/* The next byte where it stands for itself: its value, "X" for an 8-bit one, or -1 for what may not be there. */
static int take_literal(struct reader *r)
{
	int c = scan_byte(r->s);

	if (c > 0x7f && r->x_for_8bit)
		return 'X';
	if (c >= ' ' && c < 0x7f)
		return c;
	scan_fail(r->s);
	return -1;
}

static void read_quoted(struct reader *r, struct buf *out)
{
	int c = 0;

	scan_expect(r->s, '"');
	while (c >= 0 && !scan_skip(r->s, '"')) {
		(void)scan_skip(r->s, '\\');
		c = take_literal(r);
		if (c >= 0)
			buf_add_char(out, (char)c);
	}
}

static bool is_8bit(struct reader *r)
{
	return r->x_for_8bit && scan_peek(r->s) > 0x7f;
}

static void read_unquoted(struct reader *r, struct buf *out)
{
	int c = 0;

	while (c >= 0) {
		bool escaped = scan_skip(r->s, '\\');

		if (!escaped && !is_plain(scan_peek(r->s)) && !is_8bit(r))
			break;
		c = take_literal(r);
		if (c >= 0)
			buf_add_char(out, (char)c);
	}
	if (!out->len)
		scan_fail(r->s);
}

static bool in_domain(unsigned char c)
{
	return is_plain(c);
}

static bool in_literal(unsigned char c)
{
	return c > ' ' && c < 0x7f && !strchr("[]\\", c);
}

static struct span read_domain(struct scan *s)
{
	size_t from = scan_offset(s);

	if (scan_skip(s, '[')) {
		(void)scan_while(s, in_literal);
		scan_expect(s, ']');
	} else if (scan_while(s, in_domain).len == 0) {
		scan_fail(s);
	}
	return s->bad ? SPAN_NULL : span_make(s->text.ptr + from, scan_offset(s) - from);
}

static void skip_route(struct scan *s)
{
	do {
		scan_expect(s, '@');
		(void)read_domain(s);
	} while (scan_skip(s, ','));
	scan_expect(s, ':');
}

/* As it was written, but for 8-bit bytes, which the header of a message must not get from us. */
static struct span text_from(struct reader *r, size_t from, struct pool *pool)
{
	size_t len = scan_offset(r->s) - from;
	char *text = pool_strndup(pool, r->s->text.ptr + from, len);

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] > 0x7f)
			text[i] = 'X';
	return span_make(text, len);
}

static void read_mailbox(struct reader *r, struct pool *pool, struct lmtp_address *out)
{
	struct buf local = BUF_INIT;
	struct scan *s = r->s;
	size_t from = scan_offset(s);

	if (scan_peek(s) == '"')
		read_quoted(r, &local);
	else
		read_unquoted(r, &local);
	if (scan_skip(s, '@'))
		out->domain = read_domain(s);
	out->local = pool_span(pool, buf_span(&local));
	out->text = text_from(r, from, pool);
	buf_free(&local);
}

bool lmtp_address_scan(struct scan *s, bool x_for_8bit, struct pool *pool, struct lmtp_address *out)
{
	struct lmtp_address a = {SPAN_LIT(""), SPAN_NULL, SPAN_LIT("")};
	struct reader r = {s, x_for_8bit};

	scan_expect(s, '<');
	if (!scan_skip(s, '>')) {
		if (scan_peek(s) == '@')
			skip_route(s);
		read_mailbox(&r, pool, &a);
		scan_expect(s, '>');
	}
	if (s->bad)
		return false;
	*out = a;
	return true;
}
