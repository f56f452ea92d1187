/* test_duration.c - how long, as tools and annotations have it. */
#include "tests/unit/test.h"

#include "server/admin/duration.h"

static void durations_are_read(void **state UNUSED)
{
	static const struct {
		const char *word;
		int64_t unit, seconds;
	} rows[] = {
		{"0", 86400, 0},
		{"3", 86400, 259200},
		{"3", 1, 3},
		{"1.5d", 1, 129600},
		{"36h", 86400, 129600},
		{".5m", 86400, 30},
		{"2.", 60, 120},
		{"90s", 86400, 90},
		{"2w", 1, 1209600},
		{"0.0001d", 86400, 8},
		{"007", 1, 7},
		{"0s", 86400, 0},
		{"3650000d", 1, 315360000000},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int64_t seconds = -1;
		assert_true(duration_parse(rows[i].word, rows[i].unit, &seconds));
		assert_int_equal(seconds, rows[i].seconds);
	}
}

static void what_is_none_is_refused(void **state UNUSED)
{
	static const char *const bad[] = {"",         "d",
					  "-1",       "+1",
					  " 1",       "1 ",
					  "1 d",      "1x",
					  "1dd",      "1d2h",
					  "1.2.3",    ".",
					  "..",       ".d",
					  "inf",      "nan",
					  "0x1",      "1e3",
					  "1,5",      "x",
					  "3650001d", "99999999999999999999999999"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int64_t seconds = 42;
		if (duration_parse(bad[i], 86400, &seconds))
			fail_msg("\"%s\" is taken for %lld s", bad[i], (long long)seconds);
		assert_int_equal(seconds, 42);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_are_read),
		cmocka_unit_test(what_is_none_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
