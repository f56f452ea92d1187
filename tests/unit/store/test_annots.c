/* test_annots.c - annotations of messages: the set in memory, its file, and what a commit makes of them. */
#include "tests/unit/store/rig.h"

#include <fcntl.h>
#include <unistd.h>

#include "server/store/annots.h"
#include "server/store/compact.h"
#include "server/store/journal.h"

#define MESSAGE "From: a@b\r\nSubject: test\r\n\r\nBody.\r\n"
#define ENTRY   SPAN_LIT("/comment")
#define SHARED  SPAN_LIT("")

/* ---- the set -------------------------------------------------------------------------------------- */

static void show(const struct annots *a, struct buf *out)
{
	buf_clear(out);
	for (size_t i = 0; i < a->n; i++)
		buf_printf(out, "%u%.*s|%.*s=%.*s@%llu ", a->uids[i], SPAN_ARG(a->items[i].entry),
			   SPAN_ARG(a->items[i].userid), SPAN_ARG(a->items[i].value),
			   (unsigned long long)a->items[i].modseq);
}

static void expect_set(const struct annots *a, const char *expected)
{
	struct buf text = BUF_INIT;

	show(a, &text);
	assert_string_equal(text.data ? text.data : "", expected);
	buf_free(&text);
}

static void fill(struct annots *a)
{
	annots_put(a, 7, SPAN_LIT("/b"), SHARED, SPAN_LIT("1"), 11);
	annots_put(a, 2, SPAN_LIT("/b"), SPAN_LIT("bob"), SPAN_LIT("2"), 12);
	annots_put(a, 2, SPAN_LIT("/b"), SHARED, SPAN_LIT("3"), 13);
	annots_put(a, 2, SPAN_LIT("/a"), SPAN_LIT("bob"), SPAN_LIT(""), 14);
	annots_put(a, 3, SPAN_LIT("/a"), SHARED, SPAN_LIT("5"), 15);
}

static void a_set_is_sorted_and_has_one_of_each(void **state UNUSED)
{
	struct annots a = {0};
	size_t n;

	annots_put(&a, 1, SPAN_LIT("/x"), SHARED, SPAN_NULL, 1); /* nothing to remove */
	expect_set(&a, "");
	fill(&a);
	expect_set(&a, "2/a|bob=@14 2/b|=3@13 2/b|bob=2@12 3/a|=5@15 7/b|=1@11 ");
	annots_put(&a, 2, SPAN_LIT("/b"), SHARED, SPAN_LIT("new"), 20);
	annots_put(&a, 2, SPAN_LIT("/a"), SPAN_LIT("bob"), SPAN_NULL, 21);
	expect_set(&a, "2/b|=new@20 2/b|bob=2@12 3/a|=5@15 7/b|=1@11 ");
	assert_span(annots_find(&a, 2, SPAN_LIT("/b"), SPAN_LIT("bob"))->value, "2");
	assert_null(annots_find(&a, 2, SPAN_LIT("/b"), SPAN_LIT("bo")));
	assert_null(annots_find(&a, 4, SPAN_LIT("/b"), SHARED));
	assert_non_null(annots_of(&a, 2, &n));
	assert_int_equal(n, 2);
	assert_null(annots_of(&a, 4, &n));
	assert_int_equal(n, 0);
	annots_drop(&a, 3, 6);
	expect_set(&a, "2/b|=new@20 2/b|bob=2@12 7/b|=1@11 ");
	annots_drop(&a, 1, UINT32_MAX);
	expect_set(&a, "");
	annots_fini(&a);
}

static void an_op_says_the_same(void **state UNUSED)
{
	static const char *const values[] = {NULL, "", "x", "12345678", "nine and more"};

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		struct span value = values[i] ? span_of(values[i]) : SPAN_NULL, entry, userid, back;
		struct buf op = BUF_INIT;
		annots_encode(&op, 5, ENTRY, SPAN_LIT("bob"), value, 99);
		assert_int_equal(op.len % 8, 0);
		assert_int_equal(((struct journal_op *)op.data)->length, op.len);
		assert_true(op_annot_parts((const void *)op.data, &entry, &userid, &back));
		assert_true(span_eq(entry, ENTRY) && span_eq(userid, SPAN_LIT("bob")));
		assert_int_equal(!back.ptr, !values[i]);
		assert_true(span_eq(back, value));
		buf_free(&op);
	}
}

/* Any bit of the file may be wrong: then it is not read. */
static void a_file_is_read_back_whole_or_not_at_all(void **state)
{
	struct rig *rig = *state;
	struct storeid id = {{1, 2, 3}}, other = {{4}};
	struct annots a = {0}, back = {0};
	int dir = open(rig->root, O_RDONLY | O_DIRECTORY), fd;
	struct us_err err;
	char byte;

	fill(&a);
	assert_ok(annots_write(&a, dir, 3, &id, &err), &err);
	assert_ok(annots_load(&back, dir, 3, &id, &err), &err);
	expect_set(&back, "2/a|bob=@14 2/b|=3@13 2/b|bob=2@12 3/a|=5@15 7/b|=1@11 ");
	annots_fini(&back);
	assert_int_equal(annots_load(&back, dir, 3, &other, &err), US_ECORRUPT);
	fd = openat(dir, "mbox.ann.3", O_RDWR);
	for (off_t at = 0; pread(fd, &byte, 1, at) == 1; at += 3) {
		if (at >= 56 && at < 64)
			continue; /* reserved: not read */
		byte ^= 4;
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		assert_int_equal(annots_load(&back, dir, 3, &id, &err), US_ECORRUPT);
		annots_fini(&back);
		byte ^= 4;
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	}
	close(fd);
	close(dir);
	annots_fini(&a);
}

