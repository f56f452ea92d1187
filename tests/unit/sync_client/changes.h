/* changes.h - what clients do to a store, in one call each, for the tests of this folder. Names are internal. */
#ifndef US_TESTS_UNIT_SYNC_CLIENT_CHANGES_H
#define US_TESTS_UNIT_SYNC_CLIENT_CHANGES_H

#include "tests/unit/sync_client/ends.h"

static inline struct mailbox *changes_locked(struct rig *rig, const char *name)
{
	struct mailbox *m = rig_mailbox(rig, name);
	struct us_err err;

	assert_ok(mailbox_lock(m, &err), &err);
	return m;
}

static inline void changes_acl(struct rig *rig, const char *name, const char *acl)
{
	struct mailbox *m = changes_locked(rig, name);
	struct us_err err;

	assert_ok(folder_set_acl(m, span_of(acl), &err), &err);
	mailbox_close(&m);
}

static inline void changes_mailbox_annotation(struct rig *rig, const char *name, const char *entry,
					      const char *value)
{
	struct mailbox *m = changes_locked(rig, name);
	struct us_err err;

	assert_ok(annotation_set(m, span_of(entry), SPAN_LIT(""), span_of(value), &err), &err);
	mailbox_close(&m);
}

/* Give a message a keyword and an annotation, in one commit. */
static inline void changes_decorate(struct rig *rig, const char *name, uint32_t uid,
				    const char *keyword, const char *note)
{
	struct mailbox *m = changes_locked(rig, name);
	struct commit *c;
	struct record r;
	struct us_err err;
	unsigned bit;

	assert_ok(commit_begin(m, &c, &err), &err);
	r = *view_find(&m->view, uid);
	r.modseq = commit_modseq(c);
	r.last_updated = store_now();
	assert_ok(commit_flag_bit(c, span_of(keyword), &bit, &err), &err);
	record_set_user_flag(&r, bit, true);
	assert_ok(commit_put(c, &r, &err), &err);
	assert_ok(commit_annotate(c, uid, SPAN_LIT("/comment"), SPAN_LIT(""), span_of(note),
				  r.modseq, &err),
		  &err);
	assert_ok(commit_finish(&c, &err), &err);
	mailbox_close(&m);
}

/* Expunged records leave for good, as cyr_expire does. */
static inline void changes_purge(struct rig *rig, const char *name, uint32_t low, uint32_t high)
{
	struct mailbox *m = changes_locked(rig, name);
	struct commit *c;
	struct us_err err;

	assert_ok(commit_begin(m, &c, &err), &err);
	assert_ok(commit_unlink(c, low, high, &err), &err);
	assert_ok(commit_finish(&c, &err), &err);
	mailbox_close(&m);
}

static inline void changes_rename(struct rig *rig, const char *from, const char *to)
{
	struct us_err err;

	assert_ok(folder_rename(rig->store, span_of(from), span_of(to), SPAN_NULL, 0, &err), &err);
}

static inline void changes_partition(struct rig *rig, const char *name, const char *partition)
{
	struct us_err err;

	assert_ok(folder_rename(rig->store, span_of(name), span_of(name), span_of(partition), 0,
				&err),
		  &err);
}

static inline void changes_delete(struct rig *rig, const char *name)
{
	struct us_err err;

	assert_ok(folder_delete(rig->store, span_of(name), FOLDER_DELETE_NOW, &err), &err);
}

static inline void changes_delete_delayed(struct rig *rig, const char *name, struct buf *deleted)
{
	struct us_err err;

	assert_ok(folder_delete_delayed(rig->store, span_of(name), deleted, &err), &err);
}

static inline void changes_quota(struct rig *rig, const char *root, int64_t storage,
				 int64_t messages)
{
	struct state_quota q = {span_of(root),
				{storage, messages, STATE_NO_LIMIT, STATE_NO_LIMIT},
				0};
	struct us_err err;

	assert_ok(quota_set(rig->store, &q, &err), &err);
}

static inline void changes_subscribe(struct rig *rig, const char *userid, const char *name, bool on)
{
	struct us_err err;

	assert_ok(subscription_set(rig->store, span_of(userid), span_of(name), on, &err), &err);
}

static inline void changes_seen(struct rig *rig, const char *userid, const char *uniqueid,
				uint32_t lastuid, const char *uids)
{
	struct state_seen seen = {span_of(uniqueid), 1000, lastuid, 1001, span_of(uids)};
	struct us_err err;

	assert_ok(seen_set(rig->store, span_of(userid), &seen, &err), &err);
}

#endif
