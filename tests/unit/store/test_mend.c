/* test_mend.c - a single flipped bit is found, wherever it is; more than one is never taken for one that is not there. */
#include "tests/unit/test.h"

#include "server/base/checksum.h"
#include "server/store/mend.h"

#define LENGTH 700

static void fill(unsigned char *bytes, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (unsigned char)rand_r(&seed);
}

static void every_single_flip_is_put_right(void **state UNUSED)
{
	unsigned char good[LENGTH], bytes[LENGTH];
	uint32_t sum;

	fill(good, LENGTH, 7);
	sum = us_crc32c(99, good, LENGTH); /* a chained sum: it starts from another's */
	for (size_t i = 0; i < LENGTH; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			memcpy(bytes, good, LENGTH);
			bytes[i] ^= (unsigned char)(1u << bit);
			assert_true(mend_bit(bytes, LENGTH, MEND_NO_HOLE,
					     us_crc32c(99, bytes, LENGTH), sum));
			assert_memory_equal(bytes, good, LENGTH);
		}
}

static void a_flip_in_the_sum_changes_nothing(void **state UNUSED)
{
	unsigned char good[LENGTH], bytes[LENGTH];
	uint32_t sum;

	fill(good, LENGTH, 8);
	sum = us_crc32c(0, good, LENGTH);
	for (unsigned bit = 0; bit < 32; bit++) {
		memcpy(bytes, good, LENGTH);
		assert_true(mend_bit(bytes, LENGTH, MEND_NO_HOLE, sum, sum ^ 1u << bit));
		assert_memory_equal(bytes, good, LENGTH);
	}
	assert_true(mend_bit(bytes, LENGTH, MEND_NO_HOLE, sum, sum));
	assert_memory_equal(bytes, good, LENGTH);
}

static void more_than_one_bit_is_left_alone(void **state UNUSED)
{
	unsigned char good[LENGTH], bytes[LENGTH];
	unsigned seed = 9;
	uint32_t sum;

	fill(good, LENGTH, 9);
	sum = us_crc32c(0, good, LENGTH);
	for (int round = 0; round < 3000; round++) {
		unsigned char damaged[LENGTH];
		size_t from = (size_t)rand_r(&seed) % LENGTH, n = 1 + (size_t)rand_r(&seed) % 64;
		memcpy(bytes, good, LENGTH);
		for (size_t i = from; i < from + n && i < LENGTH; i++)
			bytes[i] ^= (unsigned char)(3u << rand_r(&seed) % 7);
		memcpy(damaged, bytes, LENGTH);
		assert_false(
			mend_bit(bytes, LENGTH, MEND_NO_HOLE, us_crc32c(0, bytes, LENGTH), sum));
		assert_memory_equal(bytes, damaged, LENGTH);
	}
}

/* Where a sum stands in what it covers, it was taken as zeros: nothing may be mended there. */
static void a_hole_stays_as_it_is(void **state UNUSED)
{
	unsigned char good[64], bytes[64];
	uint32_t sum;

	fill(good, sizeof(good), 10);
	memset(good + 20, 0, 4);
	sum = us_crc32c(0, good, sizeof(good));
	for (size_t i = 0; i < sizeof(good); i++) {
		bool in_hole = i >= 20 && i < 24;
		memcpy(bytes, good, sizeof(good));
		bytes[i] ^= 16;
		assert_int_equal(mend_bit(bytes, sizeof(good), 20,
					  us_crc32c(0, bytes, sizeof(good)), sum),
				 !in_hole);
	}
}

static void nothing_has_no_bits(void **state UNUSED)
{
	char none = 0;

	assert_false(mend_bit(&none, 0, MEND_NO_HOLE, 0, 0x30));
	assert_true(mend_bit(&none, 0, MEND_NO_HOLE, 5, 5));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_single_flip_is_put_right),
		cmocka_unit_test(a_flip_in_the_sum_changes_nothing),
		cmocka_unit_test(more_than_one_bit_is_left_alone),
		cmocka_unit_test(a_hole_stays_as_it_is),
		cmocka_unit_test(nothing_has_no_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
