/* test_snapshot.c - what csync compares, read from a store. */
#include "tests/unit/store/rig.h"

#include "server/store/annotations.h"
#include "server/store/quota.h"
#include "server/store/snapshot.h"

#define MESSAGE "From: a@b\r\nSubject: test\r\n\r\nBody.\r\n"

static struct mailbox *locked(struct rig *rig, const char *name)
{
	struct mailbox *m = rig_mailbox(rig, name);
	struct us_err err;

	assert_ok(mailbox_lock(m, &err), &err);
	return m;
}

static void a_mailbox_is_shown_as_it_is(void **state)
{
	struct state_quota quota = {.root = SPAN_LIT("user.bob"), .limit = {10, -1, -1, -1}};
	struct rig *rig = *state;
	struct pool *pool = pool_new();
	struct state_mailbox s;
	struct mailbox *m;
	struct us_err err;

	rig_create(rig, "user.bob");
	rig_create(rig, "user.bob.old");
	assert_ok(folder_rename(rig->store, SPAN_LIT("user.bob.old"), SPAN_LIT("user.bob.new"),
				SPAN_NULL, 0, &err),
		  &err);
	assert_ok(quota_set(rig->store, &quota, &err), &err);
	m = locked(rig, "user.bob.new");
	assert_ok(annotation_set(m, SPAN_LIT("/comment"), SPAN_LIT("bob"), SPAN_LIT("x"), &err),
		  &err);
	assert_ok(folder_set_acl(m, SPAN_LIT("bob\tlr\t"), &err), &err);
	mailbox_close(&m);
	rig_append(rig, "user.bob.new", MESSAGE, FLAG_SEEN);
	m = NULL;
	assert_int_equal(snapshot_name(rig->store, SPAN_LIT("user.bob.new"), pool, &s, &m, &err),
			 1);
	assert_non_null(m);
	assert_span(s.name, "user.bob.new");
	assert_true(span_eq(s.uniqueid, m->row.uniqueid));
	assert_int_equal(s.uidvalidity, m->row.uidvalidity);
	assert_int_equal(s.last_uid, 1);
	assert_true(s.highestmodseq == mailbox_highestmodseq(m) &&
		    s.highestmodseq >= s.foldermodseq);
	assert_span(s.acl, "bob\tlr\t");
	assert_span(s.partition, "default");
	assert_span(s.quotaroot, "user.bob");
	assert_int_equal(s.n_annotations, 1);
	assert_span(s.annotations[0].entry, "/comment");
	assert_span(s.annotations[0].userid, "bob");
	assert_int_equal(s.n_former_names, 1);
	assert_span(s.former_names[0], "user.bob.old");
	assert_true(s.sync_crc == m->view.counters.sync_crc && s.sync_crc != 0);
	mailbox_close(&m);
	assert_int_equal(snapshot_name(rig->store, SPAN_LIT("user.bob.old"), pool, &s, &m, &err),
			 0);
	assert_null(m);
	pool_free(&pool);
}

static void an_entry_has_no_records(void **state)
{
	struct folder_create entry = {.type = SPAN_LIT("ei")};
	struct rig *rig = *state;
	struct pool *pool = pool_new();
	struct state_mailbox s;
	struct mailbox *m;
	struct us_err err;

	assert_ok(folder_create(rig->store, SPAN_LIT("user.bob"), &entry, &err), &err);
	assert_int_equal(snapshot_name(rig->store, SPAN_LIT("user.bob"), pool, &s, &m, &err), 1);
	assert_null(m);
	assert_span(s.mboxtype, "ei");
	assert_null(s.partition.ptr);
	assert_int_equal(s.highestmodseq, s.foldermodseq);
	pool_free(&pool);
}

/* A mailbox that is damaged must not pass for one that is not there: its replica would be taken for the odd one. */
static void a_damaged_mailbox_is_an_error(void **state)
{
	struct rig *rig = *state;
	struct pool *pool = pool_new();
	struct state_mailbox s;
	struct mailbox *m;
	char command[200];
	struct us_err err;

	rig_create(rig, "user.bob");
	snprintf(command, sizeof(command), "rm -rf %s/u/*/*", rig->spool);
	assert_int_equal(system(command), 0);
	assert_int_equal(snapshot_name(rig->store, SPAN_LIT("user.bob"), pool, &s, &m, &err),
			 US_ECORRUPT);
	assert_null(m);
	pool_free(&pool);
}

