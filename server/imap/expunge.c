/* expunge.c - see expunge.h. */
#include "server/imap/expunge.h"

#include "server/base/mem.h"
#include "server/imap/selected.h"
#include "server/store/acl.h"
#include "server/store/commit.h"
#include "server/store/store.h"

/* Only messages the client knows of: what he has not heard of he cannot have meant. */
static bool is_meant(const struct selected *sel, uint32_t flag, const struct uidset *only,
		     const struct record *r)
{
	return record_is_live(r) && (r->system_flags & flag) == flag && r->uid <= sel->last_uid &&
	       (!only || uidset_has(only, r->uid));
}

/* Those that have `flag` (0: any). */
static int expunge_locked(struct selected *sel, uint32_t flag, const struct uidset *only,
			  struct us_err *err)
{
	struct mailbox *m = sel->mailbox;
	struct commit *c = NULL;
	struct view_walk walk;
	const struct record *r;
	int n = 0, rc = 0;

	walk = view_walk(&m->view, only ? uidset_next(only, 1) : 1);
	while (rc == 0 && (r = view_next_live(&m->view, &walk)) && r->uid <= sel->last_uid) {
		if (!is_meant(sel, flag, only, r))
			continue;
		if (!c)
			rc = commit_begin(m, &c, err);
		if (rc == 0)
			rc = commit_expunge(c, r, err);
		n++;
	}
	if (rc < 0)
		commit_abort(&c);
	else if (c)
		rc = commit_finish(&c, err);
	return rc < 0 ? rc : n;
}

int expunge_deleted(struct selected *sel, const struct uidset *only, struct us_err *err)
{
	int rc = selected_lock(sel, err);

	if (rc < 0)
		return rc;
	rc = sel->mailbox->view.counters.deleted ? expunge_locked(sel, FLAG_DELETED, only, err) : 0;
	selected_unlock(sel, 0);
	return rc;
}

int expunge_moved(struct selected *sel, const struct uidset *uids, struct us_err *err)
{
	return expunge_locked(sel, 0, uids, err);
}
