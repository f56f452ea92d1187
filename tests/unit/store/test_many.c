/* test_many.c - one message into many mailboxes: their locks, their common commit, and the marks of what was delivered. */
#include "tests/unit/store/rig.h"

#include <fcntl.h>
#include <sys/wait.h>

#include "server/base/failpoint.h"
#include "server/store/duplicate.h"
#include "server/store/lock.h"
#include "server/store/mboxname.h"
#include "server/store/meta/meta.h"
#include "server/store/quota.h"

#define TEXT "Message-ID: <m@x>\r\nSubject: many\r\n\r\nhello\r\n"
#define MOST 12

struct delivery {
	struct stage *stage;
	struct staged staged;
	struct mailbox_locking locks[MOST];
	struct commit_end ends[MOST];
	size_t n;
};

static void begin(struct rig *rig, struct delivery *d, size_t n)
{
	struct us_err err;

	memset(d, 0, sizeof(*d));
	d->n = n;
	assert_ok(stage_open(store_default_partition(rig->store), &d->stage, &err), &err);
	assert_ok(staged_begin(d->stage, NULL, &d->staged, &err), &err);
	assert_ok(staged_write(&d->staged, TEXT, strlen(TEXT), &err), &err);
	assert_ok(staged_end(&d->staged, 1769940000LL * 1000000000, &err), &err);
	for (size_t i = 0; i < n; i++) {
		char name[32];
		snprintf(name, sizeof(name), "user.u%zu", i);
		d->locks[i].m = rig_mailbox(rig, name);
	}
}

static void append_all(struct delivery *d)
{
	struct record r = {.internaldate_ns = 1769940000LL * 1000000000};
	struct us_err err;

	for (size_t i = 0; i < d->n; i++) {
		assert_ok(commit_begin(d->locks[i].m, &d->ends[i].commit, &err), &err);
		assert_ok(message_append(d->ends[i].commit, &d->staged, &r, NULL, &err), &err);
	}
}

static void end(struct delivery *d)
{
	for (size_t i = 0; i < d->n; i++)
		mailbox_close(&d->locks[i].m);
	staged_drop(&d->staged, false);
	stage_close(&d->stage);
}

static void create_users(struct rig *rig, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char name[32];
		snprintf(name, sizeof(name), "user.u%zu", i);
		rig_create(rig, name);
	}
	buf_clear(&rig->heard);
}

static uint32_t exists(struct rig *rig, size_t i)
{
	char name[32];
	struct mailbox *m;
	uint32_t n;

	snprintf(name, sizeof(name), "user.u%zu", i);
	m = rig_mailbox(rig, name);
	rig_check_counters(m);
	n = m->view.counters.exists;
	mailbox_close(&m);
	return n;
}

/* Few mailboxes are synced one by one, many with the file system: both ways. */
static void delivered_to_all(void **state)
{
	static const size_t sizes[] = {1, 3, MOST};
	struct rig *rig = *state;
	uint32_t got[MOST] = {0};

	create_users(rig, MOST);
	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
		struct delivery d;
		struct stat st;

		begin(rig, &d, sizes[s]);
		mailbox_lock_many(d.locks, d.n, true);
		for (size_t i = 0; i < d.n; i++)
			assert_ok(d.locks[i].rc, &d.locks[i].err);
		append_all(&d);
		for (size_t i = 0; i < d.n; i++)
			assert_int_equal(exists(rig, i), got[i]); /* nobody sees it yet */
		commit_finish_all(d.ends, d.n);
		for (size_t i = 0; i < d.n; i++) {
			assert_ok(d.ends[i].rc, &d.ends[i].err);
			assert_null(d.ends[i].commit);
			assert_int_equal(exists(rig, i), ++got[i]);
		}
		assert_true(d.staged.synced);
		assert_int_equal(fstat(d.staged.fd, &st), 0);
		assert_int_equal(st.st_nlink, d.n + 1); /* one body */
		end(&d);
	}
	assert_non_null(
		strstr(rig->heard.data, "APPEND user.u0\nMAILBOX user.u0\nAPPEND user.u1\n"));
}

