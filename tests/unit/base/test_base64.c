/* test_base64.c - RFC 4648, section 10, and what is no base64. */
#include "tests/unit/test.h"

#include "server/base/base64.h"

static const struct {
	const char *plain, *coded;
} rows[] = {
	{"", ""},
	{"f", "Zg=="},
	{"fo", "Zm8="},
	{"foo", "Zm9v"},
	{"foob", "Zm9vYg=="},
	{"fooba", "Zm9vYmE="},
	{"foobar", "Zm9vYmFy"},
	{"\xff\xfe\xfb\xef", "//777w=="},
};

static void base64_goes_both_ways(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct buf coded = BUF_INIT, plain = BUF_INIT;

		base64_encode(span_of(rows[i].plain), &coded);
		assert_string_equal(coded.data, rows[i].coded);
		assert_true(base64_decode(buf_span(&coded), &plain));
		assert_span(buf_span(&plain), rows[i].plain);
		buf_free(&coded);
		buf_free(&plain);
	}
}

static void base64_carries_nuls(void **state UNUSED)
{
	struct buf plain = BUF_INIT;

	assert_true(base64_decode(SPAN_LIT("AGFkbWluAGFkbWlucHc="), &plain));
	assert_int_equal(plain.len, 14);
	assert_memory_equal(plain.data, "\0admin\0adminpw", 14);
	buf_free(&plain);
}

static void base64_refuses_all_else(void **state UNUSED)
{
	static const char *const bad[] = {"Z",    "Zg",     "Zg=",       "Zg==Zg==", "=Zg=",
					  "====", "Zm9v\n", "Zm9vYm\n=", "Zm 9vYg=", "Zm-_",
					  "Z===", "=",      "Zm=v",      "*"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct buf out = BUF_INIT;

		buf_add_str(&out, "kept");
		if (base64_decode(span_of(bad[i]), &out))
			fail_msg("\"%s\" was taken for base64", bad[i]);
		assert_string_equal(out.data, "kept");
		buf_free(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_goes_both_ways),
		cmocka_unit_test(base64_carries_nuls),
		cmocka_unit_test(base64_refuses_all_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
