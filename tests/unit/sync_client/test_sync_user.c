/* test_sync_user.c - a user from one real store to another: everything that is his, changed in every way, and a second look that
 * has nothing to do. */
#include "tests/unit/sync_client/changes.h"

static void bob_with_two_messages(struct ends *e)
{
	rig_create(e->ours->rig, "user.bob");
	rig_append(e->ours->rig, "user.bob", "From: a\r\n\r\none\r\n", 0);
	rig_append(e->ours->rig, "user.bob", "From: b\r\n\r\ntwo\r\n", FLAG_SEEN);
}

static void a_new_user_comes_whole(void **state)
{
	struct ends *e = *state;

	bob_with_two_messages(e);
	rig_create(e->ours->rig, "user.bob.Empty");
	ends_sync_user(e, "bob");
	ends_same_mailbox(e, "user.bob");
	ends_same_mailbox(e, "user.bob.Empty");
}

static void nobody_is_nothing(void **state)
{
	struct ends *e = *state;
	struct us_err err;
	bool exists = true;

	assert_ok(sync_user(&e->sync, SPAN_LIT("nobody"), &exists, &err), &err);
	assert_false(exists);
	assert_string_equal(e->said.data, "");
}

static void changes_of_messages_follow(void **state)
{
	struct ends *e = *state;

	bob_with_two_messages(e);
	ends_sync_user(e, "bob");
	rig_flags(e->ours->rig, "user.bob", 1, FLAG_FLAGGED | FLAG_ANSWERED, false);
	ends_sync_user(e, "bob");
	rig_append(e->ours->rig, "user.bob", "three\r\n", 0);
	rig_flags(e->ours->rig, "user.bob", 2, 0, true);
	ends_sync_user(e, "bob");
	changes_decorate(e->ours->rig, "user.bob", 3, "$Work", "a note");
	ends_sync_user(e, "bob");
	ends_same_mailbox(e, "user.bob");
}

static void changes_of_mailboxes_follow(void **state)
{
	struct ends *e = *state;

	bob_with_two_messages(e);
	rig_create(e->ours->rig, "user.bob.A");
	ends_sync_user(e, "bob");
	changes_acl(e->ours->rig, "user.bob.A", "bob\tlrs\tanyone\tl\t");
	ends_sync_user(e, "bob");
	changes_mailbox_annotation(e->ours->rig, "user.bob.A", "/comment", "hello");
	ends_sync_user(e, "bob");
	changes_mailbox_annotation(e->ours->rig, "user.bob.A", "/comment", "bye");
	ends_sync_user(e, "bob");
	changes_partition(e->ours->rig, "user.bob.A", "p2");
	ends_sync_user(e, "bob");
	ends_same_mailbox(e, "user.bob.A");
}

static void what_is_the_users_follows(void **state)
{
	struct ends *e = *state;

	bob_with_two_messages(e);
	changes_quota(e->ours->rig, "user.bob", 5000, 200);
	changes_subscribe(e->ours->rig, "bob", "user.bob", true);
	changes_subscribe(e->ours->rig, "bob", "shared", true);
	changes_seen(e->ours->rig, "bob", "some-uniqueid", 4, "1:3");
	ends_sync_user(e, "bob");
	changes_quota(e->ours->rig, "user.bob", -1, 300);
	changes_subscribe(e->ours->rig, "bob", "user.bob", false);
	changes_seen(e->ours->rig, "bob", "some-uniqueid", 5, "1:5");
	ends_sync_user(e, "bob");
	assert_int_equal(quota_remove(e->ours->rig->store, SPAN_LIT("user.bob"), NULL), 0);
	ends_sync_user(e, "bob");
}

static void renames_follow(void **state)
{
	struct ends *e = *state;

	bob_with_two_messages(e);
	rig_create(e->ours->rig, "user.bob.A");
	rig_create(e->ours->rig, "user.bob.B");
	rig_append(e->ours->rig, "user.bob.A", "in a\r\n", 0);
	ends_sync_user(e, "bob");
	changes_rename(e->ours->rig, "user.bob.A", "user.bob.New");
	ends_sync_user(e, "bob");
	assert_null(strstr(e->said.data, "MESSAGE")); /* nothing travels */
	/* two change places */
	changes_rename(e->ours->rig, "user.bob.B", "user.bob.Tmp");
	changes_rename(e->ours->rig, "user.bob.New", "user.bob.B");
	changes_rename(e->ours->rig, "user.bob.Tmp", "user.bob.New");
	rig_append(e->ours->rig, "user.bob.B", "more\r\n", 0);
	ends_sync_user(e, "bob");
	ends_same_mailbox(e, "user.bob.B");
	ends_same_mailbox(e, "user.bob.New");
}

