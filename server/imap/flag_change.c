/* flag_change.c - see flag_change.h. */
#include "server/imap/flag_change.h"

#include "server/base/mem.h"
#include "server/store/acl.h"
#include "server/store/commit.h"

#define ALL_FLAGS (FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DELETED | FLAG_DRAFT | FLAG_SEEN)

/* The system flags these rights let one change (RFC 4314, section 4). */
static uint32_t changeable(uint32_t rights)
{
	uint32_t flags = 0;

	if (rights & ACL_WRITE)
		flags |= FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DRAFT;
	if (rights & ACL_DELETEMSG)
		flags |= FLAG_DELETED;
	if (rights & ACL_SETSEEN)
		flags |= FLAG_SEEN;
	return flags;
}

bool flag_change_allowed(const struct flag_change *change, uint32_t rights)
{
	return !(change->system & ~changeable(rights)) &&
	       (!change->n_keywords || rights & ACL_WRITE);
}

/* ---- what becomes of a record -------------------------------------------------------------------- */

/* A change as bits: flags = (flags & ~clear) | set. */
struct bits {
	uint32_t set, clear;
	uint64_t user_set[2], user_clear[2];
};

static void system_bits(const struct selected *sel, const struct flag_change *change,
			struct bits *out)
{
	out->set = change->how == FLAGS_REMOVE ? 0 : change->system;
	out->clear = change->how == FLAGS_REMOVE    ? change->system
		     : change->how == FLAGS_REPLACE ? ALL_FLAGS & changeable(sel->rights)
						    : 0;
	if (sel->own_seen)
		return;
	out->set &= ~(uint32_t)FLAG_SEEN; /* not in the record */
	out->clear &= ~(uint32_t)FLAG_SEEN;
}

/* Names that no message has had so far are left out: *all_known says whether there are any. */
static void keyword_bits(const struct selected *sel, const struct flag_change *change,
			 struct bits *out, bool *all_known)
{
	const struct flag_names *names = &sel->mailbox->view.names;
	uint64_t(*to)[2] = change->how == FLAGS_REMOVE ? &out->user_clear : &out->user_set;

	*all_known = true;
	for (size_t i = 0; i < change->n_keywords; i++) {
		int bit = flag_names_find(names, change->keyword[i]);
		if (bit >= 0)
			(*to)[bit / 64] |= (uint64_t)1 << (bit % 64);
		else
			*all_known = false;
	}
	if (change->how == FLAGS_REPLACE && sel->rights & ACL_WRITE)
		out->user_clear[0] = out->user_clear[1] = UINT64_MAX;
}

/* True if it becomes another. */
static bool apply(const struct bits *bits, struct record *r)
{
	struct record before = *r;

	r->system_flags = (r->system_flags & ~bits->clear) | bits->set;
	for (int i = 0; i < 2; i++)
		r->user_flags[i] = (r->user_flags[i] & ~bits->user_clear[i]) | bits->user_set[i];
	return r->system_flags != before.system_flags || r->user_flags[0] != before.user_flags[0] ||
	       r->user_flags[1] != before.user_flags[1];
}

/* ---- the commit ---------------------------------------------------------------------------------- */

struct work {
	struct selected *sel;
	const struct flag_change *change;
	struct bits bits;
	bool all_known; /* every keyword has its bit */
	struct commit *commit;
	uint64_t modseq;
	int64_t now;
	struct uidset *changed, *modified;
	struct uidset own_seen; /* his \Seen, which is not in the record, changes for these */
	bool seen_on;           /* to that */
};

/* Does a new keyword change every message there is? */
static bool adds_a_name(const struct work *w)
{
	return !w->all_known && w->change->how != FLAGS_REMOVE;
}

