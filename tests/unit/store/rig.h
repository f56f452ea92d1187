/* rig.h - a store of its own for each test, with the metadata in this process and an observer that remembers. */
#ifndef US_TESTS_UNIT_STORE_RIG_H
#define US_TESTS_UNIT_STORE_RIG_H

#include "tests/unit/test.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/buf.h"
#include "server/base/failpoint.h"
#include "server/store/commit.h"
#include "server/store/compact.h"
#include "server/store/folder.h"
#include "server/store/mailbox.h"
#include "server/store/message.h"
#include "server/store/partition.h"
#include "server/store/stage.h"
#include "server/store/store.h"

struct rig {
	char root[64];
	char config[80], spool[80], spool2[80];
	struct store *store;
	struct buf heard;      /* "MAILBOX user.bob\n" and so on */
	int refuse;            /* what the observer answers; 0: well */
	unsigned lock_wait_ms; /* 0: 2,000 */
	bool without_p2;       /* from the next open on */
	struct store_observer observer;
};

static const char *const rig_kinds[] = {"MAILBOX",   "APPEND",     "DOUBLEMAILBOX", "RENAME",
					"UNMAILBOX", "USER",       "UNUSER",        "META",
					"QUOTA",     "ANNOTATION", "SEEN",          "SUB"};

static inline int rig_changing(void *ctx, const struct store_change *changes, size_t n,
			       struct us_err *err)
{
	struct rig *rig = ctx;

	if (rig->refuse)
		return us_fail(err, rig->refuse, "the test says no");
	for (size_t i = 0; i < n; i++) {
		buf_printf(&rig->heard, "%s %.*s", rig_kinds[changes[i].kind],
			   SPAN_ARG(changes[i].a));
		if (changes[i].b.len)
			buf_printf(&rig->heard, " %.*s", SPAN_ARG(changes[i].b));
		buf_add_char(&rig->heard, '\n');
	}
	return 0;
}

static inline int rig_try_open(struct rig *rig, struct us_err *err)
{
	struct {
		const char *name, *path;
	} partitions[2] = {{"default", rig->spool}, {"p2", rig->spool2}};
	struct store_config config = {.configdirectory = rig->config,
				      .partitions = (void *)partitions,
				      .n_partitions = rig->without_p2 ? 1 : 2,
				      .defaultpartition = "default",
				      .delete_delayed = true,
				      .lock_wait_ms = rig->lock_wait_ms ? rig->lock_wait_ms : 2000,
				      .may_own_meta = true};

	rig->observer = (struct store_observer){rig_changing, rig};
	return store_open_write(&config, &rig->observer, &rig->store, err);
}

static inline void rig_open(struct rig *rig)
{
	struct us_err err;

	assert_ok(rig_try_open(rig, &err), &err);
}

