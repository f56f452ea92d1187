/* coalesce.h - the lines of a sync log as pieces of work: each object once, in an order in which every piece finds what it needs.
 *
 *	mailboxes, a group for each owner	names of a RENAME are in both owners' groups, both of a
 *						DOUBLEMAILBOX in the first one's, where the body can be found
 *	quota roots, server annotations, seen, subscriptions, meta, users
 *	removed mailboxes, removed users	last: nothing is removed before what replaces it is there
 *
 * A USER line covers the META, SEEN and SUB lines of that user; META covers SEEN and SUB. So does UNUSER, for a
 * removed user has none of them; if he is here again, a USER line says so as well, and both are done.
 */
#ifndef US_RECONCILE_COALESCE_H
#define US_RECONCILE_COALESCE_H

#include <stdbool.h>

#include "server/base/buf.h"
#include "server/base/pool.h"
#include "server/base/span.h"

/* The kinds of lines; synclog/record.h has the same in the same order. */
enum coalesce_kind {
	COALESCE_USER,
	COALESCE_UNUSER,
	COALESCE_META,
	COALESCE_SIEVE,
	COALESCE_APPEND,
	COALESCE_MAILBOX,
	COALESCE_DOUBLEMAILBOX,
	COALESCE_RENAME,
	COALESCE_UNMAILBOX,
	COALESCE_QUOTA,
	COALESCE_ANNOTATION,
	COALESCE_SEEN,
	COALESCE_SUB,
	COALESCE_UNSUB,
	COALESCE_KINDS
};

struct coalesce_line {
	enum coalesce_kind kind;
	struct span arg[2];
};

/* Whose mailbox (or quota root) is that? Appends the user id; false: nobody's. */
struct coalesce_owner {
	bool (*owner)(void *ctx, struct span mailbox, struct buf *userid);
	void *ctx;
};

/* In the order in which they are done. */
enum work_kind {
	WORK_MAILBOXES,  /* names */
	WORK_QUOTA,      /* arg[0]: root */
	WORK_ANNOTATION, /* arg[0]: "" */
	WORK_SEEN,       /* arg[0]: user, arg[1]: uniqueid */
	WORK_SUB,        /* arg[0]: user, arg[1]: mailbox */
	WORK_META,       /* arg[0]: user */
	WORK_USER,       /* arg[0]: user */
	WORK_UNMAILBOX,  /* arg[0]: mailbox */
	WORK_UNUSER,     /* arg[0]: user */
	WORK_KINDS
};

struct work {
	enum work_kind kind;
	struct span owner; /* the user whose it is; empty: nobody's */
	struct span arg[2];
	const struct span *names;
	size_t n_names;
	int withheld; /* 0, or the US_E code of what failed before it and why it is not to be done */
};

struct coalesced {
	const struct work *work;
	size_t n;
};

/* All of *out lives in pool, but for the text of the lines, which is borrowed. */
void coalesce(const struct coalesce_line *lines, size_t n, const struct coalesce_owner *owner,
	      struct pool *pool, struct coalesced *out);

/* The lines that would make this work again: what is written back or set aside. */
struct coalesce_line *coalesce_lines_of(const struct work *work, struct pool *pool, size_t *n);

#endif
