/* decide_folders.c - see decide_folders.h. Rules F1 to F12 of doc/RECONCILE.md. */
#include "reconcile/decide_folders.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "reconcile/wire_mailbox.h"
#include "server/base/mem.h"

#define FAR_AWAY 0x7fff0000u /* seconds since 1970, as a name under DELETED tells them */

/* ---- looking for mailboxes ------------------------------------------------------------------------ */

/* One side's mailboxes, sorted by name and by uniqueid: a user may have thousands. */
struct lookup {
	const struct state_mailbox **by_name, **by_id;
	size_t n;
};

static int compare_names(const void *a, const void *b)
{
	const struct state_mailbox *const *x = a, *const *y = b;

	return span_cmp((*x)->name, (*y)->name);
}

/* Of two with one uniqueid the first in the list comes first. */
static int compare_ids(const void *a, const void *b)
{
	const struct state_mailbox *const *x = a, *const *y = b;
	int order = span_cmp((*x)->uniqueid, (*y)->uniqueid);

	return order ? order : (*x < *y ? -1 : *x > *y);
}

static struct lookup lookup_of(const struct state_user *u, struct pool *pool)
{
	size_t size = us_mul_size(u->n_mailboxes + 1, sizeof(const struct state_mailbox *));
	struct lookup l = {pool_alloc(pool, size), pool_alloc(pool, size), u->n_mailboxes};

	for (size_t i = 0; i < l.n; i++)
		l.by_name[i] = l.by_id[i] = &u->mailboxes[i];
	if (l.n) {
		qsort(l.by_name, l.n, sizeof(*l.by_name), compare_names);
		qsort(l.by_id, l.n, sizeof(*l.by_id), compare_ids);
	}
	return l;
}

static const struct state_mailbox *find_name(const struct lookup *l, struct span name)
{
	struct state_mailbox key = {.name = name};
	const struct state_mailbox *wanted = &key, **found;

	found = l->n ? bsearch(&wanted, l->by_name, l->n, sizeof(*l->by_name), compare_names)
		     : NULL;
	return found ? *found : NULL;
}

