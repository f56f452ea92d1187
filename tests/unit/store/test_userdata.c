/* test_userdata.c - what is in metad beside names: quotas, subscriptions, seen state, annotations, whole users. */
#include "tests/unit/store/rig.h"

#include "server/store/annotations.h"
#include "server/store/meta/meta.h"
#include "server/store/quota.h"
#include "server/store/rows.h"
#include "server/store/userdata.h"

#define MESSAGE "From: a@b\r\nSubject: test\r\n\r\n"

static void set_quota(struct rig *rig, const char *root, int64_t storage, int64_t messages,
		      int64_t folders)
{
	struct state_quota q = {.root = span_of(root), .limit = {storage, messages, -1, folders}};
	struct us_err err;

	assert_ok(quota_set(rig->store, &q, &err), &err);
}

static struct quota_usage usage(struct rig *rig, const char *root)
{
	struct quota_usage u;
	struct us_err err;

	assert_ok(quota_usage(rig->store, span_of(root), &u, &err), &err);
	return u;
}

static int wants(struct rig *rig, const char *name, uint64_t bytes, uint64_t messages,
		 uint64_t folders, struct us_err *err)
{
	struct quota_wanted w = {.bytes = bytes, .messages = messages, .folders = folders};

	return quota_check(rig->store, span_of(name), &w, err);
}

/* ---- quota ------------------------------------------------------------------------------------------ */

static void usage_is_the_sum_of_what_is_there(void **state)
{
	struct rig *rig = *state;
	struct quota_usage u;
	struct us_err err;

	rig_create(rig, "user.bob");
	rig_create(rig, "user.bob.a");
	rig_create(rig, "user.bob.a.deep");
	rig_create(rig, "user.bobby");
	rig_append(rig, "user.bob", MESSAGE "1234567890", 0);
	rig_append(rig, "user.bob.a", MESSAGE, 0);
	rig_append(rig, "user.bob.a.deep", MESSAGE, 0);
	rig_append(rig, "user.bobby", MESSAGE, 0);
	u = usage(rig, "user.bob");
	assert_int_equal(u.bytes, 3 * strlen(MESSAGE) + 10);
	assert_int_equal(u.used[STATE_MESSAGE], 3);
	assert_int_equal(u.used[STATE_NUM_FOLDERS], 3);
	/* A root below takes its own away. */
	set_quota(rig, "user.bob.a", 5, -1, -1);
	u = usage(rig, "user.bob");
	assert_int_equal(u.used[STATE_MESSAGE], 1);
	assert_int_equal(usage(rig, "user.bob.a").used[STATE_MESSAGE], 2);
	/* What is expunged does not count, what moves takes its share along. */
	rig_flags(rig, "user.bob", 1, 0, true);
	assert_int_equal(usage(rig, "user.bob").bytes, 0);
	assert_ok(folder_rename(rig->store, SPAN_LIT("user.bob.a.deep"), SPAN_LIT("user.bob.b"),
				SPAN_NULL, 0, &err),
		  &err);
	assert_int_equal(usage(rig, "user.bob").used[STATE_MESSAGE], 1);
	assert_int_equal(usage(rig, "user.bob.a").used[STATE_MESSAGE], 1);
}

/* Nothing that adds up may take files that cannot be had for a mailbox that is not there. */
static void expect_missing(struct rig *rig, int code)
{
	struct mailbox_row row;
	struct quota_usage u;
	struct counters c;
	struct us_err err;
	struct pool *pool = pool_new();

	assert_int_equal(mailbox_row_get(rig->store, SPAN_LIT("user.bob.a"), pool, &row, NULL, NULL,
					 &err),
			 1);
	assert_int_equal(mailbox_peek(rig->store, &row, &c, &err), code);
	assert_int_equal(quota_usage(rig->store, SPAN_LIT("user.bob.a"), &u, &err), code);
	assert_int_equal(wants(rig, "user.bob.a", 1, 0, 0, &err), code);
	buf_clear(&rig->heard);
	for (int dry_run = 0; dry_run < 2; dry_run++)
		assert_int_equal(quota_remove_unused(rig->store, SPAN_LIT("user.bob.a"), dry_run,
						     &err),
				 0);
	assert_int_equal(rig->heard.len, 0); /* nor announced */
	pool_free(&pool);
}

