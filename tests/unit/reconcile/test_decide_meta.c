/* test_decide_meta.c - quota, subscriptions, seen, scripts, server annotations: rules Q, U, V and A of doc/RECONCILE.md. */
#include "tests/unit/reconcile/states.h"

#include "reconcile/decide_meta.h"

static void quota_limits_are_ours(void **state)
{
	static const struct state_quota ours[] = {{SPAN_LIT("user.bob"), {50, -1, -1, -1}, 9},
						  {SPAN_LIT("user.bob.B"), {-1, 5, -1, -1}, 9},
						  {SPAN_LIT("user.bob.C"), {7, -1, -1, -1}, 1}};
	static const struct state_quota theirs[] = {{SPAN_LIT("user.bob.D"), {1, -1, -1, -1}, 9},
						    {SPAN_LIT("user"), {1, -1, -1, -1}, 9},
						    {SPAN_LIT("user.bob"), {50, -1, -1, -1}, 3},
						    {SPAN_LIT("user.bob.B"), {-1, 6, -1, -1}, 9}};
	struct state_mailbox boxes[] = {mailbox("a", "user.bob"), mailbox("d", "user.bob.D")};
	struct state_user here = USER_OF(boxes), there = USER_OF(boxes);
	struct meta_plan p;

	here.quotas = ours;
	here.n_quotas = 3;
	there.quotas = theirs;
	there.n_quotas = 4;
	decide_quotas(&here, &there, *state, &p);
	assert_int_equal(p.n, 3);
	assert_int_equal(p.commands[0].kind, WIRE_APPLY_QUOTA);
	assert_span(p.commands[0].u.quota.root, "user.bob.B");
	assert_int_equal(p.commands[0].u.quota.limit[STATE_MESSAGE], 5);
	assert_span(p.commands[1].u.quota.root, "user.bob.C");
	assert_int_equal(p.commands[2].kind, WIRE_APPLY_UNQUOTA);
	assert_span(p.commands[2].u.name, "user.bob.D"); /* "user" governs more than bob */
}

static void subscriptions_are_ours(void **state)
{
	static const struct span ours[] = {SPAN_LIT("user.bob"), SPAN_LIT("user.bob.B")};
	static const struct span theirs[] = {SPAN_LIT("shared"), SPAN_LIT("user.bob.B")};
	struct state_user here = {.userid = SPAN_LIT("bob"),
				  .subscriptions = ours,
				  .n_subscriptions = 2};
	struct state_user there = {.subscriptions = theirs, .n_subscriptions = 2};
	struct meta_plan p;

	decide_subscriptions(&here, &there, *state, &p);
	assert_int_equal(p.n, 2);
	assert_int_equal(p.commands[0].kind, WIRE_APPLY_SUB);
	assert_span(p.commands[0].u.sub.mboxname, "user.bob");
	assert_span(p.commands[0].u.sub.userid, "bob");
	assert_int_equal(p.commands[1].kind, WIRE_APPLY_UNSUB);
	assert_span(p.commands[1].u.sub.mboxname, "shared");
	there = here;
	decide_subscriptions(&here, &there, *state, &p);
	assert_int_equal(p.n, 0);
}

static void seen_state_goes_over_and_stays_there(void **state)
{
	static const struct state_seen ours[] = {{SPAN_LIT("a"), 1, 2, 3, SPAN_LIT("1:2")},
						 {SPAN_LIT("b"), 1, 2, 3, SPAN_LIT("")}};
	struct state_seen theirs[] = {{SPAN_LIT("z"), 1, 2, 3, SPAN_LIT("")},
				      {SPAN_LIT("a"), 1, 2, 3, SPAN_LIT("1:2")}};
	struct state_user here = {.userid = SPAN_LIT("bob"), .seen = ours, .n_seen = 2};
	struct state_user there = {.seen = theirs, .n_seen = 2};
	struct meta_plan p;

	decide_seen(&here, &there, *state, &p);
	assert_int_equal(p.n, 1);
	assert_span(p.commands[0].u.seen.seen.uniqueid, "b");
	for (int i = 0; i < 4; i++) { /* any of the four */
		struct state_seen *s = &theirs[1];
		*s = ours[0];
		*(i == 0 ? &s->lastread : &s->lastchange) += i < 2;
		s->lastuid += i == 2;
		s->seenuids = i == 3 ? SPAN_LIT("1") : s->seenuids;
		decide_seen(&here, &there, *state, &p);
		assert_int_equal(p.n, 2);
	}
}

