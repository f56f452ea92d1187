/* folders.c - a user, or a set of mailboxes: states of both sides, the plan, and its order.
 *
 *	repeat, at most three times:
 *		state here, state there; what is missing there asked for by its uniqueid; tombstones of what is only there
 *		decide_folders() --> renames: then everything is looked at again
 *	RESERVE for what may have to be uploaded
 *	updates, so that nothing is removed before what replaces it has arrived, several in flight if they may be; then deletes
 *	quota roots, subscriptions, scripts, seen
 */
#include <stdlib.h>
#include <string.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/csync/account.h"
#include "server/store/mboxname.h"
#include "server/store/userdata.h"
#include "sync_client/local.h"
#include "sync_client/sync_private.h"

#define SMALL 65536 /* bytes of bodies that cost less than a question */

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
		if (plan->n_renames && t->why != FOLDERS_CYCLE)
			continue; /* told when the renames are through */
		const struct state_mailbox *m = t->local ? t->local : t->replica;
		bool fails = t->why == FOLDERS_OTHER_ID || t->why == FOLDERS_NAME_TAKEN;
		log_event(fails ? LOG_ERR : LOG_NOTICE, "sync.folder.trouble",
			  LF_TEXT(texts[t->why]), LF_SPAN("mailbox", m ? m->name : SPAN_LIT("")));
	}
}

/* ---- carrying out a plan -------------------------------------------------------------------------- */

/* Is another mailbox of its owner looked at in this pass? */
static bool has_siblings(struct sync *s, const struct state_user *here, size_t mailbox)
{
	const char *deletedprefix = store_config(s->store)->deletedprefix;
	struct buf owner = BUF_INIT, other = BUF_INIT;
	size_t n = 0;

	(void)mboxname_owner(here->mailboxes[mailbox].name, deletedprefix, &owner);
	for (size_t i = 0; n < 2 && i < here->n_mailboxes; i++) {
		buf_clear(&other);
		(void)mboxname_owner(here->mailboxes[i].name, deletedprefix, &other);
		n += span_eq(buf_span(&owner), buf_span(&other));
	}
	buf_free(&owner);
	buf_free(&other);
	return n > 1;
}

/* One small message in one mailbox: it is new as a rule, and quicker sent than asked for. */
static bool is_not_worth_asking(struct sync *s, const struct state_user *here, size_t mailbox,
				struct mailbox *m, uint32_t from)
{
	struct view_walk walk = view_walk(&m->view, from + 1);
	const struct record *r;
	uint64_t bytes = 0;

	if (has_siblings(s, here, mailbox))
		return false; /* it may come from one of the others */
	while (bytes <= SMALL && (r = view_next(&m->view, &walk)))
		bytes += r->size;
	return bytes <= SMALL;
}

static int reserve_one(struct sync *s, const struct state_user *here, size_t i,
		       const struct folders_plan *plan, struct us_err *err)
{
	const struct state_mailbox *local = &here->mailboxes[i];
	uint32_t from = plan->reserve_from[i];
	struct mailbox *m;
	int rc;

	if (from == UINT32_MAX || !local->partition.ptr || local->last_uid <= from)
		return 0;
	rc = mailbox_open(s->store, local->name, &m, err);
	if (rc < 0)
		return rc == US_ENOENT ? 0 : rc;
	if (!is_not_worth_asking(s, here, i, m, from))
		rc = bodies_want(s, m, decide_partition(local, &s->options), from,
				 &plan->reserve_names, err);
	mailbox_close(&m);
	return rc;
}

static int reserve_all(struct sync *s, const struct state_user *here,
		       const struct folders_plan *plan, struct us_err *err)
{
	int rc = 0;

	if (!plan->reserve_names.n)
		return 0; /* the replica has nothing to look in */
	for (size_t i = 0; rc == 0 && i < here->n_mailboxes; i++)
		rc = reserve_one(s, here, i, plan, err);
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
		rc = sync_order(s, &c, err);
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
		rc = sync_order(s, &c, err);
		if (rc == US_ENOENT)
			rc = 0;
	}
	return rc;
}

