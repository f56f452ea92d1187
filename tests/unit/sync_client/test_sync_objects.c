/* test_sync_objects.c - sets of mailboxes, single objects as log lines name them, and everything at once. */
#include "tests/unit/sync_client/changes.h"

static int sync_names(struct ends *e, const char *names, struct us_err *err)
{
	struct span list[8], rest = span_of(names);
	size_t n = 0;

	while (n < ARRAY_SIZE(list) && span_word(&rest, &list[n]))
		n++;
	return sync_mailboxes(&e->sync, list, n, err);
}

static void bring(struct ends *e, const char *names)
{
	struct us_err err;

	assert_ok(sync_names(e, names, &err), &err);
	ends_forget(e);
	assert_ok(sync_names(e, names, &err), &err);
	if (e->applies)
		fail_msg("the second look sent: %s", e->said.data);
}

static void some_mailboxes_go_alone(void **state)
{
	struct ends *e = *state;

	rig_create(e->ours->rig, "user.bob");
	rig_create(e->ours->rig, "user.bob.A");
	rig_create(e->ours->rig, "shared");
	rig_append(e->ours->rig, "shared", "s\r\n", 0);
	bring(e, "shared user.bob.A");
	ends_same_mailbox(e, "shared");
	ends_same_mailbox(e, "user.bob.A");
	peer_must_lack(e->theirs, "user.bob");
}

static void a_rename_is_found_by_one_name(void **state)
{
	struct ends *e = *state;

	rig_create(e->ours->rig, "shared.a");
	rig_append(e->ours->rig, "shared.a", "s\r\n", 0);
	bring(e, "shared.a");
	changes_rename(e->ours->rig, "shared.a", "shared.b");
	bring(e, "shared.b");
	ends_same_mailbox(e, "shared.b");
	peer_must_lack(e->theirs, "shared.a");
	changes_rename(e->ours->rig, "shared.b", "shared.c");
	bring(e, "shared.b shared.c"); /* as the lines of a RENAME say */
	ends_same_mailbox(e, "shared.c");
	/* under a name nobody here ever knew */
	changes_rename(e->theirs->rig, "shared.c", "shared.elsewhere");
	bring(e, "shared.c");
	ends_same_mailbox(e, "shared.c");
	peer_must_lack(e->theirs, "shared.elsewhere");
}

static void a_removed_mailbox_goes_by_its_line(void **state)
{
	struct ends *e = *state;
	struct us_err err;

	rig_create(e->ours->rig, "shared");
	rig_append(e->ours->rig, "shared", "old\r\n", 0);
	bring(e, "shared");
	assert_ok(sync_removed_mailbox(&e->sync, SPAN_LIT("shared"), &err), &err); /* it is here */
	ends_same_mailbox(e, "shared");
	changes_delete(e->ours->rig, "shared");
	assert_ok(sync_removed_mailbox(&e->sync, SPAN_LIT("shared"), &err), &err);
	peer_must_lack(e->theirs, "shared");
	/* another one of that name, which we never had */
	rig_create(e->theirs->rig, "shared");
	assert_ok(sync_removed_mailbox(&e->sync, SPAN_LIT("shared"), &err), &err);
	assert_non_null(strstr(peer_say(e->theirs, "GET MAILBOXES (shared)"), "MBOXNAME"));
}

static void born_again_works_for_shared_ones_too(void **state)
{
	struct ends *e = *state;

	rig_create(e->ours->rig, "shared");
	rig_append(e->ours->rig, "shared", "old\r\n", 0);
	bring(e, "shared");
	changes_delete(e->ours->rig, "shared");
	rig_create(e->ours->rig, "shared");
	rig_append(e->ours->rig, "shared", "new\r\n", 0);
	bring(e, "shared");
	ends_same_mailbox(e, "shared");
}

