/* test_decide_mailbox.c - one mailbox by its header: rules M1 to M9 of doc/RECONCILE.md. */
#include "tests/unit/reconcile/states.h"

#include "reconcile/decide_mailbox.h"

static struct mailbox_decision decided(const struct state_mailbox *local,
				       const struct state_mailbox *replica, bool first,
				       bool recounted)
{
	struct decide_options options = OPTIONS;
	struct mailbox_decision d;

	decide_mailbox(local, replica, MAILBOX_ALL_SURE, &options,
		       (first ? MAILBOX_FIRST : 0) | (recounted ? MAILBOX_RECOUNTED : 0), &d);
	return d;
}

static void equal_ones_send_nothing(void **state UNUSED)
{
	struct state_mailbox a = mailbox("x", "user.bob"), b = a;

	assert_int_equal(decided(&a, &b, true, false).step, MAILBOX_SAME);
	b.mboxtype = SPAN_LIT("e");
	b.foldermodseq = 0;    /* not said */
	b.last_appenddate = 9; /* sent, never compared */
	b.quotaroot = SPAN_LIT("user.bob");
	b.createdmodseq = 7;
	assert_int_equal(decided(&a, &b, true, false).step, MAILBOX_SAME);
}

static void one_that_is_not_there_goes_whole(void **state UNUSED)
{
	struct state_mailbox a = mailbox("x", "user.bob");
	struct state_record old = record(1, 1, 1), gone = expunged(2, 1, 2);
	struct mailbox_decision d;

	a.deletedmodseq = 9;
	d = decided(&a, NULL, true, false);
	assert_int_equal(d.step, MAILBOX_SEND);
	assert_false(d.header.has_since);
	assert_true(decide_sends(&d, old.uid, old.modseq));
	assert_true(decide_sends_body(&d, &old));
	assert_true(decide_sends_body(&d, &gone)); /* its file is still here */
	gone.unlinked = true;
	assert_false(decide_sends_body(&d, &gone));
}

#define CHANGE(what)                                                               \
	do {                                                                       \
		struct state_mailbox a = mailbox("x", "user.bob"), b = a;          \
		what;                                                              \
		assert_int_equal(decided(&a, &b, true, false).step, MAILBOX_SEND); \
	} while (0)

static void every_compared_field_counts(void **state UNUSED)
{
	static const struct state_annotation note = {SPAN_LIT("/comment"), SPAN_LIT(""),
						     SPAN_LIT("x"), 0};
	static const struct state_annotation other = {SPAN_LIT("/comment"), SPAN_LIT(""),
						      SPAN_LIT("y"), 0};

	CHANGE(a.last_uid++);
	CHANGE(a.highestmodseq++);
	CHANGE(a.uidvalidity++);
	CHANGE(a.recentuid++);
	CHANGE(a.recenttime++);
	CHANGE(a.pop3_last_login++);
	CHANGE(a.pop3_show_after++);
	CHANGE(a.options ^= MAILBOX_OPTION_SHARED_SEEN);
	CHANGE(a.options ^= MAILBOX_OPTION_POP3_NEW_UIDL);
	CHANGE(a.foldermodseq++);
	CHANGE(a.acl = SPAN_LIT("bob\tlr\t"));
	CHANGE(a.mboxtype = SPAN_LIT("f"));
	CHANGE((a.annotations = &note, a.n_annotations = 1));
	CHANGE((a.annotations = &note, b.annotations = &other,
		a.n_annotations = b.n_annotations = 1));
}

static void modseqs_of_features_count_where_those_are_on(void **state UNUSED)
{
	struct state_mailbox a = mailbox("x", "user.bob"), b = a;
	struct decide_options options = OPTIONS;
	struct mailbox_decision d;

	a.xconvmodseq = a.raclmodseq = 9;
	b.raclmodseq = 8;
	decide_mailbox(&a, &b, MAILBOX_ALL_SURE, &options, MAILBOX_FIRST, &d);
	assert_int_equal(d.step, MAILBOX_SAME);
	options.reverse_acls = true;
	decide_mailbox(&a, &b, MAILBOX_ALL_SURE, &options, MAILBOX_FIRST, &d);
	assert_int_equal(d.step, MAILBOX_SEND);
	b.raclmodseq = 0; /* one side does not count them */
	decide_mailbox(&a, &b, MAILBOX_ALL_SURE, &options, MAILBOX_FIRST, &d);
	assert_int_equal(d.step, MAILBOX_SAME);
	options.conversations = true;
	decide_mailbox(&a, &b, MAILBOX_ALL_SURE, &options, MAILBOX_FIRST, &d);
	assert_int_equal(d.step, MAILBOX_SEND);
}

