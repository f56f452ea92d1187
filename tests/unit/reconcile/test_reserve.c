/* test_reserve.c - which bodies are asked for and which are sent: rules B1 to B3 of doc/RECONCILE.md. */
#include "tests/unit/reconcile/states.h"

#include "reconcile/reserve.h"

static const struct span one = SPAN_LIT("default"), two = SPAN_LIT("p2");
static const struct span name = SPAN_LIT("user.bob");
static const struct wire_names names = {&name, 1};

static bool want(struct reserve *r, struct span partition, unsigned n)
{
	struct guid g = guid_n(n);

	return reserve_want(r, partition, &g);
}

static bool has(struct reserve *r, struct span partition, unsigned n)
{
	struct guid g = guid_n(n);

	return reserve_has(r, partition, &g);
}

static void each_is_asked_for_once(void **state UNUSED)
{
	struct reserve *r = reserve_new();
	struct wire_reserve question;
	struct guid missing = guid_n(2);

	want(r, one, 1);
	want(r, one, 2);
	want(r, one, 1);
	assert_false(has(r, one, 1));
	assert_true(reserve_next(r, &names, &question));
	assert_span(question.partition, "default");
	assert_int_equal(question.guids.n, 2);
	assert_int_equal(question.mboxnames.n, 1);
	reserve_answer(r, &(struct wire_guids){&missing, 1});
	assert_true(has(r, one, 1));
	assert_false(has(r, one, 2));
	want(r, one, 2); /* asked already */
	assert_false(reserve_next(r, &names, &question));
	reserve_sent(r, one, &missing);
	assert_true(has(r, one, 2));
	reserve_free(&r);
}

static void partitions_have_questions_of_their_own(void **state UNUSED)
{
	struct reserve *r = reserve_new();
	struct wire_reserve question;

	want(r, one, 1);
	want(r, two, 1);
	want(r, one, 2);
	assert_true(reserve_next(r, &names, &question));
	assert_span(question.partition, "default");
	assert_int_equal(question.guids.n, 2);
	reserve_answer(r, &(struct wire_guids){NULL, 0});
	assert_true(has(r, one, 1));
	assert_false(has(r, two, 1));
	assert_true(reserve_next(r, &names, &question));
	assert_span(question.partition, "p2");
	assert_int_equal(question.guids.n, 1);
	reserve_answer(r, &question.guids);
	assert_false(has(r, two, 1));
	assert_false(reserve_next(r, &names, &question));
	reserve_free(&r);
}

static void questions_are_bounded(void **state UNUSED)
{
	struct reserve *r = reserve_new();
	struct wire_reserve question;
	unsigned full = 0, asked = 0;

	for (unsigned i = 0; i < 20000; i++)
		full += want(r, one, i);
	assert_int_equal(full, 20000 - RESERVE_MAX + 1);
	while (reserve_next(r, &names, &question)) {
		assert_true(question.guids.n <= RESERVE_MAX);
		asked += (unsigned)question.guids.n;
		reserve_answer(r, &(struct wire_guids){NULL, 0});
	}
	assert_int_equal(asked, 20000);
	assert_false(want(r, one, 20001));
	reserve_free(&r);
}

static void a_restart_forgets(void **state UNUSED)
{
	struct reserve *r = reserve_new();
	struct guid g = guid_n(1);

	for (unsigned i = 0; i < 40000; i++)
		want(r, one, i);
	reserve_sent(r, one, &g);
	assert_true(reserve_is_much(r) && !reserve_is_empty(r));
	reserve_restart(r);
	assert_true(reserve_is_empty(r) && !reserve_is_much(r));
	assert_false(has(r, one, 1));
	assert_false(want(r, one, 1));
	reserve_sent(r, two, &g);
	assert_true(has(r, two, 1));
	reserve_free(&r);
	reserve_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_is_asked_for_once),
		cmocka_unit_test(partitions_have_questions_of_their_own),
		cmocka_unit_test(questions_are_bounded),
		cmocka_unit_test(a_restart_forgets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
