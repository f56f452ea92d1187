/* rowcache.c - see rowcache.h. */
#include "server/store/meta/rowcache.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"

#define MOST_BYTES 4096 /* key and value of a row that is kept */

struct slot {
	struct generation at;
	enum meta_table table;
	bool found;
	uint32_t key_len, value_len;
	char *bytes; /* key, value; NULL: the slot is free */
};

struct rowcache {
	size_t n;
	struct slot slots[];
};

struct rowcache *rowcache_new(size_t rows)
{
	struct rowcache *cache =
		us_calloc(1, sizeof(*cache) + us_mul_size(rows, sizeof(cache->slots[0])));

	cache->n = rows;
	return cache;
}

void rowcache_free(struct rowcache **cache)
{
	if (!*cache)
		return;
	for (size_t i = 0; i < (*cache)->n; i++)
		free((*cache)->slots[i].bytes);
	free(*cache);
	*cache = NULL;
}

int rowcache_find(const struct rowcache *cache, enum meta_table table, struct span key,
		  uint32_t hash, struct generation now, struct buf *value)
{
	const struct slot *s = &cache->slots[hash % cache->n];

	if (!s->bytes || s->table != table || s->at.epoch != now.epoch ||
	    s->at.count != now.count || !span_eq(key, span_make(s->bytes, s->key_len)))
		return -1;
	if (s->found)
		buf_add(value, s->bytes + s->key_len, s->value_len);
	return s->found;
}

void rowcache_keep(struct rowcache *cache, enum meta_table table, struct span key, uint32_t hash,
		   struct generation before, bool found, struct span value)
{
	struct slot *s = &cache->slots[hash % cache->n];

	free(s->bytes);
	s->bytes = NULL;
	if (key.len + value.len > MOST_BYTES)
		return;
	*s = (struct slot){before,
			   table,
			   found,
			   (uint32_t)key.len,
			   (uint32_t)value.len,
			   us_malloc(key.len + value.len)};
	memcpy(s->bytes, key.ptr, key.len);
	if (value.len)
		memcpy(s->bytes + key.len, value.ptr, value.len);
}
