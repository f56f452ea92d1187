/* folders.c - a user, or a set of mailboxes: states of both sides, the plan, and its order.
 *
 *	repeat, at most three times:
 *		state there, state here --> decide_folders()
 *		RESERVE for what may have to be uploaded
 *		renames: then everything is looked at again
 *	updates, so that nothing is removed before what replaces it has arrived; then deletes
 *	quota roots, subscriptions, scripts, seen
 */
#include <stdlib.h>
#include <string.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/store/mboxname.h"
#include "server/store/userdata.h"
#include "sync_client/local.h"
#include "sync_client/sync_private.h"

/* ---- telling what the plan could not do ------------------------------------------------------------ */

static void log_troubles(const struct folders_plan *plan)
{
	static const char *const texts[] = {
		[FOLDERS_ONLY_THERE] =
			"SYNCNOTICE: no tombstone for a mailbox that only the replica has",
		[FOLDERS_SAME_ID] = "SYNCNOTICE: a second mailbox there has this uniqueid",
		[FOLDERS_OTHER_ID] = "SYNCERROR: mailbox has another uniqueid there",
		[FOLDERS_NAME_TAKEN] = "SYNCERROR: the new name is taken there",
		[FOLDERS_CYCLE] = "SYNCNOTICE: renames wait for each other",
	};

	for (size_t i = 0; i < plan->n_troubles; i++) {
		const struct folders_trouble *t = &plan->troubles[i];
		const struct state_mailbox *m = t->local ? t->local : t->replica;
		bool fails = t->why == FOLDERS_OTHER_ID || t->why == FOLDERS_NAME_TAKEN;
		log_event(fails ? LOG_ERR : LOG_NOTICE, "sync.folder.trouble",
			  LF_TEXT(texts[t->why]), LF_SPAN("mailbox", m ? m->name : SPAN_LIT("")));
	}
}

/* ---- carrying out a plan -------------------------------------------------------------------------- */

static int reserve_all(struct sync *s, const struct state_user *here,
		       const struct folders_plan *plan, struct us_err *err)
{
	int rc = 0;

	if (!plan->reserve_names.n)
		return 0; /* the replica has nothing to look in */
	for (size_t i = 0; rc == 0 && i < here->n_mailboxes; i++) {
		const struct state_mailbox *local = &here->mailboxes[i];
		struct mailbox *m;
		if (plan->reserve_from[i] == UINT32_MAX || !local->partition.ptr ||
		    local->last_uid <= plan->reserve_from[i])
			continue;
		rc = mailbox_open(s->store, local->name, &m, err);
		if (rc == 0)
			rc = bodies_want(s, m, decide_partition(local, &s->options),
					 plan->reserve_from[i], &plan->reserve_names, err);
		else if (rc == US_ENOENT)
			rc = 0;
		mailbox_close(&m);
	}
	return rc == 0 ? bodies_ask(s, &plan->reserve_names, err) : rc;
}

static int send_renames(struct sync *s, const struct folders_plan *plan, struct us_err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < plan->n_renames; i++) {
		const struct folders_rename *r = &plan->renames[i];
		struct wire_command c = {.kind = WIRE_APPLY_RENAME,
					 .u.rename = {r->oldname, r->newname, r->partition,
						      r->uidvalidity}};
		sync_say(s, "RENAME %.*s -> %.*s (%.*s)", SPAN_ARG(r->oldname),
			 SPAN_ARG(r->newname), SPAN_ARG(r->partition));
		rc = link_call(s->link, &c, NULL, err);
	}
	return rc;
}

static int send_deletes(struct sync *s, const struct folders_plan *plan, struct us_err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < plan->deletes.n; i++) {
		struct wire_command c = {.kind = WIRE_APPLY_UNMAILBOX,
					 .u.name = plan->deletes.names[i]};
		sync_say(s, "UNMAILBOX %.*s", SPAN_ARG(c.u.name));
		rc = link_call(s->link, &c, NULL, err);
		if (rc == US_ENOENT)
			rc = 0;
	}
	return rc;
}

/* A name that exists only for its children: its failure is none. */
static int send_entry(struct sync *s, const struct folders_update *f, struct us_err *err)
{
	struct dlist_writer *w = link_begin(s->link, WIRE_APPLY_MAILBOX);
	int rc;

	wire_put_mailbox(w, f->local, WIRE_APPLY);
	rc = link_end(s->link, NULL, err);
	return link_is_lost(rc) ? rc : 0;
}

