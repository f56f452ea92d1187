/* listing.h - from mailbox names in list order to lines of LIST or LSUB. Pure.
 *
 * Names come one after another, each behind its parents; what is written is decided with one name of memory:
 *
 *  - a name that fits the pattern is held until the next one tells whether it has children;
 *  - a level above a name that is no mailbox itself (for this user), and fits where the name does not, is written as
 *    \Noselect: "%" shows that there is something below.
 */
#ifndef US_IMAP_LISTING_H
#define US_IMAP_LISTING_H

#include <stdbool.h>
#include <stddef.h>

#include "server/base/buf.h"
#include "server/base/span.h"
#include "server/base/stream.h"

struct listing {
	struct stream *out;
	const char *word;      /* "LIST", "LSUB" */
	const char *childless; /* "\\HasNoChildren"; LSUB: "" */
	char separator;
	struct span pattern;
	struct buf before; /* the name that came last */
	struct buf held;   /* fits, and waits for the next one; empty: none */
	unsigned n_seen;
};

void listing_begin(struct listing *l, struct stream *out, const char *word, const char *childless,
		   char separator, struct span pattern);
/* `name` is external. */
void listing_add(struct listing *l, struct span name);
/* The names that follow are of another branch: write what is held. Done at the end, too. */
void listing_end(struct listing *l);
void listing_free(struct listing *l);

/* One line: "* LIST (\Noselect) "/" name". */
void listing_write(struct stream *out, const char *word, const char *attributes, char separator,
		   struct span name);

#endif
