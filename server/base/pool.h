/* pool.h - memory that goes all at once: one command's work comes from that command's pool. */
#ifndef US_BASE_POOL_H
#define US_BASE_POOL_H

#include <stddef.h>

#include "server/base/span.h"

struct pool; /* opaque */

struct pool *pool_new(void);
void pool_free(struct pool **pool);
void pool_clear(struct pool *pool);               /* gives everything back but one block */
void *pool_alloc(struct pool *pool, size_t size); /* zeroed, aligned for anything */
char *pool_strndup(struct pool *pool, const char *s, size_t len);
char *pool_strdup(struct pool *pool, const char *s);
struct span pool_span(struct pool *pool, struct span s); /* a copy, NUL behind it */
char *pool_printf(struct pool *pool, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
size_t pool_size(const struct pool *pool); /* bytes held from the allocator */

#endif
