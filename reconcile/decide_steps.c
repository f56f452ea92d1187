/* decide_steps.c - see decide_steps.h. The rules are S1 to S6 of doc/RECONCILE.md. */
#include "reconcile/decide_steps.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"

struct division {
	const struct mailbox_decision *d;
	struct steps_plan *plan;
	struct pool *pool;
	size_t batch, cap;
	struct step next; /* where the next step begins */
};

static bool is_new(const struct mailbox_decision *d, uint32_t uid)
{
	return uid > d->above_uid;
}

/* ---- what there is --------------------------------------------------------------------------------- */

static void look_over(struct division *v, const struct steps_record *records, size_t n,
		      size_t *n_new)
{
	*n_new = 0;
	for (size_t i = 0; i < n; i++) {
		const struct steps_record *r = &records[i];
		if (is_new(v->d, r->uid)) {
			(*n_new)++;
			v->plan->gains |= !r->expunged;
		} else {
			v->plan->losses |= r->expunged;
		}
	}
}

/* ---- steps ----------------------------------------------------------------------------------------- */

static void add_step(struct division *v, const struct step *step)
{
	struct steps_plan *p = v->plan;

	if (p->n == v->cap) {
		struct step *more;
		v->cap = v->cap ? v->cap * 2 : 8;
		more = pool_alloc(v->pool, us_mul_size(v->cap, sizeof(*more)));
		if (p->n)
			memcpy(more, p->steps, p->n * sizeof(*more));
		p->steps = more;
	}
	p->steps[p->n++] = *step;
	v->next.new_from = step->new_to;
	v->next.changed_from = step->changed_to;
	v->next.last_uid = step->last_uid;
	v->next.highestmodseq = step->highestmodseq;
}

/* New records up to and with this one; `highest` is the highest modseq so far. */
static void add_new(struct division *v, uint32_t to, uint64_t highest)
{
	struct step step = v->next;

	step.new_to = step.last_uid = to;
	step.changed_to = step.changed_from;
	if (highest > step.highestmodseq)
		step.highestmodseq = highest;
	add_step(v, &step);
}

/* Full batches of new records; with `all` the rest too. */
static void divide_new(struct division *v, const struct steps_record *records, size_t n, bool all)
{
	uint64_t highest = 0;
	uint32_t last = 0;
	size_t waiting = 0;

	for (size_t i = 0; i < n; i++) {
		if (!is_new(v->d, records[i].uid))
			continue;
		if (v->batch && waiting == v->batch) {
			add_new(v, last, highest);
			waiting = 0;
		}
		if (records[i].modseq > highest)
			highest = records[i].modseq;
		last = records[i].uid;
		waiting++;
	}
	if (all && waiting)
		add_new(v, last, highest);
}

static int compare_modseqs(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Batches of changed records, cut where the modseq changes; the last is left for the final step. */
static void divide_changed(struct division *v, const struct steps_record *records, size_t n)
{
	uint64_t *modseqs = us_malloc(us_mul_size(n + 1, sizeof(*modseqs)));
	size_t k = 0, waiting = 0;

	for (size_t i = 0; i < n; i++)
		if (!is_new(v->d, records[i].uid))
			modseqs[k++] = records[i].modseq;
	qsort(modseqs, k, sizeof(*modseqs), compare_modseqs);
	for (size_t i = 0; i < k; i++) {
		if (i && waiting >= v->batch && modseqs[i] != modseqs[i - 1]) {
			struct step step = v->next;
			step.new_to = step.new_from;
			step.changed_to = modseqs[i - 1];
			if (step.changed_to > step.highestmodseq)
				step.highestmodseq = step.changed_to;
			add_step(v, &step);
			waiting = 0;
		}
		waiting++;
	}
	free(modseqs);
}

static void add_final(struct division *v)
{
	struct step step = v->next;

	step.new_to = UINT32_MAX;
	step.changed_to = UINT64_MAX;
	step.final = true;
	add_step(v, &step);
}

/* New records that are left when only whole batches go: 1 to `batch`, 0 if there are none at all. */
static size_t rest_of(size_t n, size_t batch)
{
	return !batch || !n ? n : (n - 1) % batch + 1;
}

void decide_steps(const struct mailbox_decision *d, const struct steps_record *records, size_t n,
		  size_t batch, enum steps_extent extent, struct pool *pool, struct steps_plan *out)
{
	struct division v = {.d = d, .plan = out, .pool = pool, .batch = batch};
	bool additions = extent == STEPS_ADDITIONS, together;
	size_t n_new;

	*out = (struct steps_plan){.n = 0};
	v.next = (struct step){.new_from = d->above_uid,
			       .changed_from = d->since,
			       .last_uid = d->above_uid,
			       .highestmodseq = d->reached};
	look_over(&v, records, n, &n_new);
	together = !batch || rest_of(n_new, batch) + (n - n_new) <= batch;
	divide_new(&v, records, n, additions || !together);
	if (additions)
		return;
	if (!together)
		divide_changed(&v, records, n);
	add_final(&v);
}

bool decide_step_has(const struct mailbox_decision *d, const struct step *step,
		     const struct state_record *r)
{
	if (is_new(d, r->uid))
		return r->uid > step->new_from && r->uid <= step->new_to;
	return r->modseq > step->changed_from && r->modseq <= step->changed_to;
}

/* ---- headers --------------------------------------------------------------------------------------- */

/* Of an intermediate point: what describes the end of the way is not said yet. */
static void intermediate(const struct state_mailbox *replica, const struct step *step,
			 struct state_mailbox *out)
{
	out->last_uid = step->last_uid;
	out->highestmodseq = step->highestmodseq;
	out->sync_crc = out->sync_crc_annot = 0;
	out->has_sync_crc_annot = false;
	if (!replica) {
		out->recentuid = out->recentuid < step->last_uid ? out->recentuid : step->last_uid;
		return;
	}
	out->recentuid = replica->recentuid;
	out->recenttime = replica->recenttime;
	out->pop3_last_login = replica->pop3_last_login;
	out->pop3_show_after = replica->pop3_show_after;
	out->foldermodseq = replica->foldermodseq;
	out->xconvmodseq = replica->xconvmodseq;
}

void decide_step_header(const struct mailbox_decision *d, const struct state_mailbox *replica,
			const struct steps_plan *plan, size_t i, struct state_mailbox *out)
{
	const struct step *step = &plan->steps[i];

	*out = d->header;
	if (i) /* what a replica makes of an intermediate point is not known: HIGHESTMODSEQ may rise with the records */
		out->has_since = false;
	if (!step->final)
		intermediate(replica, step, out);
}
