/* decide_meta.c - see decide_meta.h. Rules Q1 to Q3, U1 to U4, V1 to V3 and A1 of doc/RECONCILE.md. */
#include "reconcile/decide_meta.h"

#include <string.h>

#include "server/base/mem.h"

static void plan_init(struct meta_plan *p, struct pool *pool, size_t most)
{
	p->commands = pool_alloc(pool, us_mul_size(most + 1, sizeof(p->commands[0])));
	p->n = 0;
}

static struct wire_command *plan_add(struct meta_plan *p, enum wire_kind kind)
{
	p->commands[p->n].kind = kind;
	return &p->commands[p->n++];
}

/* ---- quota roots ---------------------------------------------------------------------------------- */

static const struct state_quota *find_quota(const struct state_user *u, struct span root)
{
	for (size_t i = 0; i < u->n_quotas; i++)
		if (span_eq(u->quotas[i].root, root))
			return &u->quotas[i];
	return NULL;
}

static bool same_limits(const struct state_quota *a, const struct state_quota *b)
{
	for (size_t i = 0; i < STATE_RESOURCES; i++)
		if (a->limit[i] != b->limit[i])
			return false;
	return true;
}

static bool is_own_root(const struct state_user *u, struct span root)
{
	for (size_t i = 0; i < u->n_mailboxes; i++)
		if (span_eq(u->mailboxes[i].name, root))
			return true;
	return false;
}

void decide_quotas(const struct state_user *local, const struct state_user *replica,
		   struct pool *pool, struct meta_plan *out)
{
	plan_init(out, pool, local->n_quotas + replica->n_quotas);
	for (size_t i = 0; i < local->n_quotas; i++) {
		const struct state_quota *there = find_quota(replica, local->quotas[i].root);
		if (!there || !same_limits(&local->quotas[i], there))
			plan_add(out, WIRE_APPLY_QUOTA)->u.quota = local->quotas[i];
	}
	for (size_t i = 0; i < replica->n_quotas; i++) {
		struct span root = replica->quotas[i].root;
		if (!find_quota(local, root) &&
		    (is_own_root(replica, root) || is_own_root(local, root)))
			plan_add(out, WIRE_APPLY_UNQUOTA)->u.name = root;
	}
}

/* ---- subscriptions -------------------------------------------------------------------------------- */

/* Both sides' are sorted, each in its own way perhaps: so no merge, but a search from where the last one was found. */
static bool has_name(const struct state_user *u, struct span name, size_t *hint)
{
	for (size_t i = 0; i < u->n_subscriptions; i++) {
		size_t at = (*hint + i) % u->n_subscriptions;
		if (!span_eq(u->subscriptions[at], name))
			continue;
		*hint = at + 1;
		return true;
	}
	return false;
}

static void add_missing(struct meta_plan *p, enum wire_kind kind, struct span userid,
			const struct state_user *have, const struct state_user *other)
{
	size_t hint = 0;

	for (size_t i = 0; i < have->n_subscriptions; i++)
		if (!has_name(other, have->subscriptions[i], &hint))
			plan_add(p, kind)->u.sub =
				(struct wire_sub){userid, have->subscriptions[i]};
}

void decide_subscriptions(const struct state_user *local, const struct state_user *replica,
			  struct pool *pool, struct meta_plan *out)
{
	plan_init(out, pool, local->n_subscriptions + replica->n_subscriptions);
	add_missing(out, WIRE_APPLY_SUB, local->userid, local, replica);
	add_missing(out, WIRE_APPLY_UNSUB, local->userid, replica, local);
}

/* ---- seen ----------------------------------------------------------------------------------------- */

static const struct state_seen *find_seen(const struct state_user *u, struct span uniqueid)
{
	for (size_t i = 0; i < u->n_seen; i++)
		if (span_eq(u->seen[i].uniqueid, uniqueid))
			return &u->seen[i];
	return NULL;
}

static bool same_seen(const struct state_seen *a, const struct state_seen *b)
{
	return a->lastread == b->lastread && a->lastuid == b->lastuid &&
	       a->lastchange == b->lastchange && span_eq(a->seenuids, b->seenuids);
}

