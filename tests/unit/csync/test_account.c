/* test_account.c - a user read among many, from rows that were read ahead and headers alone, is the user that opening each of his
 * mailboxes shows. */
#include "tests/unit/csync/peer.h"

#include "server/csync/account.h"
#include "server/csync/digest.h"
#include "server/store/annotations.h"
#include "server/store/quota.h"
#include "server/store/snapshot.h"
#include "server/store/userdata.h"

#define FILLING 60 /* users with nothing special */

/* In the order of their ids, which is not that of their mailboxes' names. */
static const char *const special[] = {"joe",   "joe-x",       "joe.x",       "joe2",  "joeb",
				      "joe_x", "kim@dom.org", "lea@dom.org", "nobody"};

static void limit(struct rig *rig, const char *root, int64_t storage)
{
	struct state_quota q = {.root = span_of(root)};
	struct us_err err;

	for (int i = 0; i < STATE_RESOURCES; i++)
		q.limit[i] = STATE_NO_LIMIT;
	q.limit[STATE_STORAGE] = storage;
	assert_ok(quota_set(rig->store, &q, &err), &err);
}

static void annotate(struct rig *rig, const char *name, const char *entry, const char *value)
{
	struct mailbox *m = rig_mailbox(rig, name);
	struct us_err err;

	assert_ok(mailbox_lock(m, &err), &err);
	assert_ok(annotation_set(m, span_of(entry), SPAN_LIT("joe"), span_of(value), &err), &err);
	mailbox_close(&m);
}

static void subscribe(struct rig *rig, const char *userid, const char *name)
{
	struct us_err err;

	assert_ok(subscription_set(rig->store, span_of(userid), span_of(name), true, &err), &err);
}

static void see(struct rig *rig, const char *userid, const char *uniqueid)
{
	struct state_seen seen = {.uniqueid = span_of(uniqueid),
				  .lastread = 7,
				  .lastuid = 3,
				  .lastchange = 8,
				  .seenuids = SPAN_LIT("1:3")};
	struct us_err err;

	assert_ok(seen_set(rig->store, span_of(userid), &seen, &err), &err);
}

static void make_special(struct rig *rig)
{
	static const char *const names[] = {"user.joe",           "user.joe.a",
					    "user.joe.a.b",       "user.joe.z",
					    "user.joe.gone",      "user.joe-x",
					    "user.joe-x.f",       "user.joe^x",
					    "user.joe^x.f",       "user.joe2",
					    "user.joe2.f",        "user.joeb",
					    "user.joe_x",         "dom.org!user.kim",
					    "dom.org!user.kim.f", "dom.org!user.lea",
					    "user.joe.#sieve"};
	struct us_err err;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		rig_create(rig, names[i]);
	assert_ok(folder_delete_delayed(rig->store, SPAN_LIT("user.joe.gone"), NULL, &err), &err);
	rig_append(rig, "user.joe.a", "Subject: 1\r\n\r\n1\r\n", FLAG_SEEN);
	rig_append(rig, "user.joe.a", "Subject: 2\r\n\r\n2\r\n", FLAG_FLAGGED);
	rig_append(rig, "user.joe2", "Subject: 3\r\n\r\n3\r\n", 0);
	limit(rig, "user", 1000);
	limit(rig, "user.joe", 100);
	limit(rig, "user.joe.a.b", 10);
	limit(rig, "user.joe2", 20);
	annotate(rig, "user.joe.a", "/comment", "x");
	annotate(rig, "user.joe.a", "/another", "y");
	annotate(rig, "user.joeb", "/comment", "z");
	subscribe(rig, "joe", "user.joe.a");
	subscribe(rig, "joe", "shared");
	subscribe(rig, "joe2", "user.joe2");
	subscribe(rig, "joe.x", "user.joe^x");
	see(rig, "joe", "0123");
	see(rig, "joe2", "0123");
	see(rig, "kim@dom.org", "0456");
}

static void make_filling(struct rig *rig)
{
	char name[40];

	for (int i = 0; i < FILLING; i++) {
		snprintf(name, sizeof(name), "user.fill%03d", i);
		rig_create(rig, name);
		limit(rig, name, 100 + i);
		annotate(rig, name, "/comment", name);
		subscribe(rig, name + strlen("user."), name);
	}
}

