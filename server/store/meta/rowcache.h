/* rowcache.h - rows a client was told of, and keys it was told are not there, each with the generation it had before
 * it asked. What comes later takes the place of what came first. */
#ifndef US_STORE_META_ROWCACHE_H
#define US_STORE_META_ROWCACHE_H

#include "server/store/meta/generations.h"

struct rowcache; /* opaque */

struct rowcache *rowcache_new(size_t rows);
void rowcache_free(struct rowcache **cache);

/* 1 with the value appended, 0: there is no such row, -1: not known, or not known to be good at `now`. */
int rowcache_find(struct rowcache *cache, enum meta_table table, struct span key, uint32_t hash,
		  struct generation now, struct buf *value);
/* found false: there is no such row. Large rows are not kept. */
void rowcache_keep(struct rowcache *cache, enum meta_table table, struct span key, uint32_t hash,
		   struct generation before, bool found, struct span value);
void rowcache_forget(struct rowcache *cache, enum meta_table table, struct span key, uint32_t hash);

#endif
