/* test_history.c - which changes of flags outlive their journal. */
#include "tests/unit/store/rig.h"

#include "server/store/compact.h"
#include "server/store/history.h"

#define MESSAGE "From: a@b\r\nSubject: test\r\n\r\nBody.\r\n"

static const struct op_flaghist *nth(const struct history *h, size_t i)
{
	assert_true(i < h->n);
	return (const struct op_flaghist *)h->ops.data + i;
}

static void flags_and_records_are_changes(void **state UNUSED)
{
	struct record before = {.uid = 5, .system_flags = FLAG_SEEN, .user_flags = {1, 4}};
	struct op_flags flags = {.op = {OP_FLAGS, 0, sizeof(flags)},
				 .uid = 5,
				 .system_flags = FLAG_DELETED,
				 .modseq = 70,
				 .last_updated = store_now(),
				 .user_flags = {3, 0}};
	struct op_record whole = {.op = {OP_RECORD, 0, sizeof(whole)}, .record = before};
	struct history h;

	history_init(&h);
	history_note(&h, &before, &flags.op);
	history_note(&h, NULL, &flags.op); /* of nobody */
	whole.record.modseq = 71;
	whole.record.last_updated = store_now();
	whole.record.size = 4711;
	history_note(&h, &before, &whole.op); /* no flag changes */
	assert_int_equal(h.n, 1);
	whole.record.system_flags = FLAG_DELETED;
	whole.record.user_flags[0] = 3;
	whole.record.user_flags[1] = 0;
	history_note(&h, &before, &whole.op);
	history_note(&h, NULL, &whole.op); /* a new message */
	assert_int_equal(h.n, 2);
	for (size_t i = 0; i < 2; i++) {
		const struct op_flaghist *op = nth(&h, i);
		assert_int_equal(op->uid, 5);
		assert_int_equal(op->modseq, 70 + i);
		assert_int_equal(op->system_set, FLAG_DELETED);
		assert_int_equal(op->system_cleared, FLAG_SEEN);
		assert_int_equal(op->user_set[0], 2);
		assert_int_equal(op->user_cleared[0], 0);
		assert_int_equal(op->user_set[1], 0);
		assert_int_equal(op->user_cleared[1], 4);
	}
	whole.record.last_updated = store_now() - 2 * 86400;
	history_note(&h, &before, &whole.op);
	assert_int_equal(h.n, 2); /* too old */
	history_fini(&h);
}

static void what_bits_meant_can_be_forgotten(void **state UNUSED)
{
	struct op_flaghist op = {.op = {OP_FLAGHIST, 0, sizeof(op)},
				 .system_set = FLAG_SEEN,
				 .user_set = {6, 1},
				 .user_cleared = {9, 3}};
	struct history h;

	history_init(&h);
	op.time = store_now();
	history_note(&h, NULL, &op.op);
	history_note(&h, NULL, &op.op);
	history_forget(&h, (const uint64_t[2]){10, 1});
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(nth(&h, i)->system_set, FLAG_SEEN);
		assert_int_equal(nth(&h, i)->user_set[0], 4);
		assert_int_equal(nth(&h, i)->user_set[1], 0);
		assert_int_equal(nth(&h, i)->user_cleared[0], 1);
		assert_int_equal(nth(&h, i)->user_cleared[1], 2);
	}
	history_fini(&h);
}

static void the_newest_are_kept(void **state UNUSED)
{
	struct op_flaghist op = {.op = {OP_FLAGHIST, 0, sizeof(op)}, .system_set = FLAG_SEEN};
	struct history h;

	history_init(&h);
	op.time = store_now();
	for (op.modseq = 1; op.modseq <= 25000; op.modseq++)
		history_note(&h, NULL, &op.op);
	assert_in_range(h.n, 10000, 11000);
	assert_int_equal(h.ops.len, h.n * sizeof(op));
	for (size_t i = 0; i < h.n; i++)
		assert_int_equal(nth(&h, i)->modseq, 25000 - h.n + 1 + i);
	history_fini(&h);
}

static size_t count_history(struct mailbox *m, struct op_flaghist *last)
{
	struct journal_position at = journal_start(&m->view.journal);
	const struct journal_frame *frame;
	struct us_err err;
	size_t n = 0;

	while (journal_next(&m->view.journal, &at, journal_publish_end(&m->view.journal), &frame,
			    &err) > 0) {
		const struct journal_op *op = NULL;
		bool bad;
		while ((op = journal_op_next(frame, op, &bad)))
			if (op->kind == OP_FLAGHIST) {
				*last = *(const struct op_flaghist *)op;
				n++;
			}
	}
	return n;
}

/* A change of flags that comes with others (as a peer's does) is written as a whole record. */
static void changes_of_whole_records_survive_compaction(void **state)
{
	struct rig *rig = *state;
	struct op_flaghist last = {.uid = 0};
	struct mailbox *m;
	struct commit *c;
	struct record r;
	struct us_err err;

	rig_create(rig, "user.bob");
	rig_append(rig, "user.bob", MESSAGE, 0);
	m = rig_mailbox(rig, "user.bob");
	assert_ok(mailbox_lock(m, &err), &err);
	assert_ok(commit_begin(m, &c, &err), &err);
	r = *view_find(&m->view, 1);
	r.system_flags = FLAG_FLAGGED;
	r.savedate = 12345;
	r.modseq = commit_modseq(c);
	r.last_updated = store_now();
	assert_ok(commit_put(c, &r, &err), &err);
	assert_ok(commit_finish(&c, &err), &err);
	for (int i = 0; i < 2; i++) {
		assert_ok(compact(m, &err), &err);
		assert_int_equal(count_history(m, &last), 1);
		assert_int_equal(last.uid, 1);
		assert_int_equal(last.system_set, FLAG_FLAGGED);
		assert_int_equal(last.modseq, r.modseq);
	}
	mailbox_close(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flags_and_records_are_changes),
		cmocka_unit_test(what_bits_meant_can_be_forgotten),
		cmocka_unit_test(the_newest_are_kept),
		cmocka_unit_test_setup_teardown(changes_of_whole_records_survive_compaction,
						rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
