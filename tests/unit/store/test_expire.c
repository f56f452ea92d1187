/* test_expire.c - old messages: expunged, purged, given back; and what else is forgotten with time. */
#include "tests/unit/store/rig.h"

#include "server/store/annotations.h"
#include "server/store/duplicate.h"
#include "server/store/expire.h"
#include "server/store/keywords.h"
#include "server/store/meta/meta.h"
#include "server/store/quota.h"
#include "server/store/rows.h"

#define BOB     "user.bob"
#define MESSAGE "From: a@b\r\nDate: Mon, 02 Feb 2026 10:00:00 +0000\r\n\r\nBody.\r\n"
#define SENT    1770026400LL
#define LATER   (store_now() + 1000)

static void add(struct rig *rig, const char *name, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		rig_append(rig, name, MESSAGE, 0);
}

static void expunge(struct rig *rig, const char *name, uint32_t low, uint32_t high)
{
	for (; low <= high; low++)
		rig_flags(rig, name, low, FLAG_DELETED, true);
}

/* The UIDs of all records as text, those expunged in brackets, and + for a file. */
static void check_records(struct rig *rig, const char *name, const char *expected)
{
	struct mailbox *m = rig_mailbox(rig, name);
	struct view_walk walk = view_walk(&m->view, 1);
	struct buf got = BUF_INIT;
	const struct record *r;

	while ((r = view_next(&m->view, &walk))) {
		char file[16];

		message_file_name(r->uid, file);
		buf_printf(&got, record_is_live(r) ? "%u%s " : "(%u%s) ", r->uid,
			   faccessat(m->dir, file, F_OK, 0) == 0 ? "+" : "");
	}
	assert_string_equal(got.len ? got.data : "", expected);
	rig_check_counters(m);
	mailbox_close(&m);
	buf_free(&got);
}

/* ---- purging ------------------------------------------------------------------------------------------ */

static unsigned purge(struct rig *rig, int64_t at_or_before, unsigned most, uint64_t *done)
{
	struct expire_turn turn = {.most = most};
	struct mailbox *m = rig_mailbox(rig, BOB);
	unsigned turns = 0;
	struct us_err err;
	int rc;

	do {
		rc = expire_purge(m, at_or_before, &turn, &err);
		assert_ok(rc, &err);
		assert_false(m->locked);
		turns++;
	} while (rc > 0);
	*done = turn.done;
	mailbox_close(&m);
	return turns;
}

static void what_was_expunged_goes(void **state)
{
	struct rig *rig = *state;
	struct mailbox *m;
	uint64_t done, modseq, highest;

	rig_create(rig, BOB);
	add(rig, BOB, 9);
	expunge(rig, BOB, 1, 3);
	expunge(rig, BOB, 5, 6);
	expunge(rig, BOB, 9, 9);
	m = rig_mailbox(rig, BOB);
	modseq = view_find(&m->view, 9)->modseq;
	highest = mailbox_highestmodseq(m);
	mailbox_close(&m);
	buf_clear(&rig->heard);
	assert_int_equal(purge(rig, store_now() - 100, 100, &done), 1);
	assert_int_equal(done, 0);
	assert_int_equal(rig->heard.len, 0);
	assert_int_equal(purge(rig, LATER, 2, &done), 3);
	assert_int_equal(done, 6);
	assert_string_equal(rig->heard.data,
			    "MAILBOX user.bob\nMAILBOX user.bob\nMAILBOX user.bob\n");
	check_records(rig, BOB, "4+ 7+ 8+ ");
	m = rig_mailbox(rig, BOB);
	assert_int_equal(m->view.counters.deletedmodseq, modseq);
	assert_int_equal(mailbox_highestmodseq(m), highest);
	mailbox_close(&m);
	/* One commit, one op a run. */
	expunge(rig, BOB, 7, 8);
	buf_clear(&rig->heard);
	assert_int_equal(purge(rig, LATER, 100, &done), 1);
	assert_int_equal(done, 2);
	assert_string_equal(rig->heard.data, "MAILBOX user.bob\n");
	check_records(rig, BOB, "4+ ");
}