/* The headers that opening each mailbox gives, in place of those that were read. */
static struct sha256 digest_by_opening(struct rig *rig, struct state_user u, struct pool *pool)
{
	struct span *names = pool_alloc(pool, (u.n_mailboxes + 1) * sizeof(*names));
	size_t n = u.n_mailboxes;
	struct state_user opened = u;
	struct us_err err;

	for (size_t i = 0; i < n; i++)
		names[i] = u.mailboxes[i].name;
	assert_ok(account_mailboxes(rig->store, names, n, pool, &opened, &err), &err);
	assert_int_equal(opened.n_mailboxes, n);
	for (size_t i = 0; i < n; i++)
		assert_true(span_eq(opened.mailboxes[i].quotaroot, u.mailboxes[i].quotaroot));
	return digest_of_user(&opened, false);
}

static void assert_read_equally(struct rig *rig, struct accounts *accounts, const char *userid)
{
	struct pool *pool = pool_new();
	struct state_user alone, among;
	struct sha256 a, b, c;
	bool exists, exists_too;
	const struct span *names;
	size_t n;
	struct us_err err;

	assert_ok(account_read(rig->store, span_of(userid), false, pool, &alone, &exists, &err),
		  &err);
	assert_ok(accounts_read(accounts, span_of(userid), pool, &among, &exists_too, &err), &err);
	assert_int_equal(exists, exists_too);
	assert_int_equal(exists, strcmp(userid, "nobody") != 0);
	a = digest_of_user(&alone, false);
	b = digest_of_user(&among, false);
	c = digest_by_opening(rig, among, pool);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_memory_equal(&a, &c, sizeof(a));
	assert_ok(snapshot_user_names(rig->store, span_of(userid), pool, &names, &n, &err), &err);
	assert_int_equal(n, among.n_mailboxes);
	pool_free(&pool);
}

static void a_user_among_many_is_the_same(void **state)
{
	struct peer *p = *state;
	struct accounts *few = NULL, *many = NULL;
	char userid[20];
	struct us_err err;

	make_special(p->rig);
	make_filling(p->rig);
	assert_ok(accounts_begin(p->rig->store, false, 1, &few, &err), &err);
	assert_ok(accounts_begin(p->rig->store, false, 1000, &many, &err), &err);
	for (int i = 0; i < FILLING; i++) {
		snprintf(userid, sizeof(userid), "fill%03d", i);
		assert_read_equally(p->rig, few, userid);
		assert_read_equally(p->rig, many, userid);
	}
	for (size_t i = 0; i < ARRAY_SIZE(special); i++)
		assert_read_equally(p->rig, many, special[i]);
	for (size_t i = ARRAY_SIZE(special); i > 0; i--) /* and in any order */
		assert_read_equally(p->rig, few, special[i - 1]);
	accounts_end(&few);
	accounts_end(&many);
}

static void what_there_is_of_a_user_is_read(void **state)
{
	struct peer *p = *state;
	struct pool *pool = pool_new();
	struct accounts *many = NULL;
	struct state_user u;
	bool exists;
	struct us_err err;

	make_special(p->rig);
	assert_ok(accounts_begin(p->rig->store, false, 1000, &many, &err), &err);
	assert_ok(accounts_read(many, SPAN_LIT("joe"), pool, &u, &exists, &err), &err);
	assert_int_equal(u.n_mailboxes, 6);
	assert_int_equal(u.n_quotas, 2);
	assert_true(span_is(u.mailboxes[1].name, "user.joe.#sieve"));
	assert_true(span_is(u.mailboxes[2].name, "user.joe.a"));
	assert_int_equal(u.mailboxes[2].n_annotations, 2);
	assert_int_equal(u.mailboxes[2].last_uid, 2);
	assert_true(span_is(u.mailboxes[3].quotaroot, "user.joe.a.b"));
	assert_true(span_is(u.mailboxes[4].quotaroot, "user.joe"));
	assert_null(u.mailboxes[5].quotaroot.ptr); /* under DELETED */
	assert_int_equal(u.n_subscriptions, 2);
	assert_int_equal(u.n_seen, 1);
	assert_ok(accounts_read(many, SPAN_LIT("joeb"), pool, &u, &exists, &err), &err);
	assert_int_equal(u.n_mailboxes, 1);
	assert_true(u.n_quotas == 1 && span_is(u.quotas[0].root, "user"));
	assert_ok(accounts_read(many, SPAN_LIT("lea@dom.org"), pool, &u, &exists, &err), &err);
	assert_int_equal(u.n_mailboxes, 1);
	assert_int_equal(u.n_quotas, 0);
	accounts_end(&many);
	pool_free(&pool);
}

