/* test_sets.c - uidset and seqmap against the obvious way of doing it: an array of booleans. */
#include "tests/unit/test.h"

#include "server/base/buf.h"
#include "server/imap/seqmap.h"
#include "server/imap/uidset.h"

#define TOP 200

static void check_uidset(const struct uidset *set, const bool *in)
{
	uint64_t n = 0;
	uint32_t next = 0;

	for (uint32_t uid = TOP; uid >= 1; uid--) {
		if (uidset_has(set, uid) != in[uid])
			fail_msg("uid %u", uid);
		n += in[uid];
		if (in[uid])
			next = uid;
		assert_int_equal(uidset_next(set, uid), next);
	}
	assert_int_equal(uidset_count(set), n);
	assert_int_equal(uidset_is_empty(set), n == 0);
	for (size_t i = 1; i < set->n; i++)
		assert_true(set->range[i].low > set->range[i - 1].high + 1);
}

static void uidset_does_as_an_array_would(void **state UNUSED)
{
	struct uidset set = UIDSET_INIT, copy = UIDSET_INIT;
	struct buf text = BUF_INIT;
	bool in[TOP + 1] = {false};

	srand(7);
	for (int step = 0; step < 3000; step++) {
		uint32_t low = 1 + (uint32_t)rand() % TOP, high = low + (uint32_t)rand() % 9;
		bool add = rand() % 2;

		high = high > TOP ? TOP : high;
		for (uint32_t uid = low; uid <= high; uid++)
			in[uid] = add;
		(add ? uidset_add : uidset_remove)(&set, low, high);
		check_uidset(&set, in);
	}
	uidset_format(&set, &text);
	assert_true(uidset_parse(buf_span(&text), &copy));
	check_uidset(&copy, in);
	uidset_free(&set);
	uidset_free(&copy);
	buf_free(&text);
}

static void uidset_reaches_to_the_end(void **state UNUSED)
{
	struct uidset set = UIDSET_INIT;

	uidset_add(&set, 1, UINT32_MAX);
	assert_int_equal(uidset_count(&set), UINT32_MAX);
	uidset_add(&set, UINT32_MAX, UINT32_MAX);
	uidset_remove(&set, 5, UINT32_MAX);
	assert_int_equal(uidset_next(&set, 5), 0);
	assert_int_equal(uidset_count(&set), 4);
	uidset_free(&set);
}

static void uidset_parse_refuses_what_is_none(void **state UNUSED)
{
	static const char *const bad[] = {"0",     "1:0", "a",          "1,", ",1",
					  "1:2:3", "*",   "4294967296", " 1"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct uidset set = UIDSET_INIT;

		assert_false(uidset_parse(span_of(bad[i]), &set));
		uidset_free(&set);
	}
}

/* The map must equal the list of uids. */
static void check_map(const struct seqmap *map, const uint32_t *uids, uint32_t n)
{
	uint32_t below = 0;

	assert_int_equal(map->count, n);
	assert_int_equal(seqmap_uid(map, 0), 0);
	assert_int_equal(seqmap_uid(map, n + 1), 0);
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(seqmap_uid(map, i + 1), uids[i]);
		assert_int_equal(seqmap_seq(map, uids[i]), i + 1);
	}
	assert_int_equal(seqmap_last_uid(map), n ? uids[n - 1] : 0);
	for (uint32_t uid = 1; uid < 1500; uid++) {
		bool in = below < n && uids[below] == uid;

		below += in;
		assert_int_equal(seqmap_rank(map, uid), below);
		assert_int_equal(seqmap_seq(map, uid), in ? below : 0);
	}
}

static void seqmap_does_as_a_list_would(void **state UNUSED)
{
	uint32_t uids[1000], n = 0, uid = 0;
	struct seqmap map = {NULL, 0, 0, 0};

	srand(8);
	while (n < 1000) {
		uid += rand() % 5 ? 1 : 2;
		seqmap_append(&map, uid);
		uids[n++] = uid;
	}
	check_map(&map, uids, n);
	while (n) {
		struct uidset gone = UIDSET_INIT;
		uint32_t left = 0;

		for (uint32_t i = 0; i < n; i++) {
			if (rand() % 7 == 0 || n < 20)
				uidset_add(&gone, uids[i], uids[i]);
			else
				uids[left++] = uids[i];
		}
		n = left;
		seqmap_remove(&map, &gone);
		check_map(&map, uids, n);
		uidset_free(&gone);
	}
	seqmap_append(&map, 1400);
	uids[0] = 1400;
	check_map(&map, uids, 1);
	seqmap_free(&map);
}

static void seqmap_of_a_big_mailbox_is_small(void **state UNUSED)
{
	struct seqmap map = {NULL, 0, 0, 0};
	struct uidset gone = UIDSET_INIT;

	for (uint32_t uid = 1; uid <= 1000000; uid++)
		seqmap_append(&map, uid);
	assert_int_equal(map.n, 1);
	uidset_add(&gone, 10, 20);
	uidset_add(&gone, 500000, 500000);
	seqmap_remove(&map, &gone);
	assert_int_equal(map.n, 3);
	assert_int_equal(seqmap_seq(&map, 1000000), 1000000 - 12);
	assert_int_equal(seqmap_uid(&map, 10), 21);
	seqmap_free(&map);
	uidset_free(&gone);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(uidset_does_as_an_array_would),
		cmocka_unit_test(uidset_reaches_to_the_end),
		cmocka_unit_test(uidset_parse_refuses_what_is_none),
		cmocka_unit_test(seqmap_does_as_a_list_would),
		cmocka_unit_test(seqmap_of_a_big_mailbox_is_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
