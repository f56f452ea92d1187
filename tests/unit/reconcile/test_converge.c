/* test_converge.c - the decisions together: whatever two servers look like, plans carried out make them equal, a second look has
 * nothing left to do, and at no moment is a message gone from the replica that we still have.
 *
 * Random lives: a common past, then changes here, then changes there (a replica somebody wrote to), links that break between any
 * two commands, batches of one to many records. The client below is what sync_client does, without its bodies and files.
 */
#include "tests/unit/reconcile/model.h"

#include "reconcile/attempt.h"
#include "reconcile/decide_folders.h"
#include "reconcile/decide_full.h"
#include "reconcile/decide_steps.h"
#include "reconcile/order.h"

/* ---- chance ---------------------------------------------------------------------------------------- */

struct chance {
	uint64_t state;
};

static uint32_t draw(struct chance *c, uint32_t below)
{
	c->state ^= c->state << 13;
	c->state ^= c->state >> 7;
	c->state ^= c->state << 17;
	return (uint32_t)(c->state >> 20) % below;
}

/* ---- lives ----------------------------------------------------------------------------------------- */

struct life {
	struct model *m;
	struct chance *c;
	unsigned *serial; /* of guids and ids: never twice in a run */
	int64_t clock;
	const char *mark; /* names made here begin so */
};

static struct model_box *any_box(struct life *l)
{
	return l->m->n ? l->m->boxes[draw(l->c, (uint32_t)l->m->n)] : NULL;
}

static struct state_record *any_live(struct life *l, struct model_box *b)
{
	struct state_record *r = b && b->n ? &b->records[draw(l->c, (uint32_t)b->n)] : NULL;

	return r && !r->expunged ? r : NULL;
}

static void append(struct life *l, struct model_box *b, struct guid guid)
{
	struct state_record r = {.uid = b->last_uid + 1, .modseq = ++b->modseq, .guid = guid};

	r.last_updated = r.internaldate = l->clock;
	r.createdmodseq = r.modseq;
	r.system_flags = draw(l->c, 2) * FLAG_SEEN;
	if (b->n < MODEL_RECORDS / 2)
		model_append(b, r);
}

static void touch(struct life *l, struct model_box *b, struct state_record *r)
{
	r->modseq = ++b->modseq;
	r->last_updated = l->clock;
}

static void purge(struct model_box *b)
{
	size_t kept = 0;

	for (size_t i = 0; i < b->n; i++) {
		if (!b->records[i].expunged)
			b->records[kept++] = b->records[i];
		else if (b->records[i].modseq > b->deletedmodseq)
			b->deletedmodseq = b->records[i].modseq;
	}
	b->n = kept;
}

static void create(struct life *l, const char *name)
{
	char id[16];

	if (l->m->n >= 8 || model_by_name(l->m, span_of(name)))
		return;
	snprintf(id, sizeof(id), "id%u", ++*l->serial);
	model_add(l->m, span_of(id), span_of(name));
}

static void rename_box(struct life *l, struct model_box *b, const char *name)
{
	struct model_box *other = model_by_name(l->m, span_of(name));

	/* On the replica a stranger must not take one of our names: that is for an operator to settle. */
	if (other == b || (other && *l->mark == 'r'))
		return;
	if (other) { /* two change places */
		snprintf(other->name, sizeof(other->name), "%s", b->name);
		other->foldermodseq = ++other->modseq;
	}
	snprintf(b->name, sizeof(b->name), "%s", name);
	b->foldermodseq = ++b->modseq;
}

static void one_change(struct life *l)
{
	struct model_box *b = any_box(l), *other = any_box(l);
	struct state_record *r = any_live(l, b);
	char name[32];

	l->clock++;
	snprintf(name, sizeof(name), "user.bob.%s%u", l->mark, draw(l->c, 6));
	switch (draw(l->c, 12)) {
	case 0:
		create(l, name);
		break;
	case 1:
		if (b)
			rename_box(l, b, name);
		break;
	case 2:
		if (b && draw(l->c, 3) == 0) {
			model_bury(l->m, b);
			model_remove(l->m, b);
		}
		break;
	case 3:
		if (b)
			purge(b);
		break;
	case 4:
		if (r && other != b) { /* a message moves */
			append(l, other, r->guid);
			touch(l, b, r);
			r->expunged = true;
		}
		break;
	case 5:
	case 6:
		if (r) {
			touch(l, b, r);
			r->expunged = true;
		}
		break;
	case 7:
	case 8:
		if (r) {
			touch(l, b, r);
			r->system_flags ^= 1u << draw(l->c, 5);
		}
		break;
	default:
		if (b)
			append(l, b, guid_n(++*l->serial));
		break;
	}
}