/* ---- in a mailbox ----------------------------------------------------------------------------------- */

static int try_annotate(struct rig *rig, uint32_t uid, struct span entry, struct span userid,
			struct span value)
{
	struct mailbox *m = rig_mailbox(rig, "user.bob");
	struct commit *c = NULL;
	struct us_err err;
	int rc = mailbox_lock(m, &err);

	if (rc == 0)
		rc = commit_begin(m, &c, &err);
	if (rc == 0)
		rc = commit_annotate(c, uid, entry, userid, value, commit_modseq(c), &err);
	if (rc == 0)
		rc = commit_finish(&c, &err);
	commit_abort(&c);
	rig_check_counters(m);
	mailbox_close(&m);
	return rc;
}

static void two_messages(struct rig *rig)
{
	rig_create(rig, "user.bob");
	rig_append(rig, "user.bob", MESSAGE, 0);
	rig_append(rig, "user.bob", MESSAGE, 0);
}

static void the_sums_of_a_record_follow(void **state)
{
	static const struct {
		const char *user, *value;
		uint32_t bytes; /* then */
	} steps[] = {{"", "four", 4},  {"bob", "and eight", 13}, {"", "x", 10}, {"", "", 9},
		     {"bob", NULL, 0}, {"bob", NULL, 0},         {"", NULL, 0}};
	struct rig *rig = *state;

	two_messages(rig);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		struct span value = steps[i].value ? span_of(steps[i].value) : SPAN_NULL;
		struct mailbox *m;
		assert_int_equal(try_annotate(rig, 1, ENTRY, span_of(steps[i].user), value), 0);
		m = rig_mailbox(rig, "user.bob");
		assert_int_equal(view_find(&m->view, 1)->annot_bytes, steps[i].bytes);
		assert_int_equal(m->view.counters.annot_bytes, steps[i].bytes);
		mailbox_close(&m);
	}
	/* All gone: the sums are as if there had never been one. */
	struct mailbox *m = rig_mailbox(rig, "user.bob");
	assert_int_equal(view_find(&m->view, 1)->annot_crc, view_find(&m->view, 2)->annot_crc);
	assert_int_equal(m->view.annots.n, 0);
	mailbox_close(&m);
}

/* Neither a crash of the writer nor a disk is needed for this: a peer may send it. */
static void what_is_too_long_is_refused_and_nothing_else_happens(void **state)
{
	struct rig *rig = *state;
	size_t len = 3u << 20;
	char *big = us_malloc(len);

	memset(big, 'x', len);
	two_messages(rig);
	assert_int_equal(try_annotate(rig, 1, ENTRY, SHARED, SPAN_LIT("small")), 0);
	assert_int_equal(try_annotate(rig, 1, ENTRY, SHARED, span_make(big, len)), US_ELIMIT);
	assert_int_equal(try_annotate(rig, 1, span_make(big, 65536), SHARED, SPAN_LIT("v")),
			 US_ELIMIT);
	assert_int_equal(try_annotate(rig, 1, ENTRY, span_make(big, 65536), SPAN_LIT("v")),
			 US_ELIMIT);
	assert_int_equal(try_annotate(rig, 9, ENTRY, SHARED, SPAN_LIT("v")), US_ENOENT);
	assert_int_equal(try_annotate(rig, 2, span_make(big, 65535), span_make(big, 65535),
				      span_make(big, 500000)),
			 0);
	for (int i = 0; i < 2; i++) {
		struct mailbox *m = rig_mailbox(rig, "user.bob");
		struct us_err err;
		assert_span(annots_find(&m->view.annots, 1, ENTRY, SHARED)->value, "small");
		assert_int_equal(m->view.counters.annot_bytes, 500005);
		assert_int_equal(m->view.annots.n, 2);
		assert_ok(mailbox_lock(m, &err), &err);
		assert_ok(compact(m, &err), &err);
		mailbox_close(&m);
	}
	free(big);
}

static void those_of_the_unlinked_go(void **state)
{
	struct rig *rig = *state;
	struct mailbox *m;
	struct commit *c;
	struct us_err err;

	two_messages(rig);
	assert_int_equal(try_annotate(rig, 1, ENTRY, SHARED, SPAN_LIT("one")), 0);
	assert_int_equal(try_annotate(rig, 2, ENTRY, SHARED, SPAN_LIT("two")), 0);
	rig_flags(rig, "user.bob", 1, 0, /* expunge */ true);
	m = rig_mailbox(rig, "user.bob");
	assert_int_equal(m->view.counters.annot_bytes, 3); /* of live ones */
	assert_int_equal(m->view.annots.n, 2);
	assert_ok(mailbox_lock(m, &err), &err);
	assert_ok(commit_begin(m, &c, &err), &err);
	assert_ok(commit_unlink(c, 1, 1, &err), &err);
	assert_ok(commit_finish(&c, &err), &err);
	assert_int_equal(m->view.annots.n, 1);
	assert_ok(compact(m, &err), &err);
	assert_int_equal(m->view.annots.n, 1);
	assert_span(annots_find(&m->view.annots, 2, ENTRY, SHARED)->value, "two");
	rig_check_counters(m);
	mailbox_close(&m);
}

#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_set_is_sorted_and_has_one_of_each),
		cmocka_unit_test(an_op_says_the_same),
		T(a_file_is_read_back_whole_or_not_at_all),
		T(the_sums_of_a_record_follow),
		T(what_is_too_long_is_refused_and_nothing_else_happens),
		T(those_of_the_unlinked_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