static void records_have_their_keywords_and_annotations(void **state)
{
	struct rig *rig = *state;
	struct pool *pool = pool_new();
	struct state_record s;
	struct mailbox *m;
	struct commit *c;
	struct record r;
	unsigned bits[3];
	uint32_t crc, crc_annot;
	struct us_err err;

	rig_create(rig, "user.bob");
	rig_append(rig, "user.bob", MESSAGE, FLAG_FLAGGED);
	rig_append(rig, "user.bob", MESSAGE "2", 0);
	rig_flags(rig, "user.bob", 2, 0, true);
	m = locked(rig, "user.bob");
	assert_ok(commit_begin(m, &c, &err), &err);
	assert_ok(commit_flag_bit(c, SPAN_LIT("$Work"), &bits[0], &err), &err);
	assert_ok(commit_flag_bit(c, SPAN_LIT("other"), &bits[1], &err), &err);
	assert_ok(commit_flag_bit(c, SPAN_LIT("$work"), &bits[2], &err), &err);
	assert_int_equal(bits[0], bits[2]);
	assert_true(bits[0] != bits[1]);
	r = *view_find(&m->view, 1);
	record_set_user_flag(&r, bits[0], true);
	r.cid = 0xabc;
	r.modseq = commit_modseq(c);
	assert_ok(commit_put(c, &r, &err), &err);
	assert_ok(commit_annotate(c, 1, SPAN_LIT("/b"), SPAN_LIT(""), SPAN_LIT("2"), r.modseq,
				  &err),
		  &err);
	assert_ok(commit_annotate(c, 1, SPAN_LIT("/a"), SPAN_LIT("bob"), SPAN_LIT("1"), r.modseq,
				  &err),
		  &err);
	assert_ok(commit_finish(&c, &err), &err);
	snapshot_record(m, view_find(&m->view, 1), pool, &s);
	assert_int_equal(s.uid, 1);
	assert_int_equal(s.system_flags, FLAG_FLAGGED);
	assert_false(s.expunged);
	assert_int_equal(s.modseq, r.modseq);
	assert_int_equal(s.n_keywords, 1);
	assert_span(s.keywords[0], "$Work"); /* as first used */
	assert_int_equal(s.n_annotations, 2);
	assert_span(s.annotations[0].entry, "/a");
	assert_int_equal(s.annotations[1].modseq, r.modseq);
	snapshot_record(m, view_find(&m->view, 2), pool, &s);
	assert_true(s.expunged && !s.unlinked);
	snapshot_recount(m, &crc, &crc_annot);
	assert_int_equal(crc, m->view.counters.sync_crc);
	assert_int_equal(crc_annot, m->view.counters.sync_crc_annot);
	assert_true(crc_annot != SYNC_CRC_ANNOT_EMPTY);
	mailbox_close(&m);
	pool_free(&pool);
}

static void a_users_folders_come_in_order(void **state)
{
	struct rig *rig = *state;
	struct pool *pool = pool_new();
	struct buf text = BUF_INIT, deleted = BUF_INIT;
	const struct span *names;
	struct us_err err;
	size_t n;

	rig_create(rig, "user.bob.z");
	rig_create(rig, "user.bob.a");
	rig_create(rig, "user.bob");
	rig_create(rig, "user.bob.a.b");
	rig_create(rig, "user.bobby");
	rig_create(rig, "user.bo");
	rig_create(rig, "user.bob.gone");
	assert_ok(folder_delete_delayed(rig->store, SPAN_LIT("user.bob.gone"), &deleted, &err),
		  &err);
	assert_ok(snapshot_user_names(rig->store, SPAN_LIT("bob"), pool, &names, &n, &err), &err);
	for (size_t i = 0; i < n; i++)
		buf_printf(&text, "%.*s ", SPAN_ARG(names[i]));
	assert_int_equal(n, 5);
	assert_true(
		span_starts(buf_span(&text),
			    "user.bob user.bob.a user.bob.a.b user.bob.z DELETED.user.bob.gone."));
	buf_free(&text);
	buf_free(&deleted);
	pool_free(&pool);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		T(a_mailbox_is_shown_as_it_is),   T(an_entry_has_no_records),
		T(a_damaged_mailbox_is_an_error), T(records_have_their_keywords_and_annotations),
		T(a_users_folders_come_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