static inline void rig_new(struct rig *rig)
{
	memset(rig, 0, sizeof(*rig));
	/* Where a sync costs nothing, if there is such a place: nothing here cuts the power. */
	snprintf(rig->root, sizeof(rig->root), "%s/us-store-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(rig->root));
	snprintf(rig->config, sizeof(rig->config), "%s/conf", rig->root);
	snprintf(rig->spool, sizeof(rig->spool), "%s/spool", rig->root);
	snprintf(rig->spool2, sizeof(rig->spool2), "%s/spool2", rig->root);
	assert_int_equal(mkdir(rig->config, 0700), 0);
	assert_int_equal(mkdir(rig->spool, 0700), 0);
	assert_int_equal(mkdir(rig->spool2, 0700), 0);
	buf_init(&rig->heard, 0);
	rig_open(rig);
}

static inline void rig_free(struct rig *rig)
{
	char command[100];

	store_close(&rig->store);
	buf_free(&rig->heard);
	snprintf(command, sizeof(command), "rm -rf %s", rig->root);
	assert_int_equal(system(command), 0);
}

static inline int rig_setup(void **state)
{
	struct rig *rig = us_malloc(sizeof(*rig));

	rig_new(rig);
	*state = rig;
	return 0;
}

static inline int rig_teardown(void **state)
{
	rig_free(*state);
	free(*state);
	return 0;
}

/* The next pass of that failpoint fails; rig_mend() tells whether one did, and ends it. */
static inline struct failpoint_page *rig_page(void)
{
	static struct failpoint_page page;

	return &page;
}

static inline void rig_break(const char *point, enum failpoint_action action)
{
	failpoint_page_init(rig_page());
	snprintf(rig_page()->name, sizeof(rig_page()->name), "%s", point);
	rig_page()->action = action;
	failpoint_use(rig_page());
}

static inline void rig_mend(void)
{
	failpoint_use(NULL);
	assert_int_equal(rig_page()->fired, 1);
}

static inline void rig_create(struct rig *rig, const char *name)
{
	struct folder_create options = {.acl = SPAN_LIT("bob\tlrswipkxtecdan\t")};
	struct us_err err;

	assert_ok(folder_create(rig->store, span_of(name), &options, &err), &err);
}

static inline struct mailbox *rig_mailbox(struct rig *rig, const char *name)
{
	struct mailbox *m;
	struct us_err err;

	assert_ok(mailbox_open(rig->store, span_of(name), &m, &err), &err);
	return m;
}

/* Deliver one message of that text as lmtpd would; gives its uid. Errors come back. */
static inline int rig_try_append(struct rig *rig, const char *name, const char *text,
				 uint32_t flags, uint32_t *uid, struct us_err *err)
{
	struct partition *p = store_default_partition(rig->store);
	struct record r = {.internaldate_ns = 1769940000LL * 1000000000, .system_flags = flags};
	struct stage *stage = NULL;
	struct staged staged = {.fd = -1};
	struct mailbox *m = NULL;
	struct commit *c = NULL;
	int rc = stage_open(p, &stage, err);

	if (rc == 0)
		rc = staged_begin(stage, NULL, &staged, err);
	if (rc == 0)
		rc = staged_write(&staged, text, strlen(text), err);
	if (rc == 0)
		rc = staged_end(&staged, r.internaldate_ns, err);
	if (rc == 0)
		rc = mailbox_open(rig->store, span_of(name), &m, err);
	if (rc == 0)
		rc = mailbox_lock(m, err);
	if (rc == 0)
		rc = commit_begin(m, &c, err);
	if (rc == 0)
		rc = message_append(c, &staged, &r, uid, err);
	if (rc == 0)
		rc = commit_finish(&c, err);
	commit_abort(&c);
	mailbox_close(&m);
	staged_drop(&staged, false);
	stage_close(&stage);
	return rc;
}

static inline uint32_t rig_append(struct rig *rig, const char *name, const char *text,
				  uint32_t flags)
{
	uint32_t uid = 0;
	struct us_err err;

	assert_ok(rig_try_append(rig, name, text, flags, &uid, &err), &err);
	return uid;
}

/* Give a message these system flags; EXPUNGED too if asked. */
static inline int rig_try_flags(struct rig *rig, const char *name, uint32_t uid, uint32_t flags,
				bool expunge, struct us_err *err)
{
	struct mailbox *m = NULL;
	struct commit *c = NULL;
	int rc = mailbox_open(rig->store, span_of(name), &m, err);

	if (rc == 0)
		rc = mailbox_lock(m, err);
	if (rc == 0)
		rc = commit_begin(m, &c, err);
	if (rc == 0) {
		const struct record *old = view_find(&m->view, uid);
		struct record r = {0};
		if (old)
			r = *old;
		r.uid = uid;
		r.system_flags = flags;
		r.modseq = commit_modseq(c);
		r.last_updated = store_now();
		if (expunge)
			r.internal_flags |= RECORD_EXPUNGED;
		rc = commit_put(c, &r, err);
	}
	if (rc == 0)
		rc = commit_finish(&c, err);
	commit_abort(&c);
	mailbox_close(&m);
	return rc;
}

static inline void rig_flags(struct rig *rig, const char *name, uint32_t uid, uint32_t flags,
			     bool expunge)
{
	struct us_err err;

	assert_ok(rig_try_flags(rig, name, uid, flags, expunge, &err), &err);
}

/* Count everything that is a sum again from the records, and compare with the counters. */
static inline void rig_check_counters(struct mailbox *m)
{
	struct view_walk walk = view_walk(&m->view, 1);
	struct counters again = {.sync_crc_annot = SYNC_CRC_ANNOT_EMPTY};
	const struct counters *c = &m->view.counters;
	const struct record *r;
	uint32_t seq = 0;

	while ((r = view_next(&m->view, &walk))) {
		assert_true(r->uid <= c->last_uid);
		assert_true(r->modseq <= mailbox_highestmodseq(m));
		counters_replace(&again, NULL, r, &m->view.names);
		seq += record_is_live(r);
		if (record_is_live(r) && !(r->system_flags & FLAG_SEEN) &&
		    !again.first_unseen_uid) {
			again.first_unseen_uid = r->uid;
			again.first_unseen_seq = seq;
		}
	}
	assert_false(m->view.corrupt);
	assert_int_equal(c->exists, again.exists);
	assert_int_equal(c->unseen, again.unseen);
	assert_int_equal(c->answered, again.answered);
	assert_int_equal(c->flagged, again.flagged);
	assert_int_equal(c->deleted, again.deleted);
	assert_int_equal(c->bytes_live, again.bytes_live);
	assert_int_equal(c->bytes_deleted, again.bytes_deleted);
	assert_int_equal(c->bytes_expunged, again.bytes_expunged);
	assert_int_equal(c->annot_bytes, again.annot_bytes);
	assert_int_equal(c->records, again.records);
	assert_int_equal(c->sync_crc, again.sync_crc);
	assert_int_equal(c->sync_crc_annot, again.sync_crc_annot);
	assert_int_equal(c->first_unseen_uid, again.first_unseen_uid);
	assert_int_equal(c->first_unseen_seq, again.first_unseen_seq);
}

#endif
