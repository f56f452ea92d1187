/* span.c - see span.h. */
#include "server/base/span.h"

#include <string.h>

#include "server/base/mem.h"

struct span span_of(const char *s)
{
	return s ? (struct span){s, strlen(s)} : SPAN_NULL;
}

struct span span_make(const void *ptr, size_t len)
{
	return (struct span){ptr, len};
}

bool span_eq(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool span_is(struct span a, const char *s)
{
	return span_eq(a, span_of(s));
}

int us_lower(int c)
{
	return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

int us_upper(int c)
{
	return c >= 'a' && c <= 'z' ? c - 32 : c;
}

bool span_eq_nocase(struct span a, struct span b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (us_lower((unsigned char)a.ptr[i]) != us_lower((unsigned char)b.ptr[i]))
			return false;
	return true;
}

bool span_is_nocase(struct span a, const char *s)
{
	return span_eq_nocase(a, span_of(s));
}

bool span_starts(struct span a, const char *prefix)
{
	size_t len = strlen(prefix);

	return a.len >= len && memcmp(a.ptr, prefix, len) == 0;
}

bool span_starts_nocase(struct span a, const char *prefix)
{
	size_t len = strlen(prefix);

	return a.len >= len && span_eq_nocase(span_make(a.ptr, len), span_make(prefix, len));
}

int span_cmp(struct span a, struct span b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = len ? memcmp(a.ptr, b.ptr, len) : 0;

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

struct span span_from(struct span a, size_t offset)
{
	if (offset > a.len)
		offset = a.len;
	return (struct span){offset ? a.ptr + offset : a.ptr, a.len - offset};
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct span span_trim(struct span a)
{
	while (a.len && is_blank(a.ptr[0]))
		a = span_from(a, 1);
	while (a.len && is_blank(a.ptr[a.len - 1]))
		a.len--;
	return a;
}

const char *span_find(struct span a, char c)
{
	return a.len ? memchr(a.ptr, c, a.len) : NULL;
}

bool span_split(struct span *rest, char sep, struct span *out)
{
	const char *at;

	if (!rest->ptr)
		return false;
	at = span_find(*rest, sep);
	if (!at) {
		*out = *rest;
		*rest = SPAN_NULL;
		return true;
	}
	*out = span_make(rest->ptr, (size_t)(at - rest->ptr));
	*rest = span_from(*rest, out->len + 1);
	return true;
}

bool span_word(struct span *rest, struct span *out)
{
	size_t len = 0;

	while (rest->len && is_blank(rest->ptr[0]))
		*rest = span_from(*rest, 1);
	if (!rest->len)
		return false;
	while (len < rest->len && !is_blank(rest->ptr[len]))
		len++;
	*out = span_make(rest->ptr, len);
	*rest = span_from(*rest, len);
	return true;
}

bool span_has_word(struct span words, struct span word)
{
	struct span one;

	while (span_word(&words, &one))
		if (span_eq_nocase(one, word))
			return true;
	return false;
}

char *span_dup(struct span a)
{
	return us_strndup(a.ptr ? a.ptr : "", a.len);
}

bool span_u64(struct span a, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;

	if (!a.len)
		return false;
	for (size_t i = 0; i < a.len; i++) {
		unsigned digit = (unsigned)(a.ptr[i] - '0');
		if (digit > 9 || n > (UINT64_MAX - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	if (n > max)
		return false;
	*out = n;
	return true;
}