/* The first in the list with that uniqueid. */
static const struct state_mailbox *find_id(const struct lookup *l, struct span uniqueid)
{
	size_t low = 0, high = l->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (span_cmp(l->by_id[middle]->uniqueid, uniqueid) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < l->n && span_eq(l->by_id[low]->uniqueid, uniqueid) ? l->by_id[low] : NULL;
}

static const struct state_tombstone *find_tombstone(const struct state_user *here,
						    struct span uniqueid)
{
	for (size_t i = 0; i < here->n_tombstones; i++)
		if (span_eq(here->tombstones[i].uniqueid, uniqueid))
			return &here->tombstones[i];
	return NULL;
}

/* ---- the work ------------------------------------------------------------------------------------- */

/* A mailbox that has to move on the replica. */
struct move {
	const struct state_mailbox *local; /* NULL: it goes aside, to be removed later */
	const struct state_mailbox *replica;
	struct span to;
	bool aside, done;
};

struct folders {
	const struct state_user *here, *there;
	const struct decide_options *options;
	struct pool *pool;
	struct folders_plan *plan;
	struct lookup ours, theirs;
	struct span *
		names; /* on the replica while the renames go on, in the order of there->mailboxes */
	struct move *moves;
	size_t n_moves;
	const struct state_mailbox **doomed; /* there, with a tombstone here */
	size_t n_doomed;
};

static void trouble(struct folders *f, enum folders_why why, const struct state_mailbox *local,
		    const struct state_mailbox *replica)
{
	f->plan->troubles[f->plan->n_troubles++] = (struct folders_trouble){why, local, replica};
}

static bool is_real(const struct state_mailbox *m)
{
	return !decide_is_entry(m);
}

/* ---- what only the replica has --------------------------------------------------------------------- */

static void sort_out_theirs(struct folders *f)
{
	for (size_t i = 0; i < f->there->n_mailboxes; i++) {
		const struct state_mailbox *replica = &f->there->mailboxes[i];
		const struct state_mailbox *local = find_id(&f->ours, replica->uniqueid);

		if (decide_is_hidden(replica, f->options) || !is_real(replica))
			continue;
		if (find_id(&f->theirs, replica->uniqueid) != replica)
			trouble(f, FOLDERS_SAME_ID, NULL, replica);
		else if (!local && find_tombstone(f->here, replica->uniqueid))
			f->doomed[f->n_doomed++] = replica;
		else if (!local && f->options->whole_user)
			trouble(f, FOLDERS_ONLY_THERE, NULL, replica);
	}
}

/* ---- who has to move ------------------------------------------------------------------------------- */

static void add_move(struct folders *f, const struct state_mailbox *local,
		     const struct state_mailbox *replica, struct span to)
{
	f->moves[f->n_moves++] = (struct move){.local = local, .replica = replica, .to = to};
}

/* The mailbox of ours as it is there, if it is there. */
static const struct state_mailbox *counterpart(const struct folders *f,
					       const struct state_mailbox *local)
{
	const struct state_mailbox *replica = find_id(&f->theirs, local->uniqueid);

	return replica && is_real(replica) ? replica : NULL;
}

static void collect_moves(struct folders *f)
{
	for (size_t i = 0; i < f->here->n_mailboxes; i++) {
		const struct state_mailbox *local = &f->here->mailboxes[i];
		const struct state_mailbox *replica = counterpart(f, local);

		if (!replica || !is_real(local) || decide_is_hidden(local, f->options))
			continue;
		if (!span_eq(replica->name, local->name) ||
		    !span_eq(replica->partition, decide_partition(local, f->options)))
			add_move(f, local, replica, local->name);
	}
}

/* ---- places aside ----------------------------------------------------------------------------------- */

/* Where a delayed delete of `name` at that time would move it: [dom!]DELETED.name.TIME. */
static struct span deleted_name(struct folders *f, struct span name, uint64_t time)
{
	const char *bang = span_find(name, '!');
	size_t domain = bang ? (size_t)(bang - name.ptr) + 1 : 0;
	char *text = pool_printf(f->pool, "%.*s%.*s.%.*s.%" PRIX64, (int)domain, name.ptr,
				 SPAN_ARG(f->options->deletedprefix),
				 SPAN_ARG(span_from(name, domain)), time);

	return span_of(text);
}

/* What only waits for its own new name must not be found old by a cleanup over there. */
static struct span place_aside(struct folders *f, const struct move *m)
{
	const struct state_tombstone *t = find_tombstone(f->here, m->replica->uniqueid);
	uint64_t time = t && t->time > 0 && !m->local ? (uint64_t)t->time : FAR_AWAY;
	struct span name;

	do
		name = deleted_name(f, m->replica->name, time++);
	while (find_name(&f->theirs, name) || find_name(&f->ours, name));
	return name;
}

/* A mailbox that is to be removed must first leave a name that one of ours needs. */
static void move_doomed(struct folders *f)
{
	for (size_t i = 0; i < f->n_doomed; i++) {
		const struct state_mailbox *replica = f->doomed[i];
		const struct state_mailbox *local = find_name(&f->ours, replica->name);
		struct move m = {.replica = replica};

		if (!local || !is_real(local) || decide_is_hidden(local, f->options))
			continue;
		add_move(f, NULL, replica, place_aside(f, &m));
	}
}

/* ---- renames in an order that works ---------------------------------------------------------------- */

static struct span *name_now(struct folders *f, const struct state_mailbox *replica)
{
	return &f->names[replica - f->there->mailboxes];
}

/* Who holds that name there now? Whatever moved went to a name that nobody else wants. Names that exist only for their children
 * give way. */
static const struct state_mailbox *holder(struct folders *f, struct span name)
{
	const struct state_mailbox *m = find_name(&f->theirs, name);

	return m && is_real(m) && span_eq(*name_now(f, m), name) ? m : NULL;
}

static void add_rename(struct folders *f, const struct state_mailbox *replica, struct span to,
		       struct span partition, uint32_t uidvalidity)
{
	struct span *now = name_now(f, replica);

	f->plan->renames[f->plan->n_renames++] =
		(struct folders_rename){*now, to, partition, uidvalidity};
	*now = to;
}

static void carry_out(struct folders *f, struct move *m)
{
	if (m->local)
		add_rename(f, m->replica, m->to, decide_partition(m->local, f->options),
			   m->local->uidvalidity);
	else
		add_rename(f, m->replica, m->to, m->replica->partition, m->replica->uidvalidity);
	m->done = true;
}

static struct move *move_of(struct folders *f, const struct state_mailbox *replica)
{
	for (size_t i = 0; i < f->n_moves; i++)
		if (f->moves[i].replica == replica && !f->moves[i].done)
			return &f->moves[i];
	return NULL;
}

/* One round over all that wait. */
static bool move_what_can(struct folders *f)
{
	bool moved = false;

	for (size_t i = 0; i < f->n_moves; i++) {
		struct move *m = &f->moves[i];
		const struct state_mailbox *there = m->done ? NULL : holder(f, m->to);
		if (m->done || (there && there != m->replica))
			continue;
		carry_out(f, m);
		moved = true;
	}
	return moved;
}

/* Nothing can go. Whoever waits for one that waits itself is in a cycle, or behind one: send the one in front aside. */
static bool break_cycle(struct folders *f)
{
	for (size_t i = 0; i < f->n_moves; i++) {
		struct move *m = &f->moves[i];
		struct move *front = m->done ? NULL : move_of(f, holder(f, m->to));
		if (!front || front->aside)
			continue;
		trouble(f, FOLDERS_CYCLE, front->local, front->replica);
		front->aside = true;
		add_rename(f, front->replica, place_aside(f, front), front->replica->partition,
			   front->replica->uidvalidity);
		return true;
	}
	return false;
}

static void arrange_moves(struct folders *f)
{
	while (move_what_can(f) || break_cycle(f))
		;
	for (size_t i = 0; i < f->n_moves; i++) {
		const struct move *m = &f->moves[i];
		if (m->done)
			continue;
		trouble(f, FOLDERS_NAME_TAKEN, m->local, holder(f, m->to));
		f->plan->failed++;
	}
}

/* ---- updates and deletes ---------------------------------------------------------------------------- */

static bool same_entry(const struct state_mailbox *local, const struct state_mailbox *replica)
{
	return replica && span_eq(local->uniqueid, replica->uniqueid) &&
	       span_eq(local->mboxtype, replica->mboxtype) &&
	       local->createdmodseq == replica->createdmodseq &&
	       local->foldermodseq == replica->foldermodseq;
}

/* A name for its children's sake. If it is a mailbox there, it stays one until that is removed. */
static void update_entry(struct folders *f, const struct state_mailbox *local)
{
	const struct state_mailbox *replica = find_name(&f->theirs, local->name);

	if (same_entry(local, replica) || (replica && is_real(replica)))
		return;
	f->plan->updates[f->plan->n_updates++] =
		(struct folders_update){.local = local, .replica = replica, .entry = true};
}

/* Is the name of a mailbox that is not there as such held by another, which ours does not simply replace? An empty one does give
 * way, by the replica's own rule. */
static bool is_blocked(struct folders *f, const struct state_mailbox *local)
{
	const struct state_mailbox *there = holder(f, local->name);

	return there && there->last_uid > 0 && !f->options->force;
}

static bool failed_to_move(const struct folders *f, const struct state_mailbox *local)
{
	if (!f->plan->failed)
		return false;
	for (size_t i = 0; i < f->n_moves; i++)
		if (f->moves[i].local == local && !f->moves[i].done)
			return true;
	return false;
}

static void update_one(struct folders *f, size_t i)
{
	const struct state_mailbox *local = &f->here->mailboxes[i];
	const struct state_mailbox *replica = counterpart(f, local);

	f->plan->reserve_from[i] = UINT32_MAX;
	if (decide_is_hidden(local, f->options))
		return;
	if (!is_real(local)) {
		update_entry(f, local);
		return;
	}
	if (!replica && is_blocked(f, local)) {
		trouble(f, FOLDERS_OTHER_ID, local, holder(f, local->name));
		f->plan->failed++;
		return;
	}
	if (failed_to_move(f, local))
		return;
	f->plan->reserve_from[i] = replica ? replica->last_uid : 0;
	f->plan->updates[f->plan->n_updates++] = (struct folders_update){local, replica, false};
}

/* The list has parents first. */
static void list_deletes(struct folders *f)
{
	struct span *names = pool_alloc(f->pool, us_mul_size(f->n_doomed + 1, sizeof(*names)));

	for (size_t i = 0; i < f->n_doomed; i++)
		names[i] = f->doomed[f->n_doomed - 1 - i]->name;
	f->plan->deletes = (struct wire_names){names, f->n_doomed};
}

static void list_reserve_names(struct folders *f)
{
	struct span *names =
		pool_alloc(f->pool, us_mul_size(f->there->n_mailboxes + 1, sizeof(*names)));
	size_t n = 0;

	for (size_t i = 0; i < f->there->n_mailboxes; i++)
		if (is_real(&f->there->mailboxes[i]))
			names[n++] = f->there->mailboxes[i].name;
	f->plan->reserve_names = (struct wire_names){names, n};
}

/* ---- all of it ------------------------------------------------------------------------------------- */

static void make_room(struct folders *f)
{
	size_t ours = f->here->n_mailboxes, theirs = f->there->n_mailboxes, all = ours + theirs + 1;
	struct folders_plan *p = f->plan;

	p->reserve_from = pool_alloc(f->pool, us_mul_size(all, sizeof(*p->reserve_from)));
	p->updates = pool_alloc(f->pool, us_mul_size(all, sizeof(*p->updates)));
	/* Each moves at most once aside and once to its place; each may be trouble in either way. */
	p->renames = pool_alloc(f->pool, us_mul_size(2 * all, sizeof(*p->renames)));
	p->troubles = pool_alloc(f->pool, us_mul_size(3 * all, sizeof(*p->troubles)));
	f->moves = pool_alloc(f->pool, us_mul_size(all, sizeof(*f->moves)));
	f->doomed = pool_alloc(f->pool, us_mul_size(all, sizeof(*f->doomed)));
	f->names = pool_alloc(f->pool, us_mul_size(all, sizeof(*f->names)));
	for (size_t i = 0; i < theirs; i++)
		f->names[i] = f->there->mailboxes[i].name;
}

void decide_folders(const struct state_user *here, const struct state_user *there,
		    const struct decide_options *options, struct pool *pool,
		    struct folders_plan *out)
{
	struct folders f = {.here = here,
			    .there = there,
			    .options = options,
			    .pool = pool,
			    .plan = out,
			    .ours = lookup_of(here, pool),
			    .theirs = lookup_of(there, pool)};

	*out = (struct folders_plan){.n_updates = 0};
	make_room(&f);
	sort_out_theirs(&f);
	collect_moves(&f);
	move_doomed(&f);
	arrange_moves(&f);
	if (out->n_renames) /* then everything is looked at again */
		return;
	for (size_t i = 0; i < here->n_mailboxes; i++)
		update_one(&f, i);
	list_deletes(&f);
	list_reserve_names(&f);
}

/* ---- what is asked for ------------------------------------------------------------------------------ */

static int compare_spans(const void *a, const void *b)
{
	return span_cmp(*(const struct span *)a, *(const struct span *)b);
}

static struct wire_names unique(struct span *names, size_t n)
{
	size_t kept = 0;

	if (n)
		qsort(names, n, sizeof(*names), compare_spans);
	for (size_t i = 0; i < n; i++)
		if (!kept || !span_eq(names[kept - 1], names[i]))
			names[kept++] = names[i];
	return (struct wire_names){names, kept};
}

struct wire_names decide_names(const struct wire_names *asked, const struct state_mailbox *here,
			       size_t n, struct pool *pool)
{
	size_t all = asked->n, k = 0;
	struct span *names;

	for (size_t i = 0; i < n; i++)
		all += here[i].n_former_names;
	names = pool_alloc(pool, us_mul_size(all + 1, sizeof(*names)));
	for (size_t i = 0; i < asked->n; i++)
		names[k++] = asked->names[i];
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < here[i].n_former_names; j++)
			names[k++] = here[i].former_names[j];
	return unique(names, k);
}

