/* test_decide_full.c - records of both sides, one by one: rules R1 to R17 of doc/RECONCILE.md. */
#include "tests/unit/reconcile/states.h"

#include "reconcile/decide_full.h"

/* "5:rewrite 2" is rule 5 on our uid 2; "->" shows a new uid; "x3" an expunge there. */
static const char *told(const struct full_plan *p)
{
	static const char *const kinds[] = {"rewrite", "expunge", "take", "append", "copy"};
	static char text[1024];
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < p->n_actions; i++) {
		const struct full_action *a = &p->actions[i];
		buf_printf(&b, "%u:%s %u", a->rule, kinds[a->kind],
			   a->local ? a->local->uid : a->replica->uid);
		if (a->new_uid)
			buf_printf(&b, "->%u", a->new_uid);
		buf_add_str(&b, " ");
	}
	for (size_t i = 0; i < p->expunge.n; i++)
		buf_printf(&b, "x%u ", p->expunge.uids[i]);
	snprintf(text, sizeof(text), "%s", b.data);
	buf_free(&b);
	return text;
}

struct side {
	struct state_mailbox m;
	struct state_record records[4];
};

static const char *full(struct side *a, size_t n_a, struct side *b, size_t n_b, struct pool *pool,
			struct full_plan *p)
{
	a->m.records = a->records;
	a->m.n_records = n_a;
	b->m.records = b->records;
	b->m.n_records = n_b;
	decide_full(&a->m, &b->m, pool, p);
	return told(p);
}

static struct side side(uint32_t last_uid, uint64_t modseq)
{
	struct side s = {.m = mailbox("x", "user.bob")};

	s.m.last_uid = last_uid;
	s.m.highestmodseq = modseq;
	return s;
}

#define assert_full(ours, theirs, expected)                                                     \
	do {                                                                                    \
		struct side a_ = side(5, 10), b_ = side(5, 10);                                 \
		struct state_record o_[] = {ours}, t_[] = {theirs};                             \
		struct full_plan p;                                                             \
		memcpy(a_.records, o_, sizeof(o_));                                             \
		memcpy(b_.records, t_, sizeof(t_));                                             \
		assert_string_equal(full(&a_, ARRAY_SIZE(o_), &b_, ARRAY_SIZE(t_), *state, &p), \
				    expected);                                                  \
	} while (0)
#define AND ,

static void equal_ones_are_left(void **state)
{
	assert_full(record(1, 2, 1), record(1, 2, 1), "");
	assert_full(expunged(1, 2, 1), expunged(1, 9, 7), ""); /* rule 1, whatever else differs */
}

static void two_messages_of_one_uid_both_stay(void **state)
{
	/* the lower guid gets the lower new uid */
	assert_full(record(1, 2, 1), record(1, 2, 9), "2:copy 1->6 2:append 1->7 x1 ");
	assert_full(record(1, 2, 9), record(1, 2, 1), "2:append 1->6 2:copy 1->7 x1 ");
	assert_full(expunged(1, 2, 1), record(1, 2, 9), "3:append 1->6 x1 ");
	assert_full(record(1, 2, 1), expunged(1, 2, 9), "3:copy 1->6 ");
}

static void an_expunge_wins_on_either_side(void **state)
{
	assert_full(expunged(1, 2, 1), record(1, 9, 1), "5:rewrite 1 ");
	assert_full(record(1, 9, 1), expunged(1, 2, 1), "6:expunge 1 ");
}

static void the_later_change_of_flags_wins(void **state)
{
	struct state_record ours = record(1, 5, 1), theirs = record(1, 6, 1);

	theirs.system_flags = FLAG_SEEN;
	assert_full(ours, theirs, "7:take 1 ");
	theirs.last_updated = 99; /* later by modseq, but not by time */
	assert_full(ours, theirs, "8:rewrite 1 ");
	theirs.last_updated = 200;
	theirs.modseq = 5;
	assert_full(ours, theirs, "8:rewrite 1 ");
}

static void what_differs_is_more_than_flags(void **state)
{
	static const struct span lower = SPAN_LIT("$work"), upper = SPAN_LIT("$WORK"),
				 other = SPAN_LIT("x");
	static const struct state_annotation note = {SPAN_LIT("/comment"), SPAN_LIT(""),
						     SPAN_LIT("x"), 3};
	struct state_record a = record(1, 5, 1), b = a;

	a.keywords = &lower;
	b.keywords = &upper;
	a.n_keywords = b.n_keywords = 1;
	assert_full(a, b, ""); /* spellings may differ */
	b.keywords = &other;
	assert_full(a, b, "8:rewrite 1 ");
	b = a;
	b.annotations = &note;
	b.n_annotations = 1;
	assert_full(a, b, "8:rewrite 1 ");
	b = a;
	b.internaldate++;
	assert_full(a, b, "8:rewrite 1 ");
	b = a;
	b.savedate++;
	assert_full(a, b, "8:rewrite 1 ");
	b = a;
	b.thrid++;
	assert_full(a, b, "8:rewrite 1 ");
	b = a;
	b.createdmodseq++;
	assert_full(a, b, "8:rewrite 1 ");
	b = a;
	b.last_updated++;
	assert_full(a, b, "8:rewrite 1 ");
}

