/* test_account.c - how many processes a service gets, of a Cyrus's program and of ours. */
#include "tests/unit/test.h"

#include "server/base/child.h"
#include "server/master/account.h"

#define NOW 5000000

static const struct account_rules plain = {.maxchild = -1};

static unsigned fork_all(struct account *a, const struct account_rules *r, bool knocking,
			 int64_t now)
{
	unsigned n = account_shortfall(a, r, knocking, now);

	for (unsigned i = 0; i < n; i++)
		account_forked(a, now);
	return n;
}

static enum account_state hear(struct account *a, enum account_state state, int message)
{
	bool known;

	state = account_heard(a, state, message, &known);
	assert_true(known);
	return state;
}

static enum account_verdict bury(struct account *a, const struct account_rules *r,
				 enum account_state state, bool failed, bool by_kill, int64_t now)
{
	const struct account_death death = {state, failed, by_kill, 5};

	return account_buried(a, r, &death, now);
}

static void nothing_is_started_before_somebody_knocks(void **state UNUSED)
{
	struct account a = {0};

	assert_int_equal(account_shortfall(&a, &plain, false, NOW), 0);
	assert_true(account_watches(&a, &plain, NOW));
	assert_int_equal(fork_all(&a, &plain, true, NOW), 1);
	assert_false(account_watches(&a, &plain, NOW));
	assert_int_equal(fork_all(&a, &plain, true, NOW), 0);
}

static void unknown_program_gets_one_process_until_it_has_had_time_to_speak(void **state UNUSED)
{
	const struct account_rules r = {.prefork = 3, .maxchild = -1};
	struct account a = {0};

	assert_int_equal(fork_all(&a, &r, false, NOW), 1);
	assert_int_equal(fork_all(&a, &r, false, NOW + 10), 0);
	assert_int_equal(account_wait_ms(&a, &r, NOW + 10), ACCOUNT_UNKNOWN_MS - 10);
	assert_int_equal(fork_all(&a, &r, false, NOW + ACCOUNT_UNKNOWN_MS), 2);
	assert_int_equal(a.kind, ACCOUNT_CLASSIC);
	assert_int_equal(account_wait_ms(&a, &r, NOW + ACCOUNT_UNKNOWN_MS), -1);
}

static void forking_program_is_enough_alone(void **state UNUSED)
{
	const struct account_rules r = {.prefork = 5, .maxchild = 100};
	struct account a = {0};

	fork_all(&a, &r, false, NOW);
	hear(&a, ACCOUNT_READY, CHILD_FORKING);
	assert_int_equal(fork_all(&a, &r, true, NOW + 60000), 0);
	assert_false(account_watches(&a, &r, NOW + 60000));
	/* it dies, with connections that live on */
	a.survivors = 100;
	assert_int_equal(bury(&a, &r, ACCOUNT_READY, true, true, NOW + 60000), ACCOUNT_GOES_ON);
	assert_int_equal(fork_all(&a, &r, false, NOW + 60001), 1);
}

static void classic_program_is_kept_ready_and_below_maxchild(void **state UNUSED)
{
	const struct account_rules r = {.prefork = 2, .maxchild = 3};
	struct account a = {0};
	enum account_state one, two, three;

	fork_all(&a, &r, false, NOW);
	one = hear(&a, ACCOUNT_READY, CHILD_UNAVAILABLE); /* says what it is */
	assert_int_equal(a.ready, 0);
	assert_int_equal(fork_all(&a, &r, false, NOW + 1), 2);
	two = hear(&a, ACCOUNT_READY, CHILD_UNAVAILABLE);
	three = hear(&a, ACCOUNT_READY, CHILD_UNAVAILABLE);
	assert_int_equal(a.active, 3);
	assert_int_equal(fork_all(&a, &r, true, NOW + 2), 0); /* at the limit: clients wait */
	assert_false(account_watches(&a, &r, NOW + 2));
	one = hear(&a, one, CHILD_AVAILABLE);
	assert_int_equal(a.ready, 1);
	one = hear(&a, one, CHILD_AVAILABLE); /* said twice: counted once */
	assert_int_equal(a.ready, 1);
	bury(&a, &r, two, false, false, NOW + 3);
	assert_int_equal(fork_all(&a, &r, false, NOW + 3), 1);
	assert_int_equal(a.ready, 2);
	hear(&a, three, CHILD_CONNECTION);
	hear(&a, ACCOUNT_READY, CHILD_CONNECTION_MULTI);
	assert_int_equal(a.connections, 2);
	assert_int_equal(a.ready, 2);
}

