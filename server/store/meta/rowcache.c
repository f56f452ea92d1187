/* rowcache.c - see rowcache.h. A hash has a few slots, so that keys that meet in one do not push each other out. */
#include "server/store/meta/rowcache.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"

#define MOST_BYTES 4096 /* key and value of a row that is kept */
#define WAYS       4

struct slot {
	struct generation at;
	enum meta_table table;
	bool found;
	uint32_t key_len, value_len;
	char *bytes; /* key, value; NULL: the slot is free */
};

struct set {
	unsigned next; /* the slot whose turn it is to go */
	struct slot slots[WAYS];
};

struct rowcache {
	size_t n;
	struct set sets[];
};

struct rowcache *rowcache_new(size_t rows)
{
	size_t n = rows / WAYS + 1;
	struct rowcache *cache =
		us_calloc(1, sizeof(*cache) + us_mul_size(n, sizeof(cache->sets[0])));

	cache->n = n;
	return cache;
}

void rowcache_free(struct rowcache **cache)
{
	if (!*cache)
		return;
	for (size_t i = 0; i < (*cache)->n; i++)
		for (int k = 0; k < WAYS; k++)
			free((*cache)->sets[i].slots[k].bytes);
	free(*cache);
	*cache = NULL;
}

static struct slot *find_slot(struct set *set, enum meta_table table, struct span key)
{
	for (int k = 0; k < WAYS; k++) {
		struct slot *s = &set->slots[k];
		if (s->bytes && s->table == table && span_eq(key, span_make(s->bytes, s->key_len)))
			return s;
	}
	return NULL;
}

int rowcache_find(struct rowcache *cache, enum meta_table table, struct span key, uint32_t hash,
		  struct generation now, struct buf *value)
{
	const struct slot *s = find_slot(&cache->sets[hash % cache->n], table, key);

	if (!s || s->at.epoch != now.epoch || s->at.count != now.count)
		return -1;
	if (s->found)
		buf_add(value, s->bytes + s->key_len, s->value_len);
	return s->found;
}

void rowcache_keep(struct rowcache *cache, enum meta_table table, struct span key, uint32_t hash,
		   struct generation before, bool found, struct span value)
{
	struct set *set = &cache->sets[hash % cache->n];
	struct slot *s = find_slot(set, table, key);

	if (!s)
		s = &set->slots[set->next++ % WAYS];
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

void rowcache_forget(struct rowcache *cache, enum meta_table table, struct span key, uint32_t hash)
{
	struct slot *s = find_slot(&cache->sets[hash % cache->n], table, key);

	if (!s)
		return;
	free(s->bytes);
	s->bytes = NULL;
}
