/* test_folder.c - names: made, moved and removed; what is remembered of them; what deaths and refusals leave. */
#include "tests/unit/store/deaths.h"

#include <dirent.h>
#include <fcntl.h>

#include "server/base/io.h"
#include "server/store/annotations.h"
#include "server/store/mboxname.h"
#include "server/store/quota.h"
#include "server/store/userdata.h"

#define MESSAGE "From: a@b\r\nSubject: test\r\n\r\nBody.\r\n"

/* ---- helpers ------------------------------------------------------------------------------------- */

static bool exists(struct rig *rig, const char *name)
{
	struct pool *pool = pool_new();
	struct mailbox_row row;
	struct us_err err;
	int rc = mailbox_row_get(rig->store, span_of(name), pool, &row, NULL, NULL, &err);

	assert_ok(rc, &err);
	pool_free(&pool);
	return rc > 0;
}

static uint64_t serial_of(struct rig *rig, const char *name)
{
	struct pool *pool = pool_new();
	struct mailbox_row row;
	struct us_err err;
	uint64_t serial = 0;

	assert_int_equal(mailbox_row_get(rig->store, span_of(name), pool, &row, NULL, &serial,
					 &err),
			 1);
	pool_free(&pool);
	return serial;
}

/* Directories of mailboxes below u/, or what is in trash/ or lost/. */
static unsigned entries(const char *spool, const char *folder, const char *pattern)
{
	char command[200], text[20] = "";
	FILE *f;

	snprintf(command, sizeof(command), "ls -d %s/%s/%s 2>/dev/null | wc -l", spool, folder,
		 pattern);
	f = popen(command, "r");
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof(text), f));
	pclose(f);
	return (unsigned)atoi(text);
}

static unsigned directories(struct rig *rig)
{
	return entries(rig->spool, "u", "*/*") + entries(rig->spool2, "u", "*/*");
}

static int rename_to(struct rig *rig, const char *from, const char *to, const char *partition,
		     struct us_err *err)
{
	return folder_rename(rig->store, span_of(from), span_of(to), span_of(partition), 0, err);
}

static void another_boot(struct rig *rig)
{
	static char id[] = "another0";

	store_close(&rig->store);
	id[7]++;
	setenv("US_BOOT_ID", id, 1);
	rig_open(rig);
}

static void lock_once(struct rig *rig, const char *name)
{
	struct mailbox *m = rig_mailbox(rig, name);
	struct us_err err;

	assert_ok(mailbox_lock(m, &err), &err);
	rig_check_counters(m);
	mailbox_close(&m);
}

/* ---- create -------------------------------------------------------------------------------------- */

static void a_name_is_given_once(void **state)
{
	struct folder_create options = {0};
	struct rig *rig = *state;
	struct us_err err;

	rig_create(rig, "user.bob");
	assert_int_equal(folder_create(rig->store, SPAN_LIT("user.bob"), &options, &err),
			 US_EEXIST);
	options.partition = SPAN_LIT("p2");
	assert_ok(folder_create(rig->store, SPAN_LIT("user.bob.two"), &options, &err), &err);
	assert_int_equal(entries(rig->spool2, "u", "*/*"), 1);
	assert_int_equal(directories(rig), 2);
}

static void a_uniqueid_is_given_once(void **state)
{
	struct folder_create options = {.uniqueid = SPAN_LIT("abc")};
	struct rig *rig = *state;
	struct us_err err;

	assert_ok(folder_create(rig->store, SPAN_LIT("user.bob"), &options, &err), &err);
	assert_int_equal(folder_create(rig->store, SPAN_LIT("user.joe"), &options, &err),
			 US_EMOVED);
	assert_int_equal(directories(rig), 1);
}