static void observer_refuses_all(void **state)
{
	struct rig *rig = *state;
	struct delivery d;

	create_users(rig, 3);
	begin(rig, &d, 3);
	mailbox_lock_many(d.locks, d.n, true);
	append_all(&d);
	rig->refuse = US_EIO;
	commit_finish_all(d.ends, d.n);
	rig->refuse = 0;
	for (size_t i = 0; i < d.n; i++) {
		assert_int_equal(d.ends[i].rc, US_EIO);
		assert_null(d.ends[i].commit);
		assert_int_equal(exists(rig, i), 0);
	}
	end(&d);
	assert_int_equal(rig_append(rig, "user.u1", TEXT, 0), 1); /* and it goes on */
}

/* Run one delivery with a failpoint armed; its results in rcs. */
static void deliver_failing(struct rig *rig, const char *point, enum failpoint_action action,
			    int countdown, size_t n, int *rcs)
{
	static struct failpoint_page page;
	struct delivery d;

	begin(rig, &d, n);
	mailbox_lock_many(d.locks, d.n, true);
	append_all(&d);
	failpoint_page_init(&page);
	snprintf(page.name, sizeof(page.name), "%s", point);
	page.countdown = countdown;
	page.action = action;
	failpoint_use(&page);
	commit_finish_all(d.ends, d.n);
	failpoint_use(NULL);
	assert_int_equal(page.fired, 1);
	for (size_t i = 0; i < n; i++)
		rcs[i] = d.ends[i].rc;
	end(&d);
}

static void a_full_disk_fails_one(void **state)
{
	struct rig *rig = *state;
	int rcs[3];

	create_users(rig, 3);
	deliver_failing(rig, "store.journal.write_frame", FAILPOINT_ENOSPC, 1, 3, rcs);
	assert_int_equal(rcs[0], 0);
	assert_int_equal(rcs[1], US_ENOSPC);
	assert_int_equal(rcs[2], 0);
	assert_int_equal(exists(rig, 0), 1);
	assert_int_equal(exists(rig, 1), 0);
	assert_int_equal(exists(rig, 2), 1);
	assert_int_equal(rig_append(rig, "user.u1", TEXT, 0), 1);
}

static void a_failed_sync_fails_all(void **state)
{
	static const struct {
		const char *point;
		size_t n;
	} rows[] = {
		{"store.commit.sync_file", 3},
		{"store.commit.sync_names", 3},
		{"store.journal.sync", 3},
		{"store.commit.syncfs", MOST},
		{"store.commit.syncfs_frames", MOST},
	};
	struct rig *rig = *state;
	struct us_err err;

	create_users(rig, MOST);
	for (size_t r = 0; r < ARRAY_SIZE(rows); r++) {
		struct partition *p = store_default_partition(rig->store);
		int rcs[MOST];

		deliver_failing(rig, rows[r].point, FAILPOINT_EIO, 0, rows[r].n, rcs);
		for (size_t i = 0; i < rows[r].n; i++)
			assert_int_equal(rcs[i], US_EIO);
		assert_true(partition_is_poisoned(p));
		assert_int_equal(rig_try_append(rig, "user.u1", TEXT, 0, NULL, &err), US_EIO);
		assert_ok(partition_recover(p, &err), &err);
		for (size_t i = 0; i < rows[r].n; i++)
			assert_int_equal(exists(rig, i), 0);
	}
}

static off_t journal_size(struct rig *rig, const char *name, uint64_t *end)
{
	struct mailbox *m = rig_mailbox(rig, name);
	struct stat st;

	assert_int_equal(fstat(m->view.journal.fd, &st), 0);
	*end = journal_publish_end(&m->view.journal);
	mailbox_close(&m);
	return st.st_size;
}

/* The file grows ahead of its frames, so that most commits write into blocks that are there; and what is there is no frame to
 * anybody, not even after a boot. */
