/* test_decide_folders.c - which mailbox is which, renames, removals: rules F1 to F12 of doc/RECONCILE.md. */
#include "tests/unit/reconcile/states.h"

#include "reconcile/decide_folders.h"

/* What a plan says, in words. */
static const char *told(const struct folders_plan *p)
{
	static const char *const whys[] = {"only-there", "same-id", "other-id", "name-taken",
					   "cycle"};
	static char text[2048];
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < p->n_renames; i++)
		buf_printf(&b, "rename %.*s -> %.*s (%.*s); ", SPAN_ARG(p->renames[i].oldname),
			   SPAN_ARG(p->renames[i].newname), SPAN_ARG(p->renames[i].partition));
	for (size_t i = 0; i < p->n_updates; i++)
		buf_printf(&b, "%s %.*s%s; ", p->updates[i].entry ? "entry" : "update",
			   SPAN_ARG(p->updates[i].local->name),
			   p->updates[i].replica ? "" : " new");
	for (size_t i = 0; i < p->deletes.n; i++)
		buf_printf(&b, "delete %.*s; ", SPAN_ARG(p->deletes.names[i]));
	for (size_t i = 0; i < p->n_troubles; i++) {
		const struct state_mailbox *m =
			p->troubles[i].local ? p->troubles[i].local : p->troubles[i].replica;
		buf_printf(&b, "%s %.*s; ", whys[p->troubles[i].why], SPAN_ARG(m->name));
	}
	if (p->failed)
		buf_printf(&b, "failed %zu; ", p->failed);
	snprintf(text, sizeof(text), "%s", b.data);
	buf_free(&b);
	return text;
}

#define assert_plan(here, there, options, expected)                  \
	do {                                                         \
		struct folders_plan p_;                              \
		struct decide_options o_ = (options);                \
		decide_folders(&(here), &(there), &o_, *state, &p_); \
		assert_string_equal(told(&p_), expected);            \
	} while (0)

static void mailboxes_are_matched_by_uniqueid(void **state)
{
	struct state_mailbox ours[] = {mailbox("a", "user.bob"), mailbox("b", "user.bob.B"),
				       mailbox("c", "user.bob.C")};
	struct state_mailbox theirs[] = {mailbox("a", "user.bob"), mailbox("b", "user.bob.B")};
	struct state_user here = USER_OF(ours), there = USER_OF(theirs), nobody = NOBODY;
	struct folders_plan p;

	assert_plan(here, there, OPTIONS,
		    "update user.bob; update user.bob.B; update user.bob.C new; ");
	assert_plan(here, nobody, OPTIONS,
		    "update user.bob new; update user.bob.B new; update user.bob.C new; ");
	theirs[1].last_uid = 3;
	decide_folders(&here, &there, &OPTIONS, *state, &p);
	assert_int_equal(p.reserve_from[1], 3);
	assert_int_equal(p.reserve_from[2], 0);
	assert_int_equal(p.reserve_names.n, 2);
}

static void a_new_name_or_partition_is_a_rename(void **state)
{
	struct state_mailbox ours[] = {mailbox("a", "user.bob"), mailbox("b", "user.bob.New"),
				       mailbox("c", "user.bob.C")};
	struct state_mailbox theirs[] = {mailbox("a", "user.bob"), mailbox("b", "user.bob.Old"),
					 mailbox("c", "user.bob.C")};
	struct state_user here = USER_OF(ours), there = USER_OF(theirs);
	struct decide_options p2 = OPTIONS;

	theirs[2].partition = SPAN_LIT("p3");
	assert_plan(here, there, OPTIONS,
		    "rename user.bob.Old -> user.bob.New (default); rename user.bob.C -> "
		    "user.bob.C (default); ");
	p2.partition = SPAN_LIT("p3");
	assert_plan(here, there, p2,
		    "rename user.bob -> user.bob (p3); rename user.bob.Old -> user.bob.New (p3); ");
}

static void renames_wait_for_their_names(void **state)
{
	struct state_mailbox ours[] = {mailbox("a", "user.bob.2"), mailbox("b", "user.bob.3"),
				       mailbox("c", "user.bob.4")};
	struct state_mailbox theirs[] = {mailbox("a", "user.bob.1"), mailbox("b", "user.bob.2"),
					 mailbox("c", "user.bob.3")};
	struct state_user here = USER_OF(ours), there = USER_OF(theirs);

	assert_plan(here, there, OPTIONS,
		    "rename user.bob.3 -> user.bob.4 (default); rename user.bob.2 -> user.bob.3 "
		    "(default); "
		    "rename user.bob.1 -> user.bob.2 (default); ");
}