static void an_intermediate_name_becomes_a_mailbox(void **state)
{
	struct folder_create entry = {.type = SPAN_LIT("ei")};
	struct rig *rig = *state;
	struct mailbox *m = NULL;
	struct us_err err;

	assert_ok(folder_create(rig->store, SPAN_LIT("user.bob.x"), &entry, &err), &err);
	assert_true(exists(rig, "user.bob.x"));
	assert_int_equal(mailbox_open(rig->store, SPAN_LIT("user.bob.x"), &m, &err), US_ENOENT);
	rig_create(rig, "user.bob.x");
	rig_append(rig, "user.bob.x", MESSAGE, 0);
	assert_int_equal(directories(rig), 1);
}

static void uidvalidity_never_comes_twice(void **state)
{
	struct rig *rig = *state;
	uint32_t last = 0;
	struct us_err err;

	for (int i = 0; i < 3; i++) {
		struct mailbox *m;
		rig_create(rig, "user.bob.x");
		m = rig_mailbox(rig, "user.bob.x");
		assert_true(m->row.uidvalidity > last);
		assert_int_equal(m->row.uidvalidity, m->view.counters.uidvalidity);
		last = m->row.uidvalidity;
		mailbox_close(&m);
		assert_ok(folder_delete(rig->store, SPAN_LIT("user.bob.x"), FOLDER_DELETE_NOW,
					&err),
			  &err);
	}
}

/* ---- rename --------------------------------------------------------------------------------------- */

static void a_rename_moves_no_message(void **state)
{
	struct rig *rig = *state;
	struct mailbox *m, *open;
	struct buf name = BUF_INIT;
	struct us_err err;

	rig_create(rig, "user.bob.a");
	rig_append(rig, "user.bob.a", MESSAGE, 0);
	open = rig_mailbox(rig, "user.bob.a");
	buf_clear(&rig->heard);
	assert_ok(rename_to(rig, "user.bob.a", "user.bob.b", NULL, &err), &err);
	assert_string_equal(rig->heard.data, "RENAME user.bob.a user.bob.b\nMAILBOX user.bob.a\n"
					     "MAILBOX user.bob.b\n");
	assert_false(exists(rig, "user.bob.a"));
	m = rig_mailbox(rig, "user.bob.b");
	assert_int_equal(m->view.counters.exists, 1);
	assert_true(storeid_cmp(&m->row.storeid, &open->row.storeid) == 0);
	assert_int_equal(m->row.n_former, 1);
	assert_span(m->row.former[0], "user.bob.a");
	assert_true(mailbox_highestmodseq(m) > mailbox_highestmodseq(open));
	assert_int_equal(mailbox_name_of_uniqueid(rig->store, m->row.uniqueid, &name, &err), 1);
	assert_string_equal(name.data, "user.bob.b");
	mailbox_close(&m);
	/* Who had it open writes into it under its new name. */
	assert_ok(mailbox_lock(open, &err), &err);
	assert_string_equal(open->name.data, "user.bob.b");
	mailbox_close(&open);
	buf_free(&name);
}

static void a_rename_goes_only_where_nothing_is(void **state)
{
	struct rig *rig = *state;
	struct us_err err;

	rig_create(rig, "user.bob.a");
	rig_create(rig, "user.bob.b");
	assert_int_equal(rename_to(rig, "user.bob.a", "user.bob.b", NULL, &err), US_EEXIST);
	assert_int_equal(rename_to(rig, "user.bob.c", "user.bob.d", NULL, &err), US_ENOENT);
	assert_true(exists(rig, "user.bob.a") && exists(rig, "user.bob.b"));
}

