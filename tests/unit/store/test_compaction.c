/* test_compaction.c - a new generation of the files: what readers of the old one see, and what must not be forgotten. */
#include "tests/unit/store/rig.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "server/base/failpoint.h"
#include "server/base/io.h"
#include "server/store/meta/meta.h"
#include "server/store/rows.h"

#define MESSAGE "From: a@b\r\nSubject: test\r\n\r\nBody.\r\n"

static struct mailbox *locked(struct rig *rig)
{
	struct mailbox *m = rig_mailbox(rig, "user.bob");
	struct us_err err;

	assert_ok(mailbox_lock(m, &err), &err);
	return m;
}

static void compact_now(struct rig *rig)
{
	struct mailbox *m = locked(rig);
	struct us_err err;

	assert_ok(compact(m, &err), &err);
	rig_check_counters(m);
	mailbox_close(&m);
}

static void readers_keep_what_they_had_until_they_look(void **state)
{
	struct rig *rig = *state;
	struct mailbox *reader, *m;
	struct commit *c;
	struct us_err err;
	int fd = -1;

	rig_create(rig, "user.bob");
	for (int i = 0; i < 6; i++)
		rig_append(rig, "user.bob", MESSAGE, 0);
	reader = rig_mailbox(rig, "user.bob");
	rig_flags(rig, "user.bob", 2, FLAG_SEEN, false);
	rig_flags(rig, "user.bob", 6, 0, true);
	m = locked(rig);
	assert_ok(commit_begin(m, &c, &err), &err);
	assert_ok(commit_unlink(c, 6, 6, &err), &err);
	assert_ok(commit_finish(&c, &err), &err);
	mailbox_close(&m);
	compact_now(rig);
	compact_now(rig);
	/* Two generations later: all six, as they were. */
	assert_int_equal(reader->view.counters.exists, 6);
	rig_check_counters(reader);
	assert_false(view_find(&reader->view, 2)->system_flags & FLAG_SEEN);
	assert_non_null(view_find(&reader->view, 6));
	assert_ok(mailbox_open_message(reader, 1, &fd, &err), &err);
	io_close(&fd);
	assert_int_equal(mailbox_open_message(reader, 6, &fd, &err),
			 US_ENOENT); /* its file is gone */
	assert_int_equal(mailbox_refresh(reader, &err), 1);
	assert_int_equal(reader->view.counters.exists, 5);
	assert_true(view_find(&reader->view, 2)->system_flags & FLAG_SEEN);
	assert_null(view_find(&reader->view, 6));
	assert_true(reader->view.counters.deletedmodseq > 0);
	rig_check_counters(reader);
	assert_int_equal(rig_append(rig, "user.bob", MESSAGE, 0), 7); /* never 6 again */
	mailbox_close(&reader);
}

static int unlink_last(struct rig *rig)
{
	struct mailbox *m = locked(rig);
	struct commit *c;
	struct us_err err;
	int rc = commit_begin(m, &c, &err);

	if (rc == 0)
		rc = commit_unlink(c, 3, 3, &err);
	if (rc == 0)
		rc = commit_finish(&c, &err);
	mailbox_close(&m);
	return rc;
}