static void single_things_follow(void **state)
{
	struct ends *e = *state;
	struct us_err err;

	changes_quota(e->ours->rig, "shared", 10, -1);
	assert_ok(sync_quota(&e->sync, SPAN_LIT("shared"), &err), &err);
	ends_alike(e, "GET QUOTA shared");
	assert_int_equal(quota_remove(e->ours->rig->store, SPAN_LIT("shared"), NULL), 0);
	assert_ok(sync_quota(&e->sync, SPAN_LIT("shared"), &err), &err);
	ends_alike(e, "GET QUOTA shared");
	changes_subscribe(e->ours->rig, "bob", "shared", true);
	assert_ok(sync_subscription(&e->sync, SPAN_LIT("bob"), SPAN_LIT("shared"), &err), &err);
	ends_alike(e, "GET META bob");
	changes_subscribe(e->ours->rig, "bob", "shared", false);
	assert_ok(sync_subscription(&e->sync, SPAN_LIT("bob"), SPAN_LIT("shared"), &err), &err);
	ends_alike(e, "GET META bob");
	changes_seen(e->ours->rig, "bob", "an-id", 7, "1:3,7");
	assert_ok(sync_seen(&e->sync, SPAN_LIT("bob"), SPAN_LIT("an-id"), &err), &err);
	ends_alike(e, "GET META bob");
}

static void server_annotations_follow(void **state)
{
	struct ends *e = *state;
	struct us_err err;

	assert_ok(annotation_set_server(e->ours->rig->store, SPAN_LIT("/motd"), SPAN_LIT(""),
					SPAN_LIT("hello"), &err),
		  &err);
	assert_ok(annotation_set_server(e->theirs->rig->store, SPAN_LIT("/comment"), SPAN_LIT(""),
					SPAN_LIT("theirs"), &err),
		  &err);
	assert_ok(sync_server_annotations(&e->sync, &err), &err);
	ends_alike(e, "GET ANNOTATION \"\"");
	ends_forget(e);
	assert_ok(sync_server_annotations(&e->sync, &err), &err);
	assert_int_equal(e->applies, 0);
}

static void meta_data_go_alone(void **state)
{
	struct ends *e = *state;
	struct us_err err;
	bool exists;

	rig_create(e->ours->rig, "user.bob");
	changes_subscribe(e->ours->rig, "bob", "user.bob", true);
	changes_seen(e->ours->rig, "bob", "an-id", 7, "1:3,7");
	assert_ok(sync_meta(&e->sync, SPAN_LIT("bob"), &exists, &err), &err);
	assert_true(exists);
	ends_alike(e, "GET META bob");
	peer_must_lack(e->theirs, "user.bob");
}

/* ---- what is known of the replica ---------------------------------------------------------------------- */

static void what_is_known_is_not_asked_for(void **state)
{
	struct ends *e = *state;
	struct us_err err;

	rig_create(e->ours->rig, "user.bob");
	rig_append(e->ours->rig, "user.bob", "one\r\n", 0);
	e->sync.known = known_new(10);
	assert_ok(sync_names(e, "user.bob", &err), &err);
	ends_forget(e);
	rig_flags(e->ours->rig, "user.bob", 1, FLAG_SEEN, false);
	assert_ok(sync_names(e, "user.bob", &err), &err);
	assert_string_equal(e->said.data, "APPLY MAILBOX\n");
	ends_same_mailbox(e, "user.bob");
	ends_forget(e);
	rig_append(e->ours->rig, "user.bob", "two\r\n", 0); /* small: sent without a question */
	assert_ok(sync_names(e, "user.bob", &err), &err);
	assert_string_equal(e->said.data, "APPLY MESSAGE\nAPPLY MAILBOX\n");
	ends_same_mailbox(e, "user.bob");
	known_free(&e->sync.known);
}

static void a_replica_changed_behind_our_back_is_asked(void **state)
{
	struct ends *e = *state;
	struct us_err err;

	rig_create(e->ours->rig, "user.bob");
	rig_append(e->ours->rig, "user.bob", "one\r\n", 0);
	e->sync.known = known_new(10);
	assert_ok(sync_names(e, "user.bob", &err), &err);
	rig_flags(e->theirs->rig, "user.bob", 1, FLAG_ANSWERED, false);
	rig_append(e->theirs->rig, "user.bob", "theirs\r\n", 0);
	rig_append(e->ours->rig, "user.bob", "ours\r\n", 0);
	assert_ok(sync_names(e, "user.bob", &err), &err);
	ends_same_user(e, "bob");
	/* and gone altogether */
	changes_delete(e->theirs->rig, "user.bob");
	rig_flags(e->ours->rig, "user.bob", 1, FLAG_SEEN, false);
	(void)sync_names(e, "user.bob", &err); /* fails, and is known no more */
	assert_ok(sync_names(e, "user.bob", &err), &err);
	ends_same_user(e, "bob");
	known_free(&e->sync.known);
}