static void files_that_are_missing_are_not_a_mailbox_that_is(void **state)
{
	struct folder_create on_p2 = {.partition = SPAN_LIT("p2")};
	struct rig *rig = *state;
	char command[300];
	struct us_err err;

	rig_create(rig, "user.bob");
	assert_ok(folder_create(rig->store, SPAN_LIT("user.bob.a"), &on_p2, &err), &err);
	set_quota(rig, "user.bob.a", 100, -1, -1);
	/* Another file system, which is not mounted. */
	snprintf(command, sizeof(command), "mv %s/u %s/away && mkdir %s/u", rig->spool2,
		 rig->spool2, rig->spool2);
	assert_int_equal(system(command), 0);
	expect_missing(rig, US_ECORRUPT);
	store_close(&rig->store);
	rig->without_p2 = true;
	rig_open(rig);
	expect_missing(rig, US_ECONFIG);
	/* It is no longer there in earnest. */
	store_close(&rig->store);
	rig->without_p2 = false;
	rig_open(rig);
	assert_ok(folder_delete(rig->store, SPAN_LIT("user.bob.a"), FOLDER_DELETE_NOW, &err), &err);
	assert_int_equal(quota_remove_unused(rig->store, SPAN_LIT("user.bob.a"), true, &err), 1);
	assert_int_equal(quota_remove_unused(rig->store, SPAN_LIT("user.bob.a"), false, &err), 1);
}

static void annotate(struct rig *rig, const char *name, const char *value)
{
	struct mailbox *m;
	struct us_err err;

	assert_ok(mailbox_open(rig->store, span_of(name), &m, &err), &err);
	assert_ok(mailbox_lock(m, &err), &err);
	assert_ok(annotation_set(m, SPAN_LIT("/comment"), SPAN_LIT("bob"),
				 value ? span_of(value) : SPAN_NULL, &err),
		  &err);
	mailbox_unlock(m);
	mailbox_close(&m);
}

static void annotations_of_mailboxes_count(void **state)
{
	struct state_quota q = {.root = SPAN_LIT("user.bob"), .limit = {-1, -1, 2, -1}};
	struct quota_wanted wanted = {.annotation_bytes = 1};
	struct rig *rig = *state;
	struct quota_usage u;
	struct us_err err;
	char value[2048] = "";

	memset(value, 'x', sizeof(value) - 1);
	rig_create(rig, "user.bob");
	rig_create(rig, "user.bob.a");
	annotate(rig, "user.bob", "123");
	annotate(rig, "user.bob.a", value);
	assert_int_equal(usage(rig, "user.bob").annotation_bytes, 3 + 2047);
	assert_int_equal(usage(rig, "user.bob").used[STATE_ANNOTATION_STORAGE], 2);
	assert_int_equal(usage(rig, "user.bob.a").annotation_bytes, 2047);
	assert_ok(quota_usage_of_messages(rig->store, SPAN_LIT("user.bob"), &u, &err), &err);
	assert_int_equal(u.annotation_bytes, 0);
	assert_ok(quota_set(rig->store, &q, &err), &err);
	assert_int_equal(quota_check(rig->store, SPAN_LIT("user.bob"), &wanted, &err), US_EQUOTA);
	annotate(rig, "user.bob", NULL);
	assert_int_equal(quota_check(rig->store, SPAN_LIT("user.bob"), &wanted, &err), 0);
	wanted.annotation_bytes = 2;
	assert_int_equal(quota_check(rig->store, SPAN_LIT("user.bob.a"), &wanted, &err), US_EQUOTA);
}

