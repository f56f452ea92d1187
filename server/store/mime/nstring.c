/* nstring.c - see nstring.h. */
#include "server/store/mime/nstring.h"

#include <string.h>

static bool can_be_quoted(struct span s)
{
	if (s.len > NSTRING_QUOTED_MAX)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		if (c == '\r' || c == '\n' || c > 127)
			return false;
	}
	return true;
}

static void put_quoted(struct buf *out, struct span s)
{
	char text[2 * NSTRING_QUOTED_MAX + 2];
	size_t len = 0;

	text[len++] = '"';
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '"' || s.ptr[i] == '\\')
			text[len++] = '\\';
		text[len++] = s.ptr[i] ? s.ptr[i] : '?';
	}
	text[len++] = '"';
	buf_add(out, text, len);
}

static void put_literal(struct buf *out, struct span s)
{
	size_t from;

	buf_add_char(out, '{');
	buf_add_u64(out, s.len);
	buf_add_str(out, "}\r\n");
	from = out->len;
	buf_add_span(out, s);
	for (size_t i = from; i < out->len; i++)
		if (!out->data[i])
			out->data[i] = '?';
}

void nstring_put(struct buf *out, struct span s)
{
	if (!s.ptr)
		buf_add_str(out, "NIL");
	else if (can_be_quoted(s))
		put_quoted(out, s);
	else
		put_literal(out, s);
}

void nstring_put_upper(struct buf *out, struct span s)
{
	size_t from = out->len;

	nstring_put(out, s);
	/* A literal's digits and braces have no case. */
	for (size_t i = from; i < out->len; i++)
		out->data[i] = (char)us_upper((unsigned char)out->data[i]);
}