/* The journal still has a META op that puts the row under the old name: it must not be done again. */
static void a_renamed_mailbox_does_not_come_back_under_its_old_name(void **state)
{
	struct rig *rig = *state;
	struct mailbox *m;
	uint64_t serial;
	struct us_err err;

	rig_create(rig, "user.bob.a");
	m = rig_mailbox(rig, "user.bob.a");
	assert_ok(mailbox_lock(m, &err), &err);
	assert_ok(folder_take_values(m, 12345, 0, 0, &err), &err);
	mailbox_close(&m);
	serial = serial_of(rig, "user.bob.a");
	assert_true(serial > 0);
	assert_ok(rename_to(rig, "user.bob.a", "user.bob.b", NULL, &err), &err);
	assert_int_equal(serial_of(rig, "user.bob.b"), serial);
	another_boot(rig);
	lock_once(rig, "user.bob.b");
	assert_false(exists(rig, "user.bob.a"));
	rig_create(rig, "user.bob.a");
	assert_int_equal(serial_of(rig, "user.bob.a"), 0);
	another_boot(rig);
	lock_once(rig, "user.bob.b");
	m = rig_mailbox(rig, "user.bob.a");
	assert_true(m->row.uidvalidity != 12345);
	mailbox_close(&m);
	unsetenv("US_BOOT_ID");
}

static void another_partition_gets_it_all(void **state)
{
	struct rig *rig = *state;
	struct mailbox *m;
	struct buf value = BUF_INIT;
	struct us_err err;

	rig_create(rig, "user.bob.a");
	for (int i = 0; i < 3; i++)
		rig_append(rig, "user.bob.a", MESSAGE, FLAG_FLAGGED);
	rig_flags(rig, "user.bob.a", 2, FLAG_SEEN, true);
	m = rig_mailbox(rig, "user.bob.a");
	assert_ok(mailbox_lock(m, &err), &err);
	assert_ok(annotation_set(m, SPAN_LIT("/comment"), SPAN_LIT(""), SPAN_LIT("text"), &err),
		  &err);
	mailbox_close(&m);
	assert_ok(rename_to(rig, "user.bob.a", "user.bob.b", "p2", &err), &err);
	assert_int_equal(entries(rig->spool2, "u", "*/*"), 1);
	assert_int_equal(entries(rig->spool, "u", "*/*"), 0);
	assert_int_equal(entries(rig->spool, "trash", "*"), 1);
	m = rig_mailbox(rig, "user.bob.b");
	rig_check_counters(m);
	assert_int_equal(m->view.counters.exists, 2);
	assert_int_equal(m->view.counters.records, 3);
	assert_span(m->row.local_partition, "p2");
	assert_int_equal(annotation_get(rig->store, &m->row.storeid, SPAN_LIT("/comment"),
					SPAN_LIT(""), &value, &err),
			 1);
	assert_string_equal(value.data, "text");
	assert_int_equal(rig_append(rig, "user.bob.b", MESSAGE, 0), 4);
	mailbox_close(&m);
	buf_free(&value);
	another_boot(rig);
	lock_once(rig, "user.bob.b");
	unsetenv("US_BOOT_ID");
	/* And only the partition. */
	assert_ok(rename_to(rig, "user.bob.b", "user.bob.b", "default", &err), &err);
	m = rig_mailbox(rig, "user.bob.b");
	rig_check_counters(m);
	assert_int_equal(m->view.counters.exists, 3);
	assert_int_equal(m->row.n_former, 1);
	mailbox_close(&m);
}

/* ---- delete --------------------------------------------------------------------------------------- */

/* The original goes away behind it: what was not seen would be lost. */
static void a_move_copies_all_or_is_not_made(void **state)
{
	struct rig *rig = *state;
	struct mailbox *m;
	struct us_err err;

	rig_create(rig, "user.bob");
	for (int i = 0; i < 3; i++)
		rig_append(rig, "user.bob", MESSAGE, 0);
	rig_break("store.move.list", FAILPOINT_EIO);
	assert_int_equal(rename_to(rig, "user.bob", "user.bob", "p2", &err), US_EIO);
	rig_mend();
	m = rig_mailbox(rig, "user.bob");
	assert_span(m->row.local_partition, "default");
	assert_int_equal(unlinkat(m->dir, "2.", 0), 0); /* lost before: no reason to stay */
	mailbox_close(&m);
	assert_ok(rename_to(rig, "user.bob", "user.bob", "p2", &err), &err);
	m = rig_mailbox(rig, "user.bob");
	assert_span(m->row.local_partition, "p2");
	assert_int_equal(m->view.counters.exists, 3);
	assert_int_equal(faccessat(m->dir, "1.", F_OK, 0), 0);
	assert_int_equal(faccessat(m->dir, "2.", F_OK, 0), -1);
	assert_int_equal(faccessat(m->dir, "3.", F_OK, 0), 0);
	mailbox_close(&m);
}

