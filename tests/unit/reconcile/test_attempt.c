/* test_attempt.c - what is tried after a refusal: rules T1 to T4 of doc/RECONCILE.md. */
#include "tests/unit/test.h"

#include "reconcile/attempt.h"
#include "server/base/err.h"

static void every_refusal_has_its_answer(void **state UNUSED)
{
	static const struct {
		bool force;
		int results[4];
		enum attempt_step steps[4]; /* after each */
		int result;
	} rows[] = {
		{false, {0}, {ATTEMPT_DONE}, 0},
		{false, {US_EMOVED}, {ATTEMPT_DONE}, US_EMOVED},
		{false, {US_ELINK}, {ATTEMPT_DONE}, US_ELINK},
		{false, {US_ECHANGED, 0}, {ATTEMPT_REPEAT, ATTEMPT_DONE}, 0},
		{false, {US_ECHECKSUM, 0}, {ATTEMPT_REPEAT, ATTEMPT_DONE}, 0},
		{false, {US_ECHECKSUM, US_EBUSY}, {ATTEMPT_REPEAT, ATTEMPT_DONE}, US_EBUSY},
		{false,
		 {US_ECHECKSUM, US_ECHECKSUM, 0, 0},
		 {ATTEMPT_REPEAT, ATTEMPT_FULL, ATTEMPT_LAST, ATTEMPT_DONE},
		 0},
		{false,
		 {US_ECHECKSUM, US_ECHECKSUM, 0, US_ECHECKSUM},
		 {ATTEMPT_REPEAT, ATTEMPT_FULL, ATTEMPT_LAST, ATTEMPT_DONE},
		 US_ECHECKSUM},
		{false,
		 {US_ECHECKSUM, US_ECHECKSUM, US_ECORRUPT},
		 {ATTEMPT_REPEAT, ATTEMPT_FULL, ATTEMPT_DONE},
		 US_ECORRUPT},
		{false, {ATTEMPT_NEEDS_FULL, 0, 0}, {ATTEMPT_FULL, ATTEMPT_LAST, ATTEMPT_DONE}, 0},
		{true, {US_ECHECKSUM, US_ECHECKSUM}, {ATTEMPT_REPEAT, ATTEMPT_DONE}, US_ECHECKSUM},
		{true, {ATTEMPT_NEEDS_FULL}, {ATTEMPT_DONE}, US_ECHECKSUM},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct attempt a = attempt_begin(rows[i].force);
		size_t k = 0;
		assert_int_equal(a.step, ATTEMPT_FIRST);
		do
			assert_int_equal(attempt_next(&a, rows[i].results[k]), rows[i].steps[k]);
		while (rows[i].steps[k++] != ATTEMPT_DONE);
		assert_int_equal(a.result, rows[i].result);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_refusal_has_its_answer)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
