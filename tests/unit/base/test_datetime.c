/* test_datetime.c - dates as mail has them, as IMAP wants them, and back. */
#include "tests/unit/test.h"

#include <time.h>

#include "server/base/datetime.h"

#define NOV_23 1795471653 /* 2026-11-23 22:07:33 UTC */

static void mail_dates_are_understood(void **state UNUSED)
{
	static const struct {
		const char *text;
		int64_t time;
		int32_t zone_s;
	} rows[] = {
		{"Mon, 23 Nov 2026 22:07:33 +0000", NOV_23, 0},
		{"Mon, 23 Nov 2026 23:07:33 +0100", NOV_23, 3600},
		{"Mon, 23 Nov 2026 17:07:33 -0500 (EST)", NOV_23, -18000},
		{"23 Nov 2026 22:07:33 -0000", NOV_23, 0},
		{"Mon,23 Nov 2026 22:07:33 GMT", NOV_23, 0},
		{"Mon, 23 Nov 26 17:07:33 EST", NOV_23, -18000},
		{"Mon, 23 Nov 126 17:07:33 EST", NOV_23, -18000},
		{"Mon (a (nested) \\( comment), 23(x)Nov 2026 22:07:33 (h) +0000", NOV_23, 0},
		{"Mon, 23 Nov 2026 22:07:33", NOV_23, 0},
		{"Mon, 23 Nov 2026 22:07:33 A", NOV_23, 0},   /* military: unknown, RFC 5322 4.3 */
		{"Mon, 23 Nov 2026 22:07:33 XYZ", NOV_23, 0}, /* unknown */
		{"Mon, 23 Nov 2026 22:07:33 +9999", NOV_23, 0},
		{"Mon, 23 Nov 2026 23:07:33 CET", NOV_23, 3600},
		{"Mon, 23 Nov 2026 23:07:33 GMT+0100", NOV_23, 3600},
		{"Mon, 23 Nov 2026 23:07:33 UTC+1", NOV_23, 3600},
		{"Mon, 23 Nov 2026 23:07:33 +01:00", NOV_23, 3600},
		{"Mon, 23 Nov 2026 15:07:33 -700", NOV_23, -25200},
		{"Mon, 23 Nov 2026 22.07.33 +0000", NOV_23, 0},
		{"Mon, 23 Nov 2026 10:07:33 PM +0000", NOV_23, 0},
		{"Mon, 23 Nov 2026 22:07:33.123456 +0000", NOV_23, 0},
		{"Monday, 23 November 2026 22:07:33 +0000", NOV_23, 0},
		{"Monday, November 23, 2026 22:07:33 +0000", NOV_23, 0},
		{"Mon, 23-Nov-2026 22:07:33 GMT", NOV_23, 0},
		{"Mon Nov 23 22:07:33 2026", NOV_23, 0},
		{"Mon Nov 23 17:07:33 EST 2026", NOV_23, -18000},
		{"2026-11-23T22:07:33Z", NOV_23, 0},
		{"2026-11-23T17:07:33-05:00", NOV_23, -18000},
		{"2026-11-23 22:07:33 +0000", NOV_23, 0},
		{"Mon, 23 Nov 2026 22:07 +0000", NOV_23 - 33, 0},
		{"23 Nov 2026", NOV_23 - NOV_23 % 86400, 0},
		{" \t Mon,\t23 \t Nov 2026  22:07:33   +0000\t", NOV_23, 0},
		{"Thu, 1 Jan 1970 00:00:00 +0000", 0, 0},
		{"Wed, 31 Dec 1969 23:59:59 +0000", -1, 0},
		{"Thu, 01 Jan 70 00:00:00 GMT", 0, 0},
		{"Fri, 29 Feb 2024 00:00:00 GMT", 1709164800, 0},
		{"Sat, 31 Dec 2016 23:59:60 GMT", 1483228800, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct datetime when = {-7, -7};
		bool ok = datetime_parse_mail(span_of(rows[i].text), &when);

		if (!ok || when.time != rows[i].time || when.zone_s != rows[i].zone_s)
			fail_msg("\"%s\": %d %lld %d", rows[i].text, ok, (long long)when.time,
				 when.zone_s);
	}
}

static void what_is_no_date_is_refused(void **state UNUSED)
{
	static const char *const rows[] = {"",
					   "yesterday",
					   "Mon, 23 Nov",
					   "Nov 2026",
					   "32 Nov 2026 00:00:00 GMT",
					   "31 Nov 2026 00:00:00 GMT",
					   "29 Feb 2026 00:00:00 GMT",
					   "29 Feb 1900 00:00:00 GMT",
					   "0 Nov 2026 00:00:00 GMT",
					   "23 Nov 2026 24:00:00 GMT",
					   "23 Nov 2026 22:60:00 GMT",
					   "23 Nov 2026 22:07:61 GMT",
					   "23 Nov 2026 22: GMT",
					   "23 Nov 12026 22:07:33 GMT",
					   "999999999999999999999 Nov 2026",
					   "11/23/2026",
					   "2026-13-01",
					   "(23 Nov 2026 22:07:33 GMT)",
					   "(23 Nov 2026"};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct datetime when = {-7, -7};
		if (datetime_parse_mail(span_of(rows[i]), &when))
			fail_msg("\"%s\" taken", rows[i]);
		assert_true(when.time == -7 && when.zone_s == -7);
	}
}