static void renames_are_seen_in_spite_of_what_is_known(void **state)
{
	struct ends *e = *state;
	struct us_err err;

	rig_create(e->ours->rig, "user.bob");
	rig_create(e->ours->rig, "user.bob.A");
	e->sync.known = known_new(10);
	assert_ok(sync_names(e, "user.bob.A", &err), &err);
	changes_rename(e->ours->rig, "user.bob.A", "user.bob.B");
	assert_ok(sync_names(e, "user.bob.A user.bob.B", &err), &err);
	ends_same_mailbox(e, "user.bob.B");
	changes_partition(e->ours->rig, "user.bob.B", "p2");
	assert_ok(sync_names(e, "user.bob.B", &err), &err);
	ends_same_mailbox(e, "user.bob.B");
	known_free(&e->sync.known);
}

static void only_so_many_are_known(void **state)
{
	struct known *k = known_new(4);
	struct state_mailbox m = box_new("user.bob", "").m, found;
	struct pool *pool = pool_new();
	char id[16];

	(void)state;
	m.sync_crc = 4711;
	for (int i = 0; i < 100; i++) {
		snprintf(id, sizeof(id), "id%d", i);
		m.uniqueid = span_of(id);
		known_note(k, &m);
		assert_true(known_find(k, m.uniqueid, pool, &found));
	}
	assert_int_equal(found.sync_crc, 4711);
	assert_false(known_find(k, SPAN_LIT("id1"), pool, &found));
	assert_true(known_find(k, SPAN_LIT("id98"), pool, &found));
	known_forget(k, SPAN_LIT("id98"));
	known_forget(k, SPAN_LIT("never"));
	assert_false(known_find(k, SPAN_LIT("id98"), pool, &found));
	pool_free(&pool);
	known_free(&k);
}

/* ---- everything ------------------------------------------------------------------------------------- */

struct walk_log {
	struct ends *e;
	unsigned failures, reconnects;
	char line[128];
};

static void failed(void *ctx, struct span line, const struct us_err *why UNUSED)
{
	struct walk_log *w = ctx;

	w->failures++;
	snprintf(w->line, sizeof(w->line), "%.*s", SPAN_ARG(line));
}

static int reconnect(void *ctx, struct us_err *err UNUSED)
{
	struct walk_log *w = ctx;

	w->reconnects++;
	w->e->break_after = 0;
	ends_hang_up(w->e);
	ends_link(w->e);
	return 0;
}

static struct walk_log everything(struct ends *e, const char *prefix)
{
	struct walk_log w = {.e = e};
	struct sync_walk how = {.prefix = span_of(prefix),
				.failed = failed,
				.reconnect = reconnect,
				.ctx = &w};
	struct us_err err;

	assert_ok(sync_everything(&e->sync, &how, &err), &err);
	return w;
}

static void two_users_and_more(struct ends *e)
{
	struct us_err err;

	rig_create(e->ours->rig, "user.ann");
	rig_append(e->ours->rig, "user.ann", "a\r\n", 0);
	rig_create(e->ours->rig, "user.bob");
	rig_create(e->ours->rig, "shared");
	rig_append(e->ours->rig, "shared", "s\r\n", 0);
	changes_quota(e->ours->rig, "shared", 10, -1);
	assert_ok(annotation_set_server(e->ours->rig->store, SPAN_LIT("/motd"), SPAN_LIT(""),
					SPAN_LIT("hello"), &err),
		  &err);
}

