/* test_decide_steps.c - one mailbox in orders of bounded size: rules S1 to S6 of doc/RECONCILE.md. */
#include "tests/unit/reconcile/states.h"

#include "reconcile/decide_steps.h"

static struct mailbox_decision towards(uint32_t replica_last_uid, uint64_t replica_modseq)
{
	struct state_mailbox a = mailbox("x", "user.bob"), b = a;
	struct decide_options options = OPTIONS;
	struct mailbox_decision d;

	a.last_uid = 100;
	a.highestmodseq = 200;
	b.last_uid = replica_last_uid;
	b.highestmodseq = replica_modseq;
	decide_mailbox(&a, &b, MAILBOX_ALL_SURE, &options, MAILBOX_FIRST, &d);
	return d;
}

static void few_records_are_one_final_step(void **state)
{
	static const struct steps_record records[] = {{3, false, 11}, {6, false, 12}};
	struct mailbox_decision d = towards(5, 10);
	struct state_record old = record(3, 11, 1), new = record(6, 12, 2);
	struct steps_plan p;

	decide_steps(&d, records, 2, 2, STEPS_WHOLE, *state, &p);
	assert_int_equal(p.n, 1);
	assert_true(p.steps[0].final);
	assert_true(p.gains);
	assert_false(p.losses);
	assert_true(decide_step_has(&d, &p.steps[0], &old));
	assert_true(decide_step_has(&d, &p.steps[0], &new));
}

static void nothing_but_a_header_is_one_step(void **state)
{
	struct mailbox_decision d = towards(5, 10);
	struct steps_plan p;

	decide_steps(&d, NULL, 0, 10, STEPS_WHOLE, *state, &p);
	assert_int_equal(p.n, 1);
	assert_true(p.steps[0].final);
	assert_false(p.gains || p.losses);
	decide_steps(&d, NULL, 0, 10, STEPS_ADDITIONS, *state, &p);
	assert_int_equal(p.n, 0);
}

static void many_new_ones_go_by_uid(void **state)
{
	struct steps_record records[25];
	struct mailbox_decision d = towards(0, 1);
	struct steps_plan p;

	for (uint32_t i = 0; i < 25; i++)
		records[i] = (struct steps_record){i + 1, false, i + 2};
	decide_steps(&d, records, 25, 10, STEPS_WHOLE, *state, &p);
	assert_int_equal(p.n, 3);
	assert_int_equal(p.steps[0].last_uid, 10);
	assert_int_equal(p.steps[0].highestmodseq, 11);
	assert_int_equal(p.steps[1].last_uid, 20);
	assert_int_equal(p.steps[1].highestmodseq, 21);
	assert_true(p.steps[2].final);
	for (uint32_t uid = 1; uid <= 25; uid++) {
		struct state_record r = record(uid, uid + 1, uid);
		for (size_t s = 0; s < 3; s++)
			assert_int_equal(decide_step_has(&d, &p.steps[s], &r), s == (uid - 1) / 10);
	}
}

static void additions_are_what_is_new_alone(void **state)
{
	static const struct steps_record records[] = {{2, true, 15},
						      {6, false, 12},
						      {7, false, 20},
						      {8, true, 16},
						      {9, false, 30}};
	struct mailbox_decision d = towards(5, 10);
	struct state_record old = record(2, 15, 2);
	struct steps_plan p;

	decide_steps(&d, records, 5, 1, STEPS_ADDITIONS, *state, &p);
	assert_int_equal(p.n, 4);
	assert_int_equal(p.steps[0].highestmodseq, 12);
	assert_int_equal(p.steps[1].highestmodseq, 20);
	assert_int_equal(p.steps[2].highestmodseq, 20); /* it never falls */
	assert_int_equal(p.steps[3].highestmodseq, 30);
	assert_int_equal(p.steps[3].last_uid, 9);
	for (size_t i = 0; i < 4; i++) {
		assert_false(p.steps[i].final);
		assert_false(decide_step_has(&d, &p.steps[i], &old));
		assert_int_equal(p.steps[i].changed_to, 10);
	}
	assert_true(p.gains && p.losses);
}

static void changes_are_cut_where_the_modseq_changes(void **state)
{
	static const struct steps_record records[] = {{1, false, 12}, {2, false, 11},
						      {3, false, 12}, {4, false, 12},
						      {5, false, 13}, {6, false, 14}};
	struct mailbox_decision d = towards(5, 10);
	struct state_record r = record(4, 12, 1);
	struct steps_plan p;

	decide_steps(&d, records, 6, 2, STEPS_WHOLE, *state, &p);
	assert_int_equal(p.n, 3);
	assert_int_equal(p.steps[0].new_to, 6); /* what is new goes first */
	assert_int_equal(p.steps[0].highestmodseq, 14);
	assert_int_equal(p.steps[1].changed_to, 12);
	assert_int_equal(p.steps[1].highestmodseq, 14);
	assert_int_equal(p.steps[1].last_uid, 6);
	assert_true(decide_step_has(&d, &p.steps[1], &r));
	assert_false(decide_step_has(&d, &p.steps[2], &r));
	assert_true(p.steps[2].final);
}

static void headers_on_the_way_are_the_replicas_own(void **state)
{
	static const struct steps_record records[] = {{6, false, 11},
						      {7, false, 12},
						      {8, false, 13}};
	struct mailbox_decision d = towards(5, 10);
	struct state_mailbox replica = mailbox("x", "user.bob"), h;
	struct steps_plan p;

	replica.recentuid = 4;
	replica.foldermodseq = 3;
	d.header.recentuid = 8;
	decide_steps(&d, records, 3, 1, STEPS_WHOLE, *state, &p);
	decide_step_header(&d, &replica, &p, 0, &h);
	assert_int_equal(h.last_uid, 6);
	assert_int_equal(h.highestmodseq, 11);
	assert_int_equal(h.sync_crc, 0);
	assert_false(h.has_sync_crc_annot);
	assert_int_equal(h.recentuid, 4);
	assert_int_equal(h.foldermodseq, 3);
	assert_int_equal(h.since_modseq, 10);
	assert_int_equal(h.since_crc, 77);
	decide_step_header(&d, &replica, &p, 1, &h);
	assert_false(h.has_since); /* what the replica is on the way only it knows */
	decide_step_header(&d, NULL, &p, 0, &h);
	assert_int_equal(h.recentuid, 6);
	decide_step_header(&d, &replica, &p, 2, &h);
	assert_int_equal(h.last_uid, 100);
	assert_int_equal(h.sync_crc, 77);
	assert_int_equal(h.recentuid, 8);
	assert_false(h.has_since);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_with_pool(few_records_are_one_final_step),
		test_with_pool(nothing_but_a_header_is_one_step),
		test_with_pool(many_new_ones_go_by_uid),
		test_with_pool(additions_are_what_is_new_alone),
		test_with_pool(changes_are_cut_where_the_modseq_changes),
		test_with_pool(headers_on_the_way_are_the_replicas_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
