/* update.c - one mailbox: decided, divided into steps, sent; and again in another way if the replica refuses.
 *
 *	first attempt	says on what state of the replica it is based
 *	repeat		the replica's state asked for anew, our sums counted anew, nothing said
 *	full		all records of both sides compared (full.c), then a repeat carries the result over
 *
 * A first attempt that is one order can be sent while others are on their way (update_send(), update_hear()); refused, it is made
 * again alone, with all that may follow.
 *
 * The mailbox is read without a lock, as of one moment: each attempt opens its view anew. What changes meanwhile has a
 * log line of its own.
 */
#include <stdlib.h>
#include <string.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/store/snapshot.h"
#include "sync_client/sync_private.h"

#define PUSH_FROM 65536

/* ---- the mailbox here ---------------------------------------------------------------------------- */

int update_refresh(struct update *u, struct us_err *err)
{
	int rc;

	mailbox_close(&u->m);
	rc = mailbox_open(u->s->store, u->name, &u->m, err);
	if (rc == 0)
		rc = snapshot_mailbox(u->m, u->pool, &u->local, err);
	/* Another mailbox of that name is another pass's business. */
	if (rc == 0 && !span_eq(u->local.uniqueid, u->uniqueid))
		rc = us_fail(err, US_EMOVED, "%.*s was replaced here", SPAN_ARG(u->name));
	return rc == US_ENOENT ? us_fail(err, US_EMOVED, "%.*s is gone here", SPAN_ARG(u->name))
			       : rc;
}

static int visit(struct update *u, struct view_walk walk, uint32_t to, const struct step *step,
		 update_record_fn *fn, void *ctx, struct us_err *err)
{
	struct pool *scratch = pool_new();
	const struct record *r;
	int rc = 0;

	while (rc == 0 && (r = view_next(&u->m->view, &walk)) && r->uid <= to) {
		struct state_record record;
		if (!decide_sends(&u->d, r->uid, r->modseq))
			continue;
		pool_clear(scratch);
		snapshot_record(u->m, r, scratch, &record);
		if (!step || decide_step_has(&u->d, step, &record))
			rc = fn(ctx, &record, err);
	}
	pool_free(&scratch);
	return rc;
}

/* Two walks, so that the old parts of a large mailbox are passed over: changed records below the replica's LAST_UID, then those
 * above it; of these only the part a step is about. */
int update_each(struct update *u, const struct step *step, update_record_fn *fn, void *ctx,
		struct us_err *err)
{
	struct view *v = &u->m->view;
	uint32_t above = u->d.above_uid, from = step ? step->new_from : above;
	uint32_t to = step ? step->new_to : UINT32_MAX;
	bool changed = above && (!step || step->changed_to > step->changed_from);
	int rc = changed ? visit(u, view_walk_since(v, 1, u->d.since), above, step, fn, ctx, err)
			 : 0;

	if (rc == 0 && from < to)
		rc = visit(u, view_walk(v, from + 1), to, step, fn, ctx, err);
	if (rc == 0 && v->corrupt)
		rc = us_fail(err, US_ECORRUPT, "%.*s has records with wrong checksums",
			     SPAN_ARG(u->name));
	return rc;
}

/* ---- deciding ------------------------------------------------------------------------------------ */

static void decide(struct update *u, unsigned look)
{
	if (u->on_the_way)
		look |= MAILBOX_ON_THE_WAY;
	decide_mailbox(&u->local, u->there ? &u->replica : NULL, u->sure, &u->s->options, look,
		       &u->d);
}

/* A repeat counts our sums from the records; so does a first attempt that would send nothing but other sums. */
static void decide_counting(struct update *u, unsigned look)
{
	if (look & MAILBOX_FIRST)
		decide(u, look);
	if (look & MAILBOX_FIRST && u->d.step != MAILBOX_RECOUNT)
		return;
	snapshot_recount(u->m, &u->local.sync_crc, &u->local.sync_crc_annot);
	decide(u, look | MAILBOX_RECOUNTED);
}

struct listing {
	struct steps_record *items;
	size_t n, cap;
};

static int list_record(void *ctx, const struct state_record *r, struct us_err *err UNUSED)
{
	struct listing *l = ctx;

	us_grow(&l->items, l->n, &l->cap, sizeof(l->items[0]));
	l->items[l->n++] = (struct steps_record){r->uid, r->expunged, r->modseq};
	return 0;
}

static int divide(struct update *u, enum steps_extent extent, struct us_err *err)
{
	struct listing l = {0};
	int rc = update_each(u, NULL, list_record, &l, err);

	if (rc == 0)
		decide_steps(&u->d, l.items, l.n, u->s->options.batch, extent, u->pool, &u->plan);
	u->step = 0;
	free(l.items);
	return rc;
}

