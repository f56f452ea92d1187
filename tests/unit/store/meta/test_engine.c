/* test_engine.c - the tables in this process: rows, batches, ranges; what a crash and a failing disk leave. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/base/failpoint.h"
#include "server/store/meta/engine.h"
#include "server/store/meta/meta.h"

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

struct rig {
	char root[40], dir[60], socket[60];
	struct meta *meta;
	struct us_err err;
};

static int try_open(struct rig *rig)
{
	struct meta_config config = {.directory = rig->dir,
				     .socket = rig->socket,
				     .may_own = true,
				     .wait_ms = 200};

	return meta_open(&config, &rig->meta, &rig->err);
}

static void reopen(struct rig *rig)
{
	meta_close(&rig->meta);
	assert_ok(try_open(rig), &rig->err);
}

static int setup(void **state)
{
	struct rig *rig = us_calloc(1, sizeof(*rig));

	strcpy(rig->root, "/tmp/us-meta-XXXXXX");
	assert_non_null(mkdtemp(rig->root));
	snprintf(rig->dir, sizeof(rig->dir), "%s/meta", rig->root);
	snprintf(rig->socket, sizeof(rig->socket), "%s/metad", rig->root);
	assert_ok(try_open(rig), &rig->err);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;
	char command[80];

	meta_close(&rig->meta);
	failpoint_use(NULL);
	snprintf(command, sizeof(command), "rm -rf %s", rig->root);
	assert_int_equal(system(command), 0);
	free(rig);
	return 0;
}

/* ---- helpers ----------------------------------------------------------------------------------- */

static int try_put(struct rig *rig, enum meta_table table, const char *key, const char *payload,
		   enum meta_durability durability)
{
	struct meta_batch batch;
	int rc;

	meta_batch_init(&batch);
	meta_batch_put(&batch, table, span_of(key), span_of(payload));
	rc = meta_commit(rig->meta, &batch, durability, &rig->err);
	meta_batch_fini(&batch);
	return rc;
}

static void put(struct rig *rig, enum meta_table table, const char *key, const char *payload)
{
	assert_ok(try_put(rig, table, key, payload, META_DURABLE), &rig->err);
}

static struct meta_stamp expect_row(struct rig *rig, enum meta_table table, const char *key,
				    const char *payload)
{
	struct buf text = BUF_INIT;
	struct meta_stamp stamp = {0, 0, 0};
	int rc = meta_get(rig->meta, table, span_of(key), &text, &stamp, &rig->err);

	assert_ok(rc, &rig->err);
	if (payload) {
		assert_int_equal(rc, 1);
		assert_string_equal(text.data, payload);
		assert_true(stamp.version > 0);
	} else {
		assert_int_equal(rc, 0);
		assert_int_equal(stamp.version, 0);
	}
	buf_free(&text);
	return stamp;
}

static int join_keys(void *ctx, struct span key, struct span payload,
		     const struct meta_stamp *stamp)
{
	struct buf *out = ctx;

	assert_true(stamp->version > 0);
	buf_printf(out, "%.*s=%.*s ", SPAN_ARG(key), SPAN_ARG(payload));
	return 0;
}

static void expect_range(struct rig *rig, struct span first, struct span end, unsigned flags,
			 const char *expected)
{
	struct buf out = BUF_INIT;

	assert_ok(meta_range(rig->meta, META_QUOTA, first, end, flags, join_keys, &out, &rig->err),
		  &rig->err);
	assert_string_equal(out.data, expected);
	buf_free(&out);
}