static void the_journal_grows_ahead(void **state)
{
	struct rig *rig = *state;
	uint64_t end, grown = 0;
	off_t before = 0;

	rig_create(rig, "user.bob");
	for (unsigned i = 1; i <= 60; i++) {
		off_t size;
		assert_int_equal(rig_append(rig, "user.bob", TEXT, 0), i);
		size = journal_size(rig, "user.bob", &end);
		assert_true(end <= (uint64_t)size && (uint64_t)size <= 2 * end + 8192);
		grown += size != before;
		before = size;
	}
	assert_true(grown < 10);
	store_close(&rig->store);
	setenv("US_BOOT_ID", "another boot", 1);
	rig_open(rig);
	assert_int_equal(rig_append(rig, "user.bob", TEXT, 0), 61);
	unsetenv("US_BOOT_ID");
}

static void no_room_to_grow(void **state)
{
	struct rig *rig = *state;
	int rcs[3];

	create_users(rig, 3);
	deliver_failing(rig, "store.journal.extend", FAILPOINT_ENOSPC, 1, 3, rcs);
	assert_int_equal(rcs[0], 0);
	assert_int_equal(rcs[1], US_ENOSPC);
	assert_int_equal(rcs[2], 0);
	assert_int_equal(rig_append(rig, "user.u1", TEXT, 0), 1);
}

/* ---- locks ---------------------------------------------------------------------------------------- */

/* In another process: hold the lock of a mailbox until the pipe closes. */
static pid_t hold(struct rig *rig, const char *name, int go[2])
{
	struct mailbox *m = rig_mailbox(rig, name);
	char path[200], byte;
	int held[2];
	pid_t pid;

	assert_int_equal(mailbox_bell(m, path, sizeof(path)), 0); /* the bell is the lock's file */
	mailbox_close(&m);
	assert_int_equal(pipe(go), 0);
	assert_int_equal(pipe(held), 0);
	pid = fork();
	if (pid == 0) {
		int fd = open(path, O_RDWR | O_CREAT, 0600);
		close(go[1]);
		if (lock_take(fd, LOCK_EXCLUSIVE, 0, NULL) == 0)
			(void)!write(held[1], "x", 1);
		(void)!read(go[0], &byte, 1);
		_exit(0);
	}
	close(go[0]);
	close(held[1]);
	assert_int_equal(read(held[0], &byte, 1), 1);
	close(held[0]);
	return pid;
}