/* The first failure is the result; a later one is logged. */
struct result {
	int code;
	struct us_err err;
};

static void note_failure(struct result *r, int code, const struct us_err *why)
{
	log_event(LOG_WARNING, "sync.mailbox.failed", LF_TEXT("do_folders(): update failed:"),
		  LF_ERR(why));
	if (r->code == 0) {
		r->code = code;
		r->err = *why;
	}
}

struct updates {
	struct sync *s;
	const struct folders_plan *plan;
	struct pool *pool;
	struct update *list;
	struct order_item *items;
	struct result result;
};

/* Do the headers alone say that there is nothing to do? */
static bool is_same(const struct sync *s, const struct folders_update *f)
{
	struct mailbox_decision d;

	if (!f->replica)
		return false;
	decide_mailbox(f->local, f->replica, &s->options, /* first */ true, /* recounted */ false,
		       &d);
	return d.step == MAILBOX_SAME && !d.take_uidvalidity && !d.take_raclmodseq &&
	       !d.take_foldermodseq;
}

/* What each update would do. Mailboxes are opened one at a time: a user may have thousands. */
static int look_ahead(struct updates *x, struct us_err *err)
{
	for (size_t i = 0; i < x->plan->n_updates; i++) {
		const struct folders_update *f = &x->plan->updates[i];
		struct us_err why;
		int rc;
		x->items[i] = (struct order_item){.skip = true};
		if (f->entry) {
			rc = send_entry(x->s, f, err);
			if (rc < 0)
				return rc;
			continue;
		}
		if (is_same(x->s, f))
			continue;
		rc = update_begin(&x->list[i], x->s, f, &x->plan->reserve_names, x->pool, &why);
		if (rc == 0)
			rc = update_look_ahead(&x->list[i], &x->items[i], &why);
		if (rc < 0) {
			x->items[i].skip = true;
			note_failure(&x->result, rc, &why);
		}
		update_end(&x->list[i]);
	}
	return 0;
}

static int run_updates(struct updates *x, struct order *order, struct us_err *err)
{
	enum order_part part;
	size_t i;

	while (order_next(order, &i, &part)) {
		struct us_err why = US_ERR_INIT;
		int rc = update_refresh(&x->list[i], false, &why);
		if (rc == 0)
			rc = update_run(&x->list[i], part, &why);
		update_end(&x->list[i]);
		if (link_is_lost(rc)) {
			if (err)
				*err = why;
			return rc;
		}
		if (rc < 0) {
			order_failed(order);
			note_failure(&x->result, rc, &why);
		}
	}
	return 0;
}

static int send_updates(struct sync *s, const struct folders_plan *plan, struct pool *pool,
			struct us_err *err)
{
	struct updates x = {.s = s, .plan = plan, .pool = pool};
	struct order order;
	int rc;

	x.list = pool_alloc(pool, us_mul_size(plan->n_updates + 1, sizeof(*x.list)));
	x.items = pool_alloc(pool, us_mul_size(plan->n_updates + 1, sizeof(*x.items)));
	if (plan->failed)
		x.result.code = us_fail(&x.result.err, US_EMOVED, "%zu mailboxes are others there",
					plan->failed);
	rc = look_ahead(&x, err);
	if (rc < 0)
		return rc;
	order_init(&order, x.items, plan->n_updates, x.result.code < 0);
	rc = run_updates(&x, &order, err);
	if (rc == 0 && order_may_delete(&order))
		rc = send_deletes(s, plan, err);
	if (rc == 0 && x.result.code < 0 && err)
		*err = x.result.err;
	return rc < 0 ? rc : x.result.code;
}

/* ---- rounds --------------------------------------------------------------------------------------- */

static int add_item(void *ctx, const struct wire_item *item, struct us_err *err)
{
	return wire_user_add(ctx, item, err);
}

static int ask(struct sync *s, const struct wire_command *c, struct pool *pool,
	       struct state_user *out, struct us_err *err)
{
	struct wire_user there = {.pool = pool};
	struct link_reader reader = {.pool = pool, .item = add_item, .ctx = &there};
	int rc = link_call(s->link, c, &reader, err);

	*out = there.state;
	return rc == US_ENOENT ? 0 : rc;
}

/* One look at both sides and what follows. 1: look again. */
static int one_round(struct sync *s, const struct state_user *here, const struct state_user *there,
		     bool may_delete, struct pool *pool, struct us_err *err)
{
	struct decide_options options = s->options;
	struct folders_plan plan;
	int rc;

	options.may_delete = may_delete;
	decide_folders(here, there, &options, pool, &plan);
	log_troubles(&plan);
	rc = reserve_all(s, here, &plan, err);
	if (rc == 0)
		rc = send_renames(s, &plan, err);
	if (rc < 0)
		return rc;
	return plan.again || plan.n_renames ? 1 : send_updates(s, &plan, pool, err);
}