/* In a child with a handle of its own, a put that dies or fails at a point; what the child ended with. */
static int put_in_child(struct rig *rig, const char *point, enum failpoint_action action,
			const char *key)
{
	static struct failpoint_page page;
	int status;
	pid_t child;

	meta_close(&rig->meta);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		int rc = try_open(rig);
		failpoint_page_init(&page);
		snprintf(page.name, sizeof(page.name), "%s", point);
		page.action = action;
		failpoint_use(&page);
		if (rc == 0)
			rc = try_put(rig, META_QUOTA, key, "x", META_DURABLE);
		if (rc == 0)
			meta_close(&rig->meta);
		_exit(rc == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

/* ---- rows and batches -------------------------------------------------------------------------- */

static void a_row_is_there_until_deleted(void **state)
{
	struct rig *rig = *state;
	struct meta_batch batch;

	expect_row(rig, META_QUOTA, "user.bob", NULL);
	put(rig, META_QUOTA, "user.bob", "one");
	expect_row(rig, META_QUOTA, "user.bob", "one");
	expect_row(rig, META_USERS, "user.bob", NULL); /* another table */
	put(rig, META_QUOTA, "user.bob", "two");
	reopen(rig);
	expect_row(rig, META_QUOTA, "user.bob", "two");
	meta_batch_init(&batch);
	meta_batch_del(&batch, META_QUOTA, SPAN_LIT("user.bob"));
	meta_batch_del(&batch, META_QUOTA, SPAN_LIT("nobody"));
	assert_ok(meta_commit(rig->meta, &batch, META_DURABLE, &rig->err), &rig->err);
	meta_batch_fini(&batch);
	expect_row(rig, META_QUOTA, "user.bob", NULL);
	reopen(rig);
	expect_row(rig, META_QUOTA, "user.bob", NULL);
}

static void versions_only_grow(void **state)
{
	struct rig *rig = *state;
	uint64_t last = 0;

	for (int i = 0; i < 50; i++) {
		struct meta_stamp stamp;
		put(rig, i % 2 ? META_QUOTA : META_USERS, "k", "x");
		stamp = expect_row(rig, i % 2 ? META_QUOTA : META_USERS, "k", "x");
		assert_true(stamp.version > last);
		last = stamp.version;
		if (i % 10 == 9)
			reopen(rig);
	}
}

static void a_batch_is_done_or_not(void **state)
{
	struct rig *rig = *state;
	struct meta_batch batch;
	struct meta_stamp stamp;

	put(rig, META_QUOTA, "a", "1");
	stamp = expect_row(rig, META_QUOTA, "a", "1");
	meta_batch_init(&batch);
	meta_batch_put(&batch, META_USERS, SPAN_LIT("u"), SPAN_LIT("new"));
	meta_batch_put(&batch, META_QUOTA, SPAN_LIT("a"), SPAN_LIT("2"));
	meta_batch_expect(&batch, META_QUOTA, SPAN_LIT("a"), stamp.version + 1);
	assert_int_equal(meta_commit(rig->meta, &batch, META_DURABLE, &rig->err), US_ECHANGED);
	meta_batch_fini(&batch);
	expect_row(rig, META_USERS, "u", NULL);
	expect_row(rig, META_QUOTA, "a", "1");

	meta_batch_init(&batch);
	meta_batch_put(&batch, META_USERS, SPAN_LIT("u"), SPAN_LIT("new"));
	meta_batch_put(&batch, META_QUOTA, SPAN_LIT("a"), SPAN_LIT("2"));
	meta_batch_expect(&batch, META_QUOTA, SPAN_LIT("a"), stamp.version);
	meta_batch_expect(&batch, META_QUOTA, SPAN_LIT("b"), 0);
	assert_ok(meta_commit(rig->meta, &batch, META_DURABLE, &rig->err), &rig->err);
	expect_row(rig, META_USERS, "u", "new");
	stamp = expect_row(rig, META_QUOTA, "a", "2");
	assert_true(stamp.nonce == batch.nonce);

	/* Sent again, as after a broken connection: recognised, and not done twice. */
	assert_ok(meta_commit(rig->meta, &batch, META_DURABLE, &rig->err), &rig->err);
	assert_true(expect_row(rig, META_QUOTA, "a", "2").version == stamp.version);
	put(rig, META_QUOTA, "a", "3");
	assert_int_equal(meta_commit(rig->meta, &batch, META_DURABLE, &rig->err), US_ECHANGED);
	meta_batch_fini(&batch);
	expect_row(rig, META_QUOTA, "a", "3");
}

/* A condition without a row by which it could be recognised is simply not met. */
static void a_condition_on_a_deletion_holds(void **state)
{
	struct rig *rig = *state;
	struct meta_batch batch;

	put(rig, META_QUOTA, "a", "1");
	meta_batch_init(&batch);
	meta_batch_expect(&batch, META_QUOTA, SPAN_LIT("a"), 12345);
	meta_batch_del(&batch, META_QUOTA, SPAN_LIT("a"));
	assert_int_equal(meta_commit(rig->meta, &batch, META_DURABLE, &rig->err), US_ECHANGED);
	meta_batch_fini(&batch);
	expect_row(rig, META_QUOTA, "a", "1");
}

static void serials_rise_and_stay_with_the_row(void **state)
{
	static const struct {
		uint64_t give, expected;
	} rows[] = {{7, 7}, {5, 7}, {9, 9}};
	struct rig *rig = *state;
	struct meta_batch batch;
	struct meta_stamp before;

	put(rig, META_MAILBOXES,
	    "user\x1f"
	    "bob",
	    "x");
	before = expect_row(rig, META_MAILBOXES,
			    "user\x1f"
			    "bob",
			    "x");
	assert_int_equal(before.serial, 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct meta_stamp stamp;
		meta_batch_init(&batch);
		meta_batch_serial(&batch, META_MAILBOXES,
				  SPAN_LIT("user\x1f"
					   "bob"),
				  rows[i].give);
		meta_batch_serial(&batch, META_MAILBOXES, SPAN_LIT("nobody"), 3);
		assert_ok(meta_commit(rig->meta, &batch, META_DURABLE, &rig->err), &rig->err);
		meta_batch_fini(&batch);
		stamp = expect_row(rig, META_MAILBOXES,
				   "user\x1f"
				   "bob",
				   "x");
		assert_int_equal(stamp.serial, rows[i].expected);
		assert_true(stamp.version == before.version && stamp.nonce == before.nonce);
	}
	expect_row(rig, META_MAILBOXES, "nobody", NULL);
	put(rig, META_MAILBOXES,
	    "user\x1f"
	    "bob",
	    "y");
	assert_int_equal(expect_row(rig, META_MAILBOXES,
				    "user\x1f"
				    "bob",
				    "y")
				 .serial,
			 9);

	meta_batch_init(&batch);
	meta_batch_del(&batch, META_MAILBOXES,
		       SPAN_LIT("user\x1f"
				"bob"));
	meta_batch_put(&batch, META_MAILBOXES,
		       SPAN_LIT("user\x1f"
				"bob"),
		       SPAN_LIT("z"));
	assert_ok(meta_commit(rig->meta, &batch, META_DURABLE, &rig->err), &rig->err);
	meta_batch_fini(&batch);
	assert_int_equal(expect_row(rig, META_MAILBOXES,
				    "user\x1f"
				    "bob",
				    "z")
				 .serial,
			 0);
}

static void add_op(struct meta_batch *batch, const char *key, const char *payload, uint64_t serial)
{
	meta_batch_put(batch, META_MAILBOXES, span_of(key), span_of(payload));
	meta_batch_op(batch, META_MAILBOXES, span_of(key), serial);
}

static void commit_and_fini(struct rig *rig, struct meta_batch *batch)
{
	assert_ok(meta_commit(rig->meta, batch, META_DURABLE, &rig->err), &rig->err);
	meta_batch_fini(batch);
}

static void a_stale_op_changes_nothing(void **state)
{
	static const struct {
		uint64_t serial;
		bool news;
	} ops[] = {{5, true}, {5, false}, {4, false}, {0, false},
		   {6, true}, {5, false}, {90, true}};
	struct rig *rig = *state;
	const char *was = "made";
	char payload[ARRAY_SIZE(ops)][16];

	put(rig, META_MAILBOXES, "box", was);
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		struct meta_stamp before = expect_row(rig, META_MAILBOXES, "box", was), after;
		struct meta_batch batch;
		snprintf(payload[i], sizeof(payload[i]), "op %zu", i);
		was = ops[i].news ? payload[i] : was;
		meta_batch_init(&batch);
		add_op(&batch, "box", payload[i], ops[i].serial);
		commit_and_fini(rig, &batch);
		after = expect_row(rig, META_MAILBOXES, "box", was);
		assert_int_equal(after.serial, ops[i].news ? ops[i].serial : before.serial);
		assert_int_equal(after.version > before.version, ops[i].news);
	}
}

/* Of several in a batch each is judged by its own row; what stands behind the last is no op. */
static void a_stale_op_holds_up_no_other(void **state)
{
	struct rig *rig = *state;
	struct meta_batch batch;

	put(rig, META_MAILBOXES, "a", "a0");
	put(rig, META_MAILBOXES, "b", "b0");
	put(rig, META_QUOTA, "q", "q0");
	meta_batch_init(&batch);
	add_op(&batch, "b", "b7", 7);
	commit_and_fini(rig, &batch);
	meta_batch_init(&batch);
	add_op(&batch, "a", "a1", 1);
	meta_batch_put(&batch, META_QUOTA, SPAN_LIT("q"), SPAN_LIT("stale"));
	add_op(&batch, "b", "stale", 7);
	meta_batch_put(&batch, META_QUOTA, SPAN_LIT("q"), SPAN_LIT("stale, too"));
	add_op(&batch, "gone", "back", 9);
	meta_batch_put(&batch, META_QUOTA, SPAN_LIT("z"), SPAN_LIT("z1"));
	commit_and_fini(rig, &batch);
	expect_row(rig, META_MAILBOXES, "a", "a1");
	expect_row(rig, META_MAILBOXES, "b", "b7");
	expect_row(rig, META_MAILBOXES, "gone", NULL);
	expect_row(rig, META_QUOTA, "q", "q0");
	expect_row(rig, META_QUOTA, "z", "z1");
}

/* It deletes the row it is judged by: that is looked at before. */
static void an_op_may_make_its_row_anew(void **state)
{
	struct rig *rig = *state;
	struct meta_batch batch;

	put(rig, META_MAILBOXES, "a", "a0");
	meta_batch_init(&batch);
	meta_batch_del(&batch, META_MAILBOXES, SPAN_LIT("a"));
	add_op(&batch, "a", "a1", 3);
	commit_and_fini(rig, &batch);
	assert_int_equal(expect_row(rig, META_MAILBOXES, "a", "a1").serial, 3);
}

static void limits_are_kept(void **state)
{
	struct rig *rig = *state;
	char *large = us_calloc(1, META_PAYLOAD_MAX + 2);
	struct meta_batch batch;

	memset(large, 'x', META_PAYLOAD_MAX + 1);
	assert_int_equal(try_put(rig, META_QUOTA, "k", large, META_DURABLE), US_ELIMIT);
	assert_int_equal(try_put(rig, META_QUOTA, "", "x", META_DURABLE), US_ELIMIT);
	large[META_PAYLOAD_MAX] = '\0';
	put(rig, META_QUOTA, "k", large);
	expect_row(rig, META_QUOTA, "k", large);
	large[META_KEY_MAX + 1] = '\0';
	assert_int_equal(try_put(rig, META_QUOTA, large, "x", META_DURABLE), US_ELIMIT);
	large[META_KEY_MAX] = '\0';
	put(rig, META_QUOTA, large, "x");
	expect_row(rig, META_QUOTA, large, "x");
	meta_batch_init(&batch);
	assert_true(meta_batch_is_empty(&batch));
	assert_ok(meta_commit(rig->meta, &batch, META_DURABLE, &rig->err), &rig->err);
	meta_batch_fini(&batch);
	free(large);
}

/* ---- ranges ------------------------------------------------------------------------------------ */

static void ranges_begin_and_end_where_asked(void **state)
{
	struct rig *rig = *state;
	struct buf out = BUF_INIT;

	expect_range(rig, SPAN_NULL, SPAN_NULL, 0, "");
	put(rig, META_QUOTA, "a", "1");
	put(rig, META_QUOTA, "ab", "2");
	put(rig, META_QUOTA, "b", "3");
	put(rig, META_QUOTA, "\xff", "4");
	put(rig, META_QUOTA, "\xff\xff", "5");
	expect_range(rig, SPAN_NULL, SPAN_NULL, 0, "a=1 ab=2 b=3 \xff=4 \xff\xff=5 ");
	expect_range(rig, SPAN_LIT("a"), SPAN_LIT("b"), 0, "a=1 ab=2 ");
	expect_range(rig, SPAN_LIT("aa"), SPAN_NULL, META_NO_PAYLOADS, "ab= b= \xff= \xff\xff= ");
	expect_range(rig, SPAN_LIT("c"), SPAN_LIT("d"), 0, "");
	assert_ok(meta_range_prefix(rig->meta, META_QUOTA, SPAN_LIT("\xff"), 0, join_keys, &out,
				    &rig->err),
		  &rig->err);
	assert_string_equal(out.data, "\xff=4 \xff\xff=5 ");
	buf_clear(&out);
	assert_ok(meta_range_prefix(rig->meta, META_QUOTA, SPAN_LIT("a"), 0, join_keys, &out,
				    &rig->err),
		  &rig->err);
	assert_string_equal(out.data, "a=1 ab=2 ");
	buf_free(&out);
}

struct counting {
	struct rig *rig;
	unsigned n, stop_at;
	char last[16];
};

static int count_row(void *ctx, struct span key, struct span payload,
		     const struct meta_stamp *stamp UNUSED)
{
	struct counting *c = ctx;
	char name[16];

	snprintf(name, sizeof(name), "%.*s", SPAN_ARG(key));
	assert_true(strcmp(name, c->last) > 0);
	strcpy(c->last, name);
	assert_int_equal(payload.len, 500);
	if (c->n % 500 == 0) /* a callback may ask and write */
		put(c->rig, META_USERS, name, "seen");
	return ++c->n == c->stop_at ? 77 : 0;
}

static void long_ranges_come_whole(void **state)
{
	struct rig *rig = *state;
	struct counting c = {.rig = rig};
	struct meta_batch batch;
	char payload[500], key[16];

	memset(payload, 'p', sizeof(payload));
	meta_batch_init(&batch);
	for (int i = 0; i < 3210; i++) {
		snprintf(key, sizeof(key), "key%06d", i);
		meta_batch_put(&batch, META_QUOTA, span_of(key), span_make(payload, 500));
	}
	assert_ok(meta_commit(rig->meta, &batch, META_DURABLE, &rig->err), &rig->err);
	meta_batch_fini(&batch);
	assert_ok(meta_range(rig->meta, META_QUOTA, SPAN_NULL, SPAN_NULL, 0, count_row, &c,
			     &rig->err),
		  &rig->err);
	assert_int_equal(c.n, 3210);
	expect_row(rig, META_USERS, "key003000", "seen");
	c = (struct counting){.rig = rig, .stop_at = 600};
	assert_int_equal(meta_range(rig->meta, META_QUOTA, SPAN_NULL, SPAN_NULL, 0, count_row, &c,
				    &rig->err),
			 77);
	assert_int_equal(c.n, 600);
}

/* ---- reading ahead ------------------------------------------------------------------------------- */

#define GROUPS 400

static void fill_groups(struct rig *rig)
{
	struct meta_batch batch;
	char key[32];

	meta_batch_init(&batch);
	for (int i = 0; i < GROUPS; i++)
		for (int k = 0; k < i % 4; k++) { /* some have no row at all */
			snprintf(key, sizeof(key), "g%04d/%d", i, k);
			meta_batch_put(&batch, META_QUOTA, span_of(key), span_of(key));
		}
	assert_ok(meta_commit(rig->meta, &batch, META_DURABLE, &rig->err), &rig->err);
	meta_batch_fini(&batch);
}

static void expect_group(struct rig *rig, int i)
{
	char prefix[32], expected[200] = "";
	struct buf out = BUF_INIT;

	snprintf(prefix, sizeof(prefix), "g%04d/", i);
	for (int k = 0; k < i % 4; k++)
		snprintf(expected + strlen(expected), sizeof(expected) - strlen(expected),
			 "%s%d=%s%d ", prefix, k, prefix, k);
	assert_ok(meta_range_prefix(rig->meta, META_QUOTA, span_of(prefix), 0, join_keys, &out,
				    &rig->err),
		  &rig->err);
	assert_string_equal(out.len ? out.data : "", expected);
	buf_free(&out);
}

static unsigned pages_asked(struct rig *rig)
{
	struct buf text = BUF_INIT;
	const char *at;
	unsigned n;

	assert_ok(meta_stat(rig->meta, &text, &rig->err), &rig->err);
	at = strstr(text.data, "pages=");
	assert_non_null(at);
	n = (unsigned)strtoul(at + strlen("pages="), NULL, 10);
	buf_free(&text);
	return n;
}

static void ranges_one_after_the_other_cost_few_questions(void **state)
{
	struct rig *rig = *state;
	struct meta_ahead *ahead = meta_ahead_new();
	unsigned before;

	fill_groups(rig);
	meta_use_ahead(rig->meta, ahead);
	before = pages_asked(rig);
	for (int i = 0; i < GROUPS; i++)
		expect_group(rig, i);
	assert_true(pages_asked(rig) - before <= 8); /* of 600 rows: 16, 32, 64, ... */
	meta_use_ahead(rig->meta, NULL);
	before = pages_asked(rig);
	expect_group(rig, 7);
	assert_int_equal(pages_asked(rig) - before, 1);
	meta_ahead_free(&ahead);
}

static void ranges_in_any_order_are_right(void **state)
{
	struct rig *rig = *state;
	struct meta_ahead *ahead = meta_ahead_new();

	fill_groups(rig);
	meta_use_ahead(rig->meta, ahead);
	for (int i = GROUPS - 1; i >= 0; i--)
		expect_group(rig, i);
	for (int i = 0; i < 3 * GROUPS; i++)
		expect_group(rig, i * 131 % GROUPS);
	for (int i = 0; i < GROUPS / 2; i++) { /* two walks side by side */
		expect_group(rig, i);
		expect_group(rig, GROUPS / 2 + i);
	}
	expect_range(rig, SPAN_LIT("g0003/2"), SPAN_LIT("g0006/1"), 0,
		     "g0003/2=g0003/2 g0005/0=g0005/0 g0006/0=g0006/0 ");
	expect_range(rig, SPAN_LIT("h"), SPAN_NULL, 0, "");
	meta_use_ahead(rig->meta, NULL);
	meta_ahead_free(&ahead);
}

/* Of a table longer than any page, each row once; a function that asks for ranges itself, and writes. */
static void a_long_range_read_ahead_comes_whole(void **state)
{
	struct meta_ahead *ahead = meta_ahead_new();
	struct rig *rig = *state;

	meta_use_ahead(rig->meta, ahead);
	long_ranges_come_whole(state);
	meta_use_ahead(rig->meta, NULL);
	meta_ahead_free(&ahead);
}

static int ask_within(void *ctx, struct span key, struct span payload UNUSED,
		      const struct meta_stamp *stamp UNUSED)
{
	struct rig *rig = ctx;

	if (span_is(key, "g0003/0"))
		for (int i = GROUPS - 1; i > 0; i -= 7)
			expect_group(rig, i);
	return span_is(key, "g0300/0") ? 5 : 0;
}

static void a_range_within_a_range_disturbs_nothing(void **state)
{
	struct meta_ahead *ahead = meta_ahead_new();
	struct rig *rig = *state;

	fill_groups(rig);
	meta_use_ahead(rig->meta, ahead);
	for (int i = 0; i < 2; i++)
		assert_ok(meta_range(rig->meta, META_QUOTA, SPAN_NULL, SPAN_LIT("g0200"), 0,
				     ask_within, rig, &rig->err),
			  &rig->err);
	expect_group(rig, 3);
	meta_use_ahead(rig->meta, NULL);
	meta_ahead_free(&ahead);
}

static void what_was_read_ahead_ends_with_it(void **state)
{
	struct rig *rig = *state;
	struct meta_ahead *ahead = meta_ahead_new();

	put(rig, META_QUOTA, "a", "1");
	meta_use_ahead(rig->meta, ahead);
	expect_range(rig, SPAN_NULL, SPAN_NULL, 0, "a=1 ");
	put(rig, META_QUOTA, "b", "2");
	expect_row(rig, META_QUOTA, "b", "2"); /* one row is asked for as ever */
	meta_use_ahead(rig->meta, NULL);
	expect_range(rig, SPAN_NULL, SPAN_NULL, 0, "a=1 b=2 ");
	meta_ahead_free(&ahead);
	ahead = meta_ahead_new();
	meta_use_ahead(rig->meta, ahead);
	expect_range(rig, SPAN_NULL, SPAN_NULL, 0, "a=1 b=2 ");
	meta_use_ahead(rig->meta, NULL);
	meta_ahead_free(&ahead);
}

/* ---- one owner, crashes, a failing disk --------------------------------------------------------- */

static void a_second_owner_is_refused(void **state)
{
	struct rig *rig = *state;
	struct meta_config config = {.directory = rig->dir,
				     .socket = rig->socket,
				     .may_own = true,
				     .wait_ms = 50};
	struct meta *second = NULL;

	assert_int_equal(meta_open(&config, &second, &rig->err), US_EBUSY);
	assert_null(second);
	meta_close(&rig->meta);
	assert_ok(meta_open(&config, &second, &rig->err), &rig->err);
	meta_close(&second);
	assert_ok(try_open(rig), &rig->err);
}

static void a_child_of_an_owner_owns_nothing(void **state)
{
	struct rig *rig = *state;
	int status;
	pid_t child;

	put(rig, META_QUOTA, "a", "1");
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		meta_after_fork(rig->meta);
		_exit(try_put(rig, META_QUOTA, "a", "child", META_DURABLE) == US_ETIMEOUT ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	put(rig, META_QUOTA, "b", "2");
	expect_row(rig, META_QUOTA, "a", "1");
	reopen(rig);
	expect_row(rig, META_QUOTA, "b", "2");
}

static void what_was_acknowledged_survives_kill(void **state)
{
	struct rig *rig = *state;
	int status;
	pid_t child;

	meta_close(&rig->meta);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		if (try_open(rig) == 0 && try_put(rig, META_QUOTA, "a", "1", META_DURABLE) == 0 &&
		    try_put(rig, META_QUOTA, "b", "2", META_LAZY) == 0 &&
		    meta_barrier(rig->meta, &rig->err) == 0)
			kill(getpid(), SIGKILL);
		_exit(1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_ok(try_open(rig), &rig->err);
	expect_row(rig, META_QUOTA, "a", "1");
	expect_row(rig, META_QUOTA, "b", "2");
}

static void dying_at_any_point_leaves_all_or_nothing(void **state)
{
	static const char *const points[] = {"meta.db.write", "meta.db.fsync"};
	static const enum failpoint_action actions[] = {FAILPOINT_KILL, FAILPOINT_TORN};
	struct rig *rig = *state;
	char key[16];

	put(rig, META_QUOTA, "before", "1");
	for (size_t i = 0; i < ARRAY_SIZE(points); i++)
		for (size_t j = 0; j < ARRAY_SIZE(actions); j++) {
			snprintf(key, sizeof(key), "k%zu%zu", i, j);
			assert_true(WIFSIGNALED(put_in_child(rig, points[i], actions[j], key)));
			assert_ok(try_open(rig), &rig->err);
			expect_row(rig, META_QUOTA, "before", "1");
			put(rig, META_QUOTA, "after", key);
			reopen(rig);
			expect_row(rig, META_QUOTA, "after", key);
		}
}

static bool has_mark(const struct rig *rig)
{
	char path[90];

	snprintf(path, sizeof(path), "%s/sync.failed", rig->dir);
	return access(path, F_OK) == 0;
}

static void a_failed_sync_is_the_end(void **state)
{
	static struct failpoint_page page;
	struct rig *rig = *state;

	put(rig, META_QUOTA, "a", "1");
	failpoint_page_init(&page);
	snprintf(page.name, sizeof(page.name), "meta.db.fsync");
	page.action = FAILPOINT_EIO; /* once: a second try would succeed */
	failpoint_use(&page);
	assert_true(try_put(rig, META_QUOTA, "b", "2", META_DURABLE) < 0);
	assert_int_equal(page.fired, 1);
	failpoint_use(NULL);
	assert_int_equal(try_put(rig, META_QUOTA, "c", "3", META_DURABLE), US_EIO);
	assert_true(has_mark(rig));
	meta_close(&rig->meta);
	assert_true(has_mark(rig));
	assert_ok(try_open(rig), &rig->err); /* writes everything anew */
	assert_false(has_mark(rig));
	expect_row(rig, META_QUOTA, "a", "1");
	expect_row(rig, META_QUOTA, "c", NULL);
	put(rig, META_QUOTA, "d", "4");
	expect_row(rig, META_QUOTA, "d", "4");
}

static void refreshing_can_be_interrupted(void **state)
{
	static const char *const points[] = {"meta.refresh.create",   "meta.refresh.write",
					     "meta.refresh.sync",     "meta.refresh.rename",
					     "meta.refresh.sync_dir", "meta.refresh.unlink"};
	static struct failpoint_page page;
	struct rig *rig = *state;
	char command[120];

	put(rig, META_QUOTA, "a", "1");
	for (size_t i = 0; i < ARRAY_SIZE(points); i++) {
		meta_close(&rig->meta);
		snprintf(command, sizeof(command), "touch %s/sync.failed", rig->dir);
		assert_int_equal(system(command), 0);
		failpoint_page_init(&page);
		snprintf(page.name, sizeof(page.name), "%s", points[i]);
		page.action = FAILPOINT_EIO;
		failpoint_use(&page);
		assert_true(try_open(rig) < 0);
		assert_int_equal(page.fired, 1);
		failpoint_use(NULL);
		assert_true(has_mark(rig));
		assert_ok(try_open(rig), &rig->err);
		assert_false(has_mark(rig));
		expect_row(rig, META_QUOTA, "a", "1");
	}
}

static void a_full_disk_costs_one_batch(void **state)
{
	static struct failpoint_page page;
	struct rig *rig = *state;

	put(rig, META_QUOTA, "a", "1");
	failpoint_page_init(&page);
	snprintf(page.name, sizeof(page.name), "meta.db.write");
	page.action = FAILPOINT_ENOSPC;
	failpoint_use(&page);
	assert_true(try_put(rig, META_QUOTA, "b", "2", META_DURABLE) < 0);
	assert_int_equal(page.fired, 1);
	failpoint_use(NULL);
	reopen(rig);
	expect_row(rig, META_QUOTA, "a", "1");
	put(rig, META_QUOTA, "b", "3");
	expect_row(rig, META_QUOTA, "b", "3");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_row_is_there_until_deleted),
		T(versions_only_grow),
		T(a_batch_is_done_or_not),
		T(a_condition_on_a_deletion_holds),
		T(serials_rise_and_stay_with_the_row),
		T(a_stale_op_changes_nothing),
		T(a_stale_op_holds_up_no_other),
		T(an_op_may_make_its_row_anew),
		T(limits_are_kept),
		T(ranges_begin_and_end_where_asked),
		T(long_ranges_come_whole),
		T(ranges_one_after_the_other_cost_few_questions),
		T(ranges_in_any_order_are_right),
		T(a_long_range_read_ahead_comes_whole),
		T(a_range_within_a_range_disturbs_nothing),
		T(what_was_read_ahead_ends_with_it),
		T(a_second_owner_is_refused),
		T(a_child_of_an_owner_owns_nothing),
		T(what_was_acknowledged_survives_kill),
		T(dying_at_any_point_leaves_all_or_nothing),
		T(a_failed_sync_is_the_end),
		T(refreshing_can_be_interrupted),
		T(a_full_disk_costs_one_batch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
