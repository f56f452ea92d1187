/* coalesce.c - see coalesce.h. Rules L1 to L6 of doc/RECONCILE.md. */
#include "reconcile/coalesce.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"

/* One thing a line asks for. A mailbox is entered under the owner of its group. */
struct entry {
	struct span owner;
	struct span arg[2];
	bool covered; /* by a wider entry */
};

struct set {
	struct entry *items;
	size_t n, cap;
};

struct coalescing {
	const struct coalesce_owner *owner;
	struct pool *pool;
	struct set sets[WORK_KINDS];
	struct buf id; /* of an owner, for a moment */
};

/* ---- entering lines -------------------------------------------------------------------------------- */

static void enter(struct coalescing *c, enum work_kind kind, struct span owner, struct span a,
		  struct span b)
{
	struct set *s = &c->sets[kind];

	us_grow(&s->items, s->n, &s->cap, sizeof(s->items[0]));
	s->items[s->n++] = (struct entry){owner, {a, b}, false};
}

static struct span owner_of(struct coalescing *c, struct span name)
{
	buf_clear(&c->id);
	if (!c->owner->owner(c->owner->ctx, name, &c->id))
		return SPAN_LIT("");
	return pool_span(c->pool, buf_span(&c->id));
}

static void enter_rename(struct coalescing *c, struct span from, struct span to)
{
	struct span a = owner_of(c, from), b = owner_of(c, to);

	enter(c, WORK_MAILBOXES, a, from, SPAN_NULL);
	enter(c, WORK_MAILBOXES, a, to, SPAN_NULL);
	if (span_eq(a, b))
		return;
	enter(c, WORK_MAILBOXES, b, from, SPAN_NULL);
	enter(c, WORK_MAILBOXES, b, to, SPAN_NULL);
}

static void enter_line(struct coalescing *c, const struct coalesce_line *l)
{
	struct span a = l->arg[0], b = l->arg[1], none = SPAN_NULL;

	switch (l->kind) {
	case COALESCE_USER:
		enter(c, WORK_USER, a, a, none);
		break;
	case COALESCE_UNUSER:
		enter(c, WORK_UNUSER, a, a, none);
		break;
	case COALESCE_META:
	case COALESCE_SIEVE:
		enter(c, WORK_META, a, a, none);
		break;
	case COALESCE_APPEND:
	case COALESCE_MAILBOX:
		enter(c, WORK_MAILBOXES, owner_of(c, a), a, none);
		break;
	case COALESCE_DOUBLEMAILBOX:
		enter(c, WORK_MAILBOXES, owner_of(c, a), a, none);
		enter(c, WORK_MAILBOXES, owner_of(c, a), b, none);
		break;
	case COALESCE_RENAME:
		enter_rename(c, a, b);
		break;
	case COALESCE_UNMAILBOX:
		enter(c, WORK_UNMAILBOX, owner_of(c, a), a, none);
		break;
	case COALESCE_QUOTA:
		enter(c, WORK_QUOTA, owner_of(c, a), a, none);
		break;
	case COALESCE_ANNOTATION:
		enter(c, WORK_ANNOTATION, SPAN_LIT(""), SPAN_LIT(""), none);
		break;
	case COALESCE_SEEN:
		enter(c, WORK_SEEN, a, a, b);
		break;
	case COALESCE_SUB:
	case COALESCE_UNSUB:
		enter(c, WORK_SUB, a, a, b);
		break;
	case COALESCE_KINDS:
		break;
	}
}

/* ---- each once ------------------------------------------------------------------------------------- */

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int order = span_cmp(x->owner, y->owner);

	if (!order)
		order = span_cmp(x->arg[0], y->arg[0]);
	return order ? order : span_cmp(x->arg[1], y->arg[1]);
}

static void tidy(struct set *s)
{
	size_t kept = 0;

	if (s->n)
		qsort(s->items, s->n, sizeof(s->items[0]), compare_entries);
	for (size_t i = 0; i < s->n; i++)
		if (!kept || compare_entries(&s->items[kept - 1], &s->items[i]) != 0)
			s->items[kept++] = s->items[i];
	s->n = kept;
}

/* Both are sorted by owner: one walk marks what a wider set covers. */
static void cover(struct set *narrow, const struct set *wide)
{
	size_t k = 0;

	for (size_t i = 0; i < narrow->n; i++) {
		while (k < wide->n && span_cmp(wide->items[k].owner, narrow->items[i].owner) < 0)
			k++;
		if (k < wide->n && span_eq(wide->items[k].owner, narrow->items[i].owner))
			narrow->items[i].covered = true;
	}
}