/* The first message that changes: only now a commit is begun, and keywords that are new get their bits. */
static int begin(struct work *w, struct us_err *err)
{
	int rc = commit_begin(w->sel->mailbox, &w->commit, err);

	for (size_t i = 0; rc == 0 && adds_a_name(w) && i < w->change->n_keywords; i++) {
		unsigned bit;
		rc = commit_flag_bit(w->commit, w->change->keyword[i], &bit, err);
	}
	if (rc < 0)
		return rc;
	keyword_bits(w->sel, w->change, &w->bits, &w->all_known);
	w->modseq = commit_modseq(w->commit);
	return 0;
}

static int change_record(struct work *w, const struct record *r, struct us_err *err)
{
	bool is_seen_now = uidset_has(&w->own_seen, r->uid);
	struct record after = *r;
	int rc = 0;

	if (!adds_a_name(w) && !apply(&w->bits, &after) && !is_seen_now)
		return 0;
	if (!w->commit)
		rc = begin(w, err);
	if (rc < 0)
		return rc;
	(void)apply(&w->bits, &after); /* again: begin() may have given it more */
	after.modseq = w->modseq;
	after.last_updated = w->now;
	uidset_add(w->changed, after.uid, after.uid);
	return commit_put(w->commit, &after, err);
}

static bool is_modified(const struct work *w, const struct record *r)
{
	return w->change->conditional && r->modseq > w->change->unchanged_since;
}

/* Add the parts; *w->modified gets what is left alone. */
static int change_records(struct work *w, const struct uidset *uids, struct us_err *err)
{
	struct selected_walk walk = selected_walk(w->sel, uids);
	const struct record *r;
	uint32_t seq;
	int rc = 0;

	while (rc == 0 && (r = selected_next(&walk, &seq))) {
		if (!record_is_live(r))
			continue;
		if (is_modified(w, r))
			uidset_add(w->modified, r->uid, r->uid);
		else
			rc = change_record(w, r, err);
	}
	return rc;
}

/* ---- \Seen of one who is not the owner -------------------------------------------------------------- */

/* The messages for which it changes. */
static void find_own_seen(struct work *w, const struct uidset *uids)
{
	const struct flag_change *change = w->change;
	struct selected_walk walk = selected_walk(w->sel, uids);
	bool named = change->system & FLAG_SEEN;
	const struct record *r;
	uint32_t seq;

	w->seen_on = change->how != FLAGS_REMOVE && named;
	if (!named && (change->how != FLAGS_REPLACE || !(w->sel->rights & ACL_SETSEEN)))
		return;
	while ((r = selected_next(&walk, &seq)))
		if (record_is_live(r) && !is_modified(w, r) &&
		    !(selected_flags(w->sel, r) & FLAG_SEEN) == w->seen_on)
			uidset_add(&w->own_seen, r->uid, r->uid);
}

/* ---- the whole ----------------------------------------------------------------------------------- */

static int change_locked(struct work *w, const struct uidset *uids, struct us_err *err)
{
	int rc;

	if (!w->sel->own_seen)
		find_own_seen(w, uids);
	rc = change_records(w, uids, err);
	if (rc == 0 && !uidset_is_empty(&w->own_seen))
		rc = selected_set_seen(w->sel, &w->own_seen, w->seen_on, err);
	if (rc < 0)
		commit_abort(&w->commit);
	else if (w->commit)
		rc = commit_finish(&w->commit, err);
	return rc;
}

int flag_change_run(struct selected *sel, const struct uidset *uids,
		    const struct flag_change *change, struct uidset *changed,
		    struct uidset *modified, struct us_err *err)
{
	struct work w = {.sel = sel,
			 .change = change,
			 .changed = changed,
			 .modified = modified,
			 .now = store_now()};
	int rc = selected_lock(sel, err);

	if (rc < 0)
		return rc;
	system_bits(sel, change, &w.bits);
	keyword_bits(sel, change, &w.bits, &w.all_known);
	rc = change_locked(&w, uids, err);
	selected_unlock(sel, rc < 0 ? 0 : w.modseq);
	uidset_free(&w.own_seen);
	return rc;
}