/* The directory may be there and not on the disk: a second try would sync nothing and say that all is well. */
static void a_directory_that_was_not_synced_poisons(void **state)
{
	static const char *const points[] = {"store.mailbox.sync_hash", "store.mailbox.sync_mkdir",
					     "store.compact.sync_names"};
	struct folder_create options = {0};
	struct rig *rig = *state;
	struct partition *p = store_default_partition(rig->store);
	struct us_err err;

	for (size_t i = 0; i < ARRAY_SIZE(points); i++) {
		rig_break(points[i], FAILPOINT_EIO);
		assert_int_equal(folder_create(rig->store, SPAN_LIT("user.bob"), &options, &err),
				 US_EIO);
		rig_mend();
		assert_int_equal(folder_create(rig->store, SPAN_LIT("user.bob"), &options, &err),
				 US_EIO);
		assert_true(partition_is_poisoned(p));
		assert_ok(partition_recover(p, &err), &err);
	}
	rig_create(rig, "user.bob");
}

static void a_tombstone_stays_until_it_comes_back(void **state)
{
	struct folder_create options = {.uniqueid = SPAN_LIT("the-id")};
	struct rig *rig = *state;
	struct pool *pool = pool_new();
	struct tombstone_row t;
	struct span uniqueid;
	struct us_err err;

	assert_ok(folder_create(rig->store, SPAN_LIT("user.bob.a"), &options, &err), &err);
	assert_ok(rename_to(rig, "user.bob.a", "user.bob.b", NULL, &err), &err);
	buf_clear(&rig->heard);
	assert_ok(folder_delete(rig->store, SPAN_LIT("user.bob.b"), FOLDER_DELETE_TRASH, &err),
		  &err);
	assert_string_equal(rig->heard.data, "UNMAILBOX user.bob.b\n");
	assert_false(exists(rig, "user.bob.b"));
	assert_int_equal(entries(rig->spool, "trash", "*"), 1);
	assert_int_equal(directories(rig), 0);
	assert_int_equal(folder_tombstone(rig->store, SPAN_LIT("the-id"), pool, &t, &err), 1);
	assert_span(t.name, "user.bob.b");
	assert_int_equal(t.n_former, 1);
	assert_span(t.former[0], "user.bob.a");
	assert_true(t.modseq > 1 && t.uidvalidity > 0);
	assert_int_equal(folder_tombstone_by_name(rig->store, SPAN_LIT("user.bob.b"), pool,
						  &uniqueid, &t, &err),
			 1);
	assert_span(uniqueid, "the-id");
	assert_int_equal(folder_tombstone_by_name(rig->store, SPAN_LIT("user.bob"), pool, &uniqueid,
						  &t, &err),
			 0);
	assert_ok(folder_create(rig->store, SPAN_LIT("user.bob.b"), &options, &err), &err);
	assert_int_equal(folder_tombstone(rig->store, SPAN_LIT("the-id"), pool, &t, &err), 0);
	assert_int_equal(folder_tombstone_by_name(rig->store, SPAN_LIT("user.bob.b"), pool,
						  &uniqueid, &t, &err),
			 0);
	pool_free(&pool);
}

