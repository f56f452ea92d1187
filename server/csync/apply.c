/* apply.c - orders that need no records: names, expunges by hand, quota, subscriptions, seen, annotations
 * (csync-protocol 7.1, 7.2, 7.6 to 7.8). */
#include <string.h>

#include "server/base/mem.h"
#include "server/csync/csync_private.h"
#include "server/store/annotations.h"
#include "server/store/mboxname.h"
#include "server/store/quota.h"
#include "server/store/userdata.h"

/* Those of the list that we know are echoed; what was enabled stays so. */
int csync_apply_capabilities(struct csync_answer *a, const struct wire_command *c,
			     struct us_err *err UNUSED)
{
	static const struct span known = {"SIEVE-MAILBOX", 13};
	struct wire_item item = {.kind = WIRE_ITEM_ENABLED};
	bool asked = false;

	for (size_t i = 0; i < c->u.names.n; i++)
		asked |= span_eq_nocase(c->u.names.names[i], known);
	a->cs->sieve_mailbox |= asked;
	item.u.names = (struct wire_names){&known, asked};
	wire_put_item(&a->writer, &item);
	return 0;
}

int csync_apply_force(struct csync_answer *a, const struct wire_command *c UNUSED,
		      struct us_err *err UNUSED)
{
	a->cs->force = true;
	return 0;
}

/* A name no mailbox can have is the name of none. */
static int check_existing(struct span name, struct us_err *err)
{
	return mboxname_check_storable(name, NULL) == 0
		       ? 0
		       : us_fail(err, US_ENOENT, "no mailbox %.*s", SPAN_ARG(name));
}

int csync_apply_rename(struct csync_answer *a, const struct wire_command *c, struct us_err *err)
{
	const struct wire_rename *r = &c->u.rename;
	int rc = check_existing(r->oldname, err);

	if (rc == 0)
		rc = mboxname_check_storable(r->newname, err);
	return rc < 0 ? rc
		      : folder_rename_replicated(a->cs->store, r->oldname, r->newname, r->partition,
						 r->uidvalidity, err);
}

/* The name is gone at once, as in Cyrus; the bytes wait in the trash. */
int csync_apply_unmailbox(struct csync_answer *a, const struct wire_command *c, struct us_err *err)
{
	int rc = check_existing(c->u.name, err);

	return rc < 0 ? rc : folder_delete(a->cs->store, c->u.name, FOLDER_DELETE_TRASH, err);
}

/* No user is well: there is nothing left of him. */
int csync_apply_unuser(struct csync_answer *a, const struct wire_command *c, struct us_err *err)
{
	int rc = c->u.name.len ? csync_check_user(c->u.name, err) : 0;

	return rc < 0 || !c->u.name.len
		       ? rc
		       : user_remove(a->cs->store, c->u.name, FOLDER_DELETE_TRASH, err);
}

/* Only the bit: MODSEQ, LAST_UPDATED and HIGHESTMODSEQ stay, so that the update that follows fits. 1: it was live. */
static int expunge_uid(struct commit *c, struct mailbox *m, uint32_t uid, struct us_err *err)
{
	const struct record *r = view_find(&m->view, uid);
	struct record after;
	int rc;

	if (!r || !record_is_live(r))
		return 0;
	after = *r;
	after.internal_flags |= RECORD_EXPUNGED;
	rc = commit_put(c, &after, err);
	return rc < 0 ? rc : 1;
}

static int expunge_locked(struct mailbox *m, const struct wire_expunge *e, struct us_err *err)
{
	struct commit *commit = NULL;
	bool any = false;
	int rc;

	if (!span_eq(m->row.uniqueid, e->uniqueid))
		return us_fail(err, US_EMOVED, "%s has another uniqueid", m->name.data);
	rc = commit_begin(m, &commit, err);
	for (size_t i = 0; rc >= 0 && i < e->uids.n; i++) {
		rc = expunge_uid(commit, m, e->uids.uids[i], err);
		any |= rc > 0;
	}
	if (rc >= 0 && any)
		rc = commit_finish(&commit, err);
	commit_abort(&commit);
	return rc < 0 ? rc : 0;
}

int csync_apply_expunge(struct csync_answer *a, const struct wire_command *c, struct us_err *err)
{
	struct mailbox *m = NULL;
	int rc = mailbox_open(a->cs->store, c->u.expunge.mboxname, &m, err);

	if (rc == 0)
		rc = mailbox_lock(m, err);
	if (rc == 0)
		rc = expunge_locked(m, &c->u.expunge, err);
	mailbox_close(&m);
	return rc;
}

static bool same_quota(const struct state_quota *a, const struct state_quota *b)
{
	return a->modseq == b->modseq && memcmp(a->limit, b->limit, sizeof(a->limit)) == 0;
}

int csync_apply_quota(struct csync_answer *a, const struct wire_command *c, struct us_err *err)
{
	struct state_quota here = {0};
	int rc = mboxname_check_storable(c->u.quota.root, err);

	if (rc == 0)
		rc = quota_get(a->cs->store, c->u.quota.root, &here, err);
	if (rc < 0 || (rc > 0 && same_quota(&here, &c->u.quota)))
		return rc < 0 ? rc : 0;
	return quota_set(a->cs->store, &c->u.quota, err);
}

int csync_apply_unquota(struct csync_answer *a, const struct wire_command *c, struct us_err *err)
{
	int rc = c->u.name.len ? quota_remove(a->cs->store, c->u.name, err) : 0;

	return rc == US_ENOENT ? 0 : rc;
}

int csync_check_user(struct span userid, struct us_err *err)
{
	if (!userid.len || userid.len > MBOXNAME_MAX)
		return us_fail(err, US_EINVAL, "a user id has 1 to %d bytes", MBOXNAME_MAX);
	for (size_t i = 0; i < userid.len; i++)
		if ((unsigned char)userid.ptr[i] < ' ' || userid.ptr[i] == 0x7f)
			return us_fail(err, US_EINVAL, "a user id has a control character");
	return 0;
}

int csync_apply_sub(struct csync_answer *a, const struct wire_command *c, struct us_err *err)
{
	int rc = csync_check_user(c->u.sub.userid, err);

	if (rc < 0)
		return rc;
	return subscription_set(a->cs->store, c->u.sub.userid, c->u.sub.mboxname,
				c->kind == WIRE_APPLY_SUB, err);
}

int csync_apply_seen(struct csync_answer *a, const struct wire_command *c, struct us_err *err)
{
	int rc = csync_check_user(c->u.seen.userid, err);

	return rc < 0 ? rc : seen_set(a->cs->store, c->u.seen.userid, &c->u.seen.seen, err);
}

int csync_apply_annotation(struct csync_answer *a, const struct wire_command *c, struct us_err *err)
{
	const struct state_server_annotation *n = &c->u.annotation;
	struct span value = c->kind == WIRE_APPLY_ANNOTATION ? n->annotation.value : SPAN_NULL;
	struct mailbox *m = NULL;
	int rc;

	if (!n->mboxname.len)
		return annotation_set_server(a->cs->store, n->annotation.entry,
					     n->annotation.userid, value, err);
	rc = mailbox_open(a->cs->store, n->mboxname, &m, err);
	if (rc == 0)
		rc = mailbox_lock(m, err);
	if (rc == 0)
		rc = annotation_set(m, n->annotation.entry, n->annotation.userid, value, err);
	mailbox_close(&m);
	return rc;
}