static const char *sieve(const struct state_user *here, const struct state_user *there,
			 struct pool *pool)
{
	static char text[256];
	struct meta_plan p;

	text[0] = '\0';
	decide_sieve(here, there, pool, &p);
	for (size_t i = 0; i < p.n; i++) {
		const struct wire_command *c = &p.commands[i];
		size_t len = strlen(text);
		const char *kind = c->kind == WIRE_APPLY_SIEVE            ? "put"
				   : c->kind == WIRE_APPLY_UNSIEVE        ? "drop"
				   : c->kind == WIRE_APPLY_ACTIVATE_SIEVE ? "on"
									  : "off";
		snprintf(text + len, sizeof(text) - len, "%s %.*s; ", kind,
			 SPAN_ARG(c->u.sieve.script.filename));
	}
	return text;
}

static void scripts_come_before_others_go(void **state)
{
	struct state_sieve ours[] = {{SPAN_LIT("new.script"), 5, guid_n(1), false},
				     {SPAN_LIT("new.bc"), 0, {{0}}, true},
				     {SPAN_LIT("same.script"), 5, guid_n(2), false}};
	struct state_sieve theirs[] = {{SPAN_LIT("old.script"), 5, guid_n(3), false},
				       {SPAN_LIT("old.bc"), 0, {{0}}, true},
				       {SPAN_LIT("same.script"), 9, guid_n(2), false}};
	struct state_user here = {.userid = SPAN_LIT("bob"), .sieve = ours, .n_sieve = 3};
	struct state_user there = {.sieve = theirs, .n_sieve = 3};

	assert_string_equal(sieve(&here, &there, *state),
			    "put new.script; on new.bc; drop old.script; ");
	ours[1].filename = SPAN_LIT("new.other"); /* nothing in force here */
	ours[1].active = false;
	assert_string_equal(sieve(&here, &there, *state),
			    "put new.script; off ; drop old.script; ");
	theirs[2].guid = (struct guid){{0}}; /* not known there: the date decides */
	assert_string_equal(sieve(&here, &there, *state),
			    "put new.script; off ; drop old.script; ");
	theirs[2].last_update = 4;
	assert_string_equal(sieve(&here, &there, *state),
			    "put new.script; put same.script; off ; drop old.script; ");
	assert_string_equal(sieve(&here, &here, *state), "");
}

static void server_annotations_are_ours(void **state)
{
	static const struct state_server_annotation ours[] =
		{{SPAN_LIT(""), {SPAN_LIT("/motd"), SPAN_LIT(""), SPAN_LIT("hello"), 0}},
		 {SPAN_LIT(""), {SPAN_LIT("/comment"), SPAN_LIT("bob"), SPAN_LIT("x"), 0}}};
	static const struct state_server_annotation theirs[] =
		{{SPAN_LIT(""), {SPAN_LIT("/comment"), SPAN_LIT(""), SPAN_LIT("x"), 0}},
		 {SPAN_LIT(""), {SPAN_LIT("/motd"), SPAN_LIT(""), SPAN_LIT("bye"), 0}}};
	struct meta_plan p;

	decide_annotations(ours, 2, theirs, 2, *state, &p);
	assert_int_equal(p.n, 3);
	assert_int_equal(p.commands[0].kind, WIRE_APPLY_ANNOTATION);
	assert_span(p.commands[0].u.annotation.annotation.value, "hello");
	assert_span(p.commands[1].u.annotation.annotation.userid, "bob");
	assert_int_equal(p.commands[2].kind, WIRE_APPLY_UNANNOTATION);
	assert_span(p.commands[2].u.annotation.annotation.entry, "/comment");
	decide_annotations(ours, 2, ours, 2, *state, &p);
	assert_int_equal(p.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_with_pool(quota_limits_are_ours),
		test_with_pool(subscriptions_are_ours),
		test_with_pool(seen_state_goes_over_and_stays_there),
		test_with_pool(scripts_come_before_others_go),
		test_with_pool(server_annotations_are_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