static void message_that_is_none_is_told(void **state UNUSED)
{
	static const int bad[] = {0, -1, 6, 70000};
	struct account a = {0};

	account_forked(&a, NOW);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		bool known = true;
		assert_int_equal(account_heard(&a, ACCOUNT_BUSY, bad[i], &known), ACCOUNT_BUSY);
		assert_false(known);
	}
	assert_int_equal(a.kind, ACCOUNT_UNKNOWN);
}

static void maxchild_of_zero_starts_nothing(void **state UNUSED)
{
	const struct account_rules r = {.prefork = 1, .maxchild = 0, .babysit = true};
	struct account a = {0};

	assert_int_equal(account_shortfall(&a, &r, true, NOW), 0);
	assert_false(account_watches(&a, &r, NOW));
}

/* Start it and let it fail while it is ready, n times with `gap` between. */
static enum account_verdict fail_often(struct account *a, const struct account_rules *r, unsigned n,
				       int64_t gap, bool by_kill, int64_t *now)
{
	enum account_verdict verdict = ACCOUNT_GOES_ON;

	for (unsigned i = 0; i < n; i++) {
		*now += gap;
		account_forked(a, *now);
		verdict = bury(a, r, ACCOUNT_READY, true, by_kill, *now);
	}
	return verdict;
}

static void five_failures_in_a_row_switch_it_off(void **state UNUSED)
{
	struct account a = {0};
	int64_t now = NOW;

	assert_int_equal(fail_often(&a, &plain, 4, 9000, false, &now), ACCOUNT_GOES_ON);
	assert_int_equal(fail_often(&a, &plain, 1, 9000, false, &now), ACCOUNT_SWITCHED_OFF);
	assert_int_equal(account_shortfall(&a, &plain, true, now + 1000000), 0);
	assert_int_equal(account_wait_ms(&a, &plain, now), -1);
	account_renew(&a, false, now);
	assert_int_equal(account_shortfall(&a, &plain, true, now), 1);
}

static void slow_failures_switch_nothing_off(void **state UNUSED)
{
	struct account a = {0};
	int64_t now = NOW;

	assert_int_equal(fail_often(&a, &plain, 50, 10000, false, &now), ACCOUNT_GOES_ON);
	assert_false(a.off);
}

static void failure_with_a_client_switches_nothing_off(void **state UNUSED)
{
	struct account a = {0};

	for (int i = 0; i < 20; i++) {
		account_forked(&a, NOW + i);
		hear(&a, ACCOUNT_READY, CHILD_UNAVAILABLE);
		assert_int_equal(bury(&a, &plain, ACCOUNT_BUSY, true, false, NOW + i),
				 ACCOUNT_GOES_ON);
	}
	assert_false(a.off);
}

static void kill_from_outside_only_slows_down(void **state UNUSED)
{
	struct account a = {0};
	int64_t now = NOW;

	assert_int_equal(fail_often(&a, &plain, 2, 10, true, &now), ACCOUNT_GOES_ON);
	assert_int_equal(account_shortfall(&a, &plain, true, now), 1); /* at once */
	assert_int_equal(fail_often(&a, &plain, 30, 10, true, &now), ACCOUNT_GOES_ON);
	assert_false(a.off);
	assert_int_equal(account_shortfall(&a, &plain, true, now), 0);
	assert_int_equal(account_wait_ms(&a, &plain, now), 1000); /* never longer */
	assert_int_equal(account_shortfall(&a, &plain, true, now + 1000), 1);
}

