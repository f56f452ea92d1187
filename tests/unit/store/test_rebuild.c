/* test_rebuild.c - the metadata is gone: what mbox.hdr files bring back, and who wins where two claim the same. */
#include "tests/unit/store/rig.h"

#include <fcntl.h>
#include <time.h>

#include "server/base/io.h"
#include "server/store/annotations.h"
#include "server/store/hdr.h"
#include "server/store/quota.h"
#include "server/store/reconstruct.h"

#define MESSAGE "From: a@b\r\nSubject: test\r\n\r\nBody.\r\n"

static void run(const char *fmt, const char *a, const char *b)
{
	char command[300];

	snprintf(command, sizeof(command), fmt, a, b);
	assert_int_equal(system(command), 0);
}

static void lose_metadata(struct rig *rig)
{
	store_close(&rig->store);
	run("rm -rf %s/meta%s", rig->config, "");
	rig_open(rig);
}

static unsigned rebuild(struct rig *rig)
{
	struct us_err err;
	struct rebuild_options options = {0};
	unsigned n = 0;

	assert_ok(rebuild_rows(rig->store, &options, &n, &err), &err);
	return n;
}

struct snapshot {
	struct buf text;
	uint64_t version;
};

/* Everything of a row that must come back, as text. */
static void describe(struct rig *rig, const char *name, struct snapshot *out)
{
	struct pool *pool = pool_new();
	const struct state_annotation *all;
	struct mailbox_row row;
	struct state_quota quota;
	struct us_err err;
	size_t n;
	int rc = mailbox_row_get(rig->store, span_of(name), pool, &row, &out->version, NULL, &err);

	assert_int_equal(rc, 1);
	buf_init(&out->text, 0);
	row.mtime = 0;
	mailbox_row_encode(&row, &out->text);
	assert_ok(annotations_list(rig->store, &row.storeid, pool, &all, &n, &err), &err);
	for (size_t i = 0; i < n; i++)
		buf_printf(&out->text, " %.*s=%.*s", SPAN_ARG(all[i].entry),
			   SPAN_ARG(all[i].value));
	rc = quota_get(rig->store, span_of(name), &quota, &err);
	assert_ok(rc, &err);
	if (rc)
		buf_printf(&out->text, " quota=%lld", (long long)quota.limit[STATE_STORAGE]);
	pool_free(&pool);
}

static bool has_row(struct rig *rig, const char *name)
{
	struct pool *pool = pool_new();
	struct mailbox_row row;
	struct us_err err;
	int rc = mailbox_row_get(rig->store, span_of(name), pool, &row, NULL, NULL, &err);

	assert_ok(rc, &err);
	pool_free(&pool);
	return rc > 0;
}

static struct mailbox *locked(struct rig *rig, const char *name)
{
	struct mailbox *m = rig_mailbox(rig, name);
	struct us_err err;

	assert_ok(mailbox_lock(m, &err), &err);
	return m;
}

/* ---- tests -------------------------------------------------------------------------------------------- */

static void everything_that_can_comes_back(void **state)
{
	static const char *const names[] = {"user.bob", "user.bob.b^c", "news"};
	struct folder_create options = {.uniqueid = SPAN_LIT("an opaque \"id\""),
					.partition = SPAN_LIT("p2"),
					.acl = SPAN_LIT("joe\tlr\t")};
	struct state_quota quota = {.root = SPAN_LIT("user.bob"), .limit = {1000, -1, -1, 7}};
	struct rig *rig = *state;
	struct snapshot before[3], after;
	struct mailbox *m;
	struct us_err err;

	rig_create(rig, "user.bob");
	rig_create(rig, "user.bob.a");
	assert_ok(folder_create(rig->store, SPAN_LIT("news"), &options, &err), &err);
	rig_append(rig, "user.bob", MESSAGE, 0);
	assert_ok(folder_rename(rig->store, SPAN_LIT("user.bob.a"), SPAN_LIT("user.bob.b^c"),
				SPAN_NULL, 0, &err),
		  &err);
	assert_ok(quota_set(rig->store, &quota, &err), &err);
	m = locked(rig, "user.bob");
	assert_ok(folder_set_acl(m, SPAN_LIT("bob\tlrs\tanyone\tl\t"), &err), &err);
	assert_ok(annotation_set(m, SPAN_LIT("/comment"), SPAN_LIT(""), SPAN_LIT("some text"),
				 &err),
		  &err);
	assert_ok(folder_take_values(m, 4711, 0, 0, &err), &err);
	mailbox_close(&m);
	for (int i = 0; i < 3; i++)
		describe(rig, names[i], &before[i]);
	lose_metadata(rig);
	assert_false(has_row(rig, "user.bob"));
	assert_int_equal(rebuild(rig), 3);
	for (int i = 0; i < 3; i++) {
		describe(rig, names[i], &after);
		assert_string_equal(after.text.data, before[i].text.data);
		assert_true(after.version > before[2].version && after.version > before[0].version);
		buf_free(&after.text);
		buf_free(&before[i].text);
	}
	m = locked(rig, "user.bob");
	rig_check_counters(m);
	assert_int_equal(m->view.counters.exists, 1);
	mailbox_close(&m);
	assert_int_equal(rebuild(rig), 0);
	assert_int_equal(rig_append(rig, "user.bob", MESSAGE, 0), 2);
}