static void imap_date_times_go_both_ways(void **state UNUSED)
{
	static const struct {
		const char *text;
		int64_t time;
		int32_t zone_s;
	} rows[] = {
		{"23-Nov-2026 22:07:33 +0000", NOV_23, 0},
		{"23-Nov-2026 23:07:33 +0100", NOV_23, 3600},
		{" 1-Feb-2026 00:00:00 -0930", 1769938200, -34200},
		{"01-Jan-1970 00:00:00 +0000", 0, 0},
		{"31-Dec-1969 23:59:59 +0000", -1, 0},
		{"31-Dec-9999 23:59:59 +0000", 253402300799, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct datetime when;
		char out[DATETIME_IMAP];

		assert_true(datetime_parse_imap(span_of(rows[i].text), &when));
		assert_int_equal(when.time, rows[i].time);
		assert_int_equal(when.zone_s, rows[i].zone_s);
		datetime_format_imap(when, out);
		if (rows[i].text[0] == '0')
			assert_string_equal(out + 1, rows[i].text + 1);
		else
			assert_string_equal(out, rows[i].text);
	}
}

static void imap_date_times_are_read_strictly(void **state UNUSED)
{
	static const char *const rows[] = {
		"",
		"1-Feb-2026 00:00:00 +0000",
		"  1-Feb-2026 00:00:00 +0000",
		"23-Nov-2026 22:07:33",
		"23-Nov-2026 22:07:33 0000",
		"23-Nov-2026 22:07:33 +000",
		"23-Nov-2026 22:07:33 +0000 ",
		"23-Nov-2026 22:07:33 +2400",
		"23-Nov-2026 22:07:33 +0060",
		"23-Nov-2026 22:07:33 *0000",
		"23-Nov-26 22:07:33 +0000",
		"23-Novx2026 22:07:33 +0000",
		"31-Nov-2026 22:07:33 +0000",
		"23 Nov 2026 22:07:33 +0000",
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct datetime when = {-7, -7};
		if (datetime_parse_imap(span_of(rows[i]), &when))
			fail_msg("\"%s\" taken", rows[i]);
		assert_true(when.time == -7 && when.zone_s == -7);
	}
}

static void imap_dates_name_a_day(void **state UNUSED)
{
	static const char *const good[] = {"1-Feb-2026", "01-Feb-2026", " 1-Feb-2026",
					   "1-fEB-2026"};
	static const char *const bad[] =
		{"",          "1-Feb-26",  "1-Feb-2026 ", "001-Feb-2026", "29-Feb-2026",
		 "-Feb-2026", "1-Fe-2026", "1-2-2026"};
	int64_t day = -7;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_true(datetime_parse_imap_date(span_of(good[i]), &day));
		assert_int_equal(day, 1769904000);
	}
	day = -7;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (datetime_parse_imap_date(span_of(bad[i]), &day) || day != -7)
			fail_msg("\"%s\" taken", bad[i]);
}

static void sent_days_disregard_the_zone(void **state UNUSED)
{
	struct datetime when;
	int64_t day;

	/* 23 Nov in the writer's zone, the 24th in UTC */
	assert_true(datetime_parse_mail(SPAN_LIT("23 Nov 2026 23:30:00 -0500"), &when));
	assert_true(datetime_parse_imap_date(SPAN_LIT("23-Nov-2026"), &day));
	assert_int_equal(datetime_midnight(when), day);
	assert_true(datetime_parse_mail(SPAN_LIT("1 Jan 1960 00:30:00 +0100"), &when));
	assert_true(datetime_parse_imap_date(SPAN_LIT("1-Jan-1960"), &day));
	assert_int_equal(datetime_midnight(when), day);
}

static void dates_are_written(void **state UNUSED)
{
	struct datetime when = {NOV_23, -12600};
	char date[DATETIME_DATE], mail[DATETIME_MAIL], imap[DATETIME_IMAP];

	datetime_format_date(when, date);
	datetime_format_mail(when, mail);
	assert_string_equal(date, "23-Nov-2026");
	assert_string_equal(mail, "Mon, 23 Nov 2026 18:37:33 -0330");
	when = (struct datetime){INT64_MAX, INT32_MAX};
	datetime_format_imap(when, imap);
	assert_string_equal(imap, "31-Dec-9999 23:59:59 +2359");
	when = (struct datetime){INT64_MIN, INT32_MIN};
	datetime_format_mail(when, mail);
	assert_string_equal(mail, "Sat, 01 Jan 0000 00:00:00 -2359");
	(void)datetime_midnight(when);
}

/* Every day of 800 years against the C library. */
static void the_calendar_is_that_of_the_library(void **state UNUSED)
{
	for (int64_t day = -146097; day < 146097; day++) {
		time_t t = (time_t)(day * 86400 + 3723);
		char ours[DATETIME_MAIL], theirs[64];
		struct datetime again;
		struct tm tm;

		datetime_format_mail((struct datetime){t, 0}, ours);
		gmtime_r(&t, &tm);
		strftime(theirs, sizeof(theirs), "%a, %d %b %Y %H:%M:%S +0000", &tm);
		assert_string_equal(ours, theirs);
		assert_true(datetime_parse_mail(span_of(ours), &again) && again.time == t);
	}
}

static void the_local_zone_is_that_of_the_moment(void **state UNUSED)
{
	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	assert_int_equal(datetime_local_zone(NOV_23), 3600);
	assert_int_equal(datetime_local_zone(NOV_23 - 180 * 86400), 7200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mail_dates_are_understood),
		cmocka_unit_test(what_is_no_date_is_refused),
		cmocka_unit_test(imap_date_times_go_both_ways),
		cmocka_unit_test(imap_date_times_are_read_strictly),
		cmocka_unit_test(imap_dates_name_a_day),
		cmocka_unit_test(sent_days_disregard_the_zone),
		cmocka_unit_test(dates_are_written),
		cmocka_unit_test(the_calendar_is_that_of_the_library),
		cmocka_unit_test(the_local_zone_is_that_of_the_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