static void refused_it_changes_nothing(void **state)
{
	struct expire_rule rule = {.before = SENT + 1};
	struct expire_turn turn = {.most = 10};
	struct rig *rig = *state;
	struct mailbox *m;

	rig_create(rig, BOB);
	add(rig, BOB, 3);
	expunge(rig, BOB, 2, 2);
	m = rig_mailbox(rig, BOB);
	rig->refuse = US_EIO;
	assert_int_equal(expire_purge(m, LATER, &turn, NULL), US_EIO);
	turn.from = 0;
	assert_int_equal(expire_messages(m, &rule, &turn, NULL), US_EIO);
	assert_int_equal(turn.done, 0);
	rig->refuse = 0;
	mailbox_close(&m);
	check_records(rig, BOB, "1+ (2+) 3+ ");
}

/* ---- expiring -------------------------------------------------------------------------------------------- */

static uint64_t expire(struct rig *rig, const struct expire_rule *rule, unsigned most)
{
	struct expire_turn turn = {.most = most};
	struct mailbox *m = rig_mailbox(rig, BOB);
	struct us_err err;
	int rc;

	while ((rc = expire_messages(m, rule, &turn, &err)) > 0)
		;
	assert_ok(rc, &err);
	mailbox_close(&m);
	return turn.done;
}

static void age_counts_from_the_date_field(void **state)
{
	struct expire_rule rule = {.before = SENT};
	struct rig *rig = *state;

	rig_create(rig, BOB);
	add(rig, BOB, 2);
	rig_append(rig, BOB, "From: a@b\r\n\r\nNo date: arrived at 1769940000.\r\n", 0);
	rig_append(rig, BOB, "From: a@b\r\nDate: soon\r\n\r\n", 0);
	assert_int_equal(expire(rig, &rule, 1), 2);
	check_records(rig, BOB, "1+ 2+ (3+) (4+) ");
	rule.before = SENT + 1;
	assert_int_equal(expire(rig, &rule, 100), 2);
	check_records(rig, BOB, "(1+) (2+) (3+) (4+) ");
	assert_int_equal(expire(rig, &rule, 100), 0);
}

static void or_from_when_it_was_saved(void **state)
{
	struct expire_rule rule = {.before = SENT + 1000, .by_savedate = true};
	struct rig *rig = *state;

	rig_create(rig, BOB);
	add(rig, BOB, 2);
	assert_int_equal(expire(rig, &rule, 100), 0);
	rule.before = LATER;
	assert_int_equal(expire(rig, &rule, 100), 2);
}

static void flagged_ones_may_stay(void **state)
{
	struct expire_rule rule = {.before = LATER, .keep_flagged = true};
	struct rig *rig = *state;

	rig_create(rig, BOB);
	add(rig, BOB, 3);
	rig_flags(rig, BOB, 2, FLAG_FLAGGED | FLAG_SEEN, false);
	assert_int_equal(expire(rig, &rule, 100), 2);
	check_records(rig, BOB, "(1+) 2+ (3+) ");
	rule.keep_flagged = false;
	assert_int_equal(expire(rig, &rule, 100), 1);
}

/* ---- giving back ------------------------------------------------------------------------------------------ */

static int annotate(struct mailbox *m, uint32_t uid, const char *user, const char *value)
{
	struct commit *c;
	struct us_err err;
	int rc = mailbox_lock(m, &err);

	if (rc == 0)
		rc = commit_begin(m, &c, &err);
	if (rc == 0)
		rc = commit_annotate(c, uid, SPAN_LIT("/comment"), span_of(user), span_of(value),
				     commit_modseq(c), &err);
	if (rc == 0)
		rc = commit_finish(&c, &err);
	mailbox_unlock(m);
	return rc;
}

static int restore(struct rig *rig, struct restored *list, size_t n,
		   const struct restore_options *options)
{
	struct mailbox *m = rig_mailbox(rig, BOB);
	struct us_err err;
	int rc = restore_messages(m, list, n, options, &err);

	assert_ok(rc, &err);
	assert_false(m->locked);
	mailbox_close(&m);
	return rc;
}

