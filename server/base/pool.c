/* pool.c - blocks in a chain; the newest is the one that is filled. See pool.h. */
#include "server/base/pool.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/err.h"
#include "server/base/mem.h"

#define FIRST_BLOCK 4000
#define MOST_BLOCK  (1u << 20)

struct block {
	struct block *older;
	size_t size, used;
	alignas(max_align_t) char data[];
};

struct pool {
	struct block *newest;
	size_t size;
};

static void add_block(struct pool *pool, size_t at_least)
{
	size_t size = pool->newest ? pool->newest->size * 2 : FIRST_BLOCK;
	struct block *block;

	if (size > MOST_BLOCK)
		size = MOST_BLOCK;
	if (size < at_least)
		size = at_least;
	block = us_malloc(sizeof(*block) + size);
	block->older = pool->newest;
	block->size = size;
	block->used = 0;
	pool->newest = block;
	pool->size += sizeof(*block) + size;
}

struct pool *pool_new(void)
{
	struct pool *pool = us_calloc(1, sizeof(*pool));

	add_block(pool, 0);
	return pool;
}

static void drop_block(struct pool *pool)
{
	struct block *block = pool->newest;

	pool->size -= sizeof(*block) + block->size;
	pool->newest = block->older;
	free(block);
}

void pool_free(struct pool **pool)
{
	if (!*pool)
		return;
	while ((*pool)->newest)
		drop_block(*pool);
	free(*pool);
	*pool = NULL;
}

void pool_clear(struct pool *pool)
{
	while (pool->newest->older)
		drop_block(pool);
	pool->newest->used = 0;
}

void *pool_alloc(struct pool *pool, size_t size)
{
	size_t rounded = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	void *p;

	us_assert(rounded >= size);
	if (rounded > pool->newest->size - pool->newest->used)
		add_block(pool, rounded);
	p = pool->newest->data + pool->newest->used;
	pool->newest->used += rounded;
	memset(p, 0, size);
	return p;
}

char *pool_strndup(struct pool *pool, const char *s, size_t len)
{
	char *copy = pool_alloc(pool, len + 1);

	if (len)
		memcpy(copy, s, len);
	return copy;
}

char *pool_strdup(struct pool *pool, const char *s)
{
	return pool_strndup(pool, s, strlen(s));
}

struct span pool_span(struct pool *pool, struct span s)
{
	return s.ptr ? span_make(pool_strndup(pool, s.ptr, s.len), s.len) : SPAN_NULL;
}

char *pool_printf(struct pool *pool, const char *fmt, ...)
{
	va_list ap;
	char *out;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	us_assert(len >= 0);
	out = pool_alloc(pool, (size_t)len + 1);
	va_start(ap, fmt);
	vsnprintf(out, (size_t)len + 1, fmt, ap);
	va_end(ap);
	return out;
}

size_t pool_size(const struct pool *pool)
{
	return pool->size;
}