static void all_there_is_goes(void **state)
{
	struct ends *e = *state;

	two_users_and_more(e);
	assert_int_equal(everything(e, "").failures, 0);
	ends_same_user(e, "ann");
	ends_same_user(e, "bob");
	ends_same_mailbox(e, "shared");
	ends_alike(e, "GET QUOTA shared");
	ends_alike(e, "GET ANNOTATION \"\"");
}

static void a_second_walk_changes_nothing(void **state)
{
	struct ends *e = *state;
	const char *at;

	two_users_and_more(e);
	everything(e, "");
	changes_delete(e->ours->rig, "shared");
	assert_int_equal(user_remove(e->ours->rig->store, SPAN_LIT("ann"), FOLDER_DELETE_NOW, NULL),
			 0);
	assert_int_equal(everything(e, "").failures, 0);
	peer_must_lack(e->theirs, "shared");
	peer_must_lack(e->theirs, "user.ann");
	ends_same_user(e, "bob");
	ends_forget(e);
	assert_int_equal(everything(e, "").failures, 0);
	/* quota roots are sent without a look */
	for (at = e->said.data; (at = strstr(at, "APPLY ")); at++)
		assert_true(strncmp(at, "APPLY QUOTA", 11) == 0 ||
			    strncmp(at, "APPLY RESERVE", 13) == 0);
}

static void a_prefix_is_about_users(void **state)
{
	struct ends *e = *state;

	two_users_and_more(e);
	everything(e, "an");
	ends_same_user(e, "ann");
	peer_must_lack(e->theirs, "user.bob");
	peer_must_lack(e->theirs, "shared");
}

static void one_that_fails_is_told(void **state)
{
	struct ends *e = *state;
	struct walk_log w;

	two_users_and_more(e);
	rig_create(e->theirs->rig, "user.ann");
	rig_append(e->theirs->rig, "user.ann", "theirs\r\n", 0);
	w = everything(e, "");
	assert_int_equal(w.failures, 1);
	assert_string_equal(w.line, "USER ann");
	ends_same_user(e, "bob");
	ends_same_mailbox(e, "shared");
}

static void a_link_that_breaks_is_replaced(void **state)
{
	struct ends *e = *state;
	struct walk_log w;

	two_users_and_more(e);
	e->break_after = 5;
	w = everything(e, "");
	assert_int_equal(w.reconnects, 1);
	assert_int_equal(w.failures, 0);
	ends_same_user(e, "ann");
	ends_same_user(e, "bob");
	ends_same_mailbox(e, "shared");
}

static void removals_of_users_long_gone_are_found(void **state)
{
	struct ends *e = *state;
	struct buf deleted = BUF_INIT;
	struct us_err err;

	rig_create(e->ours->rig, "user.bob");
	rig_create(e->ours->rig, "user.bob.A");
	everything(e, "");
	changes_delete_delayed(e->ours->rig, "user.bob.A", &deleted);
	everything(e, "");
	ends_same_mailbox(e, deleted.data);
	assert_ok(user_remove(e->ours->rig->store, SPAN_LIT("bob"), FOLDER_DELETE_NOW, &err), &err);
	changes_delete(e->ours->rig, deleted.data);
	assert_int_equal(everything(e, "").failures, 0);
	peer_must_lack(e->theirs, "user.bob");
	peer_must_lack(e->theirs, deleted.data);
	buf_free(&deleted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_ends(some_mailboxes_go_alone),
		test_ends(a_rename_is_found_by_one_name),
		test_ends(a_removed_mailbox_goes_by_its_line),
		test_ends(born_again_works_for_shared_ones_too),
		test_ends(single_things_follow),
		test_ends(server_annotations_follow),
		test_ends(meta_data_go_alone),
		test_ends(what_is_known_is_not_asked_for),
		test_ends(a_replica_changed_behind_our_back_is_asked),
		test_ends(renames_are_seen_in_spite_of_what_is_known),
		cmocka_unit_test(only_so_many_are_known),
		test_ends(all_there_is_goes),
		test_ends(a_second_walk_changes_nothing),
		test_ends(a_prefix_is_about_users),
		test_ends(one_that_fails_is_told),
		test_ends(a_link_that_breaks_is_replaced),
		test_ends(removals_of_users_long_gone_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
