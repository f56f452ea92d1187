/* test_sync_conflict.c - both sides were written to: the rules of doc/RECONCILE.md, carried out on two real stores. */
#include "tests/unit/sync_client/changes.h"

/* A user with messages 1 and 2 on both sides. */
static void common_past(struct ends *e)
{
	rig_create(e->ours->rig, "user.bob");
	rig_append(e->ours->rig, "user.bob", "one\r\n", 0);
	rig_append(e->ours->rig, "user.bob", "two\r\n", 0);
	ends_sync_user(e, "bob");
}

static bool has(struct peer *p, const char *text)
{
	struct guid guid = guid_of(span_of(text));
	char hex[GUID_HEX];

	guid_format(&guid, hex);
	return strstr(peer_say(p, "GET FULLMAILBOX user.bob"), hex) != NULL;
}

static uint32_t live(struct peer *p)
{
	struct mailbox *m = rig_mailbox(p->rig, "user.bob");
	uint32_t n = m->view.counters.exists;

	mailbox_close(&m);
	return n;
}

static void settled(struct ends *e)
{
	ends_sync_user(e, "bob");
	ends_same_mailbox(e, "user.bob");
}

static void what_came_there_comes_here(void **state)
{
	struct ends *e = *state;

	common_past(e);
	rig_append(e->theirs->rig, "user.bob", "theirs\r\n", FLAG_FLAGGED);
	ends_sync_user(e, "bob");
	assert_true(has(e->ours, "theirs\r\n"));
	assert_int_equal(live(e->ours), 3);
	assert_int_equal(live(e->theirs), 3);
}

static void one_uid_two_messages(void **state)
{
	struct ends *e = *state;

	common_past(e);
	rig_append(e->ours->rig, "user.bob", "ours\r\n", 0);
	rig_append(e->theirs->rig, "user.bob", "theirs\r\n", 0);
	ends_sync_user(e, "bob");
	assert_true(has(e->ours, "theirs\r\n") && has(e->ours, "ours\r\n"));
	assert_true(has(e->theirs, "theirs\r\n") && has(e->theirs, "ours\r\n"));
	assert_int_equal(live(e->ours), 4);
	assert_int_equal(live(e->theirs), 4);
}

static void flags_of_the_later_win(void **state)
{
	struct ends *e = *state;

	common_past(e);
	rig_flags(e->theirs->rig, "user.bob", 1, FLAG_SEEN, false);
	rig_flags(e->theirs->rig, "user.bob", 1, FLAG_SEEN | FLAG_ANSWERED, false);
	rig_flags(e->ours->rig, "user.bob", 1, FLAG_FLAGGED, false);
	settled(e);
	assert_non_null(strstr(peer_say(e->ours, "GET FULLMAILBOX user.bob"), "\\Answered \\Seen"));
}

static void flags_of_ours_win_otherwise(void **state)
{
	struct ends *e = *state;

	common_past(e);
	rig_flags(e->theirs->rig, "user.bob", 1, FLAG_SEEN, false);
	rig_flags(e->ours->rig, "user.bob", 1, FLAG_FLAGGED, false);
	rig_flags(e->ours->rig, "user.bob", 1, FLAG_FLAGGED | FLAG_DRAFT, false);
	settled(e);
	assert_non_null(strstr(peer_say(e->ours, "GET FULLMAILBOX user.bob"), "\\Flagged \\Draft"));
}

static void an_expunge_wins(void **state)
{
	struct ends *e = *state;

	common_past(e);
	rig_flags(e->theirs->rig, "user.bob", 1, 0, true);
	rig_flags(e->ours->rig, "user.bob", 1, FLAG_FLAGGED, false);
	rig_flags(e->ours->rig, "user.bob", 2, 0, true);
	rig_flags(e->theirs->rig, "user.bob", 2, FLAG_FLAGGED, false);
	ends_sync_user(e, "bob");
	assert_int_equal(live(e->ours), 0);
	assert_int_equal(live(e->theirs), 0);
}

static void keywords_and_annotations_come_along(void **state)
{
	struct ends *e = *state;

	common_past(e);
	rig_append(e->theirs->rig, "user.bob", "theirs\r\n", 0);
	changes_decorate(e->theirs->rig, "user.bob", 3, "$Theirs", "their note");
	changes_decorate(e->theirs->rig, "user.bob", 1, "$Theirs", "on one");
	ends_sync_user(e, "bob");
	assert_non_null(strstr(peer_say(e->ours, "GET FULLMAILBOX user.bob"), "their note"));
	assert_non_null(strstr(e->ours->answer.data, "on one"));
	assert_non_null(strstr(e->ours->answer.data, "$Theirs"));
	ends_same_mailbox(e, "user.bob");
}

static void a_replica_that_missed_a_cleanup_and_was_written_to(void **state)
{
	struct ends *e = *state;

	common_past(e);
	rig_flags(e->ours->rig, "user.bob", 1, 0, true);
	changes_purge(e->ours->rig, "user.bob", 1, 1);
	rig_append(e->ours->rig, "user.bob", "ours\r\n", 0);
	rig_append(e->theirs->rig, "user.bob", "theirs\r\n", 0);
	rig_flags(e->theirs->rig, "user.bob", 2, FLAG_SEEN, false);
	ends_sync_user(e, "bob");
	assert_true(has(e->ours, "theirs\r\n"));
	assert_int_equal(live(e->ours), 3);
	assert_int_equal(live(e->theirs), 3);
}

/* The comparison was made here, and then the link broke: it is not made twice. */
static void a_broken_comparison_brings_nothing_twice(void **state)
{
	struct ends *e = *state;
	struct us_err err;

	for (unsigned at = 2; at < 16; at++) {
		common_past(e);
		rig_append(e->ours->rig, "user.bob", "ours\r\n", 0);
		rig_append(e->theirs->rig, "user.bob", "theirs\r\n", 0);
		e->break_after = at;
		(void)ends_try_user(e, "bob", &err);
		e->break_after = 0;
		if (e->broken) {
			ends_hang_up(e);
			ends_link(e);
		}
		ends_sync_user(e, "bob");
		assert_int_equal(live(e->ours), 4);
		assert_int_equal(live(e->theirs), 4);
		ends_teardown((void **)&e);
		ends_setup((void **)&e);
	}
	*state = e;
}

static void no_copyback_takes_nothing(void **state)
{
	struct ends *e = *state;
	struct us_err err;

	common_past(e);
	rig_append(e->ours->rig, "user.bob", "ours\r\n", 0);
	rig_append(e->theirs->rig, "user.bob", "theirs\r\n", 0);
	e->sync.options.force = true;
	assert_int_equal(ends_try_user(e, "bob", &err), US_ECHECKSUM);
	assert_false(has(e->ours, "theirs\r\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_ends(what_came_there_comes_here),
		test_ends(one_uid_two_messages),
		test_ends(flags_of_the_later_win),
		test_ends(flags_of_ours_win_otherwise),
		test_ends(an_expunge_wins),
		test_ends(keywords_and_annotations_come_along),
		test_ends(a_replica_that_missed_a_cleanup_and_was_written_to),
		test_ends(a_broken_comparison_brings_nothing_twice),
		test_ends(no_copyback_takes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
