/* meta.c - what belongs to a user or to the server rather than to a mailbox. */
#include <stdlib.h>
#include <string.h>

#include "reconcile/decide_meta.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/csync/account.h"
#include "server/csync/scripts.h"
#include "server/store/annotations.h"
#include "server/store/folder.h"
#include "server/store/mboxname.h"
#include "server/store/quota.h"
#include "server/store/userdata.h"
#include "sync_client/local.h"
#include "sync_client/sync_private.h"

/* ---- sending a plan ------------------------------------------------------------------------------
 *
 * Its orders do not depend on each other, so that the answers are heard when all are out. */

/* A SIEVE order gets its script now. */
static int add_script(struct sync *s, struct wire_command *c, struct pool *pool, struct us_err *err)
{
	struct span name = scripts_stem(c->u.sieve.script.filename, ".script");
	const struct script *script;
	struct script *all;
	struct mailbox *m = NULL;
	size_t n;
	int rc = scripts_open(s->store, c->u.sieve.userid, pool, &m, &all, &n, err);

	mailbox_close(&m);
	script = rc == 0 ? scripts_find(all, n, name) : NULL;
	if (rc == 0 && !script)
		rc = us_fail(err, US_ECHANGED, "the script %.*s is gone", SPAN_ARG(name));
	if (rc == 0)
		c->u.sieve.content = script->content;
	return rc;
}

static void say_command(const struct sync *s, const struct wire_command *c)
{
	switch (c->kind) {
	case WIRE_APPLY_QUOTA:
		sync_say(s, "QUOTA %.*s", SPAN_ARG(c->u.quota.root));
		break;
	case WIRE_APPLY_UNQUOTA:
		sync_say(s, "UNQUOTA %.*s", SPAN_ARG(c->u.name));
		break;
	case WIRE_APPLY_SUB:
	case WIRE_APPLY_UNSUB:
		sync_say(s, "%s %.*s %.*s", c->kind == WIRE_APPLY_SUB ? "SUB" : "UNSUB",
			 SPAN_ARG(c->u.sub.userid), SPAN_ARG(c->u.sub.mboxname));
		break;
	case WIRE_APPLY_SEEN:
		sync_say(s, "SEEN %.*s %.*s", SPAN_ARG(c->u.seen.userid),
			 SPAN_ARG(c->u.seen.seen.uniqueid));
		break;
	case WIRE_APPLY_ANNOTATION:
	case WIRE_APPLY_UNANNOTATION:
		sync_say(s, "ANNOTATION %.*s %.*s", SPAN_ARG(c->u.annotation.mboxname),
			 SPAN_ARG(c->u.annotation.annotation.entry));
		break;
	default:
		sync_say(s, "SIEVE %.*s %.*s", SPAN_ARG(c->u.sieve.userid),
			 SPAN_ARG(c->u.sieve.script.filename));
		break;
	}
}

/* What the answers to all that was sent come to; rc: what sending came to. */
static int hear(struct sync *s, int rc, struct us_err *err)
{
	int heard = link_is_lost(rc) ? rc : link_collect(s->link, rc == 0 ? err : NULL);

	return rc < 0 ? rc : heard;
}

static int send_plan(struct sync *s, const struct meta_plan *plan, struct pool *pool,
		     struct us_err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < plan->n; i++) {
		struct wire_command c = plan->commands[i];
		if (c.kind == WIRE_APPLY_SIEVE)
			rc = add_script(s, &c, pool, err);
		if (rc < 0)
			break;
		say_command(s, &c);
		rc = link_call_later(s->link, &c, err);
	}
	return rc;
}

int meta_send(struct sync *s, const struct state_user *local, const struct state_user *replica,
	      bool quotas, struct pool *pool, struct us_err *err)
{
	struct meta_plan plan;
	int rc = 0;

	if (quotas) {
		decide_quotas(local, replica, pool, &plan);
		rc = send_plan(s, &plan, pool, err);
	}
	if (rc == 0) {
		decide_subscriptions(local, replica, pool, &plan);
		rc = send_plan(s, &plan, pool, err);
	}
	if (rc == 0 && !s->options.sieve_mailbox) {
		decide_sieve(local, replica, pool, &plan);
		rc = send_plan(s, &plan, pool, err);
	}
	if (rc == 0) {
		decide_seen(local, replica, pool, &plan);
		rc = send_plan(s, &plan, pool, err);
	}
	return hear(s, rc, err);
}

static int add_item(void *ctx, const struct wire_item *item, struct us_err *err)
{
	return wire_user_add(ctx, item, err);
}

static int meta_locked(struct sync *s, struct span userid, bool *exists, struct pool *pool,
		       struct us_err *err)
{
	struct wire_command c = {.kind = WIRE_GET_META, .u.name = userid};
	struct wire_user there = {.pool = pool, .state.userid = userid};
	struct link_reader reader = {.pool = pool, .item = add_item, .ctx = &there};
	struct state_user here;
	int rc = local_settle_user(s->store, userid, err);