static void cycles_are_broken_by_one_going_aside(void **state)
{
	struct state_mailbox ours[] = {mailbox("a", "user.bob.B"), mailbox("b", "user.bob.C"),
				       mailbox("c", "user.bob.A")};
	struct state_mailbox theirs[] = {mailbox("a", "user.bob.A"), mailbox("b", "user.bob.B"),
					 mailbox("c", "user.bob.C")};
	struct state_user here = USER_OF(ours), there = USER_OF(theirs);

	assert_plan(here, there, OPTIONS,
		    "rename user.bob.B -> DELETED.user.bob.B.7FFF0000 (default); "
		    "rename user.bob.A -> user.bob.B (default); rename user.bob.C -> user.bob.A "
		    "(default); "
		    "rename DELETED.user.bob.B.7FFF0000 -> user.bob.C (default); cycle "
		    "user.bob.C; ");
}

static void what_only_they_have_needs_a_tombstone_to_go(void **state)
{
	static const struct state_tombstone stones[] =
		{{.uniqueid = SPAN_LIT("b"), .name = SPAN_LIT("user.bob.B"), .time = 0x1000},
		 {.uniqueid = SPAN_LIT("b1"), .name = SPAN_LIT("user.bob.B.1"), .time = 0x1000},
		 {.uniqueid = SPAN_LIT("other"), .name = SPAN_LIT("user.bob.X"), .time = 0x1000}};
	struct state_mailbox ours[] = {mailbox("a", "user.bob")};
	struct state_mailbox theirs[] = {mailbox("a", "user.bob"), mailbox("b", "user.bob.B"),
					 mailbox("b1", "user.bob.B.1"), mailbox("x", "user.bob.X")};
	struct state_user here = USER_OF(ours), there = USER_OF(theirs);
	struct decide_options some = OPTIONS;

	assert_plan(here, there, OPTIONS,
		    "update user.bob; only-there user.bob.B; only-there user.bob.B.1; only-there "
		    "user.bob.X; ");
	here.tombstones = stones;
	here.n_tombstones = 3;
	/* children first; X is another mailbox than the one the tombstone knows */
	assert_plan(here, there, OPTIONS,
		    "update user.bob; delete user.bob.B.1; delete user.bob.B; only-there "
		    "user.bob.X; ");
	some.whole_user = false;
	assert_plan(here, there, some, "update user.bob; delete user.bob.B.1; delete user.bob.B; ");
}

static void a_removed_one_gives_up_its_name_first(void **state)
{
	static const struct state_tombstone stone = {.uniqueid = SPAN_LIT("old"),
						     .name = SPAN_LIT("user.bob.B"),
						     .time = 0x6B04BB69};
	struct state_mailbox born_again[] = {mailbox("new", "user.bob.B")};
	struct state_mailbox renamed[] = {mailbox("m", "user.bob.B")};
	struct state_mailbox theirs[] = {mailbox("m", "user.bob.A"), mailbox("old", "user.bob.B")};
	struct state_user here = USER_OF(born_again), there = USER_OF(theirs);

	here.tombstones = &stone;
	here.n_tombstones = 1;
	assert_plan(here, there, OPTIONS,
		    "rename user.bob.B -> DELETED.user.bob.B.6B04BB69 (default); only-there "
		    "user.bob.A; ");
	here.mailboxes = renamed;
	assert_plan(here, there, OPTIONS,
		    "rename user.bob.B -> DELETED.user.bob.B.6B04BB69 (default); "
		    "rename user.bob.A -> user.bob.B (default); ");
	/* next time round */
	theirs[0].name = SPAN_LIT("user.bob.B");
	theirs[1].name = SPAN_LIT("DELETED.user.bob.B.6B04BB69");
	assert_plan(here, there, OPTIONS,
		    "update user.bob.B; delete DELETED.user.bob.B.6B04BB69; ");
}

static void domains_stand_before_deleted(void **state)
{
	struct state_mailbox ours[] = {mailbox("a", "d.e!user.bob.B"),
				       mailbox("b", "d.e!user.bob.A")};
	struct state_mailbox theirs[] = {mailbox("a", "d.e!user.bob.A"),
					 mailbox("b", "d.e!user.bob.B")};
	struct state_user here = USER_OF(ours), there = USER_OF(theirs);

	assert_plan(here, there, OPTIONS,
		    "rename d.e!user.bob.B -> d.e!DELETED.user.bob.B.7FFF0000 (default); "
		    "rename d.e!user.bob.A -> d.e!user.bob.B (default); "
		    "rename d.e!DELETED.user.bob.B.7FFF0000 -> d.e!user.bob.A (default); cycle "
		    "d.e!user.bob.A; ");
}

