/* agenda.c - see agenda.h. Rules L7 to L13 of doc/RECONCILE.md. */
#include "reconcile/agenda.h"

#include <stdlib.h>

#include "server/base/err.h"
#include "server/base/mem.h"

#define AFTERWARDS WORK_KINDS /* the queue behind all kinds: meta data once more */
#define QUEUES     (WORK_KINDS + 1)

struct queue {
	struct work **items;
	size_t n, cap, next;
};

/* Work only ever moves to a later queue, or to the end of its own. */
struct agenda {
	struct pool *pool;
	struct queue queues[QUEUES];
	size_t at;             /* the queue in work */
	struct span *troubled; /* owners of whom something was set aside or written back */
	size_t n_troubled, cap_troubled;
	struct span *compared; /* users */
	size_t n_compared, cap_compared;
	bool removed; /* a user was */
};

static void add(struct agenda *b, size_t queue, const struct work *work)
{
	struct queue *q = &b->queues[queue];
	struct work *copy = pool_alloc(b->pool, sizeof(*copy));

	*copy = *work;
	us_grow(&q->items, q->n, &q->cap, sizeof(q->items[0]));
	q->items[q->n++] = copy;
}

struct agenda *agenda_new(const struct coalesced *todo)
{
	struct agenda *b = us_calloc(1, sizeof(*b));

	b->pool = pool_new();
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

const struct work *agenda_next(struct agenda *b)
{
	struct queue *q = &b->queues[b->at];
	struct work *work;

	while (q->next == q->n) {
		if (b->at == AFTERWARDS)
			return NULL;
		q = &b->queues[++b->at];
		if (b->at == AFTERWARDS)
			add_afterwards(b);
	}
	work = q->items[q->next++];
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
		if (span_eq(q->items[i]->owner, work->owner))
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
		add(b, WORK_MAILBOXES, &single);
	}
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
	if (result == US_EBUSY)
		return give_up(b, work, AGENDA_BACK);
	return failed(b, work);
}

const struct coalesce_line *agenda_lines(struct agenda *b, const struct work *work, size_t *n)
{
	return coalesce_lines_of(work, b->pool, n);
}
