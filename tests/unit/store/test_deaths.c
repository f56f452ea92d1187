/* test_deaths.c - a process that changes a mailbox dies, or is refused, at every point it passes: all of the commit is there
 * or nothing, what was there before is there, and the mailbox goes on. */
#include "tests/unit/store/deaths.h"

#include <dirent.h>

#include "server/base/io.h"
#include "server/store/reconstruct.h"
#include "server/store/rows.h"
#include "server/store/userdata.h"

#define MESSAGE      "From: a@b\r\nSubject: test\r\n\r\nBody.\r\n"
#define UIDVALIDITY  77777
#define MANY_RECORDS 3000 /* more than a frame holds */

/* ---- before ---------------------------------------------------------------------------------------- */

/* Messages 1 to 4; 2 is \Seen, 4 is expunged, 1 has an annotation and a keyword. */
static void prepare(struct rig *rig)
{
	struct mailbox *m;
	struct commit *c;
	struct record r;
	unsigned bit;
	struct us_err err;

	rig_create(rig, "user.bob");
	for (int i = 0; i < 4; i++)
		rig_append(rig, "user.bob", MESSAGE, i == 1 ? FLAG_SEEN : 0);
	rig_flags(rig, "user.bob", 4, 0, true);
	m = rig_mailbox(rig, "user.bob");
	assert_ok(mailbox_lock(m, &err), &err);
	assert_ok(commit_begin(m, &c, &err), &err);
	assert_ok(commit_flag_bit(c, SPAN_LIT("work"), &bit, &err), &err);
	r = *view_find(&m->view, 1);
	record_set_user_flag(&r, bit, true);
	r.modseq = commit_modseq(c);
	assert_ok(commit_put(c, &r, &err), &err);
	assert_ok(commit_annotate(c, 1, SPAN_LIT("/comment"), SPAN_LIT(""), SPAN_LIT("old"),
				  r.modseq, &err),
		  &err);
	assert_ok(commit_finish(&c, &err), &err);
	mailbox_close(&m);
}

/* ---- changes: each must show in the counters ---------------------------------------------------------- */

static int with_commit(struct rig *rig,
		       int (*fn)(struct commit *c, struct mailbox *m, struct us_err *err),
		       struct us_err *err)
{
	struct mailbox *m = NULL;
	struct commit *c = NULL;
	int rc = mailbox_open(rig->store, SPAN_LIT("user.bob"), &m, err);

	if (rc == 0)
		rc = mailbox_lock(m, err);
	if (rc == 0)
		rc = commit_begin(m, &c, err);
	if (rc == 0)
		rc = fn(c, m, err);
	if (rc == 0)
		rc = commit_finish(&c, err);
	commit_abort(&c);
	mailbox_close(&m);
	return rc;
}

static int append(struct rig *rig, struct us_err *err)
{
	return rig_try_append(rig, "user.bob", MESSAGE "new", FLAG_FLAGGED, NULL, err);
}

static int change_many(struct commit *c, struct mailbox *m, struct us_err *err)
{
	uint64_t modseq = commit_modseq(c);
	struct record r = *view_find(&m->view, 1);
	char value[600];
	int rc;

	r.system_flags = FLAG_FLAGGED;
	r.modseq = modseq;
	rc = commit_put(c, &r, err);
	memset(value, 'v', sizeof(value));
	for (int i = 0; rc == 0 && i < MANY_RECORDS; i++) {
		char entry[40];
		snprintf(entry, sizeof(entry), "/vendor/test/%d", i);
		rc = commit_annotate(c, 1, span_of(entry), SPAN_LIT(""),
				     span_make(value, sizeof(value)), modseq, err);
	}
	return rc;
}

static int change_in_many_frames(struct rig *rig, struct us_err *err)
{
	return with_commit(rig, change_many, err);
}

static int expunge_two(struct commit *c, struct mailbox *m, struct us_err *err)
{
	uint64_t modseq = commit_modseq(c);
	int rc = 0;

	for (uint32_t uid = 1; rc == 0 && uid <= 2; uid++) {
		struct record r = *view_find(&m->view, uid);
		r.internal_flags |= RECORD_EXPUNGED;
		r.system_flags |= FLAG_FLAGGED;
		r.modseq = modseq;
		rc = commit_put(c, &r, err);
	}
	return rc;
}

static int expunge(struct rig *rig, struct us_err *err)
{
	return with_commit(rig, expunge_two, err);
}

static int unlink_one(struct commit *c, struct mailbox *m UNUSED, struct us_err *err)
{
	return commit_unlink(c, 4, 4, err);
}

static int unlink_expunged(struct rig *rig, struct us_err *err)
{
	return with_commit(rig, unlink_one, err);
}

/* A change of both: the counters have the uidvalidity, and so has the row. */
static int take_values(struct rig *rig, struct us_err *err)
{
	struct mailbox *m = NULL;
	int rc = mailbox_open(rig->store, SPAN_LIT("user.bob"), &m, err);

	if (rc == 0)
		rc = mailbox_lock(m, err);
	if (rc == 0)
		rc = folder_take_values(m, UIDVALIDITY, 0, 0, err);
	mailbox_close(&m);
	return rc;
}

static int compact_it(struct rig *rig, struct us_err *err)
{
	struct mailbox *m = NULL;
	int rc = mailbox_open(rig->store, SPAN_LIT("user.bob"), &m, err);

	if (rc == 0)
		rc = mailbox_lock(m, err);
	if (rc == 0)
		rc = compact(m, err);
	mailbox_close(&m);
	return rc;
}