static int changed_during_sync(struct us_err *err)
{
	return us_fail(err, US_ECHANGED, "it was changed during the sync");
}

/* ---- a user --------------------------------------------------------------------------------------- */

static int user_rounds(struct sync *s, struct span userid, bool *exists, struct pool *pool,
		       struct us_err *err)
{
	struct wire_command get = {.kind = WIRE_GET_USER, .u.name = userid};
	struct state_user here, there;
	struct us_err why;
	int rc = local_settle_user(s->store, userid, err), meta;

	for (int round = 0; rc == 0 && round < FOLDERS_MOST_ROUNDS; round++) {
		rc = local_user(s->store, userid, s->options.sieve_mailbox, pool, &here, exists,
				err);
		if (rc < 0 || !*exists)
			return rc;
		if (round == 0)
			sync_say(s, "USER %.*s", SPAN_ARG(userid));
		rc = ask(s, &get, pool, &there, err);
		if (rc == 0)
			rc = one_round(s, &here, &there, /* may delete */ true, pool, err);
		if (rc <= 0)
			break;
		rc = 0;
		if (round == FOLDERS_MOST_ROUNDS - 1)
			return changed_during_sync(err);
	}
	if (link_is_lost(rc) || rc == US_ECHANGED)
		return rc;
	/* What could not be done to a mailbox does not keep back the rest of the user. */
	there.userid = userid;
	meta = meta_send(s, &here, &there, /* quotas */ true, pool, rc < 0 ? &why : err);
	return rc < 0 && !link_is_lost(meta) ? rc : meta;
}

int sync_user(struct sync *s, struct span userid, bool *exists, struct us_err *err)
{
	struct pool *pool = pool_new();
	bool ignored;
	int lock, rc = sync_lock(s, userid, &lock, err);

	if (rc == 0)
		rc = user_rounds(s, userid, exists ? exists : &ignored, pool, err);
	sync_unlock(&lock);
	pool_free(&pool);
	return rc;
}

/* ---- a set of mailboxes --------------------------------------------------------------------------- */

static int mailbox_rounds(struct sync *s, const struct wire_names *names, struct pool *pool,
			  struct us_err *err)
{
	struct wire_command get = {.kind = WIRE_GET_MAILBOXES};
	struct state_user here = {0}, there;
	int rc = local_settle_mailboxes(s->store, names->names, names->n, err);

	for (int round = 0; rc == 0 && round < FOLDERS_MOST_ROUNDS; round++) {
		rc = local_mailboxes(s->store, names->names, names->n, pool, &here, err);
		if (rc < 0)
			return rc;
		get.u.names = decide_names(names, here.mailboxes, here.n_mailboxes, pool);
		rc = ask(s, &get, pool, &there, err);
		if (rc == 0)
			rc = one_round(s, &here, &there, /* may delete */ false, pool, err);
		if (rc <= 0)
			return rc;
		rc = 0;
	}
	return rc < 0 ? rc : changed_during_sync(err);
}

/* Owners' locks in sorted order, so that two clients cannot wait for each other. */
struct owners {
	struct pool *pool;
	struct span *ids;
	int *locks;
	size_t n;
};

static int compare_spans(const void *a, const void *b)
{
	return span_cmp(*(const struct span *)a, *(const struct span *)b);
}

static void collect_owners(struct sync *s, const struct span *names, size_t n, struct owners *o)
{
	size_t all = 0;

	o->ids = pool_alloc(o->pool, us_mul_size(n + 1, sizeof(o->ids[0])));
	o->locks = pool_alloc(o->pool, us_mul_size(n + 1, sizeof(o->locks[0])));
	for (size_t i = 0; i < n; i++) {
		struct buf id = BUF_INIT;
		(void)mboxname_owner(names[i], store_config(s->store)->deletedprefix,
				     &id); /* none: empty */
		o->ids[all++] = pool_span(o->pool, buf_span(&id));
		buf_free(&id);
	}
	qsort(o->ids, all, sizeof(o->ids[0]), compare_spans);
	for (size_t i = 0; i < all; i++)
		if (!o->n || !span_eq(o->ids[o->n - 1], o->ids[i]))
			o->ids[o->n++] = o->ids[i];
}