/* It comes back under another name: nothing may find it by the name it died with. */
static void a_tombstone_is_not_found_by_a_name_it_left(void **state)
{
	struct folder_create options = {.uniqueid = SPAN_LIT("the-id")};
	struct rig *rig = *state;
	struct pool *pool = pool_new();
	struct tombstone_row t;
	struct span uniqueid;
	struct us_err err;

	assert_ok(folder_create(rig->store, SPAN_LIT("user.bob.a"), &options, &err), &err);
	assert_ok(folder_delete(rig->store, SPAN_LIT("user.bob.a"), FOLDER_DELETE_NOW, &err), &err);
	assert_ok(folder_create(rig->store, SPAN_LIT("user.bob.z"), &options, &err), &err);
	assert_int_equal(folder_tombstone_by_name(rig->store, SPAN_LIT("user.bob.a"), pool,
						  &uniqueid, &t, &err),
			 0);
	assert_ok(folder_delete(rig->store, SPAN_LIT("user.bob.z"), FOLDER_DELETE_NOW, &err), &err);
	assert_int_equal(folder_tombstone_by_name(rig->store, SPAN_LIT("user.bob.a"), pool,
						  &uniqueid, &t, &err),
			 0);
	assert_int_equal(folder_tombstone_by_name(rig->store, SPAN_LIT("user.bob.z"), pool,
						  &uniqueid, &t, &err),
			 1);
	pool_free(&pool);
}

static void a_delayed_delete_is_a_rename(void **state)
{
	struct rig *rig = *state;
	struct buf deleted = BUF_INIT;
	struct mailbox *m;
	struct us_err err;

	rig_create(rig, "user.bob.a");
	rig_append(rig, "user.bob.a", MESSAGE, 0);
	assert_ok(folder_delete_delayed(rig->store, SPAN_LIT("user.bob.a"), &deleted, &err), &err);
	assert_false(exists(rig, "user.bob.a"));
	assert_true(span_starts(buf_span(&deleted), "DELETED.user.bob.a."));
	m = rig_mailbox(rig, deleted.data);
	assert_int_equal(m->view.counters.exists, 1);
	mailbox_close(&m);
	rig_create(rig, "user.bob.a");
	buf_clear(&deleted);
	assert_ok(folder_delete_delayed(rig->store, SPAN_LIT("user.bob.a"), &deleted, &err), &err);
	buf_free(&deleted);
	assert_int_equal(directories(rig), 2);
}

/* The last number there is must not be followed by 0. */
static void a_uidvalidity_is_never_zero(void **state)
{
	struct folder_create last = {.acl = SPAN_LIT("bob\tlrs\t"), .uidvalidity = UINT32_MAX};
	struct rig *rig = *state;
	struct mailbox *m;
	struct us_err err;

	assert_ok(folder_create(rig->store, SPAN_LIT("user.bob"), &last, &err), &err);
	assert_ok(folder_delete(rig->store, SPAN_LIT("user.bob"), FOLDER_DELETE_NOW, &err), &err);
	rig_create(rig, "user.bob");
	m = rig_mailbox(rig, "user.bob");
	assert_in_range(m->row.uidvalidity, 1, UINT32_MAX - 1);
	assert_int_equal(m->view.counters.uidvalidity, m->row.uidvalidity);
	mailbox_close(&m);
}

static void annotations_go_with_the_mailbox(void **state)
{
	struct rig *rig = *state;
	struct storeid id;
	struct pool *pool = pool_new();
	const struct state_annotation *all;
	struct mailbox *m;
	size_t n;
	struct us_err err;

	rig_create(rig, "user.bob");
	m = rig_mailbox(rig, "user.bob");
	id = m->row.storeid;
	assert_ok(mailbox_lock(m, &err), &err);
	assert_ok(annotation_set(m, SPAN_LIT("/comment"), SPAN_LIT("bob"), SPAN_LIT("x"), &err),
		  &err);
	mailbox_close(&m);
	assert_ok(annotations_list(rig->store, &id, pool, &all, &n, &err), &err);
	assert_int_equal(n, 1);
	assert_ok(folder_delete(rig->store, SPAN_LIT("user.bob"), FOLDER_DELETE_NOW, &err), &err);
	assert_ok(annotations_list(rig->store, &id, pool, &all, &n, &err), &err);
	assert_int_equal(n, 0);
	pool_free(&pool);
}