static void sums_are_counted_before_they_are_believed(void **state UNUSED)
{
	struct state_mailbox a = mailbox("x", "user.bob"), b = a;

	a.sync_crc = 78;
	assert_int_equal(decided(&a, &b, true, false).step, MAILBOX_RECOUNT);
	assert_int_equal(decided(&a, &b, true, true).step, MAILBOX_SEND);
	b.sync_crc = 0; /* do not care */
	assert_int_equal(decided(&a, &b, true, false).step, MAILBOX_SAME);
	b.has_sync_crc_annot = false;
	b.sync_crc_annot = 5;
	assert_int_equal(decided(&a, &b, true, false).step, MAILBOX_SAME);
}

static void a_point_on_the_way_is_never_the_end(void **state UNUSED)
{
	struct state_mailbox a = mailbox("x", "user.bob"), b = a;
	struct decide_options options = OPTIONS;
	struct mailbox_decision d;

	b.sync_crc = b.sync_crc_annot = 0; /* as a partial update says */
	b.has_sync_crc_annot = false;
	decide_mailbox(&a, &b, MAILBOX_ALL_SURE, &options, MAILBOX_FIRST | MAILBOX_ON_THE_WAY, &d);
	assert_int_equal(d.step, MAILBOX_SEND);
	assert_false(d.header.has_since);
}

static void an_empty_mailbox_has_no_kind_of_uidl(void **state UNUSED)
{
	struct state_mailbox a = mailbox("x", "user.bob"), b;

	a.last_uid = 0;
	b = a;
	a.options ^= MAILBOX_OPTION_POP3_NEW_UIDL;
	assert_int_equal(decided(&a, &b, true, false).step, MAILBOX_SAME);
	a.options ^= MAILBOX_OPTION_SHARED_SEEN;
	assert_int_equal(decided(&a, &b, true, false).step, MAILBOX_SEND);
}

static void what_was_not_sent_is_not_forgotten(void **state UNUSED)
{
	struct state_mailbox b = mailbox("x", "user.bob"), a = b;
	struct decide_options options = OPTIONS;
	struct state_record pending = record(2, 8, 2);
	struct mailbox_decision d;

	a.highestmodseq = 12;
	decide_mailbox(&a, &b, 7, &options, MAILBOX_FIRST, &d);
	assert_true(decide_sends(&d, pending.uid, pending.modseq));
	assert_int_equal(d.reached, 10);
	decide_mailbox(&a, &b, MAILBOX_ALL_SURE, &options, MAILBOX_FIRST, &d);
	assert_false(decide_sends(&d, pending.uid, pending.modseq));
}

static void a_guess_of_the_replica_hides_no_change(void **state UNUSED)
{
	struct state_mailbox b = mailbox("x", "user.bob"), a = b;
	struct state_record hidden = record(2, 10, 2);
	struct mailbox_decision d;

	b.foldermodseq = b.highestmodseq; /* renamed there a moment ago */
	a.highestmodseq = 12;
	d = decided(&a, &b, true, false);
	assert_true(decide_sends(&d, hidden.uid, hidden.modseq));
	assert_int_equal(d.reached, 10);
	assert_int_equal(d.header.since_modseq, 10);
	assert_false(d.gaps);
	a.deletedmodseq = 9;
	assert_int_equal(decided(&a, &b, true, false).step, MAILBOX_FULL);
	b.highestmodseq = b.foldermodseq = 1;
	assert_int_equal(decided(&a, &b, true, false).since, 0);
}

