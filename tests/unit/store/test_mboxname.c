/* test_mboxname.c - both forms of names, for admins and users, in both namespaces. */
#include "tests/unit/test.h"

#include "server/store/mboxname.h"

static const struct mboxname_view admin = {.unixhierarchysep = true,
					   .altnamespace = true,
					   .virtdomains = true,
					   .userprefix = "Other Users",
					   .sharedprefix = "Shared Folders",
					   .defaultdomain = "internal",
					   .deletedprefix = "DELETED",
					   .userid = "admin",
					   .admin = true};
static const struct mboxname_view alt = {.unixhierarchysep = true,
					 .altnamespace = true,
					 .virtdomains = true,
					 .userprefix = "Other Users",
					 .sharedprefix = "Shared Folders",
					 .defaultdomain = "internal",
					 .deletedprefix = "DELETED",
					 .userid = "bob"};
static const struct mboxname_view plain = {.unixhierarchysep = true,
					   .virtdomains = false,
					   .userid = "bob",
					   .deletedprefix = "DELETED"};
static const struct mboxname_view dots = {.unixhierarchysep = false,
					  .userid = "bob",
					  .deletedprefix = "DELETED"};
static const struct mboxname_view kim = {.unixhierarchysep = true,
					 .altnamespace = true,
					 .virtdomains = true,
					 .userprefix = "Other Users",
					 .sharedprefix = "Shared Folders",
					 .deletedprefix = "DELETED",
					 .userid = "kim@dom.example"};

static const struct {
	const struct mboxname_view *view;
	const char *internal, *external;
} both_ways[] = {
	{&admin, "user.bob", "user/bob"},
	{&admin, "user.bob.Sent", "user/bob/Sent"},
	{&admin, "user.first^last.a b", "user/first.last/a b"},
	{&admin, "dom.example!user.kim.Sub^Dot", "user/kim/Sub.Dot@dom.example"},
	{&admin, "shared.pub", "shared/pub"},
	{&admin, "DELETED.user.bob.Work.6B04B69A", "DELETED/user/bob/Work/6B04B69A"},
	{&admin, "user.bob.#sieve", "user/bob/#sieve"},
	{&alt, "user.bob", "INBOX"},
	{&alt, "user.bob.Sent", "Sent"},
	{&alt, "user.bob.Entw&APw-rfe.x", "Entw&APw-rfe/x"},
	{&alt, "user.carol.x", "Other Users/carol/x"},
	{&alt, "user.bobby", "Other Users/bobby"},
	{&alt, "shared.pub", "Shared Folders/shared/pub"},
	{&plain, "user.bob", "INBOX"},
	{&plain, "user.bob.Sent", "INBOX/Sent"},
	{&plain, "user.carol.x", "user/carol/x"},
	{&plain, "shared.pub", "shared/pub"},
	{&dots, "user.bob.Sent", "INBOX.Sent"},
	{&dots, "user.carol.x", "user.carol.x"},
	{&kim, "dom.example!user.kim", "INBOX"},
	{&kim, "dom.example!user.kim.Sub^Dot", "Sub.Dot"},
	{&kim, "dom.example!user.joe.x", "Other Users/joe/x"},
	{&kim, "dom.example!pub", "Shared Folders/pub"},
};

static void names_go_both_ways(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(both_ways); i++) {
		struct buf out = BUF_INIT;
		struct us_err err;
		assert_ok(mboxname_from_external(both_ways[i].view, span_of(both_ways[i].external),
						 &out, &err),
			  &err);
		assert_string_equal(out.data, both_ways[i].internal);
		buf_clear(&out);
		mboxname_to_external(both_ways[i].view, span_of(both_ways[i].internal), &out);
		assert_string_equal(out.data, both_ways[i].external);
		buf_free(&out);
	}
}

static void inbox_is_inbox_in_any_case(void **state UNUSED)
{
	static const char *const spellings[] = {"INBOX", "inbox", "Inbox", "inbox/"};

	for (size_t i = 0; i < ARRAY_SIZE(spellings); i++) {
		struct buf out = BUF_INIT;
		struct us_err err;
		assert_ok(mboxname_from_external(&alt, span_of(spellings[i]), &out, &err), &err);
		assert_string_equal(out.data, "user.bob");
		buf_free(&out);
	}
}

static void external_names_that_are_none(void **state UNUSED)
{
	static const char *const bad[] =
		{"",    "/",         "a//b", "/a", "a\x01", "Other Users", "Shared Folders/",
		 "a^b", "x!user/bob"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct buf out = BUF_INIT;
		struct us_err err;
		if (mboxname_from_external(&alt, span_of(bad[i]), &out, &err) != US_EINVAL)
			fail_msg("\"%s\" became %s", bad[i], out.data);
		assert_int_equal(out.len, 0);
		buf_free(&out);
	}
}

/* A client says the domain behind "@"; a "!" of his would make one of what is before it. */
static void nobody_writes_a_domain_as_we_keep_it(void **state UNUSED)
{
	static const char *const bad[] = {"dom!user/kim", "user/bob/x!y", "user/new!x", "!",
					  "user/kim@a!b"};
	const struct mboxname_view *views[] = {&admin, &alt, &plain, &kim};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		for (size_t v = 0; v < ARRAY_SIZE(views); v++) {
			struct buf out = BUF_INIT;
			if (mboxname_from_external(views[v], span_of(bad[i]), &out, NULL) !=
			    US_EINVAL)
				fail_msg("\"%s\" became %s", bad[i], out.data);
			buf_free(&out);
		}
}