/* ---- values of the replica that are taken here ----------------------------------------------------- */

static int take_values(struct update *u, struct us_err *err)
{
	const struct mailbox_decision *d = &u->d;
	int rc;

	if (!d->take_uidvalidity && !d->take_raclmodseq && !d->take_foldermodseq)
		return 0;
	rc = mailbox_lock(u->m, err);
	if (rc == 0)
		rc = folder_take_values(u->m, d->take_uidvalidity, d->take_raclmodseq,
					d->take_foldermodseq, err);
	mailbox_unlock(u->m);
	return rc;
}

/* ---- sending ------------------------------------------------------------------------------------- */

struct sending {
	struct update *u;
	struct dlist_writer *w;
};

static int send_record(void *ctx, const struct state_record *r, struct us_err *err UNUSED)
{
	struct sending *g = ctx;

	wire_put_record(g->w, r);
	if (g->w->out->len > PUSH_FROM)
		link_push(g->u->s->link);
	return 0;
}

/* Everything of a step but the end of its order. */
static int put_step(struct update *u, struct us_err *err)
{
	enum wire_form form = u->plan.steps[u->step].final ? WIRE_APPLY : WIRE_APPLY_PARTIAL;
	struct sending g = {.u = u};
	int rc = bodies_upload(u, err);

	if (rc < 0)
		return rc;
	decide_step_header(&u->d, u->there ? &u->replica : NULL, &u->plan, u->step, &u->sent);
	g.w = link_begin(u->s->link, WIRE_APPLY_MAILBOX, u->s->local_only);
	wire_begin_mailbox(g.w, &u->sent, form);
	u->walked.code = update_each(u, &u->plan.steps[u->step], send_record, &g, &u->walked);
	wire_end_mailbox(g.w, &u->sent, form);
	return 0;
}

/* What became of it: rc is its answer. */
static int step_is_done(struct update *u, int rc, struct us_err *err)
{
	if (rc == 0 && u->walked.code < 0) {
		rc = u->walked.code;
		if (err)
			*err = u->walked;
	}
	if (rc < 0)
		return rc;
	if (u->there)
		u->sent.partition = u->replica.partition; /* only a RENAME moves it */
	u->replica = u->sent;
	u->there = true;
	u->on_the_way = !u->plan.steps[u->step].final;
	u->sure = u->on_the_way ? u->plan.steps[u->step].changed_to : MAILBOX_ALL_SURE;
	return 0;
}

static int send_step(struct update *u, struct us_err *err)
{
	int rc = put_step(u, err);

	return rc < 0 ? rc : step_is_done(u, link_end(u->s->link, NULL, err), err);
}

static int send_steps(struct update *u, enum steps_extent extent, struct us_err *err)
{
	int rc = divide(u, extent, err);

	for (; rc == 0 && u->step < u->plan.n; u->step++)
		rc = send_step(u, err);
	return rc;
}

int update_send_additions(struct update *u, struct us_err *err)
{
	decide(u, MAILBOX_FIRST);
	return send_steps(u, STEPS_ADDITIONS, err);
}

/* All of it, unless that cannot work: then ATTEMPT_NEEDS_FULL. */
static int send_whole(struct update *u, unsigned look, struct us_err *err)
{
	int rc;

	decide_counting(u, look);
	rc = take_values(u, err);
	if (rc < 0 || u->d.step == MAILBOX_SAME)
		return rc;
	if (u->d.step == MAILBOX_FULL)
		return ATTEMPT_NEEDS_FULL;
	sync_say(u->s, "MAILBOX %.*s", SPAN_ARG(u->name));
	return send_steps(u, STEPS_WHOLE, err);
}

/* ---- attempts ------------------------------------------------------------------------------------ */

static int take_mailbox(void *ctx, const struct wire_item *item, struct us_err *err UNUSED)
{
	struct update *u = ctx;

	if (item->kind != WIRE_ITEM_MAILBOX)
		return 0;
	u->replica = item->u.mailbox.state;
	u->there = true;
	return 0;
}

static int repeat(struct update *u, struct us_err *err)
{
	struct wire_command c = {.kind = WIRE_GET_MAILBOXES, .u.names = {&u->name, 1}};
	struct link_reader reader = {.pool = u->pool, .item = take_mailbox, .ctx = u};
	int rc;

	u->there = u->on_the_way = false;
	rc = link_call(u->s->link, &c, &reader, err);
	if (rc == 0)
		rc = update_refresh(u, err);
	return rc == 0 ? send_whole(u, 0, err) : rc;
}