static void cover_all(struct coalescing *c)
{
	struct set *s = c->sets;

	for (size_t kind = 0; kind < WORK_KINDS; kind++)
		tidy(&s[kind]);
	cover(&s[WORK_SEEN], &s[WORK_META]);
	cover(&s[WORK_SUB], &s[WORK_META]);
	cover(&s[WORK_SEEN], &s[WORK_USER]);
	cover(&s[WORK_SUB], &s[WORK_USER]);
	cover(&s[WORK_META], &s[WORK_USER]);
	cover(&s[WORK_SEEN], &s[WORK_UNUSER]);
	cover(&s[WORK_SUB], &s[WORK_UNUSER]);
	cover(&s[WORK_META], &s[WORK_UNUSER]);
}

/* ---- work ------------------------------------------------------------------------------------------ */

/* Entries of one owner from `from` on, as one piece. Gives the index behind them. */
static size_t group(struct coalescing *c, const struct set *s, size_t from, struct work *out)
{
	struct span owner = s->items[from].owner;
	size_t to = from;
	struct span *names;

	while (to < s->n && span_eq(s->items[to].owner, owner))
		to++;
	names = pool_alloc(c->pool, us_mul_size(to - from, sizeof(*names)));
	for (size_t i = from; i < to; i++)
		names[i - from] = s->items[i].arg[0];
	*out = (struct work){.kind = WORK_MAILBOXES,
			     .owner = owner,
			     .names = names,
			     .n_names = to - from};
	return to;
}

static size_t list_work(struct coalescing *c, struct work *work)
{
	const struct set *s = &c->sets[WORK_MAILBOXES];
	size_t n = 0;

	for (size_t i = 0; i < s->n;)
		i = group(c, s, i, &work[n++]);
	for (enum work_kind kind = WORK_MAILBOXES + 1; kind < WORK_KINDS; kind++) {
		s = &c->sets[kind];
		for (size_t i = 0; i < s->n; i++)
			if (!s->items[i].covered)
				work[n++] = (struct work){.kind = kind,
							  .owner = s->items[i].owner,
							  .arg = {s->items[i].arg[0],
								  s->items[i].arg[1]}};
	}
	return n;
}

void coalesce(const struct coalesce_line *lines, size_t n, const struct coalesce_owner *owner,
	      struct pool *pool, struct coalesced *out)
{
	struct coalescing c = {.owner = owner, .pool = pool, .id = BUF_INIT};
	struct work *work;
	size_t all = 0;

	for (size_t i = 0; i < n; i++)
		enter_line(&c, &lines[i]);
	cover_all(&c);
	for (size_t kind = 0; kind < WORK_KINDS; kind++)
		all += c.sets[kind].n;
	work = pool_alloc(pool, us_mul_size(all + 1, sizeof(*work)));
	out->n = list_work(&c, work);
	out->work = work;
	for (size_t kind = 0; kind < WORK_KINDS; kind++)
		free(c.sets[kind].items);
	buf_free(&c.id);
}

struct coalesce_line *coalesce_lines_of(const struct work *work, struct pool *pool, size_t *n)
{
	static const enum coalesce_kind kinds[WORK_KINDS] = {[WORK_MAILBOXES] = COALESCE_MAILBOX,
							     [WORK_QUOTA] = COALESCE_QUOTA,
							     [WORK_ANNOTATION] =
								     COALESCE_ANNOTATION,
							     [WORK_SEEN] = COALESCE_SEEN,
							     [WORK_SUB] = COALESCE_SUB,
							     [WORK_META] = COALESCE_META,
							     [WORK_USER] = COALESCE_USER,
							     [WORK_UNMAILBOX] = COALESCE_UNMAILBOX,
							     [WORK_UNUSER] = COALESCE_UNUSER};
	bool group = work->kind == WORK_MAILBOXES;
	struct coalesce_line *lines;

	*n = group ? work->n_names : 1;
	lines = pool_alloc(pool, us_mul_size(*n + 1, sizeof(*lines)));
	for (size_t i = 0; i < *n; i++)
		lines[i] = (struct coalesce_line){kinds[work->kind],
						  {group ? work->names[i] : work->arg[0],
						   group ? SPAN_NULL : work->arg[1]}};
	return lines;
}