/* A name that exists only for its children: its failure is none. */
static int send_entry(struct sync *s, const struct folders_update *f, struct us_err *err)
{
	struct dlist_writer *w = link_begin(s->link, WIRE_APPLY_MAILBOX, s->local_only);
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
	decide_mailbox(f->local, f->replica, MAILBOX_ALL_SURE, &s->options, MAILBOX_FIRST, &d);
	return d.step == MAILBOX_SAME && !d.take_uidvalidity && !d.take_raclmodseq &&
	       !d.take_foldermodseq;
}

/* Entries are sent, equal mailboxes passed over. *left: how many there are beside those. */
static int sort_out(struct updates *x, size_t *left, struct us_err *err)
{
	*left = 0;
	for (size_t i = 0; i < x->plan->n_updates; i++) {
		const struct folders_update *f = &x->plan->updates[i];
		x->items[i] = (struct order_item){.skip = f->entry || is_same(x->s, f)};
		if (!x->items[i].skip) {
			update_init(&x->list[i], x->s, f, &x->plan->reserve_names, x->pool);
			(*left)++;
		}
		if (f->entry) {
			int rc = send_entry(x->s, f, err);
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

/* What each update would do: of no interest if there is but one. Mailboxes are open one at a time: a user may have
 * thousands. */
static void look_ahead(struct updates *x, size_t left)
{
	for (size_t i = 0; i < x->plan->n_updates; i++) {
		struct us_err why = US_ERR_INIT;
		int rc;
		if (x->items[i].skip)
			continue;
		if (left == 1) {
			x->items[i].gains = true;
			return;
		}
		rc = update_look_ahead(&x->list[i], &x->items[i], &why);
		if (rc < 0)
			note_failure(&x->result, rc, &why);
	}
}

/* Updates whose orders are out, in their order. */
struct flight {
	size_t items[LINK_MOST_OUT], n;
};

/* rc: what became of one. Only a lost link ends the pass. */
static int note_update(struct updates *x, struct order *order, size_t item, int rc,
		       const struct us_err *why, struct us_err *err)
{
	if (rc >= 0)
		return 0;
	if (link_is_lost(rc)) {
		if (err)
			*err = *why;
		return rc;
	}
	order_failed(order, item);
	note_failure(&x->result, rc, why);
	return 0;
}

static int run_alone(struct updates *x, struct order *order, size_t item, enum order_part part,
		     struct us_err *err)
{
	struct us_err why = US_ERR_INIT;
	int rc = update_run(&x->list[item], part, &why);

	return note_update(x, order, item, rc, &why, err);
}

/* Hear of all that are out; who was refused goes again, by himself. */
static int land(struct updates *x, struct order *order, struct flight *f, struct us_err *err)
{
	size_t refused[LINK_MOST_OUT], n = 0;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < f->n; i++) {
		struct us_err why = US_ERR_INIT;
		int heard = update_hear(&x->list[f->items[i]], &why);
		if (heard == UPDATE_ALONE)
			refused[n++] = f->items[i];
		rc = note_update(x, order, f->items[i], heard, &why, err);
	}
	f->n = 0;
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = run_alone(x, order, refused[i], ORDER_WHOLE, err);
	return rc;
}

/* If it is sent on its way there is nothing to note yet. */
static int take_off(struct updates *x, struct order *order, struct flight *f, size_t item,
		    struct us_err *err)
{
	struct us_err why = US_ERR_INIT;
	int rc = update_send(&x->list[item], &why);

	if (rc == 1) {
		f->items[f->n++] = item;
		return 0;
	}
	if (rc != UPDATE_ALONE)
		return note_update(x, order, item, rc, &why, err);
	rc = land(x, order, f, err);
	return rc == 0 ? run_alone(x, order, item, ORDER_WHOLE, err) : rc;
}

static int run_updates(struct updates *x, size_t left, struct order *order, struct us_err *err)
{
	bool at_once = left > 1 && link_has_pipeline(x->s->link);
	struct flight f = {.n = 0};
	enum order_part part;
	size_t i;
	int rc = 0;

	while (rc == 0 && order_next(order, &i, &part)) {
		if (at_once && part == ORDER_WHOLE)
			rc = take_off(x, order, &f, i, err);
		else
			rc = run_alone(x, order, i, part, err);
		if (rc == 0 && (f.n == LINK_MOST_OUT || order_must_wait(order)))
			rc = land(x, order, &f, err);
	}
	return rc;
}

static int send_updates(struct sync *s, const struct folders_plan *plan, struct pool *pool,
			struct us_err *err)
{
	struct updates x = {.s = s, .plan = plan, .pool = pool};
	struct order order;
	size_t left;
	int rc;

	x.list = pool_alloc(pool, us_mul_size(plan->n_updates + 1, sizeof(*x.list)));
	x.items = pool_alloc(pool, us_mul_size(plan->n_updates + 1, sizeof(*x.items)));
	if (plan->failed)
		x.result.code = us_fail(&x.result.err, US_EMOVED, "%zu mailboxes are others there",
					plan->failed);
	rc = sort_out(&x, &left, err);
	if (rc < 0)
		return rc;
	look_ahead(&x, left);
	order_init(&order, x.items, plan->n_updates, x.result.code < 0);
	rc = run_updates(&x, left, &order, err);
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

static int ask(struct sync *s, const struct wire_command *c, struct wire_user *there,
	       struct us_err *err)
{
	struct link_reader reader = {.pool = there->pool, .item = add_item, .ctx = there};
	int rc = link_call(s->link, c, &reader, err);

	return rc == US_ENOENT ? 0 : rc;
}

/* What both sides have. The replica is asked once more for what it did not name: it may have it under another name. */
static int complete(struct sync *s, struct state_user *here, struct wire_user *there,
		    struct us_err *err)
{
	struct wire_command c = {.kind = WIRE_GET_UNIQUEIDS};
	struct wire_names only_there;
	int rc = 0;

	c.u.names = decide_unseen(here, &there->state, &s->options, there->pool);
	if (c.u.names.n)
		rc = ask(s, &c, there, err);
	if (rc < 0)
		return rc;
	only_there = decide_only_there(here, &there->state, there->pool);
	return local_tombstones(s->store, only_there.names, only_there.n, there->pool, here, err);
}

/* One look at both sides and what follows. 1: look again. */
static int one_round(struct sync *s, struct state_user *here, struct wire_user *there,
		     bool whole_user, struct us_err *err)
{
	struct decide_options options = s->options;
	struct folders_plan plan;
	int rc = complete(s, here, there, err);

	if (rc < 0)
		return rc;
	options.whole_user = whole_user;
	decide_folders(here, &there->state, &options, there->pool, &plan);
	log_troubles(&plan);
	if (plan.n_renames) {
		rc = send_renames(s, &plan, err);
		return rc < 0 ? rc : 1;
	}
	rc = reserve_all(s, here, &plan, err);
	return rc == 0 ? send_updates(s, &plan, there->pool, err) : rc;
}

static int changed_during_sync(struct us_err *err)
{
	return us_fail(err, US_ECHANGED, "it was changed during the sync");
}

/* ---- a user --------------------------------------------------------------------------------------- */

/* Both sides of a user: 1, 0 if he has nothing here. Without an INBOX he does not exist, but what he has left below DELETED, or
 * half renamed, the replica may still have under the name of before. */
static int look_at_user(struct sync *s, struct span userid, struct pool *pool,
			struct state_user *here, struct wire_user *there, bool *exists,
			struct us_err *err)
{
	struct wire_command get = {.kind = WIRE_GET_USER, .u.name = userid};
	int rc = account_read(s->store, userid, s->options.sieve_mailbox, pool, here, exists, err);

	if (rc < 0 || (!*exists && !here->n_mailboxes))
		return rc;
	*there = (struct wire_user){.pool = pool, .state.userid = userid};
	rc = ask(s, &get, there, err);
	return rc < 0 ? rc : 1;
}

/* What could not be done to a mailbox does not keep back the rest of the user. */
static int rest_of_user(struct sync *s, const struct state_user *here,
			const struct state_user *there, int folders, struct pool *pool,
			struct us_err *err)
{
	struct us_err why = US_ERR_INIT;
	int rc = meta_send(s, here, there, /* quotas */ true, pool, &why);

	if (rc < 0 && (folders == 0 || link_is_lost(rc))) {
		if (err)
			*err = why;
		return rc;
	}
	return folders;
}

static int user_rounds(struct sync *s, struct span userid, bool *exists, struct pool *pool,
		       struct us_err *err)
{
	struct state_user here;
	struct wire_user there;
	int rc = local_settle_user(s->store, userid, err);

	*exists = true;
	for (int round = 0; rc == 0 && round < FOLDERS_MOST_ROUNDS; round++) {
		rc = look_at_user(s, userid, pool, &here, &there, exists, err);
		if (rc <= 0)
			return rc;
		if (round == 0)
			sync_say(s, "USER %.*s", SPAN_ARG(userid));
		rc = one_round(s, &here, &there, /* whole_user */ *exists, err);
		if (link_is_lost(rc) || (rc <= 0 && !*exists))
			return rc;
		if (rc <= 0)
			return rest_of_user(s, &here, &there.state, rc, pool, err);
		rc = 0;
	}
	return rc < 0 ? rc : changed_during_sync(err);
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

/* Do we know all of these, under the names they have here? Then the replica need not be asked. */
static bool know_all(struct sync *s, const struct wire_names *names, const struct state_user *here,
		     struct wire_user *there)
{
	struct state_mailbox *list;

	if (!s->known || here->n_mailboxes != names->n)
		return false; /* of a name that is nothing here the replica must be asked */
	list = pool_alloc(there->pool, us_mul_size(names->n + 1, sizeof(*list)));
	for (size_t i = 0; i < names->n; i++) {
		const struct state_mailbox *m = &here->mailboxes[i];
		if (decide_is_entry(m) ||
		    !known_find(s->known, m->uniqueid, there->pool, &list[i]) ||
		    !span_eq(list[i].name, m->name))
			return false;
	}
	there->state.mailboxes = list;
	there->state.n_mailboxes = there->cap_mailboxes = names->n;
	return true;
}

static int mailbox_rounds(struct sync *s, const struct wire_names *names, struct pool *pool,
			  struct us_err *err)
{
	struct wire_command get = {.kind = WIRE_GET_MAILBOXES};
	int rc = local_settle_mailboxes(s->store, names->names, names->n, err);

	for (int round = 0; rc == 0 && round < FOLDERS_MOST_ROUNDS; round++) {
		struct state_user here = {0};
		struct wire_user there = {.pool = pool};
		rc = account_mailboxes(s->store, names->names, names->n, pool, &here, err);
		if (rc < 0)
			return rc;
		get.u.names = decide_names(names, here.mailboxes, here.n_mailboxes, pool);
		if (round > 0 || !know_all(s, names, &here, &there))
			rc = ask(s, &get, &there, err);
		if (rc == 0)
			rc = one_round(s, &here, &there, /* whole_user */ false, err);
		if (rc <= 0)
			return rc;
		rc = 0;
	}
	return rc < 0 ? rc : changed_during_sync(err);
}

/* Towards a replica that has no mailbox for scripts, such a name means the scripts of its owner. */
static int send_scripts(struct sync *s, const struct wire_names *names, struct pool *pool,
			struct us_err *err)
{
	struct buf id = BUF_INIT;
	int rc = 0;

	for (size_t i = 0; rc == 0 && !s->options.sieve_mailbox && i < names->n; i++) {
		struct span name = names->names[i];
		if (name.len < 7 || !span_is(span_from(name, name.len - 7), ".#sieve"))
			continue;
		buf_clear(&id);
		if (mboxname_owner(name, store_config(s->store)->deletedprefix, &id))
			rc = meta_scripts(s, pool_span(pool, buf_span(&id)), pool, err);
	}
	buf_free(&id);
	return rc;
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
	if (rc == 0)
		rc = send_scripts(s, &all, o.pool, err);
	while (locked > 0)
		sync_unlock(&o.locks[--locked]);
	pool_free(&o.pool);
	return rc;
}

/* ---- removals ------------------------------------------------------------------------------------- */

/* What speaks for or against removing these mailboxes of the replica: those of ours with their uniqueids, and tombstones. */
static int evidence(struct sync *s, const struct state_user *there, struct pool *pool,
		    struct state_user *here, struct us_err *err)
{
	struct state_user nobody = {0};
	struct wire_names ids = decide_only_there(&nobody, there, pool);
	int rc = local_by_uniqueid(s->store, ids.names, ids.n, pool, here, err);

	return rc == 0 ? local_tombstones(s->store, ids.names, ids.n, pool, here, err) : rc;
}

static void log_refusal(const char *what, struct span name)
{
	log_event(LOG_NOTICE, "sync.removal.refused",
		  LF_TEXT("SYNCNOTICE: attempt to remove without a tombstone"),
		  LF_STR("action", what), LF_SPAN("object", name));
}

static int remove_mailbox(struct sync *s, struct span name, struct pool *pool, struct us_err *err)
{
	struct wire_command get = {.kind = WIRE_GET_MAILBOXES, .u.names = {&name, 1}};
	struct wire_command c = {.kind = WIRE_APPLY_UNMAILBOX, .u.name = name};
	struct state_user here = {0};
	struct wire_user there = {.pool = pool};
	int rc = local_settle_mailboxes(s->store, &name, 1, err);

	if (rc == 0)
		rc = ask(s, &get, &there, err);
	if (rc < 0 || !there.state.n_mailboxes || decide_is_entry(&there.state.mailboxes[0]))
		return rc;
	rc = evidence(s, &there.state, pool, &here, err);
	if (rc < 0)
		return rc;
	if (!decide_may_unmailbox(&here, &there.state.mailboxes[0])) {
		log_refusal("UNMAILBOX", name);
		return 0;
	}
	sync_say(s, "UNMAILBOX %.*s", SPAN_ARG(name));
	rc = sync_order(s, &c, err);
	return rc == US_ENOENT ? 0 : rc;
}

int sync_removed_mailbox(struct sync *s, struct span name, struct us_err *err)
{
	struct pool *pool = pool_new();
	int rc = remove_mailbox(s, name, pool, err);

	pool_free(&pool);
	return rc;
}

/* Does the replica have anything of him that UNUSER would remove? */
static bool has_anything(const struct sync *s, const struct state_user *there)
{
	for (size_t i = 0; i < there->n_mailboxes; i++)
		if (!mboxname_is_deleted(there->mailboxes[i].name,
					 store_config(s->store)->deletedprefix))
			return true;
	return there->n_subscriptions || there->n_seen || there->n_sieve;
}

static int remove_user(struct sync *s, struct span userid, bool only_if_there, struct pool *pool,
		       struct us_err *err)
{
	struct wire_command user = {.kind = WIRE_GET_USER, .u.name = userid};
	struct wire_command meta = {.kind = WIRE_GET_META, .u.name = userid};
	struct wire_command c = {.kind = WIRE_APPLY_UNUSER, .u.name = userid};
	struct wire_user there = {.pool = pool}, rest = {.pool = pool};
	struct state_user here;
	bool exists = false;
	int rc = local_settle_user(s->store, userid, err);

	if (rc == 0)
		rc = account_read(s->store, userid, true, pool, &here, &exists, err);
	if (rc < 0 || exists)
		return rc;
	rc = ask(s, &user, &there, err);
	if (rc == 0 && only_if_there)
		rc = ask(s, &meta, &rest, err);
	if (rc < 0 ||
	    (only_if_there && !has_anything(s, &there.state) && !has_anything(s, &rest.state)))
		return rc;
	rc = evidence(s, &there.state, pool, &here, err);
	if (rc < 0)
		return rc;
	if (!decide_may_unuser(&here, &there.state, s->options.deletedprefix)) {
		log_refusal("UNUSER", userid);
		return 0;
	}
	sync_say(s, "UNUSER %.*s", SPAN_ARG(userid));
	rc = sync_order(s, &c, err);
	return rc == US_ENOENT ? 0 : rc;
}

int sync_removed_user(struct sync *s, struct span userid, bool only_if_there, struct us_err *err)
{
	struct pool *pool = pool_new();
	int lock, rc = sync_lock(s, userid, &lock, err);

	if (rc == 0)
		rc = remove_user(s, userid, only_if_there, pool, err);
	sync_unlock(&lock);
	pool_free(&pool);
	return rc;
}