static void kill_of_one_that_lived_a_while_does_not_even_slow_down(void **state UNUSED)
{
	const struct account_death death = {ACCOUNT_READY, true, true, THROTTLE_WHILE_MS};
	struct account a = {0};

	for (int i = 0; i < 50; i++) {
		assert_int_equal(fork_all(&a, &plain, true, NOW + i), 1);
		assert_int_equal(account_buried(&a, &plain, &death, NOW + i), ACCOUNT_GOES_ON);
	}
}

static void babysat_service_rests_and_comes_back(void **state UNUSED)
{
	const struct account_rules r = {.maxchild = -1, .babysit = true};
	struct account a = {0};
	int64_t now = NOW;

	assert_int_equal(account_shortfall(&a, &r, false, now), 1); /* never without a process */
	assert_int_equal(fail_often(&a, &r, 5, 1000, false, &now), ACCOUNT_RESTS);
	assert_true(a.lost_all);
	assert_int_equal(account_shortfall(&a, &r, true, now + ACCOUNT_PAUSE_MS - 1), 0);
	assert_int_equal(account_wait_ms(&a, &r, now + ACCOUNT_PAUSE_MS - 1), 1);
	assert_int_equal(account_shortfall(&a, &r, false, now + ACCOUNT_PAUSE_MS), 1);
}

static void fork_rate_holds_back_and_lets_go(void **state UNUSED)
{
	const struct account_rules r = {.maxchild = -1, .maxforkrate = 3};
	struct account a = {.kind = ACCOUNT_CLASSIC};
	unsigned forks = 0;

	while (account_shortfall(&a, &r, true, NOW) && forks < 100) {
		account_forked(&a, NOW);
		hear(&a, ACCOUNT_READY, CHILD_UNAVAILABLE);
		forks++;
	}
	assert_int_equal(forks, 5);
	assert_false(account_watches(&a, &r, NOW));
	assert_true(account_wait_ms(&a, &r, NOW) > 0);
	assert_true(account_watches(&a, &r, NOW + 1000));
}

static void reload_with_another_program_looks_anew(void **state UNUSED)
{
	const struct account_rules r = {.prefork = 4, .maxchild = -1};
	struct account a = {0};

	fork_all(&a, &r, false, NOW);
	hear(&a, ACCOUNT_READY, CHILD_FORKING);
	account_renew(&a, /* other_program */ true, NOW + 5000);
	bury(&a, &r, ACCOUNT_READY, false, false, NOW + 5001);
	assert_int_equal(fork_all(&a, &r, false, NOW + 5001), 1);
	hear(&a, ACCOUNT_READY, CHILD_AVAILABLE);
	assert_int_equal(fork_all(&a, &r, false, NOW + 5002), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_started_before_somebody_knocks),
		cmocka_unit_test(unknown_program_gets_one_process_until_it_has_had_time_to_speak),
		cmocka_unit_test(forking_program_is_enough_alone),
		cmocka_unit_test(classic_program_is_kept_ready_and_below_maxchild),
		cmocka_unit_test(message_that_is_none_is_told),
		cmocka_unit_test(maxchild_of_zero_starts_nothing),
		cmocka_unit_test(five_failures_in_a_row_switch_it_off),
		cmocka_unit_test(slow_failures_switch_nothing_off),
		cmocka_unit_test(failure_with_a_client_switches_nothing_off),
		cmocka_unit_test(kill_from_outside_only_slows_down),
		cmocka_unit_test(kill_of_one_that_lived_a_while_does_not_even_slow_down),
		cmocka_unit_test(babysat_service_rests_and_comes_back),
		cmocka_unit_test(fork_rate_holds_back_and_lets_go),
		cmocka_unit_test(reload_with_another_program_looks_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
