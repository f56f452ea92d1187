/* listmatch.h - the patterns of LIST and LSUB (RFC 3501, 6.3.8), which the tools take too: "*" is anything, "%" anything
 * within a level. Pure. */
#ifndef US_SESSION_LISTMATCH_H
#define US_SESSION_LISTMATCH_H

#include <stdbool.h>

#include "server/base/buf.h"
#include "server/base/span.h"

/* Longest pattern that can fit anything. No key: wildcards in a row are one, so that half of a longer pattern, 512 bytes, would have
 * to stand in the name, and a name has at most 490 and a prefix. It is an array on the stack, too. */
#define LISTMATCH_MAX 1024

/* The pattern a reference and a mailbox argument make together. */
void listmatch_join(struct span reference, struct span pattern, char separator, struct buf *out);

/* Does the pattern fit the whole name? INBOX as the first level fits in any case of its letters. Costs at most the product
 * of both lengths. */
bool listmatch_fits(struct span pattern, struct span name, char separator);
/* What names of a branch could it fit, whose names begin with `prefix` (whole levels, with the separator behind the last)? */
enum listmatch_reach {
	LISTMATCH_NONE, /* the branch need not be looked at */
	LISTMATCH_ITSELF, /* only the prefix without its separator: whether anything is there is enough */
	LISTMATCH_INSIDE,
};
enum listmatch_reach listmatch_reach(struct span pattern, struct span prefix, char separator);
/* What every name that fits begins with: the text before the first wildcard. */
struct span listmatch_literal(struct span pattern);

#endif