/* A removed mailbox must not come back, a name that is free again must stay above its old uidvalidity. */
static void what_was_removed_stays_removed(void **state)
{
	struct rig *rig = *state;
	struct us_err err;

	rig_create(rig, "user.bob");
	rig_create(rig, "user.bob.gone");
	assert_ok(folder_delete(rig->store, SPAN_LIT("user.bob.gone"), FOLDER_DELETE_TRASH, &err),
		  &err);
	lose_metadata(rig);
	assert_int_equal(rebuild(rig), 1);
	assert_false(has_row(rig, "user.bob.gone"));
}

static void note_line(void *ctx, const char *line)
{
	buf_printf(ctx, "%s\n", line);
}

/* Deleted, and the directory is in its place: who deleted it died before he moved it, or somebody brought it back. */
static void what_was_deleted_comes_back_only_by_name(void **state)
{
	struct rig *rig = *state;
	struct buf told = BUF_INIT, path = BUF_INIT, below = BUF_INIT;
	struct rebuild_options options = {.tell = note_line, .ctx = &told};
	struct mailbox *m;
	struct us_err err;
	unsigned n;

	rig_create(rig, "user.bob");
	rig_create(rig, "user.bob.gone");
	rig_append(rig, "user.bob.gone", MESSAGE, 0);
	m = rig_mailbox(rig, "user.bob.gone");
	partition_mailbox_path(&m->row.storeid, &below);
	mailbox_close(&m);
	run("cp -a %s/u %s/backup", rig->spool, rig->root);
	assert_ok(folder_delete(rig->store, SPAN_LIT("user.bob.gone"), FOLDER_DELETE_NOW, &err),
		  &err);
	run("cp -a %2$s/backup/. %1$s/u", rig->spool, rig->root);
	assert_ok(rebuild_rows(rig->store, &options, &n, &err), &err);
	assert_int_equal(n, 0);
	assert_non_null(strstr(told.data, "user.bob.gone: was deleted"));
	assert_false(has_row(rig, "user.bob.gone"));
	buf_printf(&path, "%s/%s", rig->spool, below.data);
	assert_ok(rebuild_row(rig->store, path.data, &options, &err), &err);
	m = rig_mailbox(rig, "user.bob.gone");
	assert_int_equal(m->view.counters.exists, 1);
	mailbox_close(&m);
	buf_free(&told);
	buf_free(&path);
	buf_free(&below);
}

static void what_cannot_be_listed_is_told(void **state)
{
	struct rig *rig = *state;
	struct buf told = BUF_INIT;
	struct rebuild_options options = {.tell = note_line, .ctx = &told};
	struct us_err err;
	unsigned n;

	rig_create(rig, "user.bob");
	lose_metadata(rig);
	rig_break("store.rebuild.list", FAILPOINT_EIO);
	assert_int_equal(rebuild_rows(rig->store, &options, &n, &err), US_EIO);
	rig_mend();
	assert_non_null(strstr(told.data, "read directory u/"));
	assert_true(has_row(rig, "user.bob")); /* the rest is done nevertheless */
	buf_free(&told);
}

static void marks_of_owners_come_back(void **state)
{
	struct rig *rig = *state;
	struct mailbox *m;
	uint32_t future = (uint32_t)time(NULL) + 1000;
	struct folder_create options = {.uidvalidity = future};
	struct us_err err;

	assert_ok(folder_create(rig->store, SPAN_LIT("user.bob"), &options, &err), &err);
	lose_metadata(rig);
	assert_int_equal(rebuild(rig), 1);
	rig_create(rig, "user.bob.new");
	m = rig_mailbox(rig, "user.bob.new");
	assert_true(m->row.uidvalidity > future);
	mailbox_close(&m);
}