static void what_only_we_have_gets_a_place_behind(void **state)
{
	assert_full(record(1, 2, 1) AND record(2, 3, 2), record(2, 3, 2), "9:copy 1->6 ");
	assert_full(record(1, 2, 1) AND record(2, 3, 2), record(1, 2, 1), "10:copy 2->6 ");
	assert_full(expunged(1, 2, 1) AND record(2, 3, 2), record(2, 3, 2), "");
}

static void what_is_new_here_is_left_to_the_update(void **state)
{
	struct side a = side(8, 12), b = side(5, 10);
	struct full_plan p;

	a.records[0] = record(1, 2, 1);
	a.records[1] = record(6, 10, 2); /* its modseq would not be sent by itself */
	a.records[2] = record(7, 11, 3);
	b.records[0] = record(1, 2, 1);
	assert_string_equal(full(&a, 3, &b, 1, *state, &p), "11:rewrite 6 ");
	assert_int_equal(p.last_uid, 8);
}

static void what_only_they_have_comes_back(void **state)
{
	struct side a = side(5, 10), b = side(7, 20);
	struct full_plan p;

	a.records[0] = record(1, 2, 1);
	b.records[0] = record(1, 2, 1);
	b.records[1] = record(3, 9, 2);  /* behind our back, in the middle */
	b.records[2] = record(7, 20, 3); /* new there */
	b.records[3] = expunged(8, 20, 4);
	assert_string_equal(full(&a, 1, &b, 4, *state, &p), "14:append 7->7 16:append 3->8 x3 ");
	assert_int_equal(p.n_fetches, 2);
	assert_int_equal(p.highestmodseq, 21);
	assert_int_equal(p.last_uid, 8);
}

static void what_came_back_before_does_not_come_twice(void **state)
{
	struct side a = side(7, 12), b = side(5, 10);
	struct full_plan p;

	a.records[0] = expunged(3, 2, 1);
	a.records[1] = record(6, 11, 9); /* brought by a comparison that broke off */
	b.records[0] = record(3, 9, 9);
	b.records[1] = record(4, 9, 9); /* the same message once more, which was not */
	assert_string_equal(full(&a, 2, &b, 2, *state, &p), "16:append 4->8 x3 x4 ");
	a.records[1].internaldate++; /* another message of the same octets */
	assert_string_equal(full(&a, 2, &b, 2, *state, &p), "3:append 3->8 16:append 4->9 x3 x4 ");
}

static void what_is_gone_here_goes_there(void **state)
{
	struct side a = side(5, 30), b = side(5, 10);
	struct full_plan p;

	a.m.deletedmodseq = 12;
	b.records[0] = record(2, 9, 2);
	b.records[1] = record(3, 15, 3);
	assert_string_equal(full(&a, 0, &b, 2, *state, &p), "16:append 3->6 x2 x3 ");
}

static void header_values_only_rise(void **state)
{
	static const struct state_annotation note = {SPAN_LIT("/comment"), SPAN_LIT(""),
						     SPAN_LIT("x"), 0};
	struct side a = side(5, 10), b = side(5, 10);
	struct full_plan p;

	a.m.uidvalidity = 2000;
	a.m.foldermodseq = 9;
	b.m.annotations = &note;
	b.m.n_annotations = 1;
	full(&a, 0, &b, 0, *state, &p);
	assert_int_equal(p.uidvalidity, 0);
	assert_int_equal(p.foldermodseq, 0);
	assert_int_equal(p.highestmodseq, 0);
	assert_false(p.take_annotations);
	b.m.uidvalidity = 3000;
	b.m.foldermodseq = 10;
	b.m.highestmodseq = 11;
	full(&a, 0, &b, 0, *state, &p);
	assert_int_equal(p.uidvalidity, 3000);
	assert_int_equal(p.foldermodseq, 10);
	assert_int_equal(p.highestmodseq, 12);
	assert_true(p.take_annotations);
}

static void uids_do_not_run_over(void **state)
{
	struct side a = side(5, 10), b = side(UINT32_MAX - 1, 10);
	struct full_plan p;

	a.records[0] = record(1, 2, 1);
	full(&a, 1, &b, 0, *state, &p);
	assert_true(p.no_room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_with_pool(equal_ones_are_left),
		test_with_pool(two_messages_of_one_uid_both_stay),
		test_with_pool(an_expunge_wins_on_either_side),
		test_with_pool(the_later_change_of_flags_wins),
		test_with_pool(what_differs_is_more_than_flags),
		test_with_pool(what_only_we_have_gets_a_place_behind),
		test_with_pool(what_is_new_here_is_left_to_the_update),
		test_with_pool(what_only_they_have_comes_back),
		test_with_pool(what_came_back_before_does_not_come_twice),
		test_with_pool(what_is_gone_here_goes_there),
		test_with_pool(header_values_only_rise),
		test_with_pool(uids_do_not_run_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
