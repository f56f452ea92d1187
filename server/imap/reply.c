/* reply.c - see reply.h. */
#include "server/imap/reply.h"

#include <string.h>

#include "server/imap/token.h"

#define LONGEST_QUOTED 1024 /* clients' buffers are what they are */

void reply_untagged(struct stream *out, const char *fmt, ...)
{
	va_list ap;

	stream_write_str(out, "* ");
	va_start(ap, fmt);
	stream_vprintf(out, fmt, ap);
	va_end(ap);
	stream_write_str(out, "\r\n");
}

void reply_number(struct stream *out, uint64_t n)
{
	char digits[20];
	size_t at = sizeof(digits);

	do
		digits[--at] = (char)('0' + n % 10);
	while (n /= 10);
	stream_write(out, digits + at, sizeof(digits) - at);
}

static bool is_atom(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!token_is_astring_char((unsigned char)text.ptr[i]))
			return false;
	return text.len && text.len <= LONGEST_QUOTED && !span_is_nocase(text, "NIL");
}

static bool can_be_quoted(struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (!c || c == '\r' || c == '\n' || c >= 0x80)
			return false;
	}
	return text.len <= LONGEST_QUOTED;
}

static void write_quoted(struct stream *out, struct span text)
{
	size_t from = 0;

	stream_write_str(out, "\"");
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] != '"' && text.ptr[i] != '\\')
			continue;
		stream_write(out, text.ptr + from, i - from);
		stream_write_str(out, "\\");
		from = i;
	}
	stream_write(out, text.ptr + from, text.len - from);
	stream_write_str(out, "\"");
}

void reply_literal(struct stream *out, struct span octets)
{
	stream_printf(out, "{%zu}\r\n", octets.len);
	stream_write_span(out, octets);
}

void reply_string(struct stream *out, struct span text)
{
	if (can_be_quoted(text))
		write_quoted(out, text.ptr ? text : SPAN_LIT(""));
	else
		reply_literal(out, text);
}

void reply_astring(struct stream *out, struct span text)
{
	if (is_atom(text))
		stream_write_span(out, text);
	else
		reply_string(out, text);
}

void reply_nstring(struct stream *out, struct span text)
{
	if (text.ptr)
		reply_string(out, text);
	else
		stream_write_str(out, "NIL");
}

void reply_value(struct stream *out, struct span value)
{
	if (value.ptr && span_find(value, '\0'))
		stream_write_str(out, "~");
	reply_nstring(out, value);
}

void reply_text(struct stream *out, struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		stream_write(out, (unsigned char)c < ' ' || c == 0x7f ? "?" : &c, 1);
	}
	if (!text.len)
		stream_write_str(out, "-");
}
