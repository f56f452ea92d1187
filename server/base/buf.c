/* buf.c - see buf.h. */
#include "server/base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/err.h"
#include "server/base/mem.h"

void buf_init(struct buf *b, size_t limit)
{
	*b = (struct buf)BUF_INIT;
	b->limit = limit;
}

void buf_free(struct buf *b)
{
	size_t limit = b->limit;

	if (b->cap)
		free(b->data);
	buf_init(b, limit);
}

void buf_clear(struct buf *b)
{
	buf_truncate(b, 0);
	b->over = false;
}

void buf_wipe(struct buf *b)
{
	if (b->cap)
		explicit_bzero(b->data, b->cap);
	b->len = 0;
	b->over = false;
}

void buf_truncate(struct buf *b, size_t len)
{
	if (len >= b->len)
		return;
	b->len = len;
	b->data[len] = '\0';
}

void buf_remove(struct buf *b, size_t offset, size_t len)
{
	us_assert(offset <= b->len && len <= b->len - offset);
	if (!len)
		return;
	memmove(b->data + offset, b->data + offset + len, b->len - offset - len + 1);
	b->len -= len;
}

char *buf_reserve(struct buf *b, size_t more)
{
	size_t need = b->len + more + 1, cap = b->cap ? b->cap : 64;

	us_assert(need > more);
	if (need > b->cap) {
		while (cap < need)
			cap = us_mul_size(cap, 2);
		b->data = us_realloc(b->cap ? b->data : NULL, cap);
		b->cap = cap;
		b->data[b->len] = '\0';
	}
	return b->data + b->len;
}

void buf_add(struct buf *b, const void *data, size_t len)
{
	if (b->limit && len > b->limit - (b->len < b->limit ? b->len : b->limit)) {
		len = b->limit - (b->len < b->limit ? b->len : b->limit);
		b->over = true;
	}
	if (!len)
		return;
	memcpy(buf_reserve(b, len), data, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void buf_add_span(struct buf *b, struct span s)
{
	buf_add(b, s.ptr, s.len);
}

void buf_add_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_add_char(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void buf_add_u64(struct buf *b, uint64_t n)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	buf_add(b, digits + at, sizeof(digits) - at);
}

void buf_add_hex(struct buf *b, const void *data, size_t len)
{
	static const char digit[] = "0123456789abcdef";
	const unsigned char *byte = data;

	for (size_t i = 0; i < len; i++) {
		char pair[2] = {digit[byte[i] >> 4], digit[byte[i] & 15]};
		buf_add(b, pair, 2);
	}
}

void buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	char small[256];
	va_list again;
	int len;

	va_copy(again, ap);
	len = vsnprintf(small, sizeof(small), fmt, ap);
	us_assert(len >= 0);
	if ((size_t)len < sizeof(small)) {
		buf_add(b, small, (size_t)len);
	} else {
		char *large = us_malloc((size_t)len + 1);
		vsnprintf(large, (size_t)len + 1, fmt, again);
		buf_add(b, large, (size_t)len);
		free(large);
	}
	va_end(again);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(b, fmt, ap);
	va_end(ap);
}

struct span buf_span(const struct buf *b)
{
	return span_make(b->data, b->len);
}

char *buf_steal(struct buf *b, size_t *len)
{
	char *data = b->cap ? b->data : us_strdup("");

	if (len)
		*len = b->len;
	buf_init(b, b->limit);
	return data;
}