static void a_delta_is_what_changed_and_what_is_new(void **state UNUSED)
{
	struct state_mailbox b = mailbox("x", "user.bob"), a = b;
	struct mailbox_decision d;
	struct state_record same = record(5, 10, 1), changed = record(2, 11, 2),
			    late = record(6, 3,
					  3); /* its modseq is old, but the replica never had it */

	a.last_uid = 6;
	a.highestmodseq = 11;
	d = decided(&a, &b, true, false);
	assert_int_equal(d.step, MAILBOX_SEND);
	assert_false(decide_sends(&d, same.uid, same.modseq));
	assert_true(decide_sends(&d, changed.uid, changed.modseq));
	assert_true(decide_sends(&d, late.uid, late.modseq));
	assert_false(decide_sends_body(&d, &changed));
	assert_true(decide_sends_body(&d, &late));
	assert_true(d.header.has_since);
	assert_int_equal(d.header.since_modseq, 10);
	assert_int_equal(d.header.since_crc, 77);
	assert_int_equal(d.header.since_crc_annot, 88);
	assert_false(decided(&a, &b, false, true).header.has_since); /* a repeat says nothing */
}

static void higher_values_of_the_replica_are_taken(void **state UNUSED)
{
	struct state_mailbox a = mailbox("x", "user.bob"), b = a;
	struct mailbox_decision d;

	b.uidvalidity = 2000;
	b.raclmodseq = 20;
	b.foldermodseq = 30;
	d = decided(&a, &b, true, false);
	assert_int_equal(d.step, MAILBOX_SAME); /* once taken */
	assert_int_equal(d.take_uidvalidity, 2000);
	assert_int_equal(d.take_raclmodseq, 20);
	assert_int_equal(d.take_foldermodseq, 30);
	assert_int_equal(d.header.uidvalidity, 2000);
	b = a;
	b.uidvalidity = 1;
	d = decided(&a, &b, true, false);
	assert_int_equal(d.take_uidvalidity, 0);
	assert_int_equal(d.step, MAILBOX_SEND);
}

static void what_an_update_cannot_do_is_compared_in_full(void **state UNUSED)
{
	struct decide_options options = OPTIONS;
	struct mailbox_decision d;
	struct state_mailbox b = mailbox("x", "user.bob"), a = b;

	a.deletedmodseq = 11;
	a.highestmodseq = 12;
	d = decided(&a, &b, true, false);
	assert_int_equal(d.step, MAILBOX_FULL);
	assert_true(d.gaps);
	assert_int_equal(decided(&a, &b, false, true).step,
			 MAILBOX_SEND); /* a repeat does not look */
	options.force = true;
	decide_mailbox(&a, &b, MAILBOX_ALL_SURE, &options, MAILBOX_FIRST, &d);
	assert_int_equal(d.step, MAILBOX_SEND);
	a = b;
	b.highestmodseq++;
	assert_int_equal(decided(&a, &b, true, false).step, MAILBOX_FULL);
	b = a;
	b.last_uid++;
	assert_int_equal(decided(&a, &b, true, false).step, MAILBOX_FULL);
}

static void minus_p_is_where_it_goes(void **state UNUSED)
{
	struct state_mailbox a = mailbox("x", "user.bob");
	struct decide_options options = OPTIONS;
	struct mailbox_decision d;

	options.partition = SPAN_LIT("p2");
	decide_mailbox(&a, NULL, MAILBOX_ALL_SURE, &options, MAILBOX_FIRST, &d);
	assert_span(d.header.partition, "p2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_ones_send_nothing),
		cmocka_unit_test(one_that_is_not_there_goes_whole),
		cmocka_unit_test(every_compared_field_counts),
		cmocka_unit_test(modseqs_of_features_count_where_those_are_on),
		cmocka_unit_test(sums_are_counted_before_they_are_believed),
		cmocka_unit_test(a_point_on_the_way_is_never_the_end),
		cmocka_unit_test(an_empty_mailbox_has_no_kind_of_uidl),
		cmocka_unit_test(what_was_not_sent_is_not_forgotten),
		cmocka_unit_test(a_guess_of_the_replica_hides_no_change),
		cmocka_unit_test(a_delta_is_what_changed_and_what_is_new),
		cmocka_unit_test(higher_values_of_the_replica_are_taken),
		cmocka_unit_test(what_an_update_cannot_do_is_compared_in_full),
		cmocka_unit_test(minus_p_is_where_it_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
