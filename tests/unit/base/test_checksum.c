/* test_checksum.c - check values of the sums themselves; the sums of whole records are tests/unit/store's. */
#include "tests/unit/test.h"

#include "server/base/checksum.h"

static void crc32_gives_its_check_value(void **state UNUSED)
{
	assert_int_equal(us_crc32(SPAN_LIT("123456789")), 0xcbf43926);
	assert_int_equal(us_crc32(SPAN_LIT("")), 0);
	assert_int_equal(us_crc32(SPAN_LIT("\\answered")), 2050749261);
	assert_int_equal(us_crc32(SPAN_LIT("nonjunk")), 3204112192);
}

static void crc32c_gives_its_check_value_and_continues(void **state UNUSED)
{
	assert_int_equal(us_crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(us_crc32c(0, "", 0), 0);
	assert_int_equal(us_crc32c(us_crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
}

static void guid_is_sha1_in_lower_case(void **state UNUSED)
{
	struct guid g = guid_of(SPAN_LIT("abc")), h;
	struct guid_sum *sum = guid_sum_new();
	char hex[GUID_HEX];

	guid_format(&g, hex);
	assert_string_equal(hex, "a9993e364706816aba3e25717850c26c9cd0d89d");
	assert_true(guid_parse(SPAN_LIT("A9993E364706816ABA3E25717850C26C9CD0D89D"), &h));
	assert_true(guid_eq(&g, &h));
	guid_sum_add(sum, "a", 1);
	guid_sum_add(sum, "bc", 2);
	h = guid_sum_end(&sum);
	assert_null(sum);
	assert_true(guid_eq(&g, &h));
	assert_false(guid_is_null(&g));
}

static void guid_parse_rejects_malformed(void **state UNUSED)
{
	static const char *const bad[] = {"", "a9", "a9993e364706816aba3e25717850c26c9cd0d89",
					  "a9993e364706816aba3e25717850c26c9cd0d89dd",
					  "g9993e364706816aba3e25717850c26c9cd0d89d"};
	struct guid g = {{7}};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_false(guid_parse(span_of(bad[i]), &g));
		assert_int_equal(g.byte[0], 7);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc32_gives_its_check_value),
		cmocka_unit_test(crc32c_gives_its_check_value_and_continues),
		cmocka_unit_test(guid_is_sha1_in_lower_case),
		cmocka_unit_test(guid_parse_rejects_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
