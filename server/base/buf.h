/* buf.h - the only growing string: always NUL-terminated, may contain NULs, never exceeds its limit. */
#ifndef US_BASE_BUF_H
#define US_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/span.h"

struct buf {
	char *data; /* "" while empty, so that it can always be printed */
	size_t len, cap;
	size_t limit; /* most bytes it may hold; 0: no limit */
	bool over;    /* something was left out because of the limit */
};

#define BUF_INIT                           \
	{                                  \
		(char *)"", 0, 0, 0, false \
	}

void buf_init(struct buf *b, size_t limit);
void buf_free(struct buf *b);  /* leaves it empty and usable */
void buf_clear(struct buf *b); /* keeps the memory */
void buf_wipe(struct buf *b);  /* overwrites what it holds or held, then clears: for secrets */
void buf_truncate(struct buf *b, size_t len); /* to at most len bytes */
void buf_remove(struct buf *b, size_t offset, size_t len);
char *buf_reserve(struct buf *b, size_t more); /* room for that much after len; ignores the limit */
void buf_add(struct buf *b, const void *data, size_t len);
void buf_add_span(struct buf *b, struct span s);
void buf_add_str(struct buf *b, const char *s);
void buf_add_char(struct buf *b, char c);
void buf_add_u64(struct buf *b, uint64_t n);
void buf_add_hex(struct buf *b, const void *data, size_t len); /* lower case */
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *fmt, va_list ap);
struct span buf_span(const struct buf *b);
char *buf_steal(struct buf *b, size_t *len); /* heap string to free(); b is empty after it */

#endif