static void deletes_follow(void **state)
{
	struct ends *e = *state;
	struct buf deleted = BUF_INIT;

	bob_with_two_messages(e);
	rig_create(e->ours->rig, "user.bob.A");
	rig_create(e->ours->rig, "user.bob.B");
	ends_sync_user(e, "bob");
	changes_delete(e->ours->rig, "user.bob.A");
	changes_delete_delayed(e->ours->rig, "user.bob.B", &deleted);
	ends_sync_user(e, "bob");
	peer_must_lack(e->theirs, "user.bob.A");
	ends_same_mailbox(e, deleted.data);
	changes_delete(e->ours->rig, deleted.data); /* what the cleanup does in the end */
	ends_sync_user(e, "bob");
	peer_must_lack(e->theirs, deleted.data);
	buf_free(&deleted);
}

static void one_born_again_takes_the_place_of_the_old(void **state)
{
	struct ends *e = *state;

	bob_with_two_messages(e);
	rig_create(e->ours->rig, "user.bob.A");
	rig_append(e->ours->rig, "user.bob.A", "old\r\n", 0);
	ends_sync_user(e, "bob");
	changes_delete(e->ours->rig, "user.bob.A");
	rig_create(e->ours->rig, "user.bob.A");
	rig_append(e->ours->rig, "user.bob.A", "new\r\n", 0);
	ends_sync_user(e, "bob");
	ends_same_mailbox(e, "user.bob.A");
}

/* Both the delete and what came before it; the name is a new one meanwhile. */
static void one_that_took_a_deleted_ones_name_gets_it(void **state)
{
	struct ends *e = *state;

	bob_with_two_messages(e);
	rig_create(e->ours->rig, "user.bob.A");
	rig_create(e->ours->rig, "user.bob.B");
	rig_append(e->ours->rig, "user.bob.A", "a\r\n", 0);
	rig_append(e->ours->rig, "user.bob.B", "b\r\n", 0);
	ends_sync_user(e, "bob");
	changes_delete(e->ours->rig, "user.bob.A");
	changes_rename(e->ours->rig, "user.bob.B", "user.bob.A");
	ends_sync_user(e, "bob");
	ends_same_mailbox(e, "user.bob.A");
	peer_must_lack(e->theirs, "user.bob.B");
}

static void what_only_they_have_stays(void **state)
{
	struct ends *e = *state;
	struct us_err err;

	bob_with_two_messages(e);
	ends_sync_user(e, "bob");
	rig_create(e->theirs->rig, "user.bob.Theirs");
	assert_ok(ends_try_user(e, "bob", &err), &err);
	ends_same_mailbox(e, "user.bob");
	assert_non_null(strstr(peer_say(e->theirs, "GET MAILBOXES (user.bob.Theirs)"), "MBOXNAME"));
}

static void one_mailbox_that_cannot_go_does_not_stop_the_others(void **state)
{
	struct ends *e = *state;
	struct us_err err;

	bob_with_two_messages(e);
	rig_create(e->ours->rig, "user.bob.A");
	rig_append(e->ours->rig, "user.bob.A", "ours\r\n", 0);
	rig_create(e->ours->rig, "user.bob.B");
	rig_append(e->ours->rig, "user.bob.B", "b\r\n", 0);
	changes_subscribe(e->ours->rig, "bob", "user.bob.B", true);
	rig_create(e->theirs->rig, "user.bob.A"); /* born there too, with mail */
	rig_append(e->theirs->rig, "user.bob.A", "theirs\r\n", 0);
	assert_int_equal(ends_try_user(e, "bob", &err), US_EMOVED);
	ends_same_mailbox(e, "user.bob");
	ends_same_mailbox(e, "user.bob.B");
	assert_non_null(strstr(peer_say(e->theirs, "GET META bob"), "user.bob.B"));
}

