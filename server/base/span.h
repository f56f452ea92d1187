/* span.h - borrowed text: a pointer and a length. Owns nothing and outlives nothing. */
#ifndef US_BASE_SPAN_H
#define US_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span {
	const char *ptr;
	size_t len;
};

#define SPAN_NULL      ((struct span){NULL, 0})
#define SPAN_LIT(text) ((struct span){"" text "", sizeof(text) - 1})
#define SPAN_ARG(s)    (int)(s).len, (s).ptr /* for "%.*s" */

struct span span_of(const char *s); /* NULL gives SPAN_NULL */
struct span span_make(const void *ptr, size_t len);
bool span_eq(struct span a, struct span b);
bool span_is(struct span a, const char *s);        /* byte for byte */
bool span_is_nocase(struct span a, const char *s); /* ASCII letters without case */
bool span_eq_nocase(struct span a, struct span b);
bool span_starts(struct span a, const char *prefix);
bool span_starts_nocase(struct span a, const char *prefix);
int span_cmp(struct span a, struct span b); /* as memcmp, the shorter first */
struct span span_from(struct span a, size_t offset);
struct span span_trim(struct span a);                           /* blanks and TABs at both ends */
const char *span_find(struct span a, char c);                   /* NULL if absent */
bool span_split(struct span *rest, char sep, struct span *out); /* false when *rest is used up */
bool span_word(struct span *rest, struct span *out);            /* next blank-separated word */
bool span_has_word(struct span words, struct span word);        /* one of those, without case */
char *span_dup(struct span a);                                  /* NUL-terminated, to free() */

/* Decimal digits only, whole span, at most `max`. */
bool span_u64(struct span a, uint64_t max, uint64_t *out);

/* ASCII only, whatever the locale says. */
int us_lower(int c);
int us_upper(int c);

#endif
