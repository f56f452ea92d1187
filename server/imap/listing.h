/* listing.h - from mailbox names in list order to lines of LIST or LSUB. Pure.
 *
 * Names come one after another, each behind its parents; what is written is decided with one name of memory:
 *
 *  - a name that fits a pattern is held until the next one tells whether it has children;
 *  - a level above a name that is no mailbox itself (for this user), and fits where the name does not, is written too:
 *    "%" shows that there is something below.
 *
 * What else there is to say of a name (RFC 5258, 6154), the caller is asked for when it fits.
 */
#ifndef US_IMAP_LISTING_H
#define US_IMAP_LISTING_H

#include <stdbool.h>
#include <stddef.h>

#include "server/base/buf.h"
#include "server/base/span.h"
#include "server/base/stream.h"

/* What is said of levels that come only because of what is below them. */
enum listing_levels {
	LISTING_LEVELS_NOSELECT,    /* "\Noselect" */
	LISTING_LEVELS_NONEXISTENT, /* "\NonExistent" (RFC 5258, 3) */
	LISTING_LEVELS_UNTOLD,      /* they are not what was asked for */
	LISTING_LEVELS_SUBSCRIBED, /* CHILDINFO: below them something is subscribed to (RFC 5258, 4) */
};

/* All zero: a mailbox of which nothing more is known. */
struct listing_item {
	bool left_out;    /* it is not what was asked for, but counts as a child */
	bool nonexistent; /* no mailbox, for this user */
	bool subscribed;
	bool has_children;
	struct span uses; /* "\Sent \Junk", copied */
};

struct listing_options {
	const char *word;      /* "LIST", "LSUB" */
	const char *childless; /* "\\HasNoChildren"; LSUB: "" */
	char separator;
	const struct span *patterns; /* borrowed */
	size_t n_patterns;
	enum listing_levels levels;
	bool children_known; /* describe() tells of children; what follows does not */
	/* Both may be NULL. `name` is external, and fits; *out is zero before, but nonexistent for a level. */
	void (*describe)(void *ctx, struct span name, bool is_level, struct listing_item *out);
	void (*wrote)(void *ctx, struct span name); /* the line of a mailbox that exists */
	void *ctx;
};

struct listing {
	struct listing_options o;
	struct stream *out;
	struct buf before;        /* the name that came last */
	struct buf held;          /* fits, and waits for the next one; empty: none */
	struct listing_item item; /* of what is held; its uses are in `uses` */
	struct buf uses;
	bool childinfo; /* below what is held there is something that was looked for, fitting or not */
	unsigned n_seen;
};

/* *options is copied. */
void listing_begin(struct listing *l, struct stream *out, const struct listing_options *options);
/* `name` is external. */
void listing_add(struct listing *l, struct span name);
/* The names that follow are of another branch: write what is held. Done at the end, too. */
void listing_end(struct listing *l);
void listing_free(struct listing *l);

/* One line: "* LIST (\Noselect) "/" name". */
void listing_write(struct stream *out, const char *word, const char *attributes, char separator,
		   struct span name);

#endif
