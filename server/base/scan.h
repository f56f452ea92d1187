/* scan.h - read a whole frame from left to right without touching what is not there.
 *
 * A scanner keeps its first error: every later step does nothing and gives zero or false. A parser asks
 * once, at the end. It never allocates and never reads beyond its text.
 */
#ifndef US_BASE_SCAN_H
#define US_BASE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/span.h"

struct scan {
	struct span text;
	size_t at;
	bool bad;
};

struct scan scan_init(struct span text);
bool scan_end(const struct scan *s);       /* nothing left (or an error) */
bool scan_ok_at_end(const struct scan *s); /* all was read and all was well */
size_t scan_offset(const struct scan *s);  /* where the first error is, or the next byte */
int scan_peek(const struct scan *s);       /* next byte, -1 at the end */
int scan_byte(struct scan *s);             /* take it; -1 and an error at the end */
bool scan_skip(struct scan *s, char c);    /* take c if it comes next */
void scan_expect(struct scan *s, char c);  /* take c; anything else is an error */
bool scan_skip_str(struct scan *s, const char *word); /* without case */
void scan_blanks(struct scan *s);                     /* any run of blanks, also none */
uint64_t scan_u64(struct scan *s, uint64_t max);      /* decimal digits, at least one */
uint32_t scan_u32(struct scan *s);
uint32_t scan_uid(struct scan *s); /* 1..2^32-1, or "*" which gives UINT32_MAX */
struct span scan_take(struct scan *s, size_t len);
struct span scan_until(struct scan *s, char stop); /* up to, not with, stop; error if absent */
struct span scan_rest(struct scan *s);
/* The longest run of bytes for which is_in() holds, maybe empty. */
struct span scan_while(struct scan *s, bool (*is_in)(unsigned char c));
void scan_fail(struct scan *s);

#endif
