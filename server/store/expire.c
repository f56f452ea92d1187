/* expire.c - see expire.h.
 *
 * A purge needs no new modseq: nobody but the mailbox itself ever sees an expunged message again. deletedmodseq follows
 * (commit_unlink()), so that whoever asks for changes since a time that is no longer known compares everything.
 */
#include "server/store/expire.h"

#include <stdlib.h>

#include "server/base/io.h"
#include "server/base/mem.h"
#include "server/store/commit.h"
#include "server/store/copy.h"
#include "server/store/message.h"
#include "server/store/quota.h"

/* ---- what is due, and the turn ------------------------------------------------------------------------ */

struct due {
	bool (*is_due)(const void *rule, const struct record *r);
	const void *rule;
	uint32_t *uids; /* turn->most at most */
	size_t n;
	bool more;
};

/* Without a lock: whether it still is so is looked at again under it. */
static void find_due(struct mailbox *m, struct expire_turn *turn, struct due *due)
{
	struct view_walk walk = view_walk(&m->view, turn->from);
	const struct record *r;

	due->uids = us_calloc(turn->most, sizeof(due->uids[0]));
	while ((r = view_next(&m->view, &walk))) {
		if (!due->is_due(due->rule, r))
			continue;
		due->more = due->n == turn->most;
		if (due->more)
			return;
		due->uids[due->n++] = r->uid;
		turn->from = r->uid + 1;
	}
}

/* Add to the commit what is done with those still due; adds to *done. */
typedef int change_fn(struct commit *c, struct mailbox *m, const struct due *due, uint64_t *done,
		      struct us_err *err);

static int change_due(struct mailbox *m, const struct due *due, change_fn *fn, uint64_t *done,
		      struct us_err *err)
{
	struct commit *c = NULL;
	uint64_t before = *done;
	int rc = mailbox_lock(m, err);

	if (rc < 0)
		return rc;
	rc = commit_begin(m, &c, err);
	if (rc == 0)
		rc = fn(c, m, due, done, err);
	if (rc > 0)
		rc = commit_finish(&c, err);
	commit_abort(&c);
	mailbox_unlock(m);
	if (rc < 0)
		*done = before;
	return rc;
}

static int take_turn(struct mailbox *m, struct expire_turn *turn, struct due *due, change_fn *fn,
		     struct us_err *err)
{
	int rc = mailbox_refresh(m, err);

	if (rc < 0)
		return rc;
	find_due(m, turn, due);
	rc = due->n ? change_due(m, due, fn, &turn->done, err) : 0;
	free(due->uids);
	return rc < 0 ? rc : due->more;
}

/* The record if it is still due. */
static const struct record *still_due(struct mailbox *m, const struct due *due, size_t i)
{
	const struct record *r = view_find(&m->view, due->uids[i]);

	return r && due->is_due(due->rule, r) ? r : NULL;
}

/* ---- expiring ------------------------------------------------------------------------------------------- */

static int64_t age_counts_from(const struct expire_rule *rule, const struct record *r)
{
	if (rule->by_savedate && r->savedate)
		return r->savedate;
	return r->gmtime ? r->gmtime : record_internaldate(r);
}

static bool is_too_old(const void *arg, const struct record *r)
{
	const struct expire_rule *rule = arg;

	return record_is_live(r) && age_counts_from(rule, r) < rule->before &&
	       !(rule->keep_flagged && r->system_flags & FLAG_FLAGGED);
}

static int expunge_due(struct commit *c, struct mailbox *m, const struct due *due, uint64_t *done,
		       struct us_err *err)
{
	int n = 0;

	for (size_t i = 0; i < due->n; i++) {
		const struct record *r = still_due(m, due, i);
		int rc = r ? commit_expunge(c, r, err) : 0;

		if (rc < 0)
			return rc;
		n += r != NULL;
	}
	*done += (uint64_t)n;
	return n > 0;
}

int expire_messages(struct mailbox *m, const struct expire_rule *rule, struct expire_turn *turn,
		    struct us_err *err)
{
	struct due due = {.is_due = is_too_old, .rule = rule};

	return take_turn(m, turn, &due, expunge_due, err);
}

/* ---- purging ----------------------------------------------------------------------------------------------- */

static bool is_past(const void *arg, const struct record *r)
{
	return !record_is_live(r) && r->last_updated <= *(const int64_t *)arg;
}

struct run {
	uint32_t low, high;
};

/* Is there no record between them? */
static bool is_next(struct mailbox *m, uint32_t before, uint32_t uid)
{
	struct view_walk walk = view_walk(&m->view, before + 1);
	const struct record *r = view_next(&m->view, &walk);

	return r && r->uid == uid;
}

/* Those still due as runs without a gap: one op each. Gives how many runs; *files are the messages that have files. */
static size_t find_runs(struct mailbox *m, const struct due *due, struct run *runs, uint64_t *files)
{
	size_t n = 0;

	for (size_t i = 0; i < due->n; i++) {
		const struct record *r = still_due(m, due, i);

		if (!r)
			continue;
		*files += !(r->internal_flags & RECORD_UNLINKED);
		if (n && is_next(m, runs[n - 1].high, r->uid))
			runs[n - 1].high = due->uids[i];
		else
			runs[n++] = (struct run){due->uids[i], due->uids[i]};
	}
	return n;
}