/* A message moves from A to B: its copy is there before the old one goes, though A comes first in the list. */
static void what_moves_is_never_gone(void **state)
{
	struct ends *e = *state;
	const char *copied, *uploaded;

	rig_create(e->ours->rig, "user.bob");
	rig_create(e->ours->rig, "user.bob.Z");
	rig_append(e->ours->rig, "user.bob", "moving\r\n", 0);
	ends_sync_user(e, "bob");
	rig_append(e->ours->rig, "user.bob.Z", "moving\r\n", 0);
	rig_append(e->ours->rig, "user.bob", "another\r\n", 0);
	rig_flags(e->ours->rig, "user.bob", 1, 0, true);
	ends_forget(e);
	assert_int_equal(sync_user(&e->sync, SPAN_LIT("bob"), NULL, NULL), 0);
	copied = strstr(e->said.data, "APPLY MAILBOX");
	uploaded = strstr(e->said.data, "APPLY MESSAGE");
	assert_non_null(copied);
	assert_non_null(uploaded);
	/* Z's copy was found where it was; only then came the mailbox with "another", which loses it */
	assert_true(copied < uploaded);
	ends_sync_user(e, "bob");
	ends_same_mailbox(e, "user.bob.Z");
	ends_same_mailbox(e, "user.bob");
}

static void many_messages_go_in_steps(void **state)
{
	struct ends *e = *state;
	struct us_err err;
	unsigned orders = 0;
	char text[64];

	rig_create(e->ours->rig, "user.bob");
	for (int i = 0; i < 23; i++) {
		snprintf(text, sizeof(text), "message %d\r\n", i);
		rig_append(e->ours->rig, "user.bob", text, 0);
	}
	e->sync.options.batch = 5;
	assert_ok(ends_try_user(e, "bob", &err), &err);
	for (const char *at = e->said.data; (at = strstr(at, "APPLY MAILBOX")); at++)
		orders++;
	assert_int_equal(orders, 5);
	ends_sync_user(e, "bob");
	ends_same_mailbox(e, "user.bob");
}

static void a_link_that_breaks_loses_no_step(void **state)
{
	struct ends *e = *state;
	struct us_err err;
	char text[64];
	int rc = US_ELINK;

	rig_create(e->ours->rig, "user.bob");
	for (int i = 0; i < 20; i++) {
		snprintf(text, sizeof(text), "message %d\r\n", i);
		rig_append(e->ours->rig, "user.bob", text, 0);
	}
	e->sync.options.batch = 3;
	/* each time a little further: what is there already is not sent again */
	for (unsigned tries = 0; rc == US_ELINK; tries++) {
		assert_true(tries < 20);
		e->break_after = 7;
		rc = ends_try_user(e, "bob", &err);
		assert_int_equal(rc == US_ELINK, e->broken);
		if (e->broken) {
			ends_hang_up(e);
			ends_link(e);
		}
	}
	assert_int_equal(rc, 0);
	e->break_after = 0;
	ends_sync_user(e, "bob");
	ends_same_mailbox(e, "user.bob");
}

static void what_was_cleaned_up_here_goes_there(void **state)
{
	struct ends *e = *state;

	bob_with_two_messages(e);
	ends_sync_user(e, "bob");
	rig_flags(e->ours->rig, "user.bob", 1, 0, true);
	changes_purge(e->ours->rig, "user.bob", 1, 1);
	rig_append(e->ours->rig, "user.bob", "three\r\n", 0);
	ends_sync_user(e, "bob");
	/* its record may stay a while; the message is gone */
	assert_non_null(strstr(peer_say(e->theirs, "GET FULLMAILBOX user.bob"),
			       "UID 1 MODSEQ 2 LAST_UPDATED"));
	assert_non_null(strstr(e->theirs->answer.data, "FLAGS (\\Expunged)"));
}

static void a_renamed_user_keeps_everything(void **state)
{
	struct ends *e = *state;
	struct us_err err;

	bob_with_two_messages(e);
	rig_create(e->ours->rig, "user.bob.A");
	rig_append(e->ours->rig, "user.bob.A", "in a\r\n", 0);
	ends_sync_user(e, "bob");
	changes_rename(e->ours->rig, "user.bob.A", "user.joe.A");
	changes_rename(e->ours->rig, "user.bob", "user.joe");
	/* the wrong line first: it must do no harm */
	assert_ok(sync_removed_user(&e->sync, SPAN_LIT("bob"), false, &err), &err);
	ends_sync_user(e, "joe");
	ends_same_mailbox(e, "user.joe");
	ends_same_mailbox(e, "user.joe.A");
	assert_ok(sync_removed_user(&e->sync, SPAN_LIT("bob"), false, &err), &err);
	peer_must_lack(e->theirs, "user.bob");
	ends_same_mailbox(e, "user.joe");
}

