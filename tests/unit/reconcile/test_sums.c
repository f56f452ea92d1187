/* test_sums.c - the checksums of single records, against values recomputed independently from the recordings. */
#include "tests/unit/test.h"

#include "reconcile/sums.h"

static struct span words[8];

static struct state_record record(uint32_t uid, uint64_t modseq, int64_t updated, uint32_t flags,
				  const char *keywords, int64_t date, const char *guid)
{
	struct state_record r = {.uid = uid,
				 .modseq = modseq,
				 .last_updated = updated,
				 .system_flags = flags,
				 .internaldate = date,
				 .keywords = words};
	struct span rest = span_of(keywords);

	while (span_word(&rest, &words[r.n_keywords]))
		r.n_keywords++;
	assert_true(guid_parse(span_of(guid), &r.guid));
	return r;
}

static void check(const struct state_record *r, uint32_t basic, uint32_t annot)
{
	struct sums s = SUMS_EMPTY;

	sums_add(&s, r);
	assert_int_equal(s.basic, basic);
	assert_int_equal(s.annot, annot ^ SUMS_ANNOT_EMPTY);
	sums_add(&s, r); /* taken away again */
	assert_int_equal(s.basic, 0);
	assert_int_equal(s.annot, SUMS_ANNOT_EMPTY);
}

static void plain_records(void **state UNUSED)
{
	struct state_record r = record(1, 2, 1795472229, 0, "", 1769940000,
				       "ced09b6dfee673f3470d6a96e4f9b3d19a8d8dae");

	r.savedate = 1795472229;
	r.createdmodseq = 2;
	check(&r, 3085398726, 971447896);
	r = record(3, 4, 1795472229, FLAG_ANSWERED | FLAG_SEEN, "", 1770112800,
		   "0db6feaf28a8e6cf76846d73fd06e85d0e0e46e9");
	r.savedate = 1795472229;
	r.createdmodseq = 4;
	check(&r, 3210643261, 3054863318);
	r = record(2, 3, 1795472229, FLAG_DELETED, "MixedCase", 1770458400,
		   "1677bbbd516354839a675a2e52718ccb771421a4");
	r.savedate = 1795472229;
	r.createdmodseq = 3;
	check(&r, 2734305085, 4135651592);
	words[0] = SPAN_LIT("mIXEDcASE"); /* the spelling is each side's own */
	check(&r, 2734305085, 4135651592);
	r = record(4, 10, 1795472230, FLAG_FLAGGED, "Important $Label1", 1770199200,
		   "a00ac6363e0f95a07ab17406f51a03a29c2a3c14");
	r.savedate = 1795472229;
	r.createdmodseq = 5;
	check(&r, 1178535048, 3025266160);
	r.expunged = true;
	check(&r, 0, 0);
}

static void annotated_records(void **state UNUSED)
{
	const struct state_annotation notes[] = {
		{SPAN_LIT("/comment"), SPAN_LIT(""), SPAN_LIT("shared msg note"), 19},
		{SPAN_LIT("/comment"), SPAN_LIT("bob"), SPAN_LIT("private msg note"), 20},
	};
	struct state_record r = record(1, 21, 1795472238, FLAG_ANSWERED | FLAG_FLAGGED, "Important",
				       1769940000, "ced09b6dfee673f3470d6a96e4f9b3d19a8d8dae");

	r.savedate = 1795472229;
	r.createdmodseq = 2;
	r.annotations = notes;
	r.n_annotations = 2;
	check(&r, 553675018, 3529389731);
	/* A conversation id loses its leading zeros. */
	r = record(4, 5, 1795471904, 0, "", 1770199200, "9be30f8001944a3a64f44076ddc341e8f0baa3e1");
	r.thrid = 0x0a10d6610afd4128;
	r.savedate = 1795471904;
	r.createdmodseq = 5;
	check(&r, 278003850, 1301861909);
}

static void zero_agrees_with_everything(void **state UNUSED)
{
	static const struct {
		struct sums a, b;
		bool agree;
	} rows[] = {
		{{1, 2}, {1, 2}, true},  {{0, 2}, {1, 2}, true},  {{1, 2}, {1, 0}, true},
		{{1, 2}, {0, 0}, true},  {{1, 2}, {1, 3}, false}, {{1, 2}, {3, 2}, false},
		{{0, 2}, {1, 3}, false},
	};
	const struct state_mailbox partial = {.sync_crc_annot = 7};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(sums_agree(rows[i].a, rows[i].b), rows[i].agree);
		assert_int_equal(sums_agree(rows[i].b, rows[i].a), rows[i].agree);
	}
	assert_int_equal(sums_said(&partial).annot, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_records),
		cmocka_unit_test(annotated_records),
		cmocka_unit_test(zero_agrees_with_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