static int unlink_due(struct commit *c, struct mailbox *m, const struct due *due, uint64_t *done,
		      struct us_err *err)
{
	struct run *runs = us_calloc(due->n, sizeof(*runs));
	size_t n = find_runs(m, due, runs, done);
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = commit_unlink(c, runs[i].low, runs[i].high, err);
	free(runs);
	return rc < 0 ? rc : n > 0;
}

int expire_purge(struct mailbox *m, int64_t at_or_before, struct expire_turn *turn,
		 struct us_err *err)
{
	struct due due = {.is_due = is_past, .rule = &at_or_before};

	return take_turn(m, turn, &due, unlink_due, err);
}

/* ---- back again ---------------------------------------------------------------------------------------------- */

bool restore_is_possible(const struct record *r)
{
	return (r->internal_flags & (RECORD_EXPUNGED | RECORD_UNLINKED | RECORD_GONE)) ==
	       RECORD_EXPUNGED;
}

/* Can it be had back? Its file is looked at too. */
static int find_expunged(struct mailbox *m, uint32_t uid, struct us_err *err)
{
	const struct record *r = view_find(&m->view, uid);
	int fd = -1, rc;

	if (!r || !restore_is_possible(r))
		return us_fail(err, US_ENOENT, "no expunged message of UID %u can be restored",
			       uid);
	rc = message_open(m, r, &fd, err);
	io_close(&fd);
	return rc;
}

static void add_wanted(struct quota_wanted *wanted, const struct record *r)
{
	wanted->bytes += r->size;
	wanted->messages++;
	wanted->annotation_bytes += r->annot_bytes;
}

/* One by one, for they do not fit all together: what is too big leaves room for others. */
static int judge_room(struct mailbox *m, struct restored *list, size_t n)
{
	struct quota_wanted wanted = {0};
	int count = 0;

	for (size_t i = 0; i < n; i++) {
		struct quota_wanted more = wanted;

		if (list[i].rc < 0)
			continue;
		add_wanted(&more, view_find(&m->view, list[i].uid));
		list[i].rc = quota_check(m->store, buf_span(&m->name), &more, &list[i].err);
		if (list[i].rc < 0)
			continue;
		wanted = more;
		count++;
	}
	return count;
}

/* Which can come back; gives how many. */
static int judge(struct mailbox *m, struct restored *list, size_t n)
{
	struct quota_wanted wanted = {0};

	for (size_t i = 0; i < n; i++) {
		list[i].new_uid = 0;
		list[i].rc = find_expunged(m, list[i].uid, &list[i].err);
		if (list[i].rc == 0)
			add_wanted(&wanted, view_find(&m->view, list[i].uid));
	}
	if (quota_check(m->store, buf_span(&m->name), &wanted, NULL) < 0)
		return judge_room(m, list, n);
	return (int)wanted.messages;
}

static int add_keyword(struct commit *c, struct mailbox *m, uint32_t uid, struct span keyword,
		       struct us_err *err)
{
	struct record r = *view_find(&m->view, uid);
	unsigned bit;
	int rc = commit_flag_bit(c, keyword, &bit, err);

	if (rc < 0)
		return rc;
	record_set_user_flag(&r, bit, true);
	return commit_put(c, &r, err);
}

static int restore_one(struct commit *c, struct mailbox *m, uint32_t uid,
		       const struct restore_options *o, uint32_t *new_uid, struct us_err *err)
{
	const struct record *r = view_find(&m->view, uid);
	struct copy_what what = {.system_flags = r->system_flags,
				 .keywords = true,
				 .annotations = true,
				 .of_everybody = true};
	int rc;

	if (o->clear_deleted)
		what.system_flags &= ~(uint32_t)FLAG_DELETED;
	rc = copy_message(c, m, r, &what, new_uid, err);
	if (rc == 0 && o->keyword.len)
		rc = add_keyword(c, m, *new_uid, o->keyword, err);
	return rc < 0 ? rc : commit_unlink(c, uid, uid, err); /* its file has another name now */
}

static int restore_all(struct mailbox *m, struct restored *list, size_t n,
		       const struct restore_options *o, struct us_err *err)
{
	struct commit *c = NULL;
	int rc = commit_begin(m, &c, err);

	for (size_t i = 0; rc == 0 && i < n; i++)
		if (list[i].rc == 0)
			rc = restore_one(c, m, list[i].uid, o, &list[i].new_uid, err);
	if (rc == 0)
		rc = commit_finish(&c, err);
	commit_abort(&c);
	return rc;
}

int restore_messages(struct mailbox *m, struct restored *list, size_t n,
		     const struct restore_options *options, struct us_err *err)
{
	int count, rc = mailbox_lock(m, err);

	if (rc < 0)
		return rc;
	count = judge(m, list, n);
	rc = count ? restore_all(m, list, n, options, err) : 0;
	mailbox_unlock(m);
	return rc < 0 ? rc : count;
}