static void live(struct life *l, unsigned changes)
{
	while (changes--)
		one_change(l);
}

/* ---- the client ------------------------------------------------------------------------------------ */

struct client {
	struct model *here, *there;
	struct pool *pool;
	struct decide_options options;
	unsigned left; /* commands until the link breaks */
};

static bool link_breaks(struct client *x)
{
	return x->left-- == 0;
}

static int list_records(const struct mailbox_decision *d, const struct state_mailbox *local,
			struct pool *pool, struct steps_record **out)
{
	int n = 0;

	*out = pool_alloc(pool, (local->n_records + 1) * sizeof(**out));
	for (size_t i = 0; i < local->n_records; i++) {
		const struct state_record *r = &local->records[i];
		if (decide_sends(d, r->uid, r->modseq))
			(*out)[n++] = (struct steps_record){r->uid, r->expunged, r->modseq};
	}
	return n;
}

struct update {
	struct client *x;
	struct model_box *box;
	struct state_mailbox local, replica;
	bool there, on_the_way;
	uint64_t sure;
};

static void refresh(struct update *u)
{
	u->local = model_state(u->box);
}

static void ask(struct update *u)
{
	struct model_box *b = model_by_name(u->x->there, span_of(u->box->name));

	u->there = b != NULL;
	u->on_the_way = false;
	if (b)
		u->replica = model_state(b);
}

static int send_steps(struct update *u, const struct mailbox_decision *d, enum steps_extent extent)
{
	struct steps_record *records;
	struct steps_plan plan;
	size_t n = (size_t)list_records(d, &u->local, u->x->pool, &records);
	int rc = 0;

	decide_steps(d, records, n, u->x->options.batch, extent, u->x->pool, &plan);
	for (size_t s = 0; rc == 0 && s < plan.n; s++) {
		struct state_record *sent = pool_alloc(u->x->pool, (n + 1) * sizeof(*sent));
		struct state_mailbox header;
		size_t k = 0;
		for (size_t i = 0; i < u->local.n_records; i++) {
			const struct state_record *r = &u->local.records[i];
			if (decide_sends(d, r->uid, r->modseq) &&
			    decide_step_has(d, &plan.steps[s], r))
				sent[k++] = *r;
		}
		decide_step_header(d, u->there ? &u->replica : NULL, &plan, s, &header);
		if (link_breaks(u->x))
			return US_ELINK;
		rc = model_apply(u->x->there, &header, sent, k);
		if (rc == 0) {
			u->replica = header;
			u->there = true;
			u->on_the_way = !plan.steps[s].final;
			u->sure = u->on_the_way ? plan.steps[s].changed_to : MAILBOX_ALL_SURE;
		}
	}
	return rc;
}

static void decide(struct update *u, unsigned look, struct mailbox_decision *d)
{
	if (u->on_the_way)
		look |= MAILBOX_ON_THE_WAY;
	decide_mailbox(&u->local, u->there ? &u->replica : NULL, u->sure, &u->x->options,
		       look | MAILBOX_RECOUNTED, d);
}

static int first(struct update *u, unsigned look)
{
	struct mailbox_decision d;

	decide(u, look, &d);
	if (d.take_uidvalidity)
		u->box->uidvalidity = d.take_uidvalidity;
	if (d.take_foldermodseq)
		u->box->foldermodseq = d.take_foldermodseq;
	if (d.step == MAILBOX_SAME)
		return 0;
	return d.step == MAILBOX_FULL ? ATTEMPT_NEEDS_FULL : send_steps(u, &d, STEPS_WHOLE);
}

static int additions(struct update *u)
{
	struct mailbox_decision d;

	decide(u, MAILBOX_FIRST, &d);
	return send_steps(u, &d, STEPS_ADDITIONS);
}

/* What full.c makes of an action, in one commit. */
static void act(struct model_box *b, const struct full_action *a, uint64_t modseq, int64_t now)
{
	struct state_record *r = a->local ? model_record(b, a->local->uid) : NULL;
	struct state_record new = a->kind == FULL_APPEND ? *a->replica
				  : a->local             ? *a->local
							 : (struct state_record){0};

	new.uid = a->new_uid;
	new.modseq = new.createdmodseq = modseq;
	new.last_updated = now;
	if (a->kind == FULL_APPEND || a->kind == FULL_COPY)
		model_append(b, new);
	if (a->kind == FULL_APPEND)
		return;
	r->modseq = modseq;
	r->last_updated = now;
	if (a->kind == FULL_EXPUNGE || a->kind == FULL_COPY)
		r->expunged = true;
	if (a->kind == FULL_TAKE)
		r->system_flags = a->replica->system_flags;
}