/* ---- after ------------------------------------------------------------------------------------------ */

struct seen {
	uint32_t exists, flagged, records, uidvalidity;
	uint64_t highestmodseq, annot_bytes; /* no padding: they are compared as bytes */
};

/* What is there, after a recovery if one is needed; everything must add up. */
static struct seen look(struct rig *rig)
{
	struct mailbox *m;
	struct seen seen;
	struct us_err err;

	for (size_t i = 0; store_partition_at(rig->store, i); i++)
		assert_ok(partition_recover(store_partition_at(rig->store, i), &err), &err);
	m = rig_mailbox(rig, "user.bob");
	assert_ok(mailbox_lock(m, &err), &err);
	rig_check_counters(m);
	assert_int_equal(m->row.uidvalidity, m->view.counters.uidvalidity);
	seen = (struct seen){.exists = m->view.counters.exists,
			     .flagged = m->view.counters.flagged,
			     .records = (uint32_t)m->view.counters.records,
			     .uidvalidity = m->view.counters.uidvalidity,
			     .highestmodseq = m->view.counters.highestmodseq,
			     .annot_bytes = m->view.counters.annot_bytes};
	for (uint32_t uid = 1; uid <= m->view.counters.last_uid; uid++) {
		const struct record *r = view_find(&m->view, uid);
		struct buf text = BUF_INIT;
		char name[16];
		message_file_name(uid, name);
		if (r && record_is_live(r)) {
			struct guid guid;
			assert_ok(io_read_file(m->dir, name, 10000, &text, &err), &err);
			guid = guid_of(buf_span(&text));
			assert_true(guid_eq(&guid, &r->guid));
		}
		buf_free(&text);
	}
	mailbox_close(&m);
	return seen;
}

static void goes_on(struct rig *rig, struct seen before)
{
	struct seen after;

	rig_append(rig, "user.bob", MESSAGE "after", 0);
	after = look(rig);
	assert_int_equal(after.exists, before.exists + 1);
	assert_true(after.highestmodseq > before.highestmodseq);
}

static void expect(const char *point, bool ok, const struct seen *seen)
{
	if (!ok)
		fail_msg("%s: exists %u flagged %u records %u modseq %llu annots %llu uidvalidity "
			 "%u",
			 point, seen->exists, seen->flagged, seen->records,
			 (unsigned long long)seen->highestmodseq,
			 (unsigned long long)seen->annot_bytes, seen->uidvalidity);
}

/* exists, flagged, records, annotation bytes; before and after. */
struct states {
	uint32_t exists, flagged, records;
	uint64_t annot_bytes;
	bool same_uidvalidity;
};

static bool is(const struct seen *seen, const struct states *s)
{
	return seen->exists == s->exists && seen->flagged == s->flagged &&
	       seen->records == s->records && seen->annot_bytes == s->annot_bytes &&
	       (seen->uidvalidity != UIDVALIDITY) == s->same_uidvalidity;
}

static const struct states was = {3, 0, 4, 3, true};

static void check(struct rig *rig, bool died, const char *point, const struct states *done)
{
	struct seen seen = look(rig), again;

	expect(point, is(&seen, done) || (died && is(&seen, &was)), &seen);
	/* What was seen once stays. */
	again = look(rig);
	assert_memory_equal(&seen, &again, sizeof(seen));
	goes_on(rig, seen);
}

#define CHECK(NAME, ...)                                                        \
	static void check_##NAME(struct rig *rig, bool died, const char *point) \
	{                                                                       \
		static const struct states done = {__VA_ARGS__};                \
		check(rig, died, point, &done);                                 \
	}

CHECK(append, 4, 1, 5, 3, true)
CHECK(frames, 3, 1, 4, 3 + MANY_RECORDS * 600, true)
CHECK(expunge, 1, 0, 4, 0, true)
CHECK(unlink, 3, 0, 3, 3, true)
CHECK(values, 3, 0, 4, 3, false)
CHECK(compact, 3, 0, 4, 3, true)

static const struct {
	const char *name;
	struct deaths d;
	unsigned least;
} changes[] = {
	{"append", {prepare, append, check_append}, 5},
	{"frames", {prepare, change_in_many_frames, check_frames}, 3},
	{"expunge", {prepare, expunge, check_expunge}, 2},
	{"unlink", {prepare, unlink_expunged, check_unlink}, 3},
	{"values", {prepare, take_values, check_values}, 5},
	{"compact", {prepare, compact_it, check_compact}, 8},
};

static void deaths_leave_all_or_nothing(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		unsigned n = deaths_everywhere(&changes[i].d, FAILPOINT_KILL);
		if (n < changes[i].least)
			fail_msg("%s: only %u deaths", changes[i].name, n);
	}
}

static void torn_writes_leave_all_or_nothing(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
		assert_true(deaths_everywhere(&changes[i].d, FAILPOINT_TORN) >= changes[i].least);
}

static void full_disks_leave_all_or_nothing(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
		assert_int_equal(deaths_everywhere(&changes[i].d, FAILPOINT_ENOSPC), 0);
}

static void failing_disks_leave_all_or_nothing(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
		assert_int_equal(deaths_everywhere(&changes[i].d, FAILPOINT_EIO), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(deaths_leave_all_or_nothing),
		cmocka_unit_test(torn_writes_leave_all_or_nothing),
		cmocka_unit_test(full_disks_leave_all_or_nothing),
		cmocka_unit_test(failing_disks_leave_all_or_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