static void limits_are_kept_to_the_byte(void **state)
{
	struct rig *rig = *state;
	struct us_err err;
	char big[1024 + 1];

	memset(big, 'x', 1024);
	big[1024] = '\0';
	memcpy(big, MESSAGE, strlen(MESSAGE));
	rig_create(rig, "user.bob");
	assert_int_equal(wants(rig, "user.bob", 1ull << 50, 1000, 1000, &err), 0); /* no root */
	set_quota(rig, "user.bob", 2, 3, 2);
	rig_append(rig, "user.bob", big, 0);
	assert_int_equal(wants(rig, "user.bob", 1024, 1, 0, &err), 0);
	assert_int_equal(wants(rig, "user.bob", 1025, 1, 0, &err), US_EQUOTA);
	assert_int_equal(wants(rig, "user.bob.child", 1025, 1, 0, &err), US_EQUOTA);
	assert_int_equal(wants(rig, "user.bobby", 1025, 1, 0, &err), 0);
	assert_int_equal(wants(rig, "user.bob", 0, 3, 0, &err), US_EQUOTA);
	assert_int_equal(wants(rig, "user.bob", 0, 2, 0, &err), 0);
	assert_int_equal(wants(rig, "user.bob.child", 0, 0, 1, &err), 0);
	assert_int_equal(wants(rig, "user.bob.child", 0, 0, 2, &err), US_EQUOTA);
	set_quota(rig, "user.bob", 0, -1, -1);
	assert_int_equal(wants(rig, "user.bob", 1, 1, 0, &err), US_EQUOTA);
	assert_int_equal(wants(rig, "user.bob", 0, 1, 0, &err),
			 0); /* what takes no room is no trouble */
}

static void the_largest_limits_are_no_small_ones(void **state)
{
	static const int64_t limits[] = {INT64_MAX, 1ll << 54, 1ll << 60, (1ll << 54) + 1};
	struct rig *rig = *state;
	struct us_err err;

	rig_create(rig, "user.bob");
	rig_append(rig, "user.bob", MESSAGE, 0);
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		struct state_quota q;
		struct quota_usage u = usage(rig, "user.bob");
		set_quota(rig, "user.bob", limits[i], limits[i], -1);
		assert_int_equal(wants(rig, "user.bob", 1 << 20, 1, 0, &err), 0);
		assert_int_equal(quota_get(rig->store, SPAN_LIT("user.bob"), &q, &err), 1);
		assert_true(q.limit[STATE_STORAGE] == limits[i]);
		assert_false(quota_is_over(&q, &u));
	}
}

static int count_roots(void *ctx, struct span root, struct us_err *err UNUSED)
{
	buf_printf(ctx, "%.*s ", SPAN_ARG(root));
	return 0;
}

static void a_removed_root_is_remembered(void **state)
{
	struct rig *rig = *state;
	struct buf root = BUF_INIT, gone = BUF_INIT;
	struct state_quota q;
	uint64_t modseq;
	struct us_err err;

	rig_create(rig, "user.bob");
	set_quota(rig, "user.bob", 10, -1, -1);
	set_quota(rig, "user.bob", 11, -1, -1);
	assert_int_equal(quota_get(rig->store, SPAN_LIT("user.bob"), &q, &err), 1);
	modseq = q.modseq;
	assert_true(modseq >= 2);
	assert_int_equal(quota_root_of(rig->store, SPAN_LIT("user.bob.x.y"), &root, &err), 1);
	assert_string_equal(root.data, "user.bob");
	assert_int_equal(quota_root_of(rig->store, SPAN_LIT("DELETED.user.bob.x.12345678"), &root,
				       &err),
			 0);
	buf_clear(&rig->heard);
	assert_ok(quota_remove(rig->store, SPAN_LIT("user.bob"), &err), &err);
	assert_string_equal(rig->heard.data, "QUOTA user.bob\n");
	assert_int_equal(quota_remove(rig->store, SPAN_LIT("user.bob"), &err), US_ENOENT);
	assert_ok(userdata_list_removed(rig->store, 'Q', count_roots, &gone, &err), &err);
	assert_string_equal(gone.data, "user.bob ");
	set_quota(rig, "user.bob", 12, -1, -1);
	buf_clear(&gone);
	assert_ok(userdata_list_removed(rig->store, 'Q', count_roots, &gone, &err), &err);
	assert_string_equal(gone.data, "");
	buf_free(&root);
	buf_free(&gone);
}