static void another_mailbox_of_that_name_is_left_alone(void **state)
{
	struct state_mailbox ours[] = {mailbox("a", "user.bob"), mailbox("b", "user.bob.B")};
	struct state_mailbox theirs[] = {mailbox("a", "user.bob"), mailbox("z", "user.bob.B")};
	struct state_user here = USER_OF(ours), there = USER_OF(theirs);

	assert_plan(here, there, OPTIONS,
		    "update user.bob; only-there user.bob.B; other-id user.bob.B; failed 1; ");
	theirs[1].last_uid = 0; /* an empty one gives way, by the replica's rule */
	assert_plan(here, there, OPTIONS,
		    "update user.bob; update user.bob.B new; only-there user.bob.B; ");
}

static void a_rename_onto_a_stranger_fails_alone(void **state)
{
	struct state_mailbox ours[] = {mailbox("a", "user.bob"), mailbox("b", "user.bob.B")};
	struct state_mailbox theirs[] = {mailbox("a", "user.bob"), mailbox("b", "user.bob.A"),
					 mailbox("z", "user.bob.B")};
	struct state_user here = USER_OF(ours), there = USER_OF(theirs);

	assert_plan(here, there, OPTIONS,
		    "update user.bob; only-there user.bob.B; name-taken user.bob.B; failed 1; ");
}

static void a_second_one_with_an_id_is_told(void **state)
{
	struct state_mailbox ours[] = {mailbox("a", "user.bob")};
	struct state_mailbox theirs[] = {mailbox("a", "user.bob"), mailbox("a", "user.bob.B")};
	struct state_user here = USER_OF(ours), there = USER_OF(theirs);

	assert_plan(here, there, OPTIONS, "update user.bob; same-id user.bob.B; ");
}

static void entries_are_written_only_if_they_differ(void **state)
{
	struct state_mailbox ours[] = {entry("i", "user.bob.mid"), mailbox("a", "user.bob.mid.A")};
	struct state_mailbox theirs[] = {entry("i", "user.bob.mid"),
					 mailbox("a", "user.bob.mid.A")};
	struct state_user here = USER_OF(ours), there = USER_OF(theirs);
	struct folders_plan p;

	assert_plan(here, there, OPTIONS, "update user.bob.mid.A; ");
	theirs[0].uniqueid = SPAN_LIT("theirs"); /* the replica made it up itself */
	assert_plan(here, there, OPTIONS, "entry user.bob.mid; update user.bob.mid.A; ");
	theirs[0] = mailbox("m", "user.bob.mid"); /* a mailbox there */
	assert_plan(here, there, OPTIONS, "update user.bob.mid.A; only-there user.bob.mid; ");
	ours[0] = mailbox("m", "user.bob.mid"); /* and the other way round */
	theirs[0] = entry("i", "user.bob.mid");
	assert_plan(here, there, OPTIONS, "update user.bob.mid new; update user.bob.mid.A; ");
	decide_folders(&here, &there, &OPTIONS, *state, &p);
	assert_int_equal(p.reserve_names.n, 1);
}

static void script_mailboxes_are_hidden_from_old_peers(void **state)
{
	struct state_mailbox ours[] = {mailbox("a", "user.bob"), mailbox("s", "user.bob.#sieve")};
	struct state_user here = USER_OF(ours), nobody = NOBODY;
	struct decide_options old = OPTIONS;

	ours[1].mboxtype = SPAN_LIT("f");
	old.sieve_mailbox = false;
	assert_plan(here, nobody, OPTIONS, "update user.bob new; update user.bob.#sieve new; ");
	assert_plan(here, nobody, old, "update user.bob new; ");
}

static void former_names_are_asked_for_too(void **state)
{
	static const struct span asked[] = {SPAN_LIT("user.bob.B"), SPAN_LIT("user.bob.A")};
	struct state_mailbox ours[] = {mailbox("b", "user.bob.B")};
	struct wire_names names;

	ours[0].former_names[0] = SPAN_LIT("user.bob.Older");
	ours[0].former_names[1] = SPAN_LIT("user.bob.A");
	ours[0].n_former_names = 2;
	names = decide_names(&(struct wire_names){asked, 2}, ours, 1, *state);
	assert_int_equal(names.n, 3);
	assert_span(names.names[0], "user.bob.A");
	assert_span(names.names[1], "user.bob.B");
	assert_span(names.names[2], "user.bob.Older");
}

