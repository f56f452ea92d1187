/* decide_full.c - see decide_full.h. */
#include "reconcile/decide_full.h"

#include <stdlib.h>
#include <string.h>

#include "reconcile/decide.h"
#include "server/base/mem.h"

struct full {
	const struct state_mailbox *local, *replica;
	struct full_plan *plan;
	size_t cap;
	/* Messages that get new UIDs behind all others, in the order they were found. */
	struct full_action *late;
	size_t n_late, cap_late;
	bool *brought; /* records of ours that are known to be the replica's, from an earlier comparison */
	uint32_t *expunge;
	size_t n_expunge, cap_expunge;
};

/* ---- noting what is to be done -------------------------------------------------------------------- */

static void act(struct full *f, enum full_kind kind, unsigned rule,
		const struct state_record *local, const struct state_record *replica)
{
	struct full_plan *p = f->plan;

	us_grow(&p->actions, p->n_actions, &f->cap, sizeof(p->actions[0]));
	p->actions[p->n_actions++] = (struct full_action){.kind = kind,
							  .rule = rule,
							  .local = local,
							  .replica = replica};
}

static void expunge_there(struct full *f, uint32_t uid)
{
	us_grow(&f->expunge, f->n_expunge, &f->cap_expunge, sizeof(f->expunge[0]));
	f->expunge[f->n_expunge++] = uid;
}

static void later(struct full *f, enum full_kind kind, unsigned rule,
		  const struct state_record *local, const struct state_record *replica)
{
	us_grow(&f->late, f->n_late, &f->cap_late, sizeof(f->late[0]));
	f->late[f->n_late++] = (struct full_action){.kind = kind,
						    .rule = rule,
						    .local = local,
						    .replica = replica};
}

/* Our message goes to a new UID. */
static void renumber(struct full *f, unsigned rule, const struct state_record *m)
{
	later(f, FULL_COPY, rule, m, NULL);
}

/* An earlier comparison that broke off may have brought it: then it is here under a higher UID (rule 17). */
static bool was_brought(struct full *f, const struct state_record *r)
{
	const struct state_mailbox *m = f->local;

	for (size_t i = m->n_records; i > 0 && m->records[i - 1].uid > r->uid; i--) {
		const struct state_record *ours = &m->records[i - 1];
		if (f->brought[i - 1] || ours->expunged || ours->internaldate != r->internaldate ||
		    !guid_eq(&ours->guid, &r->guid))
			continue;
		f->brought[i - 1] = true;
		return true;
	}
	return false;
}

/* The replica's message comes here under a new UID; its old one goes. */
static void copy_back(struct full *f, unsigned rule, const struct state_record *r)
{
	if (!was_brought(f, r))
		later(f, FULL_APPEND, rule, NULL, r);
	expunge_there(f, r->uid);
}

/* ---- one record of each --------------------------------------------------------------------------- */

static bool has_keyword(const struct state_record *r, struct span keyword)
{
	for (size_t i = 0; i < r->n_keywords; i++)
		if (span_eq_nocase(r->keywords[i], keyword))
			return true;
	return false;
}

static bool same_keywords(const struct state_record *a, const struct state_record *b)
{
	for (size_t i = 0; i < a->n_keywords; i++)
		if (!has_keyword(b, a->keywords[i]))
			return false;
	for (size_t i = 0; i < b->n_keywords; i++)
		if (!has_keyword(a, b->keywords[i]))
			return false;
	return true;
}

static bool same_record(const struct state_record *a, const struct state_record *b)
{
	return a->modseq == b->modseq && a->last_updated == b->last_updated &&
	       a->internaldate == b->internaldate && a->system_flags == b->system_flags &&
	       a->expunged == b->expunged && a->thrid == b->thrid && a->savedate == b->savedate &&
	       a->createdmodseq == b->createdmodseq && same_keywords(a, b) &&
	       decide_same_annotations(a->annotations, a->n_annotations, b->annotations,
				       b->n_annotations);
}

/* One UID, two messages. The one with the lower guid gets the lower new UID; one that is expunged stays where it is. */
static void clash(struct full *f, const struct state_record *m, const struct state_record *r)
{
	if (m->expunged) {
		copy_back(f, 3, r);
	} else if (r->expunged) {
		renumber(f, 3, m);
	} else if (guid_cmp(&m->guid, &r->guid) < 0) {
		renumber(f, 2, m);
		copy_back(f, 2, r);
	} else {
		copy_back(f, 2, r);
		renumber(f, 2, m);
	}
}

static bool replica_wins(const struct state_record *m, const struct state_record *r)
{
	return r->modseq > m->modseq && r->last_updated >= m->last_updated;
}

