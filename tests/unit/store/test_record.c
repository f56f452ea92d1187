/* test_record.c - the sums of a record, and counters that follow a change. */
#include "tests/unit/test.h"

#include <inttypes.h>

#include "server/store/record.h"

static uint64_t next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Numbers of every length, times before 1970 too. */
static struct record any_record(uint64_t *seed)
{
	struct record r = {.uid = (uint32_t)(next(seed) >> (32 + next(seed) % 32))};

	r.system_flags = (uint32_t)next(seed) & 31;
	r.internal_flags = next(seed) % 4 == 0 ? RECORD_EXPUNGED : 0;
	r.modseq = next(seed) >> next(seed) % 64;
	r.createdmodseq = next(seed) % 3;
	r.last_updated = (int64_t)next(seed) >> next(seed) % 64;
	r.internaldate_ns = (int64_t)next(seed) >> next(seed) % 64;
	r.savedate = (int64_t)(next(seed) % 3);
	r.size = next(seed) % 10000;
	r.user_flags[0] = next(seed) & next(seed) & next(seed);
	r.user_flags[1] = next(seed) & next(seed) & next(seed);
	r.cid = next(seed) % 2;
	r.annot_crc = next(seed) % 4 ? 0 : (uint32_t)next(seed);
	r.annot_bytes = (uint32_t)next(seed) % 100;
	for (size_t i = 0; i < GUID_SIZE; i++)
		r.guid.byte[i] = (unsigned char)next(seed);
	return r;
}

static void name_some(struct flag_names *names)
{
	memset(names, 0, sizeof(*names));
	flag_names_set(names, 0, SPAN_LIT("$Work"));
	flag_names_set(names, 63, SPAN_LIT("later"));
	flag_names_set(names, 64, SPAN_LIT("a"));
	flag_names_set(names, 127, SPAN_LIT("B"));
}

/* The text the sum is over, as the protocol describes it. */
static uint32_t sync_crc_by_printf(const struct record *r, const struct flag_names *names)
{
	static const char *const system[] = {"\\answered", "\\flagged", "\\deleted", "\\draft",
					     "\\seen"};
	char text[200], hex[GUID_HEX];
	uint32_t flags = 0;

	if (!record_is_live(r))
		return 0;
	for (unsigned i = 0; i < 5; i++)
		if (r->system_flags >> i & 1)
			flags ^= us_crc32(span_of(system[i]));
	for (unsigned bit = 0; bit < USER_FLAGS; bit++)
		if (record_has_user_flag(r, bit) && names->bit[bit].name.ptr)
			flags ^= names->bit[bit].lower_crc;
	guid_format(&r->guid, hex);
	snprintf(text, sizeof(text),
		 "%" PRIu32 " %" PRIu64 " %" PRId64 " (%" PRIu32 ") %" PRId64 " %s", r->uid,
		 r->modseq, r->last_updated, flags, record_internaldate(r), hex);
	return us_crc32(span_of(text));
}

static void sums_are_those_of_the_protocol(void **state UNUSED)
{
	struct flag_names names;
	uint64_t seed = 88172645463325252;

	name_some(&names);
	for (int i = 0; i < 20000; i++) {
		struct record r = any_record(&seed);

		assert_int_equal(record_sync_crc(&r, &names), sync_crc_by_printf(&r, &names));
	}
}

/* Counters that followed every change are those counted at the end. */
static void counters_follow_changes(void **state UNUSED)
{
	struct counters followed = {0}, counted = {0};
	struct record records[50];
	struct flag_names names;
	uint64_t seed = 362436069;

	name_some(&names);
	for (size_t i = 0; i < ARRAY_SIZE(records); i++) {
		records[i] = any_record(&seed);
		counters_replace(&followed, NULL, &records[i], &names);
	}
	for (int i = 0; i < 20000; i++) {
		struct record *r = &records[next(&seed) % ARRAY_SIZE(records)],
			      after = any_record(&seed);

		if (next(&seed) % 2) { /* flags only, as most changes are */
			struct record flags = after;
			after = *r;
			after.system_flags = flags.system_flags;
			after.modseq = flags.modseq;
			after.last_updated = flags.last_updated;
			memcpy(after.user_flags, flags.user_flags, sizeof(flags.user_flags));
		}
		counters_replace(&followed, r, &after, &names);
		*r = after;
	}
	for (size_t i = 0; i < ARRAY_SIZE(records); i++)
		counters_replace(&counted, NULL, &records[i], &names);
	assert_memory_equal(&followed, &counted, sizeof(counted));
	for (size_t i = 0; i < ARRAY_SIZE(records); i++)
		counters_replace(&followed, &records[i], NULL, &names);
	assert_memory_equal(&followed, &(struct counters){0}, sizeof(followed));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_are_those_of_the_protocol),
		cmocka_unit_test(counters_follow_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