static void ids_of_one_side_are_found(void **state)
{
	struct state_mailbox ours[] = {mailbox("b", "user.bob.B"), mailbox("c", "user.bob.C"),
				       entry("i", "user.bob.i")};
	struct state_mailbox theirs[] = {mailbox("b", "user.bob.X"), mailbox("d", "user.bob.C")};
	struct state_user here = USER_OF(ours), there = USER_OF(theirs);
	struct wire_names ids = decide_unseen(&here, &there, &OPTIONS, *state);

	assert_int_equal(ids.n, 1);
	assert_span(ids.names[0], "c");
	ids = decide_only_there(&here, &there, *state);
	assert_int_equal(ids.n, 1);
	assert_span(ids.names[0], "d");
}

static void a_removal_needs_a_tombstone_and_nobody_alive(void **state UNUSED)
{
	static const struct state_tombstone stone = {.uniqueid = SPAN_LIT("b"),
						     .name = SPAN_LIT("user.bob.B")};
	struct state_mailbox alive[] = {mailbox("b", "user.joe.B")},
			     other[] = {mailbox("n", "user.bob.B")};
	struct state_mailbox theirs[] = {mailbox("b", "user.bob.B"), entry("i", "user.bob.i"),
					 mailbox("d", "DELETED.user.bob.D.123")};
	struct state_user here = NOBODY, there = USER_OF(theirs);
	struct span deleted = SPAN_LIT("DELETED");

	assert_false(decide_may_unmailbox(&here, &theirs[0]));
	assert_false(decide_may_unuser(&here, &there, deleted));
	here.tombstones = &stone;
	here.n_tombstones = 1;
	assert_true(decide_may_unmailbox(&here, &theirs[0]));
	assert_true(decide_may_unuser(&here, &there, deleted));
	here.mailboxes = alive; /* it lives under another name: a user was renamed */
	here.n_mailboxes = 1;
	assert_false(decide_may_unmailbox(&here, &theirs[0]));
	assert_false(decide_may_unuser(&here, &there, deleted));
	here.mailboxes = other; /* another one has its name by now */
	assert_true(decide_may_unmailbox(&here, &theirs[0]));
	theirs[2] = mailbox("d", "user.bob.D"); /* one that nobody here ever removed */
	assert_false(decide_may_unuser(&here, &there, deleted));
}

static void many_mailboxes_take_no_time(void **state)
{
	enum { N = 5000 };
	struct state_mailbox *ours = calloc(N, sizeof(*ours)), *theirs = calloc(N, sizeof(*theirs));
	struct state_user here = {.mailboxes = ours, .n_mailboxes = N},
			  there = {.mailboxes = theirs, .n_mailboxes = N};
	struct folders_plan p;

	for (size_t i = 0; i < N; i++) {
		const char *id = pool_printf(*state, "id%zu", i);
		ours[i] = mailbox(id, pool_printf(*state, "user.new.m%zu", i));
		theirs[i] = mailbox(id, pool_printf(*state, "user.old.m%zu", i));
	}
	decide_folders(&here, &there, &OPTIONS, *state, &p);
	assert_int_equal(p.n_renames, N);
	free(ours);
	free(theirs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_with_pool(mailboxes_are_matched_by_uniqueid),
		test_with_pool(a_new_name_or_partition_is_a_rename),
		test_with_pool(renames_wait_for_their_names),
		test_with_pool(cycles_are_broken_by_one_going_aside),
		test_with_pool(what_only_they_have_needs_a_tombstone_to_go),
		test_with_pool(a_removed_one_gives_up_its_name_first),
		test_with_pool(domains_stand_before_deleted),
		test_with_pool(another_mailbox_of_that_name_is_left_alone),
		test_with_pool(a_rename_onto_a_stranger_fails_alone),
		test_with_pool(a_second_one_with_an_id_is_told),
		test_with_pool(entries_are_written_only_if_they_differ),
		test_with_pool(script_mailboxes_are_hidden_from_old_peers),
		test_with_pool(former_names_are_asked_for_too),
		test_with_pool(ids_of_one_side_are_found),
		test_with_pool(a_removal_needs_a_tombstone_and_nobody_alive),
		test_with_pool(many_mailboxes_take_no_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