/* ---- subscriptions, seen ------------------------------------------------------------------------------ */

static void expect_subscriptions(struct rig *rig, const char *user, const char *expected)
{
	struct pool *pool = pool_new();
	struct buf text = BUF_INIT;
	const struct span *names;
	struct us_err err;
	size_t n;

	assert_ok(subscriptions_list(rig->store, span_of(user), pool, &names, &n, &err), &err);
	for (size_t i = 0; i < n; i++)
		buf_printf(&text, "%.*s ", SPAN_ARG(names[i]));
	assert_string_equal(text.data, expected);
	buf_free(&text);
	pool_free(&pool);
}

static void subscribe(struct rig *rig, const char *user, const char *name, bool on)
{
	struct us_err err;

	assert_ok(subscription_set(rig->store, span_of(user), span_of(name), on, &err), &err);
}

static void subscriptions_are_each_users_own(void **state)
{
	struct rig *rig = *state;

	subscribe(rig, "bob", "user.bob.a^b", true);
	subscribe(rig, "bob", "news", true);
	subscribe(rig, "bob", "user.bob", true);
	subscribe(rig, "bobby", "news", true);
	assert_string_equal(rig->heard.data,
			    "SUB bob user.bob.a^b\nSUB bob news\nSUB bob user.bob\n"
			    "SUB bobby news\n");
	buf_clear(&rig->heard);
	subscribe(rig, "bob", "news", true);
	subscribe(rig, "bob", "nothing", false);
	assert_string_equal(rig->heard.data, ""); /* it was so already */
	expect_subscriptions(rig, "bob", "news user.bob user.bob.a^b ");
	expect_subscriptions(rig, "bobby", "news ");
	expect_subscriptions(rig, "bo", "");
	subscribe(rig, "bob", "news", false);
	expect_subscriptions(rig, "bob", "user.bob user.bob.a^b ");
}

static void seen_state_is_each_users_own(void **state)
{
	struct state_seen s = {SPAN_LIT("uid-1"), 1700000000, 7, 1700000001, SPAN_LIT("1:4,7")};
	struct rig *rig = *state;
	struct pool *pool = pool_new();
	const struct state_seen *all;
	struct state_seen got;
	struct us_err err;
	size_t n;

	assert_ok(seen_set(rig->store, SPAN_LIT("joe"), &s, &err), &err);
	s.uniqueid = SPAN_LIT("uid-2");
	assert_ok(seen_set(rig->store, SPAN_LIT("joe"), &s, &err), &err);
	s.lastuid = 9;
	assert_ok(seen_set(rig->store, SPAN_LIT("joe"), &s, &err), &err);
	assert_ok(seen_set(rig->store, SPAN_LIT("joey"), &s, &err), &err);
	assert_string_equal(rig->heard.data,
			    "SEEN joe uid-1\nSEEN joe uid-2\nSEEN joe uid-2\nSEEN joey uid-2\n");
	assert_int_equal(seen_get(rig->store, SPAN_LIT("joe"), SPAN_LIT("uid-1"), pool, &got, &err),
			 1);
	assert_int_equal(got.lastuid, 7);
	assert_int_equal(got.lastread, 1700000000);
	assert_int_equal(got.lastchange, 1700000001);
	assert_span(got.seenuids, "1:4,7");
	assert_int_equal(seen_get(rig->store, SPAN_LIT("jo"), SPAN_LIT("uid-1"), pool, &got, &err),
			 0);
	assert_ok(seen_list(rig->store, SPAN_LIT("joe"), pool, &all, &n, &err), &err);
	assert_int_equal(n, 2);
	assert_span(all[1].uniqueid, "uid-2");
	assert_int_equal(all[1].lastuid, 9);
	pool_free(&pool);
}