/* Uniqueids of real mailboxes that one side has and the other has not. */
static struct wire_names ids_without(const struct state_user *have, const struct state_user *other,
				     const struct decide_options *options, struct pool *pool)
{
	struct span *ids = pool_alloc(pool, us_mul_size(have->n_mailboxes + 1, sizeof(*ids)));
	struct lookup l = lookup_of(other, pool);
	size_t n = 0;

	for (size_t i = 0; i < have->n_mailboxes; i++) {
		const struct state_mailbox *m = &have->mailboxes[i];
		if (is_real(m) && !(options && decide_is_hidden(m, options)) &&
		    !find_id(&l, m->uniqueid))
			ids[n++] = m->uniqueid;
	}
	return unique(ids, n);
}

struct wire_names decide_unseen(const struct state_user *here, const struct state_user *there,
				const struct decide_options *options, struct pool *pool)
{
	return ids_without(here, there, options, pool);
}

struct wire_names decide_only_there(const struct state_user *here, const struct state_user *there,
				    struct pool *pool)
{
	return ids_without(there, here, NULL, pool);
}

/* ---- single removals --------------------------------------------------------------------------------- */

bool decide_may_unmailbox(const struct state_user *here, const struct state_mailbox *replica)
{
	for (size_t i = 0; i < here->n_mailboxes; i++)
		if (span_eq(here->mailboxes[i].uniqueid, replica->uniqueid))
			return false;
	return find_tombstone(here, replica->uniqueid) != NULL;
}

static bool is_deleted_name(struct span name, struct span deletedprefix)
{
	const char *bang = span_find(name, '!');
	struct span local = bang ? span_from(name, (size_t)(bang - name.ptr) + 1) : name;

	return local.len > deletedprefix.len && local.ptr[deletedprefix.len] == '.' &&
	       span_eq(span_make(local.ptr, deletedprefix.len), deletedprefix);
}

/* What is under DELETED stays there when a user goes. */
bool decide_may_unuser(const struct state_user *here, const struct state_user *there,
		       struct span deletedprefix)
{
	for (size_t i = 0; i < there->n_mailboxes; i++) {
		const struct state_mailbox *m = &there->mailboxes[i];
		if (is_real(m) && !is_deleted_name(m->name, deletedprefix) &&
		    !decide_may_unmailbox(here, m))
			return false;
	}
	return true;
}
