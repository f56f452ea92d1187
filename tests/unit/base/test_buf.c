/* test_buf.c - buffers, spans, pools. */
#include "tests/unit/test.h"

#include "server/base/buf.h"
#include "server/base/pool.h"

static void buf_stays_below_its_limit(void **state UNUSED)
{
	struct buf b;

	buf_init(&b, 5);
	buf_add_str(&b, "abc");
	assert_false(b.over);
	buf_add_str(&b, "defg");
	assert_true(b.over);
	assert_span(buf_span(&b), "abcde");
	buf_add_char(&b, 'x');
	assert_int_equal(b.len, 5);
	buf_clear(&b);
	assert_false(b.over);
	buf_free(&b);
}

static void buf_is_always_terminated(void **state UNUSED)
{
	struct buf b = BUF_INIT;

	assert_string_equal(b.data, "");
	buf_add(&b, "a\0b", 3);
	assert_int_equal(b.len, 3);
	assert_int_equal(b.data[3], 0);
	buf_remove(&b, 0, 2);
	assert_string_equal(b.data, "b");
	buf_printf(&b, "%0300d", 7);
	assert_int_equal(b.len, 301);
	buf_clear(&b);
	buf_add_u64(&b, UINT64_MAX);
	buf_add_hex(&b, "\x0f\xa0", 2);
	assert_string_equal(b.data, "184467440737095516150fa0");
	buf_free(&b);
	assert_string_equal(b.data, "");
}

static void buf_steal_leaves_an_empty_one(void **state UNUSED)
{
	struct buf b = BUF_INIT;
	size_t len = 9;
	char *s = buf_steal(&b, &len);

	assert_string_equal(s, "");
	assert_int_equal(len, 0);
	free(s);
	buf_add_str(&b, "xy");
	s = buf_steal(&b, NULL);
	assert_string_equal(s, "xy");
	assert_int_equal(b.len, 0);
	free(s);
}

/* Also what was cut off before: it is in the memory still. */
static void buf_wipe_leaves_no_byte(void **state UNUSED)
{
	struct buf b = BUF_INIT;

	buf_add_str(&b, "password");
	buf_truncate(&b, 4);
	buf_wipe(&b);
	assert_int_equal(b.len, 0);
	assert_memory_equal(b.data, "\0\0\0\0\0\0\0\0", 8);
	buf_free(&b);
	buf_wipe(&b); /* nothing held: nothing touched */
	assert_string_equal(b.data, "");
}

static void span_u64_takes_whole_decimal_numbers_only(void **state UNUSED)
{
	static const struct {
		const char *text;
		uint64_t max, value;
		bool ok;
	} rows[] = {
		{"0", 0, 0, true},
		{"007", 9, 7, true},
		{"18446744073709551615", UINT64_MAX, UINT64_MAX, true},
		{"18446744073709551616", UINT64_MAX, 0, false},
		{"10", 9, 0, false},
		{"", 9, 0, false},
		{"-1", 9, 0, false},
		{"1 ", 9, 0, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t n = 77;
		assert_int_equal(span_u64(span_of(rows[i].text), rows[i].max, &n), rows[i].ok);
		assert_true(n == (rows[i].ok ? rows[i].value : 77));
	}
}

static void span_splits_and_compares(void **state UNUSED)
{
	struct span rest = SPAN_LIT("a,,b"), part;

	assert_true(span_split(&rest, ',', &part));
	assert_span(part, "a");
	assert_true(span_split(&rest, ',', &part));
	assert_span(part, "");
	assert_true(span_split(&rest, ',', &part));
	assert_span(part, "b");
	assert_false(span_split(&rest, ',', &part));

	rest = SPAN_LIT("  one\ttwo ");
	assert_true(span_word(&rest, &part));
	assert_span(part, "one");
	assert_true(span_word(&rest, &part));
	assert_span(part, "two");
	assert_false(span_word(&rest, &part));

	assert_true(span_is_nocase(SPAN_LIT("InBoX"), "INBOX"));
	assert_false(span_is_nocase(SPAN_LIT("INBOX."), "INBOX"));
	assert_true(span_cmp(SPAN_LIT("a"), SPAN_LIT("ab")) < 0);
	assert_true(span_cmp(SPAN_LIT("b"), SPAN_LIT("ab")) > 0);
	assert_span(span_trim(SPAN_LIT(" \t x y\t ")), "x y");
}

static void pool_gives_zeroed_aligned_memory(void **state UNUSED)
{
	struct pool *pool = pool_new();

	for (size_t size = 1; size < 100000; size = size * 3 + 1) {
		char *p = pool_alloc(pool, size);
		assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xff, size);
	}
	pool_clear(pool);
	assert_string_equal(pool_printf(pool, "%s-%d", "x", 5), "x-5");
	assert_span(pool_span(pool, SPAN_LIT("abc")), "abc");
	pool_free(&pool);
	assert_null(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buf_stays_below_its_limit),
		cmocka_unit_test(buf_is_always_terminated),
		cmocka_unit_test(buf_steal_leaves_an_empty_one),
		cmocka_unit_test(buf_wipe_leaves_no_byte),
		cmocka_unit_test(span_u64_takes_whole_decimal_numbers_only),
		cmocka_unit_test(span_splits_and_compares),
		cmocka_unit_test(pool_gives_zeroed_aligned_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