/* ---- annotations -------------------------------------------------------------------------------------- */

static void expect_annotation(struct rig *rig, const struct storeid *id, const char *entry,
			      const char *user, const char *expected)
{
	struct buf value = BUF_INIT;
	struct us_err err;
	int rc = annotation_get(rig->store, id, span_of(entry), span_of(user), &value, &err);

	assert_ok(rc, &err);
	assert_int_equal(rc, expected != NULL);
	assert_string_equal(value.data, expected ? expected : "");
	buf_free(&value);
}

static void annotations_are_by_entry_and_user(void **state)
{
	struct rig *rig = *state;
	struct mailbox *m;
	uint64_t modseq;
	struct us_err err;

	rig_create(rig, "user.bob");
	m = rig_mailbox(rig, "user.bob");
	assert_ok(mailbox_lock(m, &err), &err);
	modseq = mailbox_highestmodseq(m);
	buf_clear(&rig->heard);
	assert_ok(annotation_set(m, SPAN_LIT("/comment"), SPAN_LIT(""), SPAN_LIT("a b\"c"), &err),
		  &err);
	assert_ok(annotation_set(m, SPAN_LIT("/comment"), SPAN_LIT("joe"), SPAN_LIT("joe's"), &err),
		  &err);
	assert_ok(annotation_set(m, SPAN_LIT("/comment/x"), SPAN_LIT(""), SPAN_LIT(""), &err),
		  &err);
	assert_string_equal(rig->heard.data,
			    "MAILBOX user.bob\nMAILBOX user.bob\nMAILBOX user.bob\n");
	assert_int_equal(mailbox_highestmodseq(m), modseq + 3);
	assert_int_equal(m->row.foldermodseq, modseq + 3);
	expect_annotation(rig, &m->row.storeid, "/comment", "", "a b\"c");
	expect_annotation(rig, &m->row.storeid, "/comment", "joe", "joe's");
	expect_annotation(rig, &m->row.storeid, "/comment/x", "", ""); /* there, and empty */
	expect_annotation(rig, &m->row.storeid, "/comm", "", NULL);
	expect_annotation(rig, NULL, "/comment", "", NULL);
	assert_ok(annotation_set(m, SPAN_LIT("/comment"), SPAN_LIT(""), SPAN_NULL, &err), &err);
	expect_annotation(rig, &m->row.storeid, "/comment", "", NULL);
	expect_annotation(rig, &m->row.storeid, "/comment", "joe", "joe's");
	mailbox_close(&m);
	buf_clear(&rig->heard);
	assert_ok(annotation_set_server(rig->store, SPAN_LIT("/admin"), SPAN_LIT(""), SPAN_LIT("x"),
					&err),
		  &err);
	assert_string_equal(rig->heard.data, "ANNOTATION \n");
	expect_annotation(rig, NULL, "/admin", "", "x");
}

/* ---- users ---------------------------------------------------------------------------------------------- */