/* Between the commit and the removal of files somebody died. */
static void files_of_the_unlinked_do_not_stay(void **state)
{
	static struct failpoint_page page;
	struct rig *rig = *state;
	struct mailbox *m;
	struct stat st;
	int status;
	pid_t child;

	rig_create(rig, "user.bob");
	for (int i = 0; i < 3; i++)
		rig_append(rig, "user.bob", MESSAGE, 0);
	rig_flags(rig, "user.bob", 3, 0, true);
	store_close(&rig->store);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		rig_open(rig);
		failpoint_page_init(&page);
		snprintf(page.name, sizeof(page.name), "store.commit.unlink");
		page.action = FAILPOINT_KILL;
		failpoint_use(&page);
		_exit(unlink_last(rig) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	rig_open(rig);
	m = rig_mailbox(rig, "user.bob");
	assert_null(view_find(&m->view, 3));
	assert_int_equal(fstatat(m->dir, "3.", &st, 0), 0);
	compact_now(rig);
	assert_int_equal(fstatat(m->dir, "3.", &st, 0), -1);
	assert_int_equal(fstatat(m->dir, "2.", &st, 0), 0);
	mailbox_close(&m);
}

/* reconstruct(8) tells operators to bring messages back so: compaction must not come before it. */
static void files_that_were_put_back_stay(void **state)
{
	struct timespec tick = {0,
				30000000}; /* file times are some milliseconds behind the clock */
	struct rig *rig = *state;
	struct mailbox *m;
	struct stat st;
	int fd;

	rig_create(rig, "user.bob");
	for (int i = 0; i < 3; i++)
		rig_append(rig, "user.bob", MESSAGE, 0);
	rig_flags(rig, "user.bob", 3, 0, true);
	assert_int_equal(unlink_last(rig), 0);
	nanosleep(&tick, NULL);
	m = rig_mailbox(rig, "user.bob");
	fd = openat(m->dir, "3.", O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_int_equal(write(fd, "Subject: x\r\n\r\n", 14), 14);
	close(fd);
	compact_now(rig);
	assert_int_equal(fstatat(m->dir, "3.", &st, 0), 0);
	compact_now(rig); /* and now nothing tells when it was unlinked */
	assert_int_equal(fstatat(m->dir, "3.", &st, 0), 0);
	mailbox_close(&m);
}

/* UIDs without a message cost nothing. */
static void a_wide_range_is_not_counted_through(void **state)
{
	struct rig *rig = *state;
	struct mailbox *m;
	struct commit *c;
	struct us_err err;
	time_t began = time(NULL);
	int fd = -1;

	rig_create(rig, "user.bob");
	rig_append(rig, "user.bob", MESSAGE, 0);
	rig_flags(rig, "user.bob", 1, 0, true);
	m = locked(rig);
	assert_ok(commit_begin(m, &c, &err), &err);
	assert_ok(commit_unlink(c, 1, UINT32_MAX, &err), &err);
	assert_ok(commit_finish(&c, &err), &err);
	assert_int_equal(mailbox_open_message(m, 1, &fd, &err), US_ENOENT);
	mailbox_close(&m);
	compact_now(rig);
	assert_true(time(NULL) < began + 60);
}

static void only_one_generation_is_left(void **state)
{
	struct rig *rig = *state;
	struct mailbox *m;
	char command[200];

	rig_create(rig, "user.bob");
	for (int i = 0; i < 5; i++) {
		rig_append(rig, "user.bob", MESSAGE, 0);
		compact_now(rig);
	}
	m = rig_mailbox(rig, "user.bob");
	assert_int_equal(m->view.base.n_records, 5);
	assert_int_equal(m->view.tail_ops, 0);
	mailbox_close(&m);
	snprintf(command, sizeof(command), "cd %s/u/*/* && test $(ls | grep -c 'mbox.jnl') = 1",
		 rig->spool);
	assert_int_equal(system(command), 0);
}

/* ---- the metadata half -------------------------------------------------------------------------------- */

/* A delivery with a mark against duplicates, as lmtpd makes it: the mark may wait to be durable in metad. */
static int deliver(struct rig *rig, struct us_err *err)
{
	struct mailbox *m = NULL;
	struct commit *c = NULL;
	struct meta_batch batch;
	struct record r;
	int rc;

	meta_batch_init(&batch);
	meta_batch_put(&batch, META_DUPLICATES, SPAN_LIT("<1@x>"), SPAN_LIT("%(U 1)"));
	rc = mailbox_open(rig->store, SPAN_LIT("user.bob"), &m, err);
	if (rc == 0)
		rc = mailbox_lock(m, err);
	if (rc == 0)
		rc = commit_begin(m, &c, err);
	if (rc == 0) {
		r = *view_find(&m->view, 1);
		r.system_flags |= FLAG_FLAGGED;
		r.modseq = commit_modseq(c);
		rc = commit_put(c, &r, err);
		commit_meta(c, &batch, /* lazy */ true);
	}
	if (rc == 0)
		rc = commit_finish(&c, err);
	commit_abort(&c);
	mailbox_close(&m);
	meta_batch_fini(&batch);
	return rc;
}

static bool is_marked(struct rig *rig)
{
	struct buf payload = BUF_INIT;
	struct meta_stamp stamp;
	struct us_err err;
	int rc = meta_get(store_meta(rig->store), META_DUPLICATES, SPAN_LIT("<1@x>"), &payload,
			  &stamp, &err);

	assert_ok(rc, &err);
	buf_free(&payload);
	return rc > 0;
}

/* The owner of the metadata dies before the lazy batch is on the disk; the frame is there. */
static void lose_the_mark(struct rig *rig)
{
	int status;
	pid_t child;

	store_close(&rig->store);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct us_err err;
		rig_open(rig);
		if (deliver(rig, &err) == 0 && is_marked(rig))
			kill(getpid(), SIGKILL);
		_exit(1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	rig_open(rig);
}

static void a_lazy_half_that_was_lost_is_done_again(void **state)
{
	struct rig *rig = *state;
	struct mailbox *m;

	rig_create(rig, "user.bob");
	rig_append(rig, "user.bob", MESSAGE, 0);
	lose_the_mark(rig);
	assert_false(is_marked(rig));
	m = locked(rig);
	assert_int_equal(m->view.counters.flagged, 1);
	assert_true(is_marked(rig));
	mailbox_close(&m);
}

/* Whoever compacts holds the lock already, and has seen the row before metad died. */
static void compaction_forgets_nothing_metad_has_not_got(void **state)
{
	struct rig *rig = *state;
	struct mailbox *m;
	struct meta_batch batch;
	struct us_err err;

	rig_create(rig, "user.bob");
	rig_append(rig, "user.bob", MESSAGE, 0);
	assert_ok(deliver(rig, &err), &err);
	m = locked(rig);
	/* As if the lazy batch had died with metad: the mark is gone, and the row's serial is as before. */
	meta_batch_init(&batch);
	meta_batch_del(&batch, META_DUPLICATES, SPAN_LIT("<1@x>"));
	{
		struct buf key = BUF_INIT, payload = BUF_INIT;
		buf_add_str(&key, "user\x1f"
				  "bob");
		mailbox_row_encode(&m->row, &payload);
		meta_batch_del(&batch, META_MAILBOXES, buf_span(&key));
		meta_batch_put(&batch, META_MAILBOXES, buf_span(&key), buf_span(&payload));
		buf_free(&key);
		buf_free(&payload);
	}
	assert_ok(meta_commit(store_meta(rig->store), &batch, META_DURABLE, &err), &err);
	meta_batch_fini(&batch);
	assert_false(is_marked(rig));
	assert_ok(compact(m, &err), &err);
	assert_true(is_marked(rig));
	mailbox_close(&m);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		T(readers_keep_what_they_had_until_they_look),
		T(files_of_the_unlinked_do_not_stay),
		T(files_that_were_put_back_stay),
		T(a_wide_range_is_not_counted_through),
		T(only_one_generation_is_left),
		T(a_lazy_half_that_was_lost_is_done_again),
		T(compaction_forgets_nothing_metad_has_not_got),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