/* The directory of a mailbox is copied back from somewhere, as it was before a rename. */
static void the_newest_claim_wins(void **state)
{
	struct rig *rig = *state;
	struct snapshot before, after;
	struct us_err err;
	unsigned lost = 0;

	rig_create(rig, "user.bob.a");
	rig_append(rig, "user.bob.a", MESSAGE, 0);
	run("cp -a %s/u %s/backup", rig->spool, rig->root);
	assert_ok(folder_rename(rig->store, SPAN_LIT("user.bob.a"), SPAN_LIT("user.bob.b"),
				SPAN_LIT("p2"), 0, &err),
		  &err);
	describe(rig, "user.bob.b", &before);
	run("cp -a %2$s/backup/. %1$s/u", rig->spool, rig->root);
	lose_metadata(rig);
	assert_int_equal(rebuild(rig), 1); /* the uniqueid is one mailbox's */
	assert_false(has_row(rig, "user.bob.a"));
	describe(rig, "user.bob.b", &after);
	assert_string_equal(after.text.data, before.text.data);
	assert_ok(folder_collect_lost(rig->store, store_partition_at(rig->store, 0),
				      store_now() + 10, &lost, &err),
		  &err);
	assert_int_equal(lost, 1);
	buf_free(&before.text);
	buf_free(&after.text);
}

/* Rebuilt twice, with a change in between: the change is newer than what the first rebuild found. */
static void versions_go_on(void **state)
{
	struct rig *rig = *state;
	struct mailbox *m;
	struct snapshot before, after;
	struct us_err err;

	rig_create(rig, "user.bob.a");
	for (int i = 0; i < 20; i++) { /* versions rise */
		m = locked(rig, "user.bob.a");
		assert_ok(folder_set_acl(m, SPAN_LIT("bob\tlr\t"), &err), &err);
		mailbox_close(&m);
	}
	run("cp -a %s/u %s/backup", rig->spool, rig->root);
	lose_metadata(rig);
	assert_int_equal(rebuild(rig), 1);
	assert_ok(folder_rename(rig->store, SPAN_LIT("user.bob.a"), SPAN_LIT("user.bob.a"),
				SPAN_LIT("p2"), 0, &err),
		  &err);
	describe(rig, "user.bob.a", &before);
	run("cp -a %2$s/backup/. %1$s/u", rig->spool, rig->root);
	lose_metadata(rig);
	assert_int_equal(rebuild(rig), 1);
	describe(rig, "user.bob.a", &after);
	assert_string_equal(after.text.data, before.text.data); /* that on p2 */
	buf_free(&before.text);
	buf_free(&after.text);
}

/* mbox.hdr is written behind the row: one that was not, or not again, is made up for before mail comes to rest on it. */
static void a_copy_that_was_not_written_is_made_up_for(void **state)
{
	struct rig *rig = *state;
	struct pool *pool = pool_new();
	struct mailbox *m;
	struct hdr h;
	struct us_err err;
	int dir;

	rig_create(rig, "user.bob");
	rig_create(rig, "user.bob.a");
	m = rig_mailbox(rig, "user.bob.a");
	dir = dup(m->dir);
	mailbox_close(&m);
	assert_int_equal(unlinkat(dir, "mbox.hdr", 0), 0); /* dead between the two */
	rig_break("store.hdr.write", FAILPOINT_ENOSPC);
	rig_append(rig, "user.bob.a", "Subject: one\r\n\r\n", 0);
	rig_mend();
	assert_int_equal(faccessat(dir, "mbox.hdr", F_OK, 0), -1); /* so the next one tries again */
	rig_append(rig, "user.bob.a", "Subject: one\r\n\r\n", 0);
	assert_ok(hdr_read(dir, pool, &h, &err), &err);
	assert_span(h.name, "user.bob.a");
	assert_int_equal(linkat(dir, "mbox.hdr", dir, "old", 0), 0);
	assert_ok(folder_rename(rig->store, SPAN_LIT("user.bob.a"), SPAN_LIT("user.bob.b"),
				SPAN_NULL, 0, &err),
		  &err);
	assert_int_equal(renameat(dir, "old", dir, "mbox.hdr"), 0); /* no power */
	setenv("US_BOOT_ID", "another3", 1);
	store_close(&rig->store);
	rig_open(rig);
	rig_append(rig, "user.bob.b", "Subject: two\r\n\r\n", 0);
	assert_ok(hdr_read(dir, pool, &h, &err), &err);
	assert_span(h.name, "user.bob.b");
	io_close(&dir);
	unsetenv("US_BOOT_ID");
	pool_free(&pool);
}