static void a_removed_user_leaves_nothing_but_a_tombstone(void **state)
{
	struct state_seen s = {SPAN_LIT("uid-1"), 1, 2, 3, SPAN_LIT("1")};
	struct rig *rig = *state;
	struct tombstone_row t;
	struct buf gone = BUF_INIT;
	struct pool *pool = pool_new();
	const struct state_seen *all;
	struct state_quota q;
	struct us_err err;
	size_t n;

	rig_create(rig, "user.bob");
	rig_create(rig, "user.bob.a.b");
	rig_create(rig, "user.bobby");
	rig_append(rig, "user.bob", MESSAGE, 0);
	set_quota(rig, "user.bob", 1, -1, -1);
	set_quota(rig, "user.bob.a.b", 1, -1, -1);
	set_quota(rig, "user.bobby", 1, -1, -1);
	subscribe(rig, "bob", "news", true);
	subscribe(rig, "bobby", "news", true);
	assert_ok(seen_set(rig->store, SPAN_LIT("bob"), &s, &err), &err);
	assert_int_equal(user_tombstone(rig->store, SPAN_LIT("bob"), &t, &err), 0);
	buf_clear(&rig->heard);
	assert_ok(user_remove(rig->store, SPAN_LIT("bob"), FOLDER_DELETE_TRASH, &err), &err);
	assert_string_equal(rig->heard.data, "UNMAILBOX user.bob.a.b\nUNMAILBOX user.bob\n"
					     "QUOTA user.bob\nQUOTA user.bob.a.b\nUNUSER bob\n");
	expect_subscriptions(rig, "bob", "");
	assert_ok(seen_list(rig->store, SPAN_LIT("bob"), pool, &all, &n, &err), &err);
	assert_int_equal(n, 0);
	assert_int_equal(quota_get(rig->store, SPAN_LIT("user.bob"), &q, &err), 0);
	assert_int_equal(user_tombstone(rig->store, SPAN_LIT("bob"), &t, &err), 1);
	assert_true(t.time > 0);
	assert_ok(userdata_list_removed(rig->store, 'U', count_roots, &gone, &err), &err);
	assert_string_equal(gone.data, "bob ");
	buf_clear(&gone);
	assert_ok(users_list(rig->store, count_roots, &gone, &err), &err);
	assert_string_equal(gone.data, "bobby ");
	expect_subscriptions(rig, "bobby", "news ");
	assert_int_equal(quota_get(rig->store, SPAN_LIT("user.bobby"), &q, &err), 1);
	assert_ok(user_remove(rig->store, SPAN_LIT("bob"), FOLDER_DELETE_TRASH, &err),
		  &err); /* again */
	buf_free(&gone);
	pool_free(&pool);
}

/* Between the line in the log and the change, whoever settles must wait: the observer looks whether the lock is held. */
struct watch {
	struct rig *rig;
	const char *owner; /* NULL: %shared */
	unsigned free;
};

static int is_it_locked(void *ctx, const struct store_change *changes UNUSED, size_t n UNUSED,
			struct us_err *err)
{
	struct watch *w = ctx;
	int lock = -1, rc;

	rc = w->owner ? store_lock_user(w->rig->store, span_of(w->owner), STORE_EXCLUSIVE, &lock,
					err)
		      : store_lock_namespace(w->rig->store, SPAN_LIT(""), STORE_EXCLUSIVE, &lock,
					     err);
	if (rc == 0) {
		w->free++;
		store_unlock_namespace(&lock);
	}
	return 0;
}

