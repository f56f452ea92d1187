/* field.c - see field.h. */
#include "server/store/mime/field.h"

#include <string.h>

/* The length of the first line with its end. */
static size_t line_length(struct span text)
{
	const char *end = span_find(text, '\n');

	return end ? (size_t)(end - text.ptr) + 1 : text.len;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

size_t mime_blank_line(struct span text)
{
	size_t at = 0;

	while (at < text.len && text.ptr[at] == '\r')
		at++;
	return at < text.len && text.ptr[at] == '\n' ? at + 1 : 0;
}

/* The length of the name at the start of `text`; *colon is where its colon is. 0: no field. */
static size_t name_length(struct span text, size_t *colon)
{
	size_t len = 0, at;

	while (len < text.len && text.ptr[len] > ' ' && text.ptr[len] < 127 && text.ptr[len] != ':')
		len++;
	for (at = len; at < text.len && is_blank(text.ptr[at]); at++)
		;
	if (at == text.len || text.ptr[at] != ':')
		return 0;
	*colon = at;
	return len;
}

bool mime_field_starts(struct span text)
{
	size_t colon;

	return name_length(text, &colon) > 0;
}

static struct span without_line_end(struct span text)
{
	if (text.len && text.ptr[text.len - 1] == '\n') {
		text.len--;
		while (text.len && text.ptr[text.len - 1] == '\r')
			text.len--;
	}
	return text;
}

bool mime_field_next(struct span *rest, struct mime_field *out)
{
	size_t len, colon = 0, name;

	if (!rest->len || mime_blank_line(*rest))
		return false;
	len = line_length(*rest);
	out->lines = rest->ptr[len - 1] == '\n';
	while (len < rest->len && is_blank(rest->ptr[len])) {
		len += line_length(span_from(*rest, len));
		out->lines += rest->ptr[len - 1] == '\n';
	}
	out->raw = span_make(rest->ptr, len);
	name = name_length(out->raw, &colon);
	out->name = name ? span_make(rest->ptr, name) : SPAN_NULL;
	out->value = without_line_end(span_from(out->raw, name ? colon + 1 : 0));
	*rest = span_from(*rest, len);
	return true;
}

static bool is_folding(char c)
{
	return is_blank(c) || c == '\r' || c == '\n';
}

static struct span trim(struct span text)
{
	while (text.len && is_folding(text.ptr[0]))
		text = span_from(text, 1);
	while (text.len && is_folding(text.ptr[text.len - 1]))
		text.len--;
	return text;
}

/* Copy `text` but its line ends to `to`; the length of the copy. */
static size_t copy_unfolded(struct span text, char *to)
{
	size_t len = 0;

	while (text.len) {
		size_t line = line_length(text);
		struct span kept = without_line_end(span_make(text.ptr, line));
		memcpy(to + len, kept.ptr, kept.len);
		len += kept.len;
		text = span_from(text, line);
	}
	return len;
}

struct span mime_unfold(struct span value, struct pool *pool)
{
	struct span text = trim(value);
	char *copy;

	if (!text.len)
		return SPAN_LIT("");
	if (!span_find(text, '\n'))
		return text;
	copy = pool_alloc(pool, text.len);
	return span_make(copy, copy_unfolded(text, copy));
}

static bool is_among(struct span name, const struct span *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (span_eq_nocase(name, names[i]))
			return true;
	return false;
}

void mime_field_filter(struct span header, const struct span *names, size_t n, bool inverse,
		       struct buf *out)
{
	struct mime_field field;

	while (mime_field_next(&header, &field)) {
		if (!field.name.len || is_among(field.name, names, n) == inverse)
			continue;
		buf_add_span(out, field.raw);
		if (field.raw.ptr[field.raw.len - 1] != '\n')
			buf_add_str(out, "\r\n");
	}
	buf_add_str(out, "\r\n");
}
