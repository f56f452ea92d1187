/* agenda.c - see agenda.h. Rules L7 to L14 of doc/RECONCILE.md. */
#include "reconcile/agenda.h"

#include <stdlib.h>

#include "server/base/err.h"
#include "server/base/mem.h"

#define AFTERWARDS WORK_KINDS /* the queue behind all kinds: meta data once more */
#define QUEUES     (WORK_KINDS + 1)

struct piece {
	struct work work;     /* first: what others are given is a piece */
	struct piece **parts; /* what was put together to be this */
	size_t n_parts;
	bool alone; /* not to be put together with others (again) */
};

struct queue {
	struct piece **items;
	size_t n, cap, next;
};

/* Work only ever moves to a later queue, or to the end of its own. */
struct agenda {
	struct pool *pool;
	size_t together; /* mailboxes, at most */
	struct queue queues[QUEUES];
	size_t at;             /* the queue in work */
	struct span *troubled; /* owners of whom something was set aside or written back */
	size_t n_troubled, cap_troubled;
	struct span *compared; /* users */
	size_t n_compared, cap_compared;
	bool removed; /* a user was */
};

static void add_piece(struct agenda *b, size_t queue, const struct work *work, bool alone)
{
	struct queue *q = &b->queues[queue];
	struct piece *copy = pool_alloc(b->pool, sizeof(*copy));

	*copy = (struct piece){.work = *work, .alone = alone};
	us_grow(&q->items, q->n, &q->cap, sizeof(q->items[0]));
	q->items[q->n++] = copy;
}

static void add(struct agenda *b, size_t queue, const struct work *work)
{
	add_piece(b, queue, work, /* alone */ false);
}

struct agenda *agenda_new(const struct coalesced *todo, size_t together)
{
	struct agenda *b = us_calloc(1, sizeof(*b));

	b->pool = pool_new();
	b->together = together;
	for (size_t i = 0; i < todo->n; i++)
		add(b, todo->work[i].kind, &todo->work[i]);
	return b;
}

void agenda_free(struct agenda **bp)
{
	struct agenda *b = *bp;

	if (!b)
		return;
	for (size_t i = 0; i < QUEUES; i++)
		free(b->queues[i].items);
	free(b->troubled);
	free(b->compared);
	pool_free(&b->pool);
	free(b);
	*bp = NULL;
}

static bool is_in(const struct span *list, size_t n, struct span wanted)
{
	for (size_t i = 0; i < n; i++)
		if (span_eq(list[i], wanted))
			return true;
	return false;
}

/* ---- what comes next ------------------------------------------------------------------------------- */

static void add_afterwards(struct agenda *b)
{
	for (size_t i = 0; b->removed && i < b->n_compared; i++) {
		struct work meta = {.kind = WORK_META,
				    .owner = b->compared[i],
				    .arg = {b->compared[i], SPAN_NULL}};
		add(b, AFTERWARDS, &meta);
	}
}

static void add_names(struct work *all, struct span *names, const struct work *part)
{
	for (size_t i = 0; i < part->n_names; i++)
		if (!is_in(names, all->n_names, part->names[i]))
			names[all->n_names++] = part->names[i];
}

/* How many of those that come next, this one included, make one piece. */
static size_t count_together(const struct agenda *b, const struct queue *q, size_t *n_names)
{
	size_t n = 0;

	*n_names = 0;
	for (size_t i = q->next - 1; i < q->n && !q->items[i]->alone; i++, n++) {
		if (*n_names + q->items[i]->work.n_names > b->together)
			break;
		*n_names += q->items[i]->work.n_names;
	}
	return n;
}

/* The first one was taken just now. */
static struct piece *put_together(struct agenda *b, struct queue *q)
{
	struct piece *first = q->items[q->next - 1], *all;
	size_t most, n = count_together(b, q, &most);
	struct span *names;

	if (n < 2)
		return first;
	all = pool_alloc(b->pool, sizeof(*all));
	names = pool_alloc(b->pool, us_mul_size(most, sizeof(*names)));
	*all = (struct piece){.work = {.kind = WORK_MAILBOXES, .names = names}, .n_parts = n};
	all->parts = pool_alloc(b->pool, us_mul_size(n, sizeof(struct piece *)));
	for (size_t i = 0; i < n; i++) {
		all->parts[i] = q->items[q->next - 1 + i];
		add_names(&all->work, names, &all->parts[i]->work);
	}
	q->next += n - 1;
	return all;
}