static void options_with_annotations_leave_the_row_fresh(void **state)
{
	struct annotations_change change = {.has_counters = true, .options = 2};
	struct rig *rig = *state;
	struct mailbox *m;
	struct us_err err;
	uint64_t version, modseq;

	rig_create(rig, "user.bob");
	m = rig_mailbox(rig, "user.bob");
	assert_ok(mailbox_lock(m, &err), &err);
	version = m->row_version;
	modseq = m->row.foldermodseq;
	assert_ok(annotations_change(m, &change, &err), &err);
	assert_true(m->row_version > version);
	assert_true(m->row.foldermodseq > modseq);
	/* A change that expects the row as it is remembered goes through. */
	assert_ok(folder_set_acl(m, SPAN_LIT("bob\tlr\t"), &err), &err);
	mailbox_close(&m);
}

/* Directories that no row claims are put away, but for those that a mailbox could yet be made of. */
static void what_may_come_back_is_not_lost(void **state)
{
	struct rig *rig = *state;
	struct partition *p = store_default_partition(rig->store);
	struct storeid id = storeid_new();
	char command[300];
	struct us_err err;
	unsigned n;
	int dir;

	rig_create(rig, "user.bob");
	rig_create(rig, "user.bob.gone");
	assert_ok(partition_make_mailbox(p, &id, &dir, &err), &err); /* CREATE died */
	io_close(&dir);
	snprintf(command, sizeof(command), "cp -a %s/u %s/backup", rig->spool, rig->root);
	assert_int_equal(system(command), 0);
	assert_ok(folder_delete(rig->store, SPAN_LIT("user.bob.gone"), FOLDER_DELETE_NOW, &err),
		  &err);
	snprintf(command, sizeof(command), "cp -a %s/backup/. %s/u", rig->root, rig->spool);
	assert_int_equal(system(command), 0);
	assert_ok(folder_collect_lost(rig->store, p, store_now() - 10, &n, &err), &err);
	assert_int_equal(n, 0); /* they are too young */
	assert_ok(folder_collect_lost(rig->store, p, store_now() + 10, &n, &err), &err);
	assert_int_equal(n, 2);
	/* Without any row the last one stays, for reconstruct -m. */
	store_close(&rig->store);
	snprintf(command, sizeof(command), "rm -rf %s/meta", rig->config);
	assert_int_equal(system(command), 0);
	rig_open(rig);
	p = store_default_partition(rig->store);
	assert_ok(folder_collect_lost(rig->store, p, store_now() + 10, &n, &err), &err);
	assert_int_equal(n, 0);
}

static void a_missing_directory_is_no_missing_name(void **state)
{
	struct rig *rig = *state;
	struct mailbox *m = NULL;
	char command[200];
	struct us_err err;

	rig_create(rig, "user.bob.a");
	snprintf(command, sizeof(command), "rm -f %s/u/*/*/mbox.idx", rig->spool);
	assert_int_equal(system(command), 0);
	assert_int_equal(mailbox_open(rig->store, SPAN_LIT("user.bob.a"), &m, &err), US_ECORRUPT);
	rig_create(rig, "user.bob.b");
	snprintf(command, sizeof(command), "rm -rf %s/u/*/*", rig->spool);
	assert_int_equal(system(command), 0);
	assert_int_equal(mailbox_open(rig->store, SPAN_LIT("user.bob.a"), &m, &err), US_ECORRUPT);
	assert_int_equal(us_err_class(US_ECORRUPT), US_REPAIR); /* so no mail is sent back */
	assert_int_equal(mailbox_open(rig->store, SPAN_LIT("user.bob.c"), &m, &err), US_ENOENT);
	/* It can be removed for good. */
	assert_ok(folder_delete(rig->store, SPAN_LIT("user.bob.a"), FOLDER_DELETE_TRASH, &err),
		  &err);
	assert_int_equal(mailbox_open(rig->store, SPAN_LIT("user.bob.a"), &m, &err), US_ENOENT);
}

