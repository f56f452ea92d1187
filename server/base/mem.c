/* mem.c - see mem.h. */
#include "server/base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/err.h"

static void *must(void *p, size_t size)
{
	if (!p)
		us_panic("out of memory allocating %zu bytes", size);
	return p;
}

void *us_malloc(size_t size)
{
	return must(malloc(size ? size : 1), size);
}

void *us_calloc(size_t n, size_t size)
{
	return must(calloc(n ? n : 1, size ? size : 1), size);
}

void *us_realloc(void *p, size_t size)
{
	return must(realloc(p, size ? size : 1), size);
}

char *us_strdup(const char *s)
{
	return us_strndup(s, strlen(s));
}

char *us_strndup(const char *s, size_t len)
{
	char *copy = us_malloc(len + 1);

	memcpy(copy, s, len);
	copy[len] = '\0';
	return copy;
}

char *us_asprintf(const char *fmt, ...)
{
	char *out = NULL;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vasprintf(&out, fmt, ap);
	va_end(ap);
	return must(len < 0 ? NULL : out, 0);
}

size_t us_mul_size(size_t a, size_t b)
{
	size_t product;

	if (__builtin_mul_overflow(a, b, &product))
		us_panic("%zu times %zu bytes is too much", a, b);
	return product;
}

void us_grow(void *items, size_t n, size_t *cap, size_t size)
{
	void **array = items;

	if (n < *cap)
		return;
	*cap = *cap ? us_mul_size(*cap, 2) : 8;
	*array = us_realloc(*array, us_mul_size(*cap, size));
}
