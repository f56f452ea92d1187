/* reserve.c - a hash table of bodies and the questions about them; see reserve.h. Rules B1 to B3 of doc/RECONCILE.md. */
#include "reconcile/reserve.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"

#define MUCH 1024
#define KEPT_SLOTS \
	65536 /* a table that one large mailbox made larger is not wiped for every small one after it */

enum body_state { BODY_WANTED, BODY_ASKED, BODY_MISSING, BODY_THERE };

struct body {
	struct guid guid;
	size_t partition; /* index into partitions */
	enum body_state state;
};

struct reserve {
	char **partitions;
	size_t n_partitions, cap_partitions;
	struct body *bodies;
	size_t n, cap;
	uint32_t *slots;   /* hash of guid and partition -> index into bodies, +1; 0: empty */
	size_t n_slots;    /* a power of two, or 0 */
	size_t wanted;     /* bodies not asked for yet */
	size_t asked_from; /* those before it are all asked for */
	struct guid question[RESERVE_MAX];
	size_t n_question, question_partition;
};

struct reserve *reserve_new(void)
{
	return us_calloc(1, sizeof(struct reserve));
}

void reserve_free(struct reserve **rp)
{
	struct reserve *r = *rp;

	if (!r)
		return;
	for (size_t i = 0; i < r->n_partitions; i++)
		free(r->partitions[i]);
	free(r->partitions);
	free(r->bodies);
	free(r->slots);
	free(r);
	*rp = NULL;
}

/* ---- partitions ----------------------------------------------------------------------------------- */

static bool find_partition(const struct reserve *r, struct span name, size_t *out)
{
	for (size_t i = 0; i < r->n_partitions; i++) {
		if (!span_is(name, r->partitions[i]))
			continue;
		*out = i;
		return true;
	}
	return false;
}

static size_t partition_of(struct reserve *r, struct span name)
{
	size_t i;

	if (find_partition(r, name, &i))
		return i;
	us_grow(&r->partitions, r->n_partitions, &r->cap_partitions, sizeof(r->partitions[0]));
	r->partitions[r->n_partitions] = span_dup(name);
	return r->n_partitions++;
}

/* ---- the table ------------------------------------------------------------------------------------ */

/* A guid is a sum already: any of its bits will do. */
static size_t slot_of(const struct reserve *r, size_t partition, const struct guid *guid)
{
	uint64_t hash;
	size_t i;

	memcpy(&hash, guid->byte, sizeof(hash));
	i = (size_t)(hash + partition * 0x9e3779b97f4a7c15u) & (r->n_slots - 1);
	while (r->slots[i]) {
		const struct body *b = &r->bodies[r->slots[i] - 1];
		if (b->partition == partition && guid_eq(&b->guid, guid))
			break;
		i = (i + 1) & (r->n_slots - 1);
	}
	return i;
}

static void widen(struct reserve *r)
{
	free(r->slots);
	r->n_slots = r->n_slots ? r->n_slots * 2 : 1024;
	r->slots = us_calloc(r->n_slots, sizeof(r->slots[0]));
	for (size_t i = 0; i < r->n; i++)
		r->slots[slot_of(r, r->bodies[i].partition, &r->bodies[i].guid)] = (uint32_t)i + 1;
}

static struct body *find_body(const struct reserve *r, struct span partition,
			      const struct guid *guid)
{
	size_t p, slot;

	if (!r->n_slots || !find_partition(r, partition, &p))
		return NULL;
	slot = slot_of(r, p, guid);
	return r->slots[slot] ? &r->bodies[r->slots[slot] - 1] : NULL;
}

static void add_body(struct reserve *r, struct span partition, const struct guid *guid,
		     enum body_state state)
{
	size_t p = partition_of(r, partition);

	if (r->n * 2 >= r->n_slots)
		widen(r);
	us_grow(&r->bodies, r->n, &r->cap, sizeof(r->bodies[0]));
	r->slots[slot_of(r, p, guid)] = (uint32_t)r->n + 1;
	r->bodies[r->n++] = (struct body){*guid, p, state};
}

/* ---- questions ------------------------------------------------------------------------------------ */

bool reserve_want(struct reserve *r, struct span partition, const struct guid *guid)
{
	if (find_body(r, partition, guid))
		return false;
	add_body(r, partition, guid, BODY_WANTED);
	return ++r->wanted >= RESERVE_MAX;
}

/* The first body that waits decides whose partition this question is about. */
static bool ask_first(struct reserve *r)
{
	while (r->asked_from < r->n && r->bodies[r->asked_from].state != BODY_WANTED)
		r->asked_from++;
	if (r->asked_from == r->n)
		return false;
	r->question_partition = r->bodies[r->asked_from].partition;
	r->n_question = 0;
	return true;
}

bool reserve_next(struct reserve *r, const struct wire_names *names, struct wire_reserve *out)
{
	if (!ask_first(r))
		return false;
	for (size_t i = r->asked_from; i < r->n && r->n_question < RESERVE_MAX; i++) {
		struct body *b = &r->bodies[i];
		if (b->state != BODY_WANTED || b->partition != r->question_partition)
			continue;
		b->state = BODY_ASKED;
		r->question[r->n_question++] = b->guid;
	}
	r->wanted -= r->n_question;
	*out = (struct wire_reserve){.partition = span_of(r->partitions[r->question_partition]),
				     .mboxnames = *names,
				     .guids = {r->question, r->n_question}};
	return true;
}

void reserve_answer(struct reserve *r, const struct wire_guids *missing)
{
	struct span partition = span_of(r->partitions[r->question_partition]);

	for (size_t i = 0; i < r->n_question; i++)
		find_body(r, partition, &r->question[i])->state = BODY_THERE;
	for (size_t i = 0; i < missing->n; i++) {
		struct body *b = find_body(r, partition, &missing->guids[i]);
		if (b && b->state == BODY_THERE)
			b->state = BODY_MISSING;
	}
	r->n_question = 0;
}

void reserve_sent(struct reserve *r, struct span partition, const struct guid *guid)
{
	struct body *b = find_body(r, partition, guid);

	if (!b)
		add_body(r, partition, guid, BODY_THERE);
	else {
		r->wanted -= b->state == BODY_WANTED;
		b->state = BODY_THERE;
	}
}

bool reserve_has(const struct reserve *r, struct span partition, const struct guid *guid)
{
	const struct body *b = find_body(r, partition, guid);

	return b && b->state == BODY_THERE;
}

bool reserve_is_empty(const struct reserve *r)
{
	return r->n == 0;
}

bool reserve_is_much(const struct reserve *r)
{
	return r->n >= MUCH;
}

void reserve_restart(struct reserve *r)
{
	r->n = r->wanted = r->asked_from = r->n_question = 0;
	if (r->n_slots > KEPT_SLOTS) {
		free(r->slots);
		r->slots = NULL;
		r->n_slots = 0;
	} else if (r->n_slots) {
		memset(r->slots, 0, r->n_slots * sizeof(r->slots[0]));
	}
}