static void an_unreadable_mailbox_can_be_removed(void **state)
{
	struct rig *rig = *state;
	struct mailbox *m = NULL;
	char command[200];
	struct us_err err;

	rig_create(rig, "user.bob.a");
	rig_append(rig, "user.bob.a", MESSAGE, 0);
	snprintf(command, sizeof(command), "for f in %s/u/*/*/mbox.idx; do echo x >$f; done",
		 rig->spool);
	assert_int_equal(system(command), 0);
	assert_int_equal(mailbox_open(rig->store, SPAN_LIT("user.bob.a"), &m, &err), US_ECORRUPT);
	assert_ok(folder_delete(rig->store, SPAN_LIT("user.bob.a"), FOLDER_DELETE_TRASH, &err),
		  &err);
	assert_int_equal(directories(rig), 0);
	assert_int_equal(entries(rig->spool, "trash", "*"), 1);
}

/* ---- refused ------------------------------------------------------------------------------------- */

static void what_cannot_be_logged_is_not_done(void **state)
{
	struct folder_create options = {0};
	struct rig *rig = *state;
	struct mailbox *m;
	struct us_err err;

	rig_create(rig, "user.bob");
	rig->refuse = US_EIO;
	assert_int_equal(folder_create(rig->store, SPAN_LIT("user.bob.x"), &options, &err), US_EIO);
	assert_int_equal(rename_to(rig, "user.bob", "user.joe", NULL, &err), US_EIO);
	assert_int_equal(rename_to(rig, "user.bob", "user.bob", "p2", &err), US_EIO);
	assert_int_equal(folder_delete(rig->store, SPAN_LIT("user.bob"), FOLDER_DELETE_NOW, &err),
			 US_EIO);
	assert_int_equal(subscription_set(rig->store, SPAN_LIT("bob"), SPAN_LIT("user.bob"), true,
					  &err),
			 US_EIO);
	m = rig_mailbox(rig, "user.bob");
	assert_ok(mailbox_lock(m, &err), &err);
	assert_int_equal(folder_set_acl(m, SPAN_LIT("joe\tl\t"), &err), US_EIO);
	assert_int_equal(annotation_set(m, SPAN_LIT("/c"), SPAN_LIT(""), SPAN_LIT("v"), &err),
			 US_EIO);
	mailbox_close(&m);
	rig->refuse = 0;
	assert_false(exists(rig, "user.bob.x") || exists(rig, "user.joe"));
	assert_int_equal(directories(rig), 1);
	m = rig_mailbox(rig, "user.bob");
	assert_span(m->row.acl, "bob\tlrswipkxtecdan\t");
	mailbox_close(&m);
}

/* ---- deaths ---------------------------------------------------------------------------------------- */

static void no_directory_is_lost(struct rig *rig, unsigned claimed, const char *point)
{
	unsigned n = 0, before = directories(rig);
	struct us_err err;

	for (size_t i = 0; store_partition_at(rig->store, i); i++) {
		unsigned one = 0;
		assert_ok(folder_collect_lost(rig->store, store_partition_at(rig->store, i),
					      store_now() + 10, &one, &err),
			  &err);
		n += one;
	}
	if (directories(rig) != claimed || n != before - claimed)
		fail_msg("%s: %u directories, %u of them lost", point, before, n);
}

static int create_one(struct rig *rig, struct us_err *err)
{
	struct folder_create options = {.acl = SPAN_LIT("bob\tlrs\t")};

	return folder_create(rig->store, SPAN_LIT("user.bob"), &options, err);
}

static void created_or_not(struct rig *rig, bool died, const char *point)
{
	bool there = exists(rig, "user.bob");

	if (!died)
		assert_true(there);
	no_directory_is_lost(rig, there, point);
	if (!there)
		rig_create(rig, "user.bob");
	assert_int_equal(rig_append(rig, "user.bob", MESSAGE, 0), 1);
	lock_once(rig, "user.bob");
}