static int full(struct update *u)
{
	struct model_box *b = u->box, *theirs = model_by_name(u->x->there, span_of(b->name));
	struct model_box *before;
	struct state_mailbox local, replica;
	struct full_plan plan;
	uint64_t modseq;
	int rc;

	if (!theirs)
		return US_ECHANGED;
	before = pool_alloc(u->x->pool, sizeof(*before));
	memcpy(before, b, sizeof(*before));
	local = model_state(before);
	replica = model_state(theirs);
	decide_full(&local, &replica, u->x->pool, &plan);
	modseq = (plan.highestmodseq ? plan.highestmodseq : b->modseq) + 1;
	if (plan.uidvalidity)
		b->uidvalidity = plan.uidvalidity;
	if (plan.foldermodseq)
		b->foldermodseq = plan.foldermodseq;
	for (size_t i = 0; i < plan.n_actions; i++)
		act(b, &plan.actions[i], modseq, 1000000);
	if (plan.n_actions || plan.highestmodseq)
		b->modseq = modseq;
	if (plan.last_uid > b->last_uid)
		b->last_uid = plan.last_uid;
	refresh(u);
	u->replica = replica;
	u->there = true;
	u->on_the_way = false;
	u->sure = MAILBOX_ALL_SURE;
	rc = additions(u);
	if (rc == 0 && plan.expunge.n)
		rc = link_breaks(u->x)
			     ? US_ELINK
			     : model_expunge(u->x->there, span_of(b->name), &plan.expunge);
	return rc;
}

static int update_run(struct update *u, enum order_part part)
{
	struct attempt a = attempt_begin(false);
	int rc = 0;

	refresh(u);
	if (part == ORDER_ADDITIONS) {
		rc = additions(u);
		if (rc != US_ECHECKSUM && rc != US_ECHANGED)
			return rc;
		attempt_next(&a, rc);
	}
	while (a.step != ATTEMPT_DONE) {
		if (a.step == ATTEMPT_REPEAT || a.step == ATTEMPT_LAST) {
			if (link_breaks(u->x))
				return US_ELINK;
			ask(u);
		}
		refresh(u);
		rc = a.step == ATTEMPT_FULL ? full(u)
					    : first(u, a.step == ATTEMPT_FIRST ? MAILBOX_FIRST : 0);
		attempt_next(&a, rc);
	}
	return a.result;
}

static void look_ahead(struct update *u, struct order_item *item)
{
	struct mailbox_decision d;
	struct steps_record *records;
	struct steps_plan plan;
	size_t n;

	refresh(u);
	decide(u, MAILBOX_FIRST, &d);
	n = (size_t)list_records(&d, &u->local, u->x->pool, &records);
	decide_steps(&d, records, n, 0, STEPS_WHOLE, u->x->pool, &plan);
	*item = (struct order_item){.skip = d.step == MAILBOX_SAME && !d.take_uidvalidity &&
					    !d.take_foldermodseq,
				    .gains = plan.gains,
				    .losses = plan.losses || d.step == MAILBOX_FULL};
}

static int send_updates(struct client *x, const struct folders_plan *plan)
{
	struct update *list = pool_alloc(x->pool, (plan->n_updates + 1) * sizeof(*list));
	struct order_item *items = pool_alloc(x->pool, (plan->n_updates + 1) * sizeof(*items));
	struct order order;
	enum order_part part;
	int result = plan->failed ? US_EMOVED : 0;
	size_t i;

	for (i = 0; i < plan->n_updates; i++) {
		const struct folders_update *f = &plan->updates[i];
		list[i] = (struct update){.x = x,
					  .box = model_by_id(x->here, f->local->uniqueid),
					  .there = f->replica != NULL,
					  .sure = MAILBOX_ALL_SURE};
		if (f->replica)
			list[i].replica = *f->replica;
		look_ahead(&list[i], &items[i]);
	}
	order_init(&order, items, plan->n_updates, result < 0);
	while (order_next(&order, &i, &part)) {
		int rc = update_run(&list[i], part);
		if (rc == US_ELINK)
			return rc;
		if (rc < 0) {
			order_failed(&order, i);
			result = rc;
		}
	}
	for (i = 0; order_may_delete(&order) && i < plan->deletes.n; i++) {
		if (link_breaks(x))
			return US_ELINK;
		(void)model_unmailbox(x->there, plan->deletes.names[i]);
	}
	return result;
}