void decide_seen(const struct state_user *local, const struct state_user *replica,
		 struct pool *pool, struct meta_plan *out)
{
	plan_init(out, pool, local->n_seen);
	for (size_t i = 0; i < local->n_seen; i++) {
		const struct state_seen *there = find_seen(replica, local->seen[i].uniqueid);
		if (!there || !same_seen(&local->seen[i], there))
			plan_add(out, WIRE_APPLY_SEEN)->u.seen =
				(struct wire_seen){local->userid, local->seen[i]};
	}
}

/* ---- scripts -------------------------------------------------------------------------------------- */

static bool is_script(const struct state_sieve *s)
{
	struct span f = s->filename;
	size_t ending = strlen(".script");

	return f.len > ending && span_is(span_from(f, f.len - ending), ".script");
}

static const struct state_sieve *find_file(const struct state_user *u, struct span filename)
{
	for (size_t i = 0; i < u->n_sieve; i++)
		if (span_eq(u->sieve[i].filename, filename))
			return &u->sieve[i];
	return NULL;
}

/* The "name.bc" of the script that is in force. */
static const struct state_sieve *find_active(const struct state_user *u)
{
	for (size_t i = 0; i < u->n_sieve; i++)
		if (u->sieve[i].active && !is_script(&u->sieve[i]))
			return &u->sieve[i];
	return NULL;
}

static bool must_upload(const struct state_sieve *local, const struct state_sieve *replica)
{
	if (!replica)
		return true;
	if (guid_is_null(&replica->guid))
		return local->last_update > replica->last_update;
	return !guid_eq(&local->guid, &replica->guid);
}

static void add_sieve(struct meta_plan *p, enum wire_kind kind, struct span userid,
		      const struct state_sieve *script)
{
	struct wire_command *c = plan_add(p, kind);

	c->u.sieve.userid = userid;
	if (script)
		c->u.sieve.script = *script;
}

static void decide_active(const struct state_user *local, const struct state_user *replica,
			  struct meta_plan *out)
{
	const struct state_sieve *ours = find_active(local), *theirs = find_active(replica);

	if (ours && (!theirs || !span_eq(ours->filename, theirs->filename)))
		add_sieve(out, WIRE_APPLY_ACTIVATE_SIEVE, local->userid, ours);
	else if (!ours && theirs)
		add_sieve(out, WIRE_APPLY_UNACTIVATE_SIEVE, local->userid, NULL);
}

/* Scripts come, one of them comes into force, others go: in this order there is always one in force if there shall be. */
void decide_sieve(const struct state_user *local, const struct state_user *replica,
		  struct pool *pool, struct meta_plan *out)
{
	plan_init(out, pool, local->n_sieve + replica->n_sieve + 1);
	for (size_t i = 0; i < local->n_sieve; i++) {
		const struct state_sieve *s = &local->sieve[i];
		if (is_script(s) && must_upload(s, find_file(replica, s->filename)))
			add_sieve(out, WIRE_APPLY_SIEVE, local->userid, s);
	}
	decide_active(local, replica, out);
	for (size_t i = 0; i < replica->n_sieve; i++) {
		const struct state_sieve *s = &replica->sieve[i];
		if (is_script(s) && !find_file(local, s->filename))
			add_sieve(out, WIRE_APPLY_UNSIEVE, local->userid, s);
	}
}

/* ---- server annotations --------------------------------------------------------------------------- */

static const struct state_server_annotation *
find_annotation(const struct state_server_annotation *list, size_t n,
		const struct state_server_annotation *wanted)
{
	for (size_t i = 0; i < n; i++)
		if (span_eq(list[i].mboxname, wanted->mboxname) &&
		    span_eq(list[i].annotation.entry, wanted->annotation.entry) &&
		    span_eq(list[i].annotation.userid, wanted->annotation.userid))
			return &list[i];
	return NULL;
}

void decide_annotations(const struct state_server_annotation *local, size_t n_local,
			const struct state_server_annotation *replica, size_t n_replica,
			struct pool *pool, struct meta_plan *out)
{
	plan_init(out, pool, n_local + n_replica);
	for (size_t i = 0; i < n_local; i++) {
		const struct state_server_annotation *there =
			find_annotation(replica, n_replica, &local[i]);
		if (!there || !span_eq(there->annotation.value, local[i].annotation.value))
			plan_add(out, WIRE_APPLY_ANNOTATION)->u.annotation = local[i];
	}
	for (size_t i = 0; i < n_replica; i++)
		if (!find_annotation(local, n_local, &replica[i]))
			plan_add(out, WIRE_APPLY_UNANNOTATION)->u.annotation = replica[i];
}