static int one_attempt(struct update *u, enum attempt_step step, struct us_err *err)
{
	switch (step) {
	case ATTEMPT_FIRST:
		return send_whole(u, MAILBOX_FIRST, err);
	case ATTEMPT_FULL:
		return full_compare(u, err);
	default:
		return repeat(u, err);
	}
}

/* If what is new is refused the mailbox went another way there: it is settled now, with all that belongs to it. */
static int run(struct update *u, enum order_part part, struct us_err *err)
{
	struct attempt attempt = attempt_begin(u->s->options.force);
	int rc;

	if (part == ORDER_ADDITIONS) {
		sync_say(u->s, "MAILBOX %.*s", SPAN_ARG(u->name));
		rc = update_send_additions(u, err);
		if (rc != US_ECHECKSUM && rc != US_ECHANGED)
			return rc;
		(void)attempt_next(&attempt, rc);
	}
	while (attempt.step != ATTEMPT_DONE) {
		rc = one_attempt(u, attempt.step, err);
		(void)attempt_next(&attempt, rc);
	}
	return attempt.result;
}

/* A state between two steps is not known to the last sum, one after a failure not at all. */
static void remember(struct update *u, int rc)
{
	if (u->s->known && rc == 0 && u->there && !u->on_the_way)
		known_note(u->s->known, &u->replica);
	else if (u->s->known)
		known_forget(u->s->known, u->uniqueid);
}

int update_run(struct update *u, enum order_part part, struct us_err *err)
{
	int rc = update_refresh(u, err);

	if (rc == 0)
		rc = run(u, part, err);
	remember(u, rc);
	mailbox_close(&u->m);
	if (rc < 0)
		us_err_prefix(err, "%.*s", SPAN_ARG(u->name));
	return rc;
}

/* ---- one among others that are on their way -------------------------------------------------------- */

static int send_at_once(struct update *u, struct us_err *err)
{
	int rc;

	decide_counting(u, MAILBOX_FIRST);
	rc = take_values(u, err);
	if (rc < 0 || u->d.step == MAILBOX_SAME)
		return rc;
	if (u->d.step == MAILBOX_FULL)
		return UPDATE_ALONE;
	rc = divide(u, STEPS_WHOLE, err);
	if (rc < 0 || u->plan.n != 1)
		return rc < 0 ? rc : UPDATE_ALONE;
	sync_say(u->s, "MAILBOX %.*s", SPAN_ARG(u->name));
	rc = put_step(u, err);
	if (rc < 0)
		return rc;
	link_end_ask(u->s->link);
	return 1;
}

int update_send(struct update *u, struct us_err *err)
{
	int rc = update_refresh(u, err);

	if (rc == 0)
		rc = send_at_once(u, err);
	if (rc <= 0)
		remember(u, rc);
	mailbox_close(&u->m);
	if (rc < 0)
		us_err_prefix(err, "%.*s", SPAN_ARG(u->name));
	return rc;
}

int update_hear(struct update *u, struct us_err *err)
{
	int rc = step_is_done(u, link_answer(u->s->link, NULL, err), err);

	remember(u, rc);
	if (rc == US_ECHECKSUM || rc == US_ECHANGED)
		return UPDATE_ALONE;
	if (rc < 0)
		us_err_prefix(err, "%.*s", SPAN_ARG(u->name));
	return rc;
}

void update_init(struct update *u, struct sync *s, const struct folders_update *f,
		 const struct wire_names *reserve_names, struct pool *pool)
{
	*u = (struct update){.s = s,
			     .pool = pool,
			     .name = f->local->name,
			     .uniqueid = f->local->uniqueid,
			     .reserve_names = *reserve_names,
			     .sure = MAILBOX_ALL_SURE};
	if (f->replica) {
		u->replica = *f->replica;
		u->there = true;
	}
}

int update_look_ahead(struct update *u, struct order_item *out, struct us_err *err)
{
	int rc = update_refresh(u, err);

	*out = (struct order_item){.skip = true};
	if (rc == 0)
		decide_counting(u, MAILBOX_FIRST);
	if (rc == 0 && (u->d.step != MAILBOX_SAME || u->d.take_uidvalidity ||
			u->d.take_raclmodseq || u->d.take_foldermodseq)) {
		rc = divide(u, STEPS_WHOLE, err);
		*out = (struct order_item){.skip = rc < 0,
					   .gains = u->plan.gains,
					   .losses = u->plan.losses || u->d.step == MAILBOX_FULL};
	}
	mailbox_close(&u->m);
	return rc;
}