static void compare_both(struct full *f, const struct state_record *m, const struct state_record *r)
{
	if (m->expunged && r->expunged) /* rule 1 */
		return;
	if (!guid_eq(&m->guid, &r->guid))
		clash(f, m, r);
	else if (same_record(m, r)) /* rule 4 */
		return;
	else if (m->expunged)
		act(f, FULL_REWRITE, 5, m, r);
	else if (r->expunged)
		act(f, FULL_EXPUNGE, 6, m, r);
	else if (replica_wins(m, r))
		act(f, FULL_TAKE, 7, m, r);
	else
		act(f, FULL_REWRITE, 8, m, r);
}

/* Ours alone. `more`: the replica has higher UIDs, which no record can be put before any more. */
static void only_ours(struct full *f, const struct state_record *m, bool more)
{
	if (more || m->uid <= f->replica->last_uid) {
		if (!m->expunged)
			renumber(f, more ? 9 : 10, m);
	} else if (m->modseq <= f->replica->highestmodseq) {
		act(f, FULL_REWRITE, 11, m, NULL);
	} /* else rule 12: the update sends it anyway */
}

static void only_theirs(struct full *f, const struct state_record *r)
{
	if (r->expunged) /* rule 13 */
		return;
	if (r->uid > f->local->last_uid)
		act(f, FULL_APPEND, 14, NULL, r);
	else if (r->modseq < f->local->deletedmodseq)
		expunge_there(f, r->uid); /* rule 15: gone here long ago */
	else
		copy_back(f, 16, r);
}

/* ---- all of them ---------------------------------------------------------------------------------- */

static void walk(struct full *f)
{
	const struct state_mailbox *a = f->local, *b = f->replica;
	size_t i = 0, k = 0;

	while (i < a->n_records || k < b->n_records) {
		const struct state_record *m = i < a->n_records ? &a->records[i] : NULL;
		const struct state_record *r = k < b->n_records ? &b->records[k] : NULL;
		if (m && r && m->uid == r->uid) {
			compare_both(f, m, r);
			i++;
			k++;
		} else if (m && (!r || m->uid < r->uid)) {
			only_ours(f, m, r != NULL);
			i++;
		} else {
			only_theirs(f, r);
			k++;
		}
	}
}

/* Appends with the UIDs they have come before all new UIDs, which begin above what either side ever gave. */
static void number(struct full *f)
{
	struct full_plan *p = f->plan;
	uint32_t next = p->last_uid;

	p->no_room = f->n_late > UINT32_MAX - 1 - next;
	for (size_t i = 0; i < p->n_actions; i++)
		if (p->actions[i].kind == FULL_APPEND)
			p->actions[i].new_uid = p->actions[i].replica->uid;
	for (size_t i = 0; i < f->n_late; i++) {
		f->late[i].new_uid = ++next;
		us_grow(&p->actions, p->n_actions, &f->cap, sizeof(p->actions[0]));
		p->actions[p->n_actions++] = f->late[i];
	}
	for (size_t i = 0; i < p->n_actions; i++)
		p->n_fetches += p->actions[i].kind == FULL_APPEND;
	p->last_uid = next;
}

static void decide_values(struct full *f)
{
	const struct state_mailbox *a = f->local, *b = f->replica;
	struct full_plan *p = f->plan;

	if (b->uidvalidity > a->uidvalidity)
		p->uidvalidity = b->uidvalidity;
	if (b->highestmodseq > a->highestmodseq) {
		p->highestmodseq = b->highestmodseq + 1;
		p->take_annotations = !decide_same_annotations(a->annotations, a->n_annotations,
							       b->annotations, b->n_annotations);
	}
	if (b->foldermodseq > a->foldermodseq)
		p->foldermodseq = b->foldermodseq;
	p->last_uid = a->last_uid > b->last_uid ? a->last_uid : b->last_uid;
}

/* From a growing array to the pool the plan lives in. */
static void *settle(struct pool *pool, void *items, size_t n, size_t size)
{
	void *to = pool_alloc(pool, us_mul_size(n + 1, size));

	if (n)
		memcpy(to, items, n * size);
	free(items);
	return to;
}

void decide_full(const struct state_mailbox *local, const struct state_mailbox *replica,
		 struct pool *pool, struct full_plan *out)
{
	struct full f = {.local = local, .replica = replica, .plan = out};

	*out = (struct full_plan){.n_actions = 0};
	f.brought = us_calloc(local->n_records + 1, sizeof(*f.brought));
	decide_values(&f);
	walk(&f);
	number(&f);
	free(f.late);
	free(f.brought);
	out->actions = settle(pool, out->actions, out->n_actions, sizeof(out->actions[0]));
	out->expunge.uids = settle(pool, f.expunge, f.n_expunge, sizeof(f.expunge[0]));
	out->expunge.n = f.n_expunge;
}