static void a_removed_user_goes(void **state)
{
	struct ends *e = *state;
	struct us_err err;

	bob_with_two_messages(e);
	rig_create(e->ours->rig, "user.bob.A");
	changes_subscribe(e->ours->rig, "bob", "user.bob", true);
	ends_sync_user(e, "bob");
	assert_ok(user_remove(e->ours->rig->store, SPAN_LIT("bob"), FOLDER_DELETE_NOW, &err), &err);
	assert_ok(sync_removed_user(&e->sync, SPAN_LIT("bob"), true, &err), &err);
	ends_same_user(e, "bob");
	ends_alike(e, "GET META bob");
	ends_forget(e);
	assert_ok(sync_removed_user(&e->sync, SPAN_LIT("bob"), true, &err), &err);
	assert_int_equal(e->applies, 0);
}

static void a_removed_user_with_a_stranger_stays(void **state)
{
	struct ends *e = *state;
	struct us_err err;

	bob_with_two_messages(e);
	ends_sync_user(e, "bob");
	rig_create(e->theirs->rig, "user.bob.Theirs");
	assert_ok(user_remove(e->ours->rig->store, SPAN_LIT("bob"), FOLDER_DELETE_NOW, &err), &err);
	assert_ok(sync_removed_user(&e->sync, SPAN_LIT("bob"), true, &err), &err);
	assert_non_null(strstr(peer_say(e->theirs, "GET USER bob"), "user.bob.Theirs"));
}

/* ---- how often the client waits --------------------------------------------------------------------- */

#define MANY 40 /* more than may be out at once */

static void add_to_many(struct ends *e, const char *text)
{
	char name[32];

	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "user.bob.%02d", i);
		rig_append(e->ours->rig, name, text, 0);
	}
}

/* Mailboxes that are there, and have one message more here. */
static void many_that_changed(struct ends *e)
{
	char name[32];

	bob_with_two_messages(e);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "user.bob.%02d", i);
		rig_create(e->ours->rig, name);
	}
	add_to_many(e, "first\r\n");
	ends_sync_user(e, "bob");
	add_to_many(e, "second\r\n");
}

/* With orders in flight one turn is for many of them; without, one for each. */
static void many_mailboxes_take_few_turns(void **state)
{
	struct ends *e = *state;
	struct us_err err;
	char name[32];

	many_that_changed(e);
	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "user.carl.%02d", i);
		changes_subscribe(e->ours->rig, "bob", name, true);
	}
	ends_forget(e);
	assert_ok(ends_try_user(e, "bob", &err), &err);
	if (e->pipeline)
		assert_in_range(e->turns, 4, 8);
	else
		assert_in_range(e->turns, MANY + 10, 3 * MANY);
	ends_same_user(e, "bob");
}

/* One of those that are out is refused, the others are not: what was changed there in between is found out, by itself. */
static void one_of_many_was_changed_there(void **state)
{
	struct ends *e = *state;

	many_that_changed(e);
	rig_flags(e->theirs->rig, "user.bob.05", 1, FLAG_FLAGGED, false);
	rig_append(e->theirs->rig, "user.bob.20", "theirs\r\n", 0);
	ends_sync_user(e, "bob");
	ends_same_mailbox(e, "user.bob.05");
	ends_same_mailbox(e, "user.bob.39");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_ends(a_new_user_comes_whole),
		test_ends(nobody_is_nothing),
		test_ends(changes_of_messages_follow),
		test_ends(changes_of_mailboxes_follow),
		test_ends(what_is_the_users_follows),
		test_ends(renames_follow),
		test_ends(deletes_follow),
		test_ends(one_born_again_takes_the_place_of_the_old),
		test_ends(one_that_took_a_deleted_ones_name_gets_it),
		test_ends(what_only_they_have_stays),
		test_ends(one_mailbox_that_cannot_go_does_not_stop_the_others),
		test_ends(what_moves_is_never_gone),
		test_ends(many_messages_go_in_steps),
		test_ends(a_link_that_breaks_loses_no_step),
		test_ends(what_was_cleaned_up_here_goes_there),
		test_ends(a_renamed_user_keeps_everything),
		test_ends(a_removed_user_goes),
		test_ends(a_removed_user_with_a_stranger_stays),
		test_ends(many_mailboxes_take_few_turns),
		test_ends(one_of_many_was_changed_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