/* Between two reads nothing is remembered: whoever works in between sees what is so, and the next walk sees all of it. */
static void between_two_reads_the_store_is_as_it_is(void **state)
{
	struct peer *p = *state;
	struct pool *pool = pool_new();
	struct accounts *a = NULL;
	const struct span *names;
	struct state_user u;
	bool exists;
	size_t n;
	struct us_err err;

	make_special(p->rig);
	assert_ok(accounts_begin(p->rig->store, false, 2, &a, &err), &err);
	assert_ok(accounts_read(a, SPAN_LIT("joe"), pool, &u, &exists, &err), &err);
	subscribe(p->rig, "joe", "user.joe.new");
	rig_create(p->rig, "user.joe.new");
	assert_ok(subscriptions_list(p->rig->store, SPAN_LIT("joe"), pool, &names, &n, &err), &err);
	assert_int_equal(n, 3);
	assert_ok(snapshot_user_names(p->rig->store, SPAN_LIT("joe"), pool, &names, &n, &err),
		  &err);
	assert_int_equal(n, 7);
	accounts_end(&a);
	assert_ok(accounts_begin(p->rig->store, false, 2, &a, &err), &err);
	assert_ok(accounts_read(a, SPAN_LIT("joe"), pool, &u, &exists, &err), &err);
	assert_true(u.n_mailboxes == 7 && u.n_subscriptions == 3);
	accounts_end(&a);
	pool_free(&pool);
}

/* ---- GET DIGESTS --------------------------------------------------------------------------------- */

static char *digests(struct peer *p)
{
	peer_say(p, "GET DIGESTS (joe joe joe2 joe2 joe joeb nobody nobody)");
	assert_true(span_starts(buf_span(&p->answer), "* DIGESTS ("));
	assert_true(strstr(p->answer.data, "OK success") != NULL);
	return us_strdup(p->answer.data);
}

static const char *sum(const char *answer, int number)
{
	return answer + strlen("* DIGESTS (") + number * (SHA256_HEX);
}

static bool is_same_sum(const char *a, const char *b, int number)
{
	return memcmp(sum(a, number), sum(b, number), SHA256_HEX - 1) == 0;
}

/* One user's damage neither hides him nor keeps the others from being compared. */
static void a_user_who_cannot_be_read_differs(void **state)
{
	struct peer *p = *state;
	struct mailbox *m;
	struct buf below = BUF_INIT;
	char command[300], *before, *after;

	make_special(p->rig);
	before = digests(p);
	m = rig_mailbox(p->rig, "user.joe2.f");
	partition_mailbox_path(&m->row.storeid, &below);
	snprintf(command, sizeof(command), "rm %s/%s/mbox.idx", p->rig->spool, below.data);
	mailbox_close(&m);
	assert_int_equal(system(command), 0);
	after = digests(p);
	assert_true(is_same_sum(before, after, 0));
	assert_false(is_same_sum(before, after, 1));
	assert_false(is_same_sum(before, after, 2)); /* a range with him */
	assert_true(is_same_sum(before, after, 3));  /* nobody is in it */
	buf_free(&below);
	free(before);
	free(after);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, peer_setup, peer_teardown)
	const struct CMUnitTest tests[] = {
		T(a_user_among_many_is_the_same),
		T(what_there_is_of_a_user_is_read),
		T(between_two_reads_the_store_is_as_it_is),
		T(a_user_who_cannot_be_read_differs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
