/* test_scan.c - the scanner keeps its first error and never reads what is not there. */
#include "tests/unit/test.h"

#include "server/base/scan.h"

static void scan_reads_what_is_there(void **state UNUSED)
{
	struct scan s = scan_init(SPAN_LIT("uid 17:* rest of it"));

	assert_true(scan_skip_str(&s, "UID"));
	scan_blanks(&s);
	assert_int_equal(scan_uid(&s), 17);
	scan_expect(&s, ':');
	assert_int_equal(scan_uid(&s), UINT32_MAX);
	scan_expect(&s, ' ');
	assert_span(scan_until(&s, ' '), "rest");
	assert_span(scan_take(&s, 3), " of");
	assert_span(scan_rest(&s), " it");
	assert_true(scan_ok_at_end(&s));
}

static void scan_keeps_its_first_error(void **state UNUSED)
{
	struct scan s = scan_init(SPAN_LIT("12x34"));

	assert_int_equal(scan_u32(&s), 12);
	scan_expect(&s, 'y');
	assert_int_equal(scan_offset(&s), 2);
	assert_int_equal(scan_byte(&s), -1);
	assert_false(scan_skip(&s, 'x'));
	assert_int_equal(scan_u32(&s), 0);
	assert_int_equal(scan_offset(&s), 2);
	assert_false(scan_ok_at_end(&s));
	assert_true(scan_end(&s));
}

static void scan_refuses_numbers_out_of_range(void **state UNUSED)
{
	static const char *const bad[] = {"4294967296", "", "x", "-1", "99999999999999999999999"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct scan s = scan_init(span_of(bad[i]));
		assert_int_equal(scan_u32(&s), 0);
		assert_true(s.bad);
		assert_int_equal(scan_offset(&s), 0);
	}
	struct scan zero = scan_init(SPAN_LIT("0"));
	assert_int_equal(scan_uid(&zero), 0);
	assert_true(zero.bad);
}

static void scan_take_stops_at_the_end(void **state UNUSED)
{
	struct scan s = scan_init(SPAN_LIT("abc"));

	assert_span(scan_take(&s, 3), "abc");
	assert_int_equal(scan_peek(&s), -1);
	assert_null(scan_take(&s, 1).ptr);
	assert_true(s.bad);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scan_reads_what_is_there),
		cmocka_unit_test(scan_keeps_its_first_error),
		cmocka_unit_test(scan_refuses_numbers_out_of_range),
		cmocka_unit_test(scan_take_stops_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