/* Tombstones of what only the replica has. */
static void add_tombstones(struct client *x, struct state_user *here,
			   const struct state_user *there)
{
	struct wire_names ids = decide_only_there(here, there, x->pool);
	struct state_tombstone *list = pool_alloc(x->pool, (ids.n + 1) * sizeof(*list));

	for (size_t i = 0; i < ids.n; i++)
		for (size_t k = 0; k < x->here->n_stones; k++)
			if (span_eq(x->here->stones[k].uniqueid, ids.names[i]))
				list[here->n_tombstones++] = x->here->stones[k];
	here->tombstones = list;
}

static int sync_user(struct client *x)
{
	for (int round = 0; round < FOLDERS_MOST_ROUNDS; round++) {
		struct state_user here = model_user(x->here, x->pool),
				  there = model_user(x->there, x->pool);
		struct folders_plan plan;
		add_tombstones(x, &here, &there);
		decide_folders(&here, &there, &x->options, x->pool, &plan);
		if (!plan.n_renames)
			return send_updates(x, &plan);
		for (size_t i = 0; i < plan.n_renames; i++) {
			const struct folders_rename *r = &plan.renames[i];
			if (link_breaks(x))
				return US_ELINK;
			assert_int_equal(model_rename(x->there, r->oldname, r->newname,
						      r->uidvalidity),
					 0);
		}
	}
	return US_ECHANGED;
}

/* ---- what must be true ------------------------------------------------------------------------------ */

/* What was there a moment ago and is gone now must be gone here too. */
struct watch {
	struct model *here;
	struct guid *before;
	size_t n_before;
};

static void note(struct watch *w, const struct model *there)
{
	free(w->before);
	w->before = calloc(MODEL_BOXES * MODEL_RECORDS, sizeof(*w->before));
	w->n_before = 0;
	for (size_t i = 0; i < there->n; i++)
		for (size_t k = 0; k < there->boxes[i]->n; k++)
			if (!there->boxes[i]->records[k].expunged)
				w->before[w->n_before++] = there->boxes[i]->records[k].guid;
}

static void nothing_was_lost(struct model *there)
{
	struct watch *w = there->ctx;

	for (size_t i = 0; i < w->n_before; i++)
		if (!model_has_live(there, &w->before[i]) && model_has_live(w->here, &w->before[i]))
			fail_msg("message %02x%02x was removed before it came",
				 w->before[i].byte[0], w->before[i].byte[1]);
	note(w, there);
}

static void assert_same_records(const struct model_box *a, const struct model_box *b)
{
	size_t k = 0;

	for (size_t i = 0; i < a->n; i++) {
		const struct state_record *r = &a->records[i];
		if (r->expunged)
			continue;
		while (k < b->n && b->records[k].expunged)
			k++;
		assert_true(k < b->n);
		assert_int_equal(b->records[k].uid, r->uid);
		assert_true(guid_eq(&b->records[k].guid, &r->guid));
		assert_int_equal(b->records[k].modseq, r->modseq);
		assert_int_equal(b->records[k].system_flags, r->system_flags);
		assert_int_equal(b->records[k].last_updated, r->last_updated);
		k++;
	}
	while (k < b->n)
		assert_true(b->records[k++].expunged);
}

static void assert_equal_worlds(struct model *here, struct model *there)
{
	for (size_t i = 0; i < here->n; i++) {
		struct model_box *a = here->boxes[i], *b = model_by_name(there, span_of(a->name));
		assert_non_null(b);
		assert_string_equal(a->id, b->id);
		assert_int_equal(a->last_uid, b->last_uid);
		assert_int_equal(a->modseq, b->modseq);
		assert_int_equal(a->uidvalidity, b->uidvalidity);
		assert_int_equal(a->foldermodseq, b->foldermodseq);
		assert_same_records(a, b);
	}
	for (size_t i = 0; i < there->n; i++)
		for (size_t k = 0; k < here->n_stones; k++)
			assert_false(span_is(here->stones[k].uniqueid, there->boxes[i]->id));
}

static unsigned count_live(const struct model *m, const struct guid *guid)
{
	unsigned n = 0;

	for (size_t i = 0; i < m->n; i++)
		for (size_t k = 0; k < m->boxes[i]->n; k++)
			n += !m->boxes[i]->records[k].expunged &&
			     guid_eq(&m->boxes[i]->records[k].guid, guid);
	return n;
}

static bool expunged_in(const struct model_box *b, const struct state_record *r)
{
	const struct state_record *other = b ? model_record((struct model_box *)b, r->uid) : NULL;

	return other && other->expunged && guid_eq(&other->guid, &r->guid);
}