static void every_change_is_announced_under_its_lock(void **state)
{
	struct state_seen s = {SPAN_LIT("uid-1"), 1, 2, 3, SPAN_LIT("1")};
	struct state_quota q = {.root = SPAN_LIT("user.bob"), .limit = {1, -1, -1, -1}};
	struct folder_create options = {0};
	struct rig *rig = *state;
	struct watch w = {rig, "bob", 0};
	struct mailbox *m;
	struct us_err err;

	rig_create(rig, "user.bob");
	rig->lock_wait_ms = 20;
	store_close(&rig->store);
	rig_open(rig);
	rig->observer = (struct store_observer){is_it_locked, &w};
	assert_ok(folder_create(rig->store, SPAN_LIT("user.bob.a"), &options, &err), &err);
	assert_ok(folder_rename(rig->store, SPAN_LIT("user.bob.a"), SPAN_LIT("user.bob.b"),
				SPAN_NULL, 0, &err),
		  &err);
	assert_ok(folder_delete(rig->store, SPAN_LIT("user.bob.b"), FOLDER_DELETE_NOW, &err), &err);
	assert_ok(quota_set(rig->store, &q, &err), &err);
	assert_ok(quota_remove(rig->store, q.root, &err), &err);
	assert_ok(subscription_set(rig->store, SPAN_LIT("bob"), SPAN_LIT("news"), true, &err),
		  &err);
	assert_ok(seen_set(rig->store, SPAN_LIT("bob"), &s, &err), &err);
	rig_append(rig, "user.bob", MESSAGE, 0);
	m = rig_mailbox(rig, "user.bob");
	assert_ok(mailbox_lock(m, &err), &err);
	assert_ok(folder_set_acl(m, SPAN_LIT("bob\tlr\t"), &err), &err);
	assert_ok(annotation_set(m, SPAN_LIT("/c"), SPAN_LIT(""), SPAN_LIT("v"), &err), &err);
	mailbox_close(&m);
	assert_ok(user_remove(rig->store, SPAN_LIT("bob"), FOLDER_DELETE_NOW, &err), &err);
	assert_int_equal(w.free, 0);
	w.owner = NULL;
	assert_ok(annotation_set_server(rig->store, SPAN_LIT("/a"), SPAN_LIT(""), SPAN_LIT("x"),
					&err),
		  &err);
	assert_ok(folder_create(rig->store, SPAN_LIT("news"), &options, &err), &err);
	assert_int_equal(w.free, 0);
}

/* ---- rows ------------------------------------------------------------------------------------------------ */

static void rows_come_back_as_they_were(void **state UNUSED)
{
	struct mailbox_row row = {.type = SPAN_LIT("e"),
				  .uniqueid = SPAN_LIT("a (b) \"c\""),
				  .has_storeid = true,
				  .storeid = storeid_new(),
				  .partition = SPAN_LIT("theirs"),
				  .local_partition = SPAN_LIT("default"),
				  .acl = SPAN_LIT("bob\tlrs\t"),
				  .uidvalidity = UINT32_MAX,
				  .createdmodseq = 1,
				  .foldermodseq = UINT64_MAX,
				  .lastmodseq = 3,
				  .raclmodseq = 4,
				  .mtime = 5},
			   again;
	struct pool *pool = pool_new();
	struct buf text = BUF_INIT, second = BUF_INIT;
	struct us_err err;
	char name[20];

	for (int i = 0; i < FORMER_NAMES_MAX + 3; i++) {
		snprintf(name, sizeof(name), "user.bob.%d", i);
		mailbox_row_add_former(&row, pool_span(pool, span_of(name)));
	}
	mailbox_row_add_former(&row, SPAN_LIT("user.bob.5")); /* moves to the end */
	assert_int_equal(row.n_former, FORMER_NAMES_MAX);
	assert_span(row.former[FORMER_NAMES_MAX - 1], "user.bob.5");
	assert_span(row.former[0], "user.bob.3");
	mailbox_row_encode(&row, &text);
	assert_ok(mailbox_row_decode(buf_span(&text), pool, &again, &err), &err);
	mailbox_row_encode(&again, &second);
	assert_string_equal(text.data, second.data);
	assert_true(again.foldermodseq == UINT64_MAX && again.uidvalidity == UINT32_MAX);
	for (size_t i = 0; i < text.len; i++)
		assert_true(mailbox_row_decode(span_make(text.data, i), pool, &again, &err) < 0);
	buf_free(&text);
	buf_free(&second);
	pool_free(&pool);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		T(usage_is_the_sum_of_what_is_there),
		T(files_that_are_missing_are_not_a_mailbox_that_is),
		T(annotations_of_mailboxes_count),
		T(limits_are_kept_to_the_byte),
		T(the_largest_limits_are_no_small_ones),
		T(a_removed_root_is_remembered),
		T(subscriptions_are_each_users_own),
		T(seen_state_is_each_users_own),
		T(annotations_are_by_entry_and_user),
		T(a_removed_user_leaves_nothing_but_a_tombstone),
		T(every_change_is_announced_under_its_lock),
		cmocka_unit_test(rows_come_back_as_they_were),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