static void a_held_lock_fails_one(void **state)
{
	struct rig *rig = *state;
	struct delivery d;
	int go[2], status;
	pid_t pid;

	create_users(rig, 3);
	pid = hold(rig, "user.u1", go);
	begin(rig, &d, 3);
	mailbox_lock_many(d.locks, d.n, false);
	assert_int_equal(d.locks[0].rc, 0);
	assert_int_equal(d.locks[1].rc, US_EBUSY);
	assert_int_equal(d.locks[2].rc, 0);
	assert_false(d.locks[1].m->locked);
	close(go[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	for (size_t i = 0; i < 3; i++)
		mailbox_unlock(d.locks[i].m);
	mailbox_lock_many(d.locks, d.n, false); /* all let go, and all to be had */
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(d.locks[i].rc, 0);
	end(&d);
}

/* Several mailboxes of one owner share his lock: it falls with the last of them. */
static void one_owner_one_lock(void **state)
{
	struct rig *rig = *state;
	struct mailbox_locking locks[3];
	struct us_err err;
	int lock = -1;

	rig_create(rig, "user.bob");
	rig_create(rig, "user.bob.x");
	rig_create(rig, "shared");
	locks[0].m = rig_mailbox(rig, "user.bob.x");
	locks[1].m = rig_mailbox(rig, "shared");
	locks[2].m = rig_mailbox(rig, "user.bob");
	mailbox_lock_many(locks, 3, true);
	for (size_t i = 0; i < 3; i++)
		assert_ok(locks[i].rc, &locks[i].err);
	assert_int_equal((locks[0].m->namespace_lock >= 0) + (locks[2].m->namespace_lock >= 0), 1);
	assert_true(locks[1].m->namespace_lock >= 0);
	assert_int_equal(store_lock_namespace_within(rig->store, SPAN_LIT("user.bob"),
						     STORE_EXCLUSIVE, 0, &lock, &err),
			 US_EBUSY);
	for (size_t i = 0; i < 3; i++)
		mailbox_close(&locks[i].m);
	assert_ok(store_lock_namespace_within(rig->store, SPAN_LIT("user.bob"), STORE_EXCLUSIVE, 0,
					      &lock, &err),
		  &err);
	store_unlock_namespace(&lock);
}

static void renamed_and_gone_meanwhile(void **state)
{
	struct rig *rig = *state;
	struct mailbox_locking locks[3];
	struct us_err err;

	rig_create(rig, "user.bob");
	rig_create(rig, "user.bob.x");
	rig_create(rig, "user.bob.y");
	rig_create(rig, "user.bob.z");
	locks[0].m = rig_mailbox(rig, "user.bob.x");
	locks[1].m = rig_mailbox(rig, "user.bob.y");
	locks[2].m = rig_mailbox(rig, "user.bob.z");
	assert_ok(folder_rename(rig->store, SPAN_LIT("user.bob.x"), SPAN_LIT("shared"), SPAN_NULL,
				0, &err),
		  &err);
	assert_ok(folder_rename(rig->store, SPAN_LIT("user.bob.y"), SPAN_LIT("user.bob.q"),
				SPAN_NULL, 0, &err),
		  &err);
	assert_ok(folder_delete(rig->store, SPAN_LIT("user.bob.z"), FOLDER_DELETE_NOW, &err), &err);
	mailbox_lock_many(locks, 3, true);
	assert_int_equal(locks[0].rc, US_ECHANGED);
	assert_false(locks[0].m->locked);
	assert_int_equal(locks[1].rc, 0); /* of the same owner still */
	assert_string_equal(locks[1].m->name.data, "user.bob.q");
	assert_int_equal(locks[2].rc, US_ENOENT);
	for (size_t i = 0; i < 3; i++)
		mailbox_close(&locks[i].m);
}

/* ---- marks ---------------------------------------------------------------------------------------- */

static uint32_t deliver_marked(struct rig *rig, const char *name, const char *id, const char *date)
{
	struct record r = {.internaldate_ns = 1769940000LL * 1000000000};
	struct mailbox *m = rig_mailbox(rig, name);
	struct meta_batch batch;
	struct stage *stage;
	struct staged staged;
	struct commit *c;
	struct us_err err;
	uint32_t uid;

	assert_ok(stage_open(m->partition, &stage, &err), &err);
	assert_ok(staged_begin(stage, NULL, &staged, &err), &err);
	assert_ok(staged_write(&staged, TEXT, strlen(TEXT), &err), &err);
	assert_ok(staged_end(&staged, 0, &err), &err);
	meta_batch_init(&batch);
	assert_ok(mailbox_lock(m, &err), &err);
	assert_ok(commit_begin(m, &c, &err), &err);
	assert_ok(message_append(c, &staged, &r, &uid, &err), &err);
	duplicate_mark(&batch, m, span_of(id), span_of(date), uid);
	if (!meta_batch_is_empty(&batch))
		commit_meta(c, &batch, true);
	assert_ok(commit_finish(&c, &err), &err);
	meta_batch_fini(&batch);
	mailbox_close(&m);
	staged_drop(&staged, false);
	stage_close(&stage);
	return uid;
}

static int known(struct rig *rig, const char *name, const char *id, const char *date)
{
	struct mailbox *m = rig_mailbox(rig, name);
	struct us_err err;
	int rc;

	assert_ok(mailbox_lock(m, &err), &err);
	rc = duplicate_known(m, span_of(id), span_of(date), &err);
	assert_ok(rc, &err);
	mailbox_close(&m);
	return rc;
}

static void unlink_message(struct rig *rig, const char *name, uint32_t uid)
{
	struct mailbox *m = rig_mailbox(rig, name);
	struct commit *c;
	struct us_err err;

	assert_ok(mailbox_lock(m, &err), &err);
	assert_ok(commit_begin(m, &c, &err), &err);
	assert_ok(commit_unlink(c, uid, uid, &err), &err);
	assert_ok(commit_finish(&c, &err), &err);
	mailbox_close(&m);
}

static void marks_stand_for_records(void **state)
{
	struct rig *rig = *state;
	struct us_err err;
	uint32_t uid;

	rig_create(rig, "user.bob");
	rig_create(rig, "user.eve");
	assert_int_equal(known(rig, "user.bob", "<a@b>", "d"), 0);
	uid = deliver_marked(rig, "user.bob", "<a@b>", "d");
	assert_int_equal(known(rig, "user.bob", "<a@b>", "d"), 1);
	assert_int_equal(known(rig, "user.bob", "<a@b>", "e"), 0);
	assert_int_equal(known(rig, "user.bob", "<a@c>", "d"), 0);
	assert_int_equal(known(rig, "user.eve", "<a@b>", "d"), 0);
	rig_flags(rig, "user.bob", uid, 0, /* expunge */ true);
	assert_int_equal(known(rig, "user.bob", "<a@b>", "d"), 1);
	unlink_message(rig, "user.bob", uid);
	assert_int_equal(known(rig, "user.bob", "<a@b>", "d"), 0); /* nobody has it any more */

	(void)deliver_marked(rig, "user.bob", "<a@b>", "d");
	assert_ok(folder_delete(rig->store, SPAN_LIT("user.bob"), FOLDER_DELETE_NOW, &err), &err);
	rig_create(rig, "user.bob");
	assert_int_equal(known(rig, "user.bob", "<a@b>", "d"), 0);
}

static uint64_t serial_of(struct rig *rig, const char *name)
{
	struct pool *pool = pool_new();
	struct mailbox_row row;
	uint64_t serial = 0;
	struct us_err err;

	assert_int_equal(mailbox_row_get(rig->store, span_of(name), pool, &row, NULL, &serial,
					 &err),
			 1);
	pool_free(&pool);
	return serial;
}

/* What metad has of the mailbox goes back to before the mark: it dies before a lazy batch is on the disk. */
static void forget_mark(struct rig *rig, const char *name, const char *id, const char *date)
{
	struct mailbox *m = rig_mailbox(rig, name);
	struct buf key = BUF_INIT, row = BUF_INIT;
	struct meta_batch batch;
	struct us_err err;

	meta_batch_init(&batch);
	mboxname_to_key(span_of(name), &key);
	mailbox_row_encode(&m->row, &row);
	meta_batch_del(&batch, META_MAILBOXES, buf_span(&key));
	meta_batch_put(&batch, META_MAILBOXES, buf_span(&key), buf_span(&row));
	buf_clear(&key);
	duplicate_key(span_of(id), m->row.uniqueid, span_of(date), &key);
	meta_batch_del(&batch, META_DUPLICATES, buf_span(&key));
	assert_ok(meta_commit(store_meta(rig->store), &batch, META_DURABLE, &err), &err);
	meta_batch_fini(&batch);
	mailbox_close(&m);
	buf_free(&key);
	buf_free(&row);
}

static void marks_that_died_with_metad_come_back(void **state)
{
	struct rig *rig = *state;

	rig_create(rig, "user.bob");
	(void)deliver_marked(rig, "user.bob", "<a@b>", "d");
	assert_true(serial_of(rig, "user.bob") > 0);
	forget_mark(rig, "user.bob", "<a@b>", "d");
	assert_int_equal(serial_of(rig, "user.bob"), 0);
	assert_int_equal(known(rig, "user.bob", "<a@b>", "d"), 1); /* the lock has it repaired */
	assert_true(serial_of(rig, "user.bob") > 0);
}

/* A renamed mailbox has its metadata: nothing of its journal is given to metad again. */
static void a_rename_keeps_the_serial(void **state)
{
	struct rig *rig = *state;
	uint64_t serial;
	struct us_err err;

	rig_create(rig, "user.bob");
	rig_create(rig, "user.bob.x");
	(void)deliver_marked(rig, "user.bob.x", "<a@b>", "d");
	serial = serial_of(rig, "user.bob.x");
	assert_ok(folder_rename(rig->store, SPAN_LIT("user.bob.x"), SPAN_LIT("user.bob.y"),
				SPAN_NULL, 0, &err),
		  &err);
	assert_true(serial_of(rig, "user.bob.y") >= serial);
	assert_ok(folder_rename(rig->store, SPAN_LIT("user.bob.y"), SPAN_LIT("user.bob.y"),
				SPAN_LIT("p2"), 0, &err),
		  &err);
	assert_true(serial_of(rig, "user.bob.y") >= serial);
	(void)deliver_marked(rig, "user.bob.y", "<c@b>", "d");
	assert_true(serial_of(rig, "user.bob.y") > serial);
}

static void some_are_never_marked(void **state)
{
	struct rig *rig = *state;
	char id[DUPLICATE_ID_MAX + 2];

	rig_create(rig, "user.bob");
	memset(id, 'x', sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	(void)deliver_marked(rig, "user.bob", id, "d");
	assert_int_equal(known(rig, "user.bob", id, "d"), 0);
	(void)deliver_marked(rig, "user.bob", "", "d");
	assert_int_equal(known(rig, "user.bob", "", "d"), 0);
	(void)deliver_marked(rig, "user.bob", id + 1, "d");
	assert_int_equal(known(rig, "user.bob", id + 1, "d"), 1);
}

/* A mark as if it had been made so many seconds ago. */
static void mark_of_age(struct rig *rig, const char *id, const char *uniqueid, int64_t age_s)
{
	struct duplicate_row row = {.uid = 7, .time = store_now() - age_s};
	struct buf key = BUF_INIT, payload = BUF_INIT;
	struct meta_batch batch;
	struct us_err err;

	meta_batch_init(&batch);
	duplicate_key(span_of(id), span_of(uniqueid), SPAN_LIT("d"), &key);
	duplicate_row_encode(&row, &payload);
	meta_batch_put(&batch, META_DUPLICATES, buf_span(&key), buf_span(&payload));
	assert_ok(meta_commit(store_meta(rig->store), &batch, META_DURABLE, &err), &err);
	meta_batch_fini(&batch);
	buf_free(&key);
	buf_free(&payload);
}

static int list_mark(void *ctx, const struct duplicate_entry *entry, struct us_err *err UNUSED)
{
	buf_printf(ctx, "%.*s/%.*s/%.*s/%u ", SPAN_ARG(entry->id), SPAN_ARG(entry->uniqueid),
		   SPAN_ARG(entry->date), entry->uid);
	return 0;
}

static void assert_marks(struct rig *rig, const char *expected)
{
	struct buf found = BUF_INIT;
	struct us_err err;

	assert_ok(duplicate_list(rig->store, list_mark, &found, &err), &err);
	assert_span(buf_span(&found), expected);
	buf_free(&found);
}

static int64_t keep_since(void *ctx, struct span uniqueid UNUSED)
{
	return *(const int64_t *)ctx;
}

static uint64_t prune_before(struct rig *rig, int64_t before)
{
	struct duplicate_pruning how = {.keep_since = keep_since, .ctx = &before};
	uint64_t seen, gone;
	struct us_err err;

	assert_ok(duplicate_prune(rig->store, &how, &seen, &gone, &err), &err);
	return gone;
}

static void old_marks_are_pruned(void **state)
{
	struct rig *rig = *state;

	assert_marks(rig, "");
	mark_of_age(rig, "<b>", "2", 90000);
	mark_of_age(rig, "<b>", "1", 80000);
	mark_of_age(rig, "<a>", "1", 10);
	mark_of_age(rig, "<c>", "1", 200000);
	assert_marks(rig, "<a>/1/d/7 <b>/1/d/7 <b>/2/d/7 <c>/1/d/7 ");
	assert_int_equal(prune_before(rig, store_now() - 86400), 2);
	assert_marks(rig, "<a>/1/d/7 <b>/1/d/7 ");
	assert_int_equal(prune_before(rig, store_now() - 86400), 0);
	assert_int_equal(prune_before(rig, INT64_MAX), 2);
	assert_marks(rig, "");
}

static int list_no_more(void *ctx UNUSED, const struct duplicate_entry *entry UNUSED,
			struct us_err *err)
{
	return us_fail(err, US_ECLOSED, "enough");
}

static void a_list_of_marks_ends_when_told(void **state)
{
	struct rig *rig = *state;
	struct us_err err;

	mark_of_age(rig, "<a>", "1", 1);
	assert_int_equal(duplicate_list(rig->store, list_no_more, NULL, &err), US_ECLOSED);
}

/* ---- what else a delivery needs --------------------------------------------------------------------- */

static void copied_to_another_partition(void **state)
{
	struct rig *rig = *state;
	struct stage *other;
	struct staged copy;
	struct delivery d;
	struct stat a, b;
	struct us_err err;

	begin(rig, &d, 0);
	assert_ok(stage_open(store_partition(rig->store, SPAN_LIT("p2")), &other, &err), &err);
	assert_ok(staged_copy(other, &d.staged, &copy, &err), &err);
	assert_true(guid_eq(&copy.guid, &d.staged.guid));
	assert_int_equal(copy.crc, d.staged.crc);
	assert_int_equal(copy.size, d.staged.size);
	assert_int_equal(fstat(copy.fd, &a), 0);
	assert_int_equal(fstat(d.staged.fd, &b), 0);
	assert_true(a.st_ino != b.st_ino);
	assert_int_equal(a.st_mtim.tv_sec, b.st_mtim.tv_sec);
	staged_drop(&copy, true);
	stage_close(&other);
	end(&d);
}

static void over_is_more_than_the_limit(void **state UNUSED)
{
	struct state_quota q = {.limit = {1, 2, STATE_NO_LIMIT, STATE_NO_LIMIT}};
	struct quota_usage u = {.bytes = 1024, .used[STATE_MESSAGE] = 2};

	assert_false(quota_is_over(&q, &u));
	u.bytes = 1025;
	assert_true(quota_is_over(&q, &u));
	u.bytes = 0;
	u.used[STATE_MESSAGE] = 3;
	assert_true(quota_is_over(&q, &u));
	q.limit[STATE_MESSAGE] = STATE_NO_LIMIT;
	assert_false(quota_is_over(&q, &u));
	u.used[STATE_ANNOTATION_STORAGE] = u.used[STATE_NUM_FOLDERS] = 100;
	q.limit[STATE_ANNOTATION_STORAGE] = q.limit[STATE_NUM_FOLDERS] = 1;
	assert_false(quota_is_over(&q, &u));
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		T(delivered_to_all),
		T(observer_refuses_all),
		T(a_full_disk_fails_one),
		T(a_failed_sync_fails_all),
		T(the_journal_grows_ahead),
		T(no_room_to_grow),
		T(a_held_lock_fails_one),
		T(one_owner_one_lock),
		T(renamed_and_gone_meanwhile),
		T(marks_stand_for_records),
		T(marks_that_died_with_metad_come_back),
		T(a_rename_keeps_the_serial),
		T(some_are_never_marked),
		T(old_marks_are_pruned),
		T(a_list_of_marks_ends_when_told),
		T(a_list_of_marks_ends_when_told),
		T(copied_to_another_partition),
		cmocka_unit_test(over_is_more_than_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