/* A META op that was in the journal but not in the row, nor in mbox.hdr, when all was lost. */
static void what_the_journal_knows_is_done_again(void **state)
{
	struct rig *rig = *state;
	struct mailbox *m;
	struct snapshot s;
	struct us_err err;

	rig_create(rig, "user.bob");
	run("cp -a %s/u %s/backup", rig->spool, rig->root);
	m = locked(rig, "user.bob");
	assert_ok(folder_take_values(m, 4711, 0, 0, &err), &err);
	mailbox_close(&m);
	/* mbox.hdr is one change behind. */
	run("cd %2$s/backup && for f in */*/mbox.hdr; do cp $f %1$s/u/$f; done", rig->spool,
	    rig->root);
	lose_metadata(rig);
	assert_int_equal(rebuild(rig), 1);
	m = locked(rig, "user.bob");
	assert_int_equal(m->view.counters.uidvalidity, 4711);
	assert_int_equal(m->row.uidvalidity, 4711);
	mailbox_close(&m);
	describe(rig, "user.bob", &s);
	buf_free(&s.text);
}

static void a_damaged_header_costs_its_mailbox_only(void **state)
{
	struct rig *rig = *state;
	struct us_err err;
	unsigned lost = 0;

	rig_create(rig, "user.bob.a");
	run("for f in %s/u/*/*/mbox.hdr; do sed -i 's/user/uzer/' $f; done%s", rig->spool, "");
	rig_create(rig, "user.bob.b");
	lose_metadata(rig);
	assert_int_equal(rebuild(rig), 1);
	assert_true(has_row(rig, "user.bob.b"));
	assert_ok(folder_collect_lost(rig->store, store_partition_at(rig->store, 0),
				      store_now() + 10, &lost, &err),
		  &err);
	assert_int_equal(lost, 1);
}

/* ---- headers ------------------------------------------------------------------------------------------- */

static void headers_come_back_as_they_were(void **state UNUSED)
{
	struct state_annotation annotations[] = {
		{SPAN_LIT("/a"), SPAN_LIT(""), SPAN_LIT("v\r\n\"x\""), 3}};
	struct hdr h = {.name = SPAN_LIT("user.b\"b"),
			.row = {.type = SPAN_LIT("e"),
				.uniqueid = SPAN_LIT("u (1)"),
				.has_storeid = true,
				.storeid = storeid_new(),
				.partition = SPAN_LIT("theirs"),
				.local_partition = SPAN_LIT("default"),
				.acl = SPAN_LIT("a\tlr\t"),
				.uidvalidity = 5,
				.createdmodseq = 6,
				.foldermodseq = 7,
				.former = {SPAN_LIT("user.old")},
				.n_former = 1},
			.row_version = 99,
			.row_serial = 12,
			.annotations = annotations,
			.n_annotations = 1};
	struct pool *pool = pool_new();
	struct buf text = BUF_INIT;
	struct hdr again;
	struct us_err err;

	hdr_encode(&h, &text);
	assert_ok(hdr_decode(buf_span(&text), pool, &again, &err), &err);
	assert_span(again.name, "user.b\"b");
	assert_span(again.row.uniqueid, "u (1)");
	assert_true(storeid_cmp(&again.row.storeid, &h.row.storeid) == 0);
	assert_int_equal(again.row_version, 99);
	assert_int_equal(again.row_serial, 12);
	assert_int_equal(again.row.n_former, 1);
	assert_int_equal(again.n_annotations, 1);
	assert_span(again.annotations[0].value, "v\r\n\"x\"");
	for (size_t i = 0; i < text.len; i++) {
		text.data[i] ^= 1;
		assert_int_equal(hdr_decode(buf_span(&text), pool, &again, &err), US_ECORRUPT);
		text.data[i] ^= 1;
		assert_int_equal(hdr_decode(span_make(text.data, i), pool, &again, &err),
				 US_ECORRUPT);
	}
	buf_free(&text);
	pool_free(&pool);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		T(everything_that_can_comes_back),
		T(what_was_removed_stays_removed),
		T(what_was_deleted_comes_back_only_by_name),
		T(what_cannot_be_listed_is_told),
		T(marks_of_owners_come_back),
		T(the_newest_claim_wins),
		T(versions_go_on),
		T(a_copy_that_was_not_written_is_made_up_for),
		T(what_the_journal_knows_is_done_again),
		T(a_damaged_header_costs_its_mailbox_only),
		cmocka_unit_test(headers_come_back_as_they_were),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
