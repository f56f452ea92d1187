/* annotate_change.c - see annotate_change.h. */
#include "server/imap/annotate_change.h"

#include "server/imap/session.h"
#include "server/store/commit.h"
#include "server/store/quota.h"

struct annotate_source annotate_source_of(const struct selected *sel, uint32_t uid)
{
	struct annotate_source source = {.userid = span_of(sel->session->identity->user)};

	source.item = annots_of(&sel->mailbox->view.annots, uid, &source.n);
	return source;
}

/* Sort out what the condition excludes, and see whether the rest finds room. */
static int choose(struct selected *sel, const struct uidset *uids,
		  const struct annotate_change *change, struct uidset *chosen,
		  struct uidset *modified, struct us_err *err)
{
	struct selected_walk walk = selected_walk(sel, uids);
	struct quota_wanted wanted = {.annotation_bytes = 0};
	const struct record *r;
	int64_t growth = 0;
	uint32_t seq;

	while ((r = selected_next(&walk, &seq))) {
		struct annotate_source had;

		if (!record_is_live(r))
			continue;
		if (change->conditional && r->modseq > change->unchanged_since) {
			uidset_add(modified, r->uid, r->uid);
			continue;
		}
		had = annotate_source_of(sel, r->uid);
		growth += annotate_growth(sel->session, &change->values, &had);
		uidset_add(chosen, r->uid, r->uid);
	}
	if (growth <= 0)
		return 0;
	wanted.annotation_bytes = (uint64_t)growth;
	return quota_check(sel->mailbox->store, buf_span(&sel->mailbox->name), &wanted, err);
}

static int change_message(struct selected *sel, struct commit *c, uint32_t uid,
			  const struct annotate_change *change, struct us_err *err)
{
	struct annotate_source had = annotate_source_of(sel, uid);
	struct record after;
	int rc = annotate_message(sel->session, c, &had, uid, &change->values, err);

	if (rc < 0)
		return rc;
	after = *view_find(&sel->mailbox->view, uid);
	after.modseq = commit_modseq(c);
	after.last_updated = store_now();
	return commit_put(c, &after, err);
}

static int change_locked(struct selected *sel, const struct uidset *chosen,
			 const struct annotate_change *change, uint64_t *modseq, struct us_err *err)
{
	struct commit *c = NULL;
	int rc = commit_begin(sel->mailbox, &c, err);

	for (uint32_t uid = uidset_next(chosen, 1); rc == 0 && uid;
	     uid = uid == UINT32_MAX ? 0 : uidset_next(chosen, uid + 1))
		rc = change_message(sel, c, uid, change, err);
	if (rc < 0) {
		commit_abort(&c);
		return rc;
	}
	*modseq = commit_modseq(c);
	return commit_finish(&c, err);
}

int annotate_change_run(struct selected *sel, const struct uidset *uids,
			const struct annotate_change *change, struct uidset *changed,
			struct uidset *modified, struct us_err *err)
{
	uint64_t modseq = 0;
	int rc = selected_lock(sel, err);

	if (rc < 0)
		return rc;
	rc = choose(sel, uids, change, changed, modified, err);
	if (rc == 0 && !uidset_is_empty(changed))
		rc = change_locked(sel, changed, change, &modseq, err);
	selected_unlock(sel, rc < 0 ? 0 : modseq);
	return rc;
}
