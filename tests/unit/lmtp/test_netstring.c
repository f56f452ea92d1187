/* test_netstring.c - netstrings: whole, in pieces, and what is none. */
#include "tests/unit/test.h"

#include "server/lmtp/netstring.h"

#define MOST 20

static const struct {
	const char *in, *text;
	size_t taken;
} good[] = {
	{"0:,", "", 3},
	{"3:abc,", "abc", 6},
	{"3:abc,4:defg,", "abc", 6},
	{"4:a:b,,", "a:b,", 7},
	{"003:abc,", "abc", 8},
	{"0000000003:abc,", "abc", 15},
	{"20:01234567890123456789,", "01234567890123456789", 24},
};

static void netstrings_are_found_when_they_are_whole(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct span text = SPAN_NULL;
		size_t taken = 99;
		const char *why = NULL;
		for (size_t len = 0; len < good[i].taken; len++)
			assert_int_equal(netstring_frame(span_make(good[i].in, len), MOST, &text,
							 &taken, &why),
					 NETSTRING_MORE);
		assert_int_equal(taken, 99);
		assert_null(text.ptr);
		assert_int_equal(netstring_frame(span_of(good[i].in), MOST, &text, &taken, &why),
				 NETSTRING_READY);
		assert_span(text, good[i].text);
		assert_int_equal(taken, good[i].taken);
		assert_null(why);
	}
}

static const struct {
	const char *in, *why;
} bad[] = {
	{":,", "missing length"},
	{"abc", "missing length"},
	{"-1:,", "missing length"},
	{" 3:abc,", "missing length"},
	{"3 :abc,", "missing length"},
	{"3abc", "missing length"},
	{"3,", "missing length"},
	{"3:abcd", "missing terminator"},
	{"3:abc:", "missing terminator"},
	{"0:x", "missing terminator"},
	{"21:", "request is too long"},
	{"21", "request is too long"}, /* before the rest has come */
	{"9999999999:", "request is too long"},
	{"00000000003:abc,", "request is too long"},
	{"18446744073709551619:abc,", "request is too long"},
};

static void what_is_none(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct span text = SPAN_NULL;
		size_t taken = 99;
		const char *why = NULL;
		assert_int_equal(netstring_frame(span_of(bad[i].in), MOST, &text, &taken, &why),
				 NETSTRING_BAD);
		assert_string_equal(why, bad[i].why);
		assert_int_equal(taken, 99);
		assert_null(text.ptr);
	}
}

static void what_is_put_is_found(void **state UNUSED)
{
	static const char *const texts[] = {"", "a", "3:abc,", "01234567890123456789"};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct buf out = BUF_INIT;
		struct span text;
		size_t taken;
		const char *why;
		netstring_put(span_of(texts[i]), &out);
		assert_int_equal(netstring_frame(buf_span(&out), MOST, &text, &taken, &why),
				 NETSTRING_READY);
		assert_span(text, texts[i]);
		assert_int_equal(taken, out.len);
		buf_free(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(netstrings_are_found_when_they_are_whole),
		cmocka_unit_test(what_is_none),
		cmocka_unit_test(what_is_put_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