static void deaths_while_creating(void **state UNUSED)
{
	const struct deaths d = {NULL, create_one, created_or_not};

	assert_true(deaths_everywhere(&d, FAILPOINT_KILL) > 8);
}

static void make_one(struct rig *rig)
{
	rig_create(rig, "user.bob");
	rig_append(rig, "user.bob", MESSAGE, 0);
	rig_append(rig, "user.bob", MESSAGE "2", FLAG_SEEN);
}

static int rename_one(struct rig *rig, struct us_err *err)
{
	return rename_to(rig, "user.bob", "user.joe", NULL, err);
}

static int move_one(struct rig *rig, struct us_err *err)
{
	return rename_to(rig, "user.bob", "user.joe", "p2", err);
}

static void here_or_there(struct rig *rig, bool died, const char *point)
{
	bool here = exists(rig, "user.bob"), there = exists(rig, "user.joe");
	const char *name = here ? "user.bob" : "user.joe";
	struct mailbox *m;

	if (here == there || (!died && here))
		fail_msg("%s: here %d, there %d", point, here, there);
	no_directory_is_lost(rig, 1, point);
	m = rig_mailbox(rig, name);
	assert_int_equal(m->view.counters.exists, 2);
	mailbox_close(&m);
	assert_int_equal(rig_append(rig, name, MESSAGE, 0), 3);
	lock_once(rig, name);
}

static void deaths_while_renaming(void **state UNUSED)
{
	const struct deaths rename = {make_one, rename_one, here_or_there};
	const struct deaths move = {make_one, move_one, here_or_there};

	assert_true(deaths_everywhere(&rename, FAILPOINT_KILL) > 4);
	assert_true(deaths_everywhere(&move, FAILPOINT_KILL) > 12);
}

static int delete_one(struct rig *rig, struct us_err *err)
{
	return folder_delete(rig->store, SPAN_LIT("user.bob"), FOLDER_DELETE_TRASH, err);
}

static void gone_or_whole(struct rig *rig, bool died, const char *point)
{
	bool there = exists(rig, "user.bob");

	if (!died)
		assert_false(there);
	no_directory_is_lost(rig, there, point);
	if (there) {
		assert_int_equal(rig_append(rig, "user.bob", MESSAGE, 0), 3);
		lock_once(rig, "user.bob");
	} else {
		rig_create(rig, "user.bob");
	}
}

static void deaths_while_deleting(void **state UNUSED)
{
	const struct deaths d = {make_one, delete_one, gone_or_whole};

	assert_true(deaths_everywhere(&d, FAILPOINT_KILL) >= 3);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		T(a_name_is_given_once),
		T(a_uniqueid_is_given_once),
		T(an_intermediate_name_becomes_a_mailbox),
		T(uidvalidity_never_comes_twice),
		T(a_rename_moves_no_message),
		T(a_rename_goes_only_where_nothing_is),
		T(a_renamed_mailbox_does_not_come_back_under_its_old_name),
		T(another_partition_gets_it_all),
		T(a_move_copies_all_or_is_not_made),
		T(a_directory_that_was_not_synced_poisons),
		T(a_tombstone_stays_until_it_comes_back),
		T(a_tombstone_is_not_found_by_a_name_it_left),
		T(a_delayed_delete_is_a_rename),
		T(a_uidvalidity_is_never_zero),
		T(annotations_go_with_the_mailbox),
		T(options_with_annotations_leave_the_row_fresh),
		T(what_may_come_back_is_not_lost),
		T(a_missing_directory_is_no_missing_name),
		T(an_unreadable_mailbox_can_be_removed),
		T(what_cannot_be_logged_is_not_done),
		cmocka_unit_test(deaths_while_creating),
		cmocka_unit_test(deaths_while_renaming),
		cmocka_unit_test(deaths_while_deleting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