static void messages_come_back_with_all_they_had(void **state)
{
	struct restored list[] = {{.uid = 2}, {.uid = 1}, {.uid = 2}, {.uid = 9}};
	struct restore_options options = {.keyword = SPAN_LIT("Back")};
	const struct record *new;
	struct rig *rig = *state;
	struct mailbox *m;
	struct record old;
	size_t n;

	rig_create(rig, BOB);
	add(rig, BOB, 2);
	m = rig_mailbox(rig, BOB);
	assert_int_equal(annotate(m, 2, "bob", "his"), 0);
	assert_int_equal(annotate(m, 2, "amy", "hers"), 0);
	mailbox_close(&m);
	rig_flags(rig, BOB, 2, FLAG_SEEN | FLAG_DELETED | FLAG_FLAGGED, true);
	m = rig_mailbox(rig, BOB);
	old = *view_find(&m->view, 2);
	mailbox_close(&m);
	buf_clear(&rig->heard);
	/* One is there, one was named twice, one never was. */
	assert_int_equal(restore(rig, list, 1, &options), 1);
	assert_string_equal(rig->heard.data, "APPEND user.bob\nMAILBOX user.bob\n");
	assert_int_equal(list[0].new_uid, 3);
	assert_int_equal(restore(rig, list, 4, &options), 0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(list[i].rc, US_ENOENT);
	check_records(rig, BOB, "1+ 3+ ");
	m = rig_mailbox(rig, BOB);
	new = view_find(&m->view, 3);
	assert_int_equal(new->system_flags, FLAG_SEEN | FLAG_DELETED | FLAG_FLAGGED);
	assert_true(record_has_user_flag(new, (unsigned)flag_names_find(&m->view.names,
									SPAN_LIT("back"))));
	assert_int_equal(new->internaldate_ns, old.internaldate_ns);
	assert_true(new->modseq > old.modseq &&new->modseq == new->createdmodseq);
	assert_memory_equal(&new->guid, &old.guid, sizeof(new->guid));
	annots_of(&m->view.annots, 3, &n);
	assert_int_equal(n, 2);
	mailbox_close(&m);
}

static void without_deleted_if_so_wished(void **state)
{
	struct restored list[] = {{.uid = 1}, {.uid = 2}};
	struct restore_options options = {.clear_deleted = true};
	struct rig *rig = *state;
	struct mailbox *m;

	rig_create(rig, BOB);
	add(rig, BOB, 2);
	expunge(rig, BOB, 1, 2);
	assert_int_equal(restore(rig, list, 2, &options), 2);
	check_records(rig, BOB, "3+ 4+ ");
	m = rig_mailbox(rig, BOB);
	assert_int_equal(view_find(&m->view, 3)->system_flags, 0);
	assert_int_equal(m->view.counters.deleted, 0);
	mailbox_close(&m);
}

static void what_has_no_room_stays(void **state)
{
	struct state_quota limits = {.root = SPAN_LIT(BOB), .limit = {-1, 2, -1, -1}};
	struct restored list[] = {{.uid = 1}, {.uid = 2}, {.uid = 3}};
	struct restore_options options = {.clear_deleted = true};
	struct rig *rig = *state;
	struct us_err err;

	rig_create(rig, BOB);
	add(rig, BOB, 4);
	expunge(rig, BOB, 1, 3);
	assert_ok(quota_set(rig->store, &limits, &err), &err);
	assert_int_equal(restore(rig, list, 3, &options), 1);
	assert_int_equal(list[0].new_uid, 5);
	assert_int_equal(list[1].rc, US_EQUOTA);
	assert_int_equal(list[2].rc, US_EQUOTA);
	assert_int_equal(list[2].new_uid, 0);
	check_records(rig, BOB, "(2+) (3+) 4+ 5+ ");
}

static void one_that_lost_its_file_does_not_keep_others(void **state)
{
	struct restored list[] = {{.uid = 1}, {.uid = 2}};
	struct restore_options options = {.clear_deleted = true};
	struct rig *rig = *state;
	struct mailbox *m;

	rig_create(rig, BOB);
	add(rig, BOB, 2);
	expunge(rig, BOB, 1, 2);
	m = rig_mailbox(rig, BOB);
	assert_int_equal(unlinkat(m->dir, "1.", 0), 0);
	mailbox_close(&m);
	assert_int_equal(restore(rig, list, 2, &options), 1);
	assert_int_equal(list[0].rc, US_ENOENT);
	assert_int_equal(list[1].new_uid, 3);
	check_records(rig, BOB, "(1) 3+ ");
}

/* ---- keywords ------------------------------------------------------------------------------------------------ */

static void set_keyword(struct mailbox *m, uint32_t uid, const char *name, bool on)
{
	struct commit *c;
	struct record r;
	struct us_err err;
	unsigned bit;

	assert_ok(mailbox_lock(m, &err), &err);
	assert_ok(commit_begin(m, &c, &err), &err);
	assert_ok(commit_flag_bit(c, span_of(name), &bit, &err), &err);
	r = *view_find(&m->view, uid);
	record_set_user_flag(&r, bit, on);
	r.modseq = commit_modseq(c);
	r.last_updated = store_now();
	assert_ok(commit_put(c, &r, &err), &err);
	assert_ok(commit_finish(&c, &err), &err);
	mailbox_unlock(m);
}

static void count_keyword(void *ctx, unsigned bit, struct span name)
{
	buf_printf(ctx, "%u %.*s,", bit, SPAN_ARG(name));
}

static void unused_keywords_make_room(void **state)
{
	struct rig *rig = *state;
	struct buf told = BUF_INIT;
	struct mailbox *m, *reader;
	struct us_err err;
	uint64_t sum;

	rig_create(rig, BOB);
	add(rig, BOB, 3);
	m = rig_mailbox(rig, BOB);
	set_keyword(m, 1, "one", true);
	set_keyword(m, 2, "two", true);
	set_keyword(m, 3, "three", true);
	set_keyword(m, 2, "two", false); /* which the history of flags knows */
	expunge(rig, BOB, 3, 3);
	assert_ok(mailbox_refresh(m, &err), &err);
	sum = m->view.counters.sync_crc;
	reader = rig_mailbox(rig, BOB);
	assert_int_equal(keywords_prune(m, count_keyword, &told, &err), 1);
	assert_string_equal(told.data, "1 two,");
	assert_false(m->locked);
	assert_int_equal(keywords_prune(m, NULL, NULL, &err), 0);
	assert_int_equal(m->view.counters.sync_crc, sum);
	assert_null(m->view.names.bit[1].name.ptr);
	assert_int_equal(flag_names_find(&m->view.names, SPAN_LIT("three")), 2);
	set_keyword(m, 2, "new", true);
	assert_int_equal(flag_names_find(&m->view.names, SPAN_LIT("new")), 1);
	rig_check_counters(m);
	/* Who had looked before goes on with what he saw, until he looks again. */
	assert_int_equal(flag_names_find(&reader->view.names, SPAN_LIT("two")), 1);
	assert_int_equal(mailbox_refresh(reader, &err), 1);
	assert_int_equal(flag_names_find(&reader->view.names, SPAN_LIT("two")), -1);
	assert_true(record_has_user_flag(view_find(&reader->view, 2), 1));
	mailbox_close(&reader);
	mailbox_close(&m);
	buf_free(&told);
}

/* ---- marks of deliveries ----------------------------------------------------------------------------------------- */

static void mark(struct rig *rig, const char *id, const char *uniqueid, int64_t time)
{
	struct duplicate_row row = {.uid = 1, .time = time};
	struct buf key = BUF_INIT, payload = BUF_INIT;
	struct meta_batch batch;
	struct us_err err;

	duplicate_key(span_of(id), span_of(uniqueid), SPAN_LIT("Mon, 2 Feb"), &key);
	duplicate_row_encode(&row, &payload);
	meta_batch_init(&batch);
	meta_batch_put(&batch, META_DUPLICATES, buf_span(&key), buf_span(&payload));
	assert_ok(meta_commit(store_meta(rig->store), &batch, META_DURABLE, &err), &err);
	meta_batch_fini(&batch);
	buf_free(&key);
	buf_free(&payload);
}

static int64_t keep_since(void *ctx UNUSED, struct span uniqueid)
{
	return span_is(uniqueid, "long") ? INT64_MIN : span_is(uniqueid, "short") ? 300 : 200;
}

static void old_marks_go(void **state)
{
	static volatile sig_atomic_t stop = 1;
	struct duplicate_pruning how = {.keep_since = keep_since};
	struct rig *rig = *state;
	uint64_t seen, gone;
	struct us_err err;

	mark(rig, "<1@x>", "plain", 199);
	mark(rig, "<2@x>", "plain", 200);
	mark(rig, "<3@x>", "short", 299);
	mark(rig, "<4@x>", "short", 300);
	mark(rig, "<5@x>", "long", 1);
	for (int i = 0; i < 1001; i++) {
		char id[20];
		snprintf(id, sizeof(id), "<m%d@x>", i);
		mark(rig, id, "plain", 100);
	}
	how.stop = &stop;
	assert_ok(duplicate_prune(rig->store, &how, &seen, &gone, &err), &err);
	assert_int_equal(gone, 0);
	how.stop = NULL;
	assert_ok(duplicate_prune(rig->store, &how, &seen, &gone, &err), &err);
	assert_int_equal(seen, 1006);
	assert_int_equal(gone, 1003);
	assert_ok(duplicate_prune(rig->store, &how, &seen, &gone, &err), &err);
	assert_int_equal(seen, 3);
	assert_int_equal(gone, 0);
}

/* ---- annotations that are inherited ---------------------------------------------------------------------------------- */

static void set_annotation(struct rig *rig, const char *name, const char *value)
{
	struct mailbox *m = rig_mailbox(rig, name);
	struct us_err err;

	assert_ok(mailbox_lock(m, &err), &err);
	assert_ok(annotation_set(m, SPAN_LIT("/x"), SPAN_LIT(""), span_of(value), &err), &err);
	assert_ok(annotation_set(m, SPAN_LIT("/x"), SPAN_LIT("bob"), SPAN_LIT("his"), &err), &err);
	mailbox_close(&m);
}

static void check_inherited(struct rig *rig, const char *name, const char *expected)
{
	struct buf value = BUF_INIT;
	struct us_err err;
	int rc = annotation_inherited(rig->store, span_of(name), SPAN_LIT("/x"), &value, &err);

	assert_int_equal(rc, expected != NULL);
	if (expected)
		assert_string_equal(value.data, expected);
	buf_free(&value);
}

static void the_nearest_annotation_holds(void **state)
{
	struct folder_create entry = {.type = SPAN_LIT("ei")};
	struct rig *rig = *state;
	struct us_err err;

	rig_create(rig, BOB);
	assert_ok(folder_create(rig->store, SPAN_LIT(BOB ".a"), &entry, &err), &err);
	rig_create(rig, BOB ".a.b");
	check_inherited(rig, BOB ".a.b", NULL);
	assert_ok(annotation_set_server(rig->store, SPAN_LIT("/x"), SPAN_LIT(""),
					SPAN_LIT("server"), &err),
		  &err);
	check_inherited(rig, BOB ".a.b", "server");
	check_inherited(rig, "nowhere", "server");
	set_annotation(rig, BOB, "bob");
	check_inherited(rig, BOB, "bob");
	check_inherited(rig, BOB ".a.b", "bob");
	check_inherited(rig, BOB ".a.b.never.made", "bob");
	check_inherited(rig, "user.bobby", "server");
	set_annotation(rig, BOB ".a.b", "b");
	check_inherited(rig, BOB ".a.b", "b");
	check_inherited(rig, BOB ".a", "bob");
}

/* ---- deleted for good ------------------------------------------------------------------------------------------------- */

/* The name is gone even if the bytes cannot go now: they wait in the trash. */
static void bytes_that_cannot_go_wait_in_the_trash(void **state)
{
	struct rig *rig = *state;
	struct us_err err;
	unsigned failed;

	rig_create(rig, BOB);
	add(rig, BOB, 1);
	rig_break("store.tree.unlink", FAILPOINT_EIO);
	assert_ok(folder_delete(rig->store, SPAN_LIT(BOB), FOLDER_DELETE_NOW, &err), &err);
	rig_mend();
	rig_break("store.tree.unlink", FAILPOINT_EIO);
	assert_int_equal(partition_sweep_trash(store_default_partition(rig->store), LATER, &failed),
			 0);
	assert_int_equal(failed, 1);
	rig_mend();
	assert_int_equal(partition_sweep_trash(store_default_partition(rig->store), LATER, &failed),
			 1);
	assert_int_equal(failed, 0);
}

#define T(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(what_was_expunged_goes),
		T(refused_it_changes_nothing),
		T(age_counts_from_the_date_field),
		T(or_from_when_it_was_saved),
		T(flagged_ones_may_stay),
		T(messages_come_back_with_all_they_had),
		T(without_deleted_if_so_wished),
		T(what_has_no_room_stays),
		T(one_that_lost_its_file_does_not_keep_others),
		T(unused_keywords_make_room),
		T(old_marks_go),
		T(the_nearest_annotation_holds),
		T(bytes_that_cannot_go_wait_in_the_trash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