int sync_mailboxes(struct sync *s, const struct span *names, size_t n, struct us_err *err)
{
	struct owners o = {.pool = pool_new()};
	struct wire_names all = {names, n};
	size_t locked = 0;
	int rc = 0;

	collect_owners(s, names, n, &o);
	while (rc == 0 && locked < o.n) {
		rc = sync_lock(s, o.ids[locked], &o.locks[locked], err);
		locked += rc == 0;
	}
	if (rc == 0)
		rc = mailbox_rounds(s, &all, o.pool, err);
	while (locked > 0)
		sync_unlock(&o.locks[--locked]);
	pool_free(&o.pool);
	return rc;
}

/* ---- removals ------------------------------------------------------------------------------------- */

/* What is here under that name, or under a uniqueid the replica has: evidence against a removal. */
static int local_evidence(struct sync *s, struct span name, const struct state_user *there,
			  struct pool *pool, struct state_user *here, struct us_err *err)
{
	struct span *names = pool_alloc(pool, us_mul_size(there->n_mailboxes + 1, sizeof(*names)));
	size_t n = 0;
	int rc = 0;

	if (name.len)
		names[n++] = name;
	for (size_t i = 0; rc >= 0 && i < there->n_mailboxes; i++) {
		struct buf found = BUF_INIT;
		rc = mailbox_name_of_uniqueid(s->store, there->mailboxes[i].uniqueid, &found, err);
		if (rc > 0)
			names[n++] = pool_span(pool, buf_span(&found));
		buf_free(&found);
	}
	return rc < 0 ? rc : local_mailboxes(s->store, names, n, pool, here, err);
}

static int remove_mailbox(struct sync *s, struct span name, struct pool *pool, struct us_err *err)
{
	struct wire_command get = {.kind = WIRE_GET_MAILBOXES, .u.names = {&name, 1}};
	struct wire_command c = {.kind = WIRE_APPLY_UNMAILBOX, .u.name = name};
	struct state_user here = {0}, there;
	int rc = local_settle_mailboxes(s->store, &name, 1, err);

	if (rc == 0)
		rc = ask(s, &get, pool, &there, err);
	if (rc < 0 || !there.n_mailboxes)
		return rc;
	rc = local_evidence(s, name, &there, pool, &here, err);
	if (rc == 0)
		rc = local_tombstones(s->store, name, pool, &here, err);
	if (rc < 0)
		return rc;
	if (!decide_may_unmailbox(&here, &there.mailboxes[0])) {
		log_event(LOG_NOTICE, "sync.unmailbox.refused",
			  LF_TEXT("SYNCNOTICE: attempt to UNMAILBOX without a tombstone"),
			  LF_SPAN("mailbox", name));
		return 0;
	}
	sync_say(s, "UNMAILBOX %.*s", SPAN_ARG(name));
	rc = link_call(s->link, &c, NULL, err);
	return rc == US_ENOENT ? 0 : rc;
}

int sync_removed_mailbox(struct sync *s, struct span name, struct us_err *err)
{
	struct pool *pool = pool_new();
	int rc = remove_mailbox(s, name, pool, err);

	pool_free(&pool);
	return rc;
}

static int remove_user(struct sync *s, struct span userid, struct pool *pool, struct us_err *err)
{
	struct wire_command get = {.kind = WIRE_GET_USER, .u.name = userid};
	struct wire_command c = {.kind = WIRE_APPLY_UNUSER, .u.name = userid};
	struct state_user here, there, evidence = {0};
	bool exists;
	int rc = local_settle_user(s->store, userid, err);

	if (rc == 0)
		rc = local_user(s->store, userid, true, pool, &here, &exists, err);
	if (rc < 0 || exists)
		return rc;
	rc = ask(s, &get, pool, &there, err);
	if (rc == 0)
		rc = local_evidence(s, SPAN_NULL, &there, pool, &evidence, err);
	if (rc < 0 || !decide_may_unuser(&evidence, &there))
		return rc;
	sync_say(s, "UNUSER %.*s", SPAN_ARG(userid));
	rc = link_call(s->link, &c, NULL, err);
	return rc == US_ENOENT ? 0 : rc;
}

int sync_removed_user(struct sync *s, struct span userid, struct us_err *err)
{
	struct pool *pool = pool_new();
	int lock, rc = sync_lock(s, userid, &lock, err);

	if (rc == 0)
		rc = remove_user(s, userid, pool, err);
	sync_unlock(&lock);
	pool_free(&pool);
	return rc;
}