	if (rc == 0)
		rc = account_read(s->store, userid, s->options.sieve_mailbox, pool, &here, exists,
				  err);
	if (rc < 0 || !*exists)
		return rc;
	sync_say(s, "META %.*s", SPAN_ARG(userid));
	rc = link_call(s->link, &c, &reader, err);
	return rc == 0 ? meta_send(s, &here, &there.state, /* quotas */ false, pool, err) : rc;
}

int meta_scripts(struct sync *s, struct span userid, struct pool *pool, struct us_err *err)
{
	struct wire_command c = {.kind = WIRE_GET_META, .u.name = userid};
	struct wire_user there = {.pool = pool, .state.userid = userid};
	struct link_reader reader = {.pool = pool, .item = add_item, .ctx = &there};
	struct state_user here = {.userid = userid};
	struct meta_plan plan;
	int rc = scripts_list(s->store, userid, pool, &here.sieve, &here.n_sieve, err);

	if (rc == 0)
		rc = link_call(s->link, &c, &reader, err);
	if (rc < 0)
		return rc;
	decide_sieve(&here, &there.state, pool, &plan);
	return hear(s, send_plan(s, &plan, pool, err), err);
}

int sync_meta(struct sync *s, struct span userid, bool *exists, struct us_err *err)
{
	bool ignored;
	struct pool *pool = pool_new();
	int lock, rc = sync_lock(s, userid, &lock, err);

	if (rc == 0)
		rc = meta_locked(s, userid, exists ? exists : &ignored, pool, err);
	sync_unlock(&lock);
	pool_free(&pool);
	return rc;
}

/* ---- single objects, as log lines name them ------------------------------------------------------ */

int sync_quota(struct sync *s, struct span root, struct us_err *err)
{
	struct wire_command c = {.kind = WIRE_APPLY_QUOTA};
	int rc = local_settle_mailboxes(s->store, &root, 1, err);

	if (rc == 0)
		rc = quota_get(s->store, root, &c.u.quota, err);
	if (rc < 0)
		return rc;
	if (rc == 0)
		c = (struct wire_command){.kind = WIRE_APPLY_UNQUOTA, .u.name = root};
	say_command(s, &c);
	return link_call(s->link, &c, NULL, err);
}

int sync_subscription(struct sync *s, struct span userid, struct span name, struct us_err *err)
{
	struct wire_command c = {.u.sub = {userid, name}};
	int rc = local_settle_user(s->store, userid, err);

	if (rc == 0)
		rc = subscription_get(s->store, userid, name, err);
	if (rc < 0)
		return rc;
	c.kind = rc > 0 ? WIRE_APPLY_SUB : WIRE_APPLY_UNSUB;
	say_command(s, &c);
	return link_call(s->link, &c, NULL, err);
}

int sync_seen(struct sync *s, struct span userid, struct span uniqueid, struct us_err *err)
{
	struct pool *pool = pool_new();
	struct wire_command c = {.kind = WIRE_APPLY_SEEN, .u.seen.userid = userid};
	int rc = local_settle_user(s->store, userid, err);

	if (rc == 0)
		rc = seen_get(s->store, userid, uniqueid, pool, &c.u.seen.seen, err);
	if (rc > 0) {
		say_command(s, &c);
		rc = link_call(s->link, &c, NULL, err);
	}
	pool_free(&pool);
	return rc;
}

struct annotation_list {
	struct pool *pool;
	struct state_server_annotation *items;
	size_t n, cap;
};

static int add_annotation(void *ctx, const struct wire_item *item, struct us_err *err UNUSED)
{
	struct annotation_list *l = ctx;

	if (item->kind != WIRE_ITEM_ANNOTATION)
		return 0;
	us_grow(&l->items, l->n, &l->cap, sizeof(l->items[0]));
	l->items[l->n++] = item->u.annotation;
	return 0;
}

int sync_server_annotations(struct sync *s, struct us_err *err)
{
	struct pool *pool = pool_new();
	struct wire_command c = {.kind = WIRE_GET_ANNOTATION, .u.name = SPAN_LIT("")};
	struct annotation_list there = {.pool = pool};
	struct link_reader reader = {.pool = pool, .item = add_annotation, .ctx = &there};
	const struct state_annotation *all = NULL;
	struct state_server_annotation *here;
	struct meta_plan plan;
	size_t n = 0;
	int rc = local_settle_user(s->store, SPAN_LIT(""), err); /* the server's belong to nobody */

	if (rc == 0)
		rc = annotations_list(s->store, NULL, pool, &all, &n, err);
	here = pool_alloc(pool, us_mul_size(n + 1, sizeof(*here)));
	for (size_t i = 0; i < n; i++)
		here[i] = (struct state_server_annotation){SPAN_LIT(""), all[i]};
	if (rc == 0)
		rc = link_call(s->link, &c, &reader, err);
	if (rc == 0) {
		decide_annotations(here, n, there.items, there.n, pool, &plan);
		rc = hear(s, send_plan(s, &plan, pool, err), err);
	}
	free(there.items);
	pool_free(&pool);
	return rc;
}
