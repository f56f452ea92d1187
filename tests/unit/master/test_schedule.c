/* test_schedule.c - when events are due, on ordinary days and on those on which clocks are moved. */
#include "tests/unit/test.h"

#include <time.h>

#include "server/master/schedule.h"

/* Rules spelled out, so that no table of zones is needed. */
#define BERLIN    "CET-1CEST,M3.5.0,M10.5.0/3"
#define NEW_YORK  "EST5EDT,M3.2.0,M11.1.0"
#define LORD_HOWE "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0" /* clocks are moved by half an hour */

static void use_zone(const char *zone)
{
	setenv("TZ", zone, 1);
	tzset();
}

/* "2026-03-29 00:30:00" in UTC */
static time_t utc(const char *text)
{
	struct tm tm = {0};

	assert_non_null(strptime(text, "%Y-%m-%d %H:%M:%S", &tm));
	return timegm(&tm);
}

static void next_at_knows_every_kind_of_day(void **state UNUSED)
{
	static const struct {
		const char *zone, *after;
		int hour, minute;
		const char *expected;
	} cases[] = {
		/* ordinary days */
		{"UTC0", "2026-05-01 03:00:00", 4, 1, "2026-05-01 04:01:00"},
		{"UTC0", "2026-05-01 04:01:00", 4, 1, "2026-05-02 04:01:00"},
		{"UTC0", "2026-05-01 04:00:59", 4, 1, "2026-05-01 04:01:00"},
		{"UTC0", "2026-12-31 23:59:59", 0, 0, "2027-01-01 00:00:00"},
		{"UTC0", "2028-02-28 12:00:00", 11, 0, "2028-02-29 11:00:00"},
		{BERLIN, "2026-07-01 00:00:00", 4, 1, "2026-07-01 02:01:00"},
		{BERLIN, "2026-01-01 00:00:00", 4, 1, "2026-01-01 03:01:00"},
		/* forward at 02:00 in Berlin: a day of 23 hours, and no 02:30 on it */
		{BERLIN, "2026-03-28 03:01:00", 4, 1, "2026-03-29 02:01:00"},
		{BERLIN, "2026-03-28 12:00:00", 2, 30, "2026-03-29 01:00:00"},
		{BERLIN, "2026-03-29 01:00:00", 2, 30, "2026-03-30 00:30:00"},
		{BERLIN, "2026-03-28 12:00:00", 1, 59, "2026-03-29 00:59:00"},
		{BERLIN, "2026-03-28 12:00:00", 3, 0, "2026-03-29 01:00:00"},
		/* back at 03:00: a day of 25 hours, and 02:30 twice */
		{BERLIN, "2026-10-24 12:00:00", 2, 30, "2026-10-25 00:30:00"},
		{BERLIN, "2026-10-25 00:30:00", 2, 30, "2026-10-26 01:30:00"},
		{BERLIN, "2026-10-25 01:00:00", 2, 30, "2026-10-26 01:30:00"},
		{BERLIN, "2026-10-24 02:01:00", 4, 1, "2026-10-25 03:01:00"},
		/* the other side of the world */
		{NEW_YORK, "2026-03-07 08:00:00", 2, 30, "2026-03-08 07:00:00"},
		{NEW_YORK, "2026-10-31 12:00:00", 1, 30, "2026-11-01 05:30:00"},
		{NEW_YORK, "2026-11-01 05:30:00", 1, 30, "2026-11-02 06:30:00"},
		{LORD_HOWE, "2026-10-03 00:00:00", 2, 15, "2026-10-03 15:30:00"},
		{LORD_HOWE, "2026-04-04 00:00:00", 1, 45, "2026-04-04 14:45:00"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[32];
		struct tm tm;
		time_t t;

		use_zone(cases[i].zone);
		t = schedule_next_at(utc(cases[i].after), cases[i].hour, cases[i].minute);
		gmtime_r(&t, &tm);
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
		if (strcmp(text, cases[i].expected) != 0)
			fail_msg("row %zu, %s after %s: %s, not %s", i, cases[i].zone,
				 cases[i].after, text, cases[i].expected);
	}
}

/* Once each local day, whatever the clocks do: walk through a year. */
static void next_at_comes_once_a_day(void **state UNUSED)
{
	static const char *const zones[] = {BERLIN, NEW_YORK, LORD_HOWE};

	for (size_t i = 0; i < ARRAY_SIZE(zones); i++) {
		time_t t;
		int yday = -1;

		use_zone(zones[i]);
		t = utc("2026-01-01 12:00:00");
		for (int day = 0; day < 365; day++) {
			struct tm tm;

			t = schedule_next_at(t, 2, 20);
			localtime_r(&t, &tm);
			assert_true(yday < 0 || tm.tm_yday == (yday + 1) % 365);
			yday = tm.tm_yday;
		}
	}
}

static void period_runs_at_once_and_then_by_the_steady_clock(void **state UNUSED)
{
	struct schedule_moment now = {1000000, 0};
	struct schedule s = schedule_make(-1, 30, now);

	assert_int_equal(s.kind, SCHEDULE_PERIOD);
	assert_int_equal(schedule_wait_ms(&s, now), 0);
	assert_true(schedule_take_due(&s, now));
	assert_false(schedule_take_due(&s, now));
	assert_int_equal(schedule_wait_ms(&s, now), 30 * 60000);
	now.wall += 100000; /* somebody sets the wall clock */
	assert_false(schedule_take_due(&s, now));
	now.steady_ms += 30 * 60000 + 5;
	assert_true(schedule_take_due(&s, now));
	assert_int_equal(schedule_wait_ms(&s, now), 30 * 60000 - 5);
	now.steady_ms += 95 * 60000; /* we were stopped for a while */
	assert_true(schedule_take_due(&s, now));
	assert_false(schedule_take_due(&s, now));
	assert_int_equal(schedule_wait_ms(&s, now), 30 * 60000);
}

static void without_a_time_it_runs_once(void **state UNUSED)
{
	struct schedule_moment now = {1000, 0};
	struct schedule s = schedule_make(-1, 0, now);

	assert_true(schedule_take_due(&s, now));
	now.steady_ms = INT64_MAX - 1;
	assert_false(schedule_take_due(&s, now));
	assert_int_equal(schedule_wait_ms(&s, now), -1);
}

static void bad_time_of_day_falls_back_to_period(void **state UNUSED)
{
	static const int bad[] = {2400, 2360, 9999, 160, -5};
	struct schedule_moment now = {0, 0};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(schedule_make(bad[i], 5, now).kind, SCHEDULE_PERIOD);
	assert_int_equal(schedule_make(2359, 5, now).kind, SCHEDULE_AT);
	assert_int_equal(schedule_make(0, 5, now).kind, SCHEDULE_AT);
}

static void time_of_day_is_not_due_at_start_and_tells_a_shift(void **state UNUSED)
{
	struct schedule_moment now = {0, 0};
	struct schedule s;

	use_zone(BERLIN);
	now.wall = utc("2026-03-28 00:00:00");
	s = schedule_make(401, 0, now);
	assert_false(schedule_take_due(&s, now));
	assert_int_equal(schedule_wait_ms(&s, now), (3 * 3600 + 60) * 1000);
	now.wall = utc("2026-03-28 03:01:00");
	assert_true(schedule_take_due(&s, now));
	assert_int_equal(s.shift_s, 3600); /* the next is in summer time */
	assert_int_equal(s.due_at, utc("2026-03-29 02:01:00"));
	now.wall = s.due_at;
	assert_true(schedule_take_due(&s, now));
	assert_int_equal(s.shift_s, 0);
}

static void clock_set_back_by_days_makes_it_due_again(void **state UNUSED)
{
	struct schedule_moment now = {0, 0};
	struct schedule s;

	use_zone("UTC0");
	now.wall = utc("2030-01-10 12:00:00"); /* the clock was wrong */
	s = schedule_make(400, 0, now);
	now.wall = utc("2026-05-05 03:59:00");
	assert_false(schedule_take_due(&s, now));
	assert_int_equal(s.due_at, utc("2026-05-05 04:00:00"));
	now.wall = utc("2026-05-05 04:00:00");
	assert_true(schedule_take_due(&s, now));
	/* by half an hour: it has run today, and does not run again */
	now.wall = utc("2026-05-05 03:30:00");
	assert_false(schedule_take_due(&s, now));
	assert_int_equal(s.due_at, utc("2026-05-06 04:00:00"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(next_at_knows_every_kind_of_day),
		cmocka_unit_test(next_at_comes_once_a_day),
		cmocka_unit_test(period_runs_at_once_and_then_by_the_steady_clock),
		cmocka_unit_test(without_a_time_it_runs_once),
		cmocka_unit_test(bad_time_of_day_falls_back_to_period),
		cmocka_unit_test(time_of_day_is_not_due_at_start_and_tells_a_shift),
		cmocka_unit_test(clock_set_back_by_days_makes_it_due_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
