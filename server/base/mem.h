/* mem.h - allocation that does not fail.
 *
 * Out of memory ends the process (master starts another): no caller handles it, so no untested path
 * exists for it. Any size a stranger sent must have met a limit before it comes here.
 */
#ifndef US_BASE_MEM_H
#define US_BASE_MEM_H

#include <stddef.h>

#define UNUSED        __attribute__((unused))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

void *us_malloc(size_t size);
void *us_calloc(size_t n, size_t size); /* zeroed; dies on overflow of the product */
void *us_realloc(void *p, size_t size);
char *us_strdup(const char *s);
char *us_strndup(const char *s, size_t len);
char *us_asprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
size_t us_mul_size(size_t a, size_t b); /* dies on overflow */

/* Make room for one more element in *items, which holds n of `size` bytes; *cap is kept for us. */
void us_grow(void *items, size_t n, size_t *cap, size_t size);

#endif
