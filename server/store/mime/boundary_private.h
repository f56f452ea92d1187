/* boundary_private.h - the boundaries of the multiparts that are open, innermost last.
 *
 *	delimiter = "--" boundary ["--"] *WSP line-end		RFC 2046, section 5.1.1
 *
 * A line is a delimiter if it is exactly that for one of them, the innermost if the same boundary is used
 * twice: programs that forward carelessly do that, and meant the inner one. Looked up by hash, so that a
 * thousand nested multiparts do not make a thousand comparisons for each line that begins with "--".
 *
 * For the innermost boundary alone, text may follow a blank or the closing "--" ("--x--footer", which
 * list software appends). A line that goes on at once is none: "--xy" is not "--x". With rfc2046_strict
 * every line that begins with "--" and one of the boundaries is a delimiter, as the RFC has it.
 */
#ifndef US_STORE_MIME_BOUNDARY_PRIVATE_H
#define US_STORE_MIME_BOUNDARY_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/span.h"

#define MIME_BOUNDARY_BUCKETS 64

struct mime_boundary; /* opaque */

struct mime_boundaries {
	struct mime_boundary *open;
	size_t n, cap;
	int32_t bucket[MIME_BOUNDARY_BUCKETS]; /* index of the innermost with that hash; -1: none */
	bool strict;
};

void mime_boundaries_init(struct mime_boundaries *b, bool strict);
void mime_boundaries_fini(struct mime_boundaries *b);
/* Borrows `text`, not empty. `owner` is the caller's number for it. */
void mime_boundaries_push(struct mime_boundaries *b, struct span text, size_t owner);
/* Forget those from the n-th on. */
void mime_boundaries_truncate(struct mime_boundaries *b, size_t n);

/* Is this line (with or without its line end) a delimiter? If so *index and *owner say of which
 * boundary, *closes whether it is the last one. */
bool mime_boundaries_find(const struct mime_boundaries *b, struct span line, size_t *index,
			  size_t *owner, bool *closes);

#endif
