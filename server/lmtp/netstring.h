/* netstring.h - netstrings, in which sendmail's socket map protocol packs requests and replies. Pure.
 *
 *	netstring = 1*10DIGIT ":" bytes ","	the digits say how many bytes
 */
#ifndef US_LMTP_NETSTRING_H
#define US_LMTP_NETSTRING_H

#include <stddef.h>

#include "server/base/buf.h"
#include "server/base/span.h"

enum netstring_state {
	NETSTRING_MORE,  /* this is the beginning of one */
	NETSTRING_READY, /* this begins with one */
	NETSTRING_BAD,   /* nothing that follows can make it one */
};

/* Look for a netstring of at most `most` bytes at the start of `in`. READY: *text borrows from `in`, *taken is how much of that it takes.
 * BAD: *why says why, in words that are literals. What does not belong to the state is untouched. */
enum netstring_state netstring_frame(struct span in, size_t most, struct span *text, size_t *taken,
				     const char **why);

/* Append one. */
void netstring_put(struct span text, struct buf *out);

#endif