static void a_domain_has_no_empty_part(void **state UNUSED)
{
	static const char *const bad[] = {"user/kim@dom//", "user/kim@dom/x", "user/kim@dom..",
					  "user/kim@.dom",  "user/kim@a..b",  "user/kim@dom.",
					  "user/kim@"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct buf out = BUF_INIT;
		if (mboxname_from_external(&admin, span_of(bad[i]), &out, NULL) != US_EINVAL)
			fail_msg("\"%s\" became %s", bad[i], out.data);
		buf_free(&out);
	}
}

static void only_what_clients_may_create_is_legal(void **state UNUSED)
{
	static const struct {
		const char *name;
		int code;
	} rows[] = {
		{"user.bob.a b", 0},           {"user.bob.*", 0},
		{"user.bob.&APw-", 0},         {"user.bob.&-", 0},
		{"user.bob.&U,BTFw-", 0},      {"user.bob.a%b", US_EINVAL},
		{"user.bob.&", US_EINVAL},     {"user.bob.&APw", US_EINVAL},
		{"user.bob.&AGE-", US_EINVAL}, {"user.bob.\xc3\xa9", US_EINVAL},
		{"user.bob.&2AA-", US_EINVAL}, {"user.bob..x", US_EINVAL},
		{"a!b!c", US_EINVAL},          {"dom!user.x", 0},
		{"user.bob.&APx-", US_EINVAL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (mboxname_check_legal(span_of(rows[i].name), NULL) != rows[i].code)
			fail_msg("%s", rows[i].name);
}

static void owners_are_found(void **state UNUSED)
{
	static const struct {
		const char *name, *owner;
		bool inbox;
	} rows[] = {
		{"user.bob", "bob", true},
		{"user.bob.Sent", "bob", false},
		{"user.first^last.x", "first.last", false},
		{"dom!user.kim", "kim@dom", true},
		{"DELETED.user.bob.Work.6B04B69A", "bob", false},
		{"dom!DELETED.user.kim.6B04B69A", "kim@dom", false},
		{"shared.pub", NULL, false},
		{"user", NULL, false},
		{"DELETED.shared.1", NULL, false},
		{"username.x", NULL, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct buf id = BUF_INIT;
		bool found = mboxname_owner(span_of(rows[i].name), "DELETED", &id);
		assert_int_equal(found, rows[i].owner != NULL);
		assert_string_equal(id.data, rows[i].owner ? rows[i].owner : "");
		assert_int_equal(mboxname_is_inbox(span_of(rows[i].name)), rows[i].inbox);
		buf_free(&id);
	}
}

static void deleted_names_carry_the_time(void **state UNUSED)
{
	struct buf out = BUF_INIT;
	int64_t time;

	mboxname_deleted(SPAN_LIT("dom!user.kim.x"), "DELETED", 0x6b04b69a, &out);
	assert_string_equal(out.data, "dom!DELETED.user.kim.x.6B04B69A");
	assert_true(mboxname_is_deleted(buf_span(&out), "DELETED"));
	assert_true(mboxname_deleted_time(buf_span(&out), "DELETED", &time));
	assert_int_equal(time, 0x6b04b69a);
	buf_free(&out);
}

static void other_names_carry_none(void **state UNUSED)
{
	static const char *const others[] = {"user.kim.x",
					     "user.kim.6B04B69A",
					     "DELETED",
					     "DELETED.6B04B69A",
					     "DELETED.user.kim.x",
					     "DELETED.user.kim.6B04B69",
					     "DELETED.user.kim.6B04B69G",
					     "DELETED.user.kim.1234567890123",
					     "DELETED.user.kim.6B04B69A.y",
					     "DELETEDx.user.kim.6B04B69A"};
	int64_t time = 42;

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (mboxname_deleted_time(span_of(others[i]), "DELETED", &time))
			fail_msg("%s was deleted at %lld", others[i], (long long)time);
	assert_int_equal(time, 42);
	assert_true(mboxname_deleted_time(SPAN_LIT("DELETED.shared.6b04b69a"), "DELETED", &time));
	assert_int_equal(time, 0x6b04b69a);
}

static void children_sort_right_behind_their_parent(void **state UNUSED)
{
	static const char *const order[] = {"user.x",       "user.x.Sub",   "user.x.Sub.A",
					    "user.x.Sub A", "user.x.Sub-B", "user.x.sub",
					    "user.x y",     "user.xy"};

	for (size_t i = 1; i < ARRAY_SIZE(order); i++) {
		struct buf a = BUF_INIT, b = BUF_INIT;
		assert_true(mboxname_cmp(span_of(order[i - 1]), span_of(order[i])) < 0);
		mboxname_to_key(span_of(order[i - 1]), &a);
		mboxname_to_key(span_of(order[i]), &b);
		assert_true(span_cmp(buf_span(&a), buf_span(&b)) < 0);
		buf_clear(&a);
		mboxname_from_key(buf_span(&b), &a);
		assert_string_equal(a.data, order[i]);
		buf_free(&a);
		buf_free(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_go_both_ways),
		cmocka_unit_test(inbox_is_inbox_in_any_case),
		cmocka_unit_test(external_names_that_are_none),
		cmocka_unit_test(nobody_writes_a_domain_as_we_keep_it),
		cmocka_unit_test(a_domain_has_no_empty_part),
		cmocka_unit_test(only_what_clients_may_create_is_legal),
		cmocka_unit_test(owners_are_found),
		cmocka_unit_test(deleted_names_carry_the_time),
		cmocka_unit_test(other_names_carry_none),
		cmocka_unit_test(children_sort_right_behind_their_parent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