/* What one side had alive is alive afterwards: not if the other expunged it or removed the mailbox, nor if it is older than
 * what was cleaned up here. */
static void assert_kept(struct model *of, struct model *other, const struct model *now, bool theirs)
{
	for (size_t i = 0; i < of->n; i++) {
		const struct model_box *b = of->boxes[i];
		const struct model_box *twin = model_by_id(other, span_of(b->id));
		for (size_t k = 0; k < b->n; k++) {
			const struct state_record *r = &b->records[k];
			if (r->expunged || expunged_in(twin, r) ||
			    (theirs && (!twin || r->modseq < twin->deletedmodseq)))
				continue;
			if (theirs && model_record((struct model_box *)twin, r->uid) &&
			    guid_eq(&model_record((struct model_box *)twin, r->uid)->guid,
				    &r->guid))
				continue;
			assert_true(model_has_live(now, &r->guid));
		}
	}
}

/* No message of the replica's came in twice. `born`: the first guid that was made there. */
static void assert_once(const struct model *theirs, const struct model *now, unsigned born,
			unsigned end)
{
	for (; born <= end; born++) {
		struct guid guid = guid_n(born);
		unsigned had = count_live(theirs, &guid);
		if (had)
			assert_true(count_live(now, &guid) <= had);
	}
}

static void one_run(uint64_t seed, bool split, bool breaks)
{
	struct chance c = {seed * 0x9e3779b97f4a7c15u + 1};
	unsigned serial = 0;
	struct model here = {.n = 0}, there, here_before, there_before;
	unsigned born;
	struct life ours = {&here, &c, &serial, 1000, "m"},
		    theirs = {&there, &c, &serial, 1000, "r"};
	struct watch watch = {&here, NULL, 0};
	struct client x = {&here, &there, pool_new(), OPTIONS, UINT32_MAX};
	int rc = US_ELINK;

	x.options.batch = draw(&c, 4) * draw(&c, 4);
	create(&ours, "user.bob");
	live(&ours, draw(&c, 60));
	model_copy(&there, &here);
	there.raises = draw(&c, 2);
	/* Not where a comparison of all records may become necessary: it cannot see what other mailboxes will bring. */
	there.changed = split || breaks ? NULL : nothing_was_lost;
	there.ctx = &watch;
	live(&ours, draw(&c, 60));
	born = serial + 1;
	if (split)
		live(&theirs, draw(&c, 25));
	model_copy(&here_before, &here);
	model_copy(&there_before, &there);
	note(&watch, &there);
	for (int tries = 0; rc == US_ELINK && tries < 200; tries++) {
		x.left = breaks && tries < 100 ? draw(&c, 8) : UINT32_MAX;
		rc = sync_user(&x);
	}
	assert_int_equal(rc, 0);
	assert_equal_worlds(&here, &there);
	assert_kept(&here_before, &there_before, &here, false);
	assert_kept(&there_before, &here_before, &here, true);
	assert_once(&there_before, &here, born, serial);
	there.orders = 0;
	x.left = UINT32_MAX;
	assert_int_equal(sync_user(&x), 0);
	assert_int_equal(there.orders, 0);
	free(watch.before);
	pool_free(&x.pool);
	model_free(&here);
	model_free(&there);
	model_free(&here_before);
	model_free(&there_before);
}

static uint64_t runs(void)
{
	const char *n = getenv("CONVERGE_RUNS");

	return n ? strtoull(n, NULL, 10) : 1500;
}

static uint64_t first_seed(void)
{
	const char *n = getenv("CONVERGE_SEED");

	return n ? strtoull(n, NULL, 10) : 1;
}

static void all(bool split, bool breaks)
{
	uint64_t seed = first_seed(), end = seed + runs();

	for (; seed < end; seed++) {
		if (getenv("CONVERGE_SEED"))
			fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
		one_run(seed, split, breaks);
	}
}

static void a_replica_that_lags_becomes_equal(void **state UNUSED)
{
	all(false, false);
}

static void a_link_that_breaks_costs_only_time(void **state UNUSED)
{
	all(false, true);
}

static void two_that_were_both_written_to_become_equal(void **state UNUSED)
{
	all(true, false);
}

static void even_over_a_link_that_breaks(void **state UNUSED)
{
	all(true, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_replica_that_lags_becomes_equal),
		cmocka_unit_test(a_link_that_breaks_costs_only_time),
		cmocka_unit_test(two_that_were_both_written_to_become_equal),
		cmocka_unit_test(even_over_a_link_that_breaks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