const struct work *agenda_next(struct agenda *b)
{
	struct queue *q = &b->queues[b->at];
	struct piece *piece;
	struct work *work;

	while (q->next == q->n) {
		if (b->at == AFTERWARDS)
			return NULL;
		q = &b->queues[++b->at];
		if (b->at == AFTERWARDS)
			add_afterwards(b);
	}
	piece = q->items[q->next++];
	if (piece->work.kind == WORK_MAILBOXES)
		piece = put_together(b, q);
	work = &piece->work;
	if (work->kind >= WORK_UNMAILBOX && is_in(b->troubled, b->n_troubled, work->owner))
		work->withheld = US_ECHANGED;
	return work;
}

/* ---- what becomes of it ---------------------------------------------------------------------------- */

static enum agenda_fate done(struct agenda *b, const struct work *work)
{
	b->removed |= work->kind == WORK_UNUSER;
	if (work->kind == WORK_USER) {
		us_grow(&b->compared, b->n_compared, &b->cap_compared, sizeof(b->compared[0]));
		b->compared[b->n_compared++] = work->owner;
	}
	return AGENDA_DONE;
}

static enum agenda_fate give_up(struct agenda *b, const struct work *work, enum agenda_fate fate)
{
	if (!is_in(b->troubled, b->n_troubled, work->owner)) {
		us_grow(&b->troubled, b->n_troubled, &b->cap_troubled, sizeof(b->troubled[0]));
		b->troubled[b->n_troubled++] = work->owner;
	}
	return fate;
}

static enum agenda_fate promote(struct agenda *b, const struct work *work, enum work_kind kind)
{
	struct work wider = {.kind = kind, .owner = work->owner, .arg = {work->owner, SPAN_NULL}};
	const struct queue *q = &b->queues[kind];

	for (size_t i = q->next; i < q->n; i++)
		if (span_eq(q->items[i]->work.owner, work->owner))
			return AGENDA_PROMOTED;
	add(b, kind, &wider);
	return AGENDA_PROMOTED;
}

static enum agenda_fate split(struct agenda *b, const struct work *work)
{
	for (size_t i = 0; i < work->n_names; i++) {
		struct work single = *work;
		single.names = &work->names[i];
		single.n_names = 1;
		add_piece(b, WORK_MAILBOXES, &single, /* alone */ true);
	}
	return AGENDA_PROMOTED;
}

static enum agenda_fate take_apart(struct agenda *b, const struct piece *piece)
{
	for (size_t i = 0; i < piece->n_parts; i++)
		add_piece(b, WORK_MAILBOXES, &piece->parts[i]->work, /* alone */ true);
	return AGENDA_PROMOTED;
}

static enum agenda_fate failed(struct agenda *b, const struct work *work)
{
	bool owned = work->owner.len > 0, late = b->at == AFTERWARDS;

	switch (work->kind) {
	case WORK_MAILBOXES:
		if (owned)
			return promote(b, work, WORK_USER);
		return work->n_names > 1 ? split(b, work) : give_up(b, work, AGENDA_ASIDE);
	case WORK_QUOTA:
		return owned ? promote(b, work, WORK_USER) : give_up(b, work, AGENDA_ASIDE);
	case WORK_SEEN:
	case WORK_SUB:
		return promote(b, work, WORK_META);
	case WORK_META:
		return late ? give_up(b, work, AGENDA_ASIDE) : promote(b, work, WORK_USER);
	default:
		return give_up(b, work, AGENDA_ASIDE);
	}
}

enum agenda_fate agenda_done(struct agenda *b, const struct work *work, int result)
{
	if (result >= 0)
		return done(b, work);
	if (result == US_ELINK)
		return AGENDA_STOPPED;
	if (((const struct piece *)work)->n_parts)
		return take_apart(b, (const struct piece *)work);
	if (result == US_EBUSY)
		return give_up(b, work, AGENDA_BACK);
	return failed(b, work);
}

const struct coalesce_line *agenda_lines(struct agenda *b, const struct work *work, size_t *n)
{
	return coalesce_lines_of(work, b->pool, n);
}
