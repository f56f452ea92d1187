/* test_grants.c - what was opened to somebody is found by him, and what no longer is, is forgotten. */
#include "tests/unit/store/rig.h"

#include "server/store/grants.h"

/* "name name" of what the table says, true or not. */
static void check(struct rig *rig, const char *identifier, const char *prefix, const char *wanted)
{
	struct pool *pool = pool_new();
	struct buf text = BUF_INIT;
	struct span *names;
	size_t n = 0;
	struct us_err err;

	assert_ok(grants_list(rig->store, span_of(identifier), span_of(prefix), pool, &names, &n,
			      &err),
		  &err);
	for (size_t i = 0; i < n; i++)
		buf_printf(&text, "%s%.*s", i ? " " : "", SPAN_ARG(names[i]));
	assert_string_equal(text.data, wanted);
	buf_free(&text);
	pool_free(&pool);
}

static void set_acl(struct rig *rig, const char *name, const char *acl)
{
	struct mailbox *m = rig_mailbox(rig, name);
	struct us_err err;

	assert_ok(mailbox_lock(m, &err), &err);
	assert_ok(folder_set_acl(m, span_of(acl), &err), &err);
	mailbox_unlock(m);
	mailbox_close(&m);
}

static uint64_t version_of(struct rig *rig, const char *name)
{
	struct mailbox *m = rig_mailbox(rig, name);
	uint64_t version = m->row_version;

	mailbox_close(&m);
	return version;
}

static void grants_follow_acls(void **state)
{
	struct rig *rig = *state;

	rig_create(rig, "user.bob");
	rig_create(rig, "user.bob.a");
	rig_create(rig, "user.bob.b");
	rig_create(rig, "pub"); /* shared ones are read in one range anyway */
	check(rig, "bob", "user.", "");
	set_acl(rig, "user.bob.b", "bob\tlrs\teve\tlr\tanyone\tl\t-mal\tr\t");
	set_acl(rig, "user.bob", "bob\tlrs\teve\tp\t");
	set_acl(rig, "pub", "eve\tl\t");
	check(rig, "eve", "user.", "user.bob.b"); /* to post is not to look up */
	set_acl(rig, "user.bob", "bob\tlrs\teve\tpl\t");
	check(rig, "eve", "user.", "user.bob user.bob.b");
	check(rig, "eve", "user.bob.", "user.bob.b");
	check(rig, "eve", "user.x", "");
	check(rig, "anyone", "user.", "user.bob.b");
	check(rig, "bob", "user.", "");
	check(rig, "mal", "user.", "");
	check(rig, "ev", "user.", "");
}

static void grants_go_with_names(void **state)
{
	struct rig *rig = *state;
	struct us_err err;

	rig_create(rig, "user.bob");
	rig_create(rig, "user.bob.a");
	set_acl(rig, "user.bob.a", "bob\tlrs\teve\tlr\t");
	assert_ok(folder_rename(rig->store, SPAN_LIT("user.bob.a"), SPAN_LIT("user.bob.z"),
				SPAN_NULL, 0, &err),
		  &err);
	check(rig, "eve", "user.", "user.bob.a user.bob.z"); /* the first is one too many */
	assert_ok(grants_forget(rig->store, SPAN_LIT("eve"), SPAN_LIT("user.bob.a"), 0, &err),
		  &err);
	check(rig, "eve", "user.", "user.bob.z");
	assert_ok(folder_delete_delayed(rig->store, SPAN_LIT("user.bob.z"), NULL, &err), &err);
	check(rig, "eve", "user.", "user.bob.z");
	check(rig, "eve", "DELETED.", "");
}

static void a_new_grant_is_not_forgotten(void **state)
{
	struct rig *rig = *state;
	uint64_t before;
	struct us_err err;

	rig_create(rig, "user.bob");
	set_acl(rig, "user.bob", "bob\tlrs\teve\tlr\t");
	set_acl(rig, "user.bob", "bob\tlrs\t");
	before = version_of(rig, "user.bob");
	set_acl(rig, "user.bob", "bob\tlrs\teve\tlr\t"); /* after a reader saw the row without it */
	assert_ok(grants_forget(rig->store, SPAN_LIT("eve"), SPAN_LIT("user.bob"), before, &err),
		  &err);
	check(rig, "eve", "user.", "user.bob");
	set_acl(rig, "user.bob", "bob\tlrs\t");
	before = version_of(rig, "user.bob");
	assert_ok(grants_forget(rig->store, SPAN_LIT("eve"), SPAN_LIT("user.bob"), before, &err),
		  &err);
	check(rig, "eve", "user.", "");
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_RIG(grants_follow_acls),
		WITH_RIG(grants_go_with_names),
		WITH_RIG(a_new_grant_is_not_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
