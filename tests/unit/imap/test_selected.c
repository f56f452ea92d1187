/* test_selected.c - a client that believes what it is told always ends up knowing the mailbox, whatever others do and
 * whenever it is told. */
#include "tests/unit/store/rig.h"

#include <poll.h>

#include "server/base/stream.h"
#include "server/imap/selected.h"
#include "server/imap/session.h"
#include "server/imap/target.h"
#include "server/store/userdata.h"

#define BOX     "user.bob"
#define MESSAGE "From: a@b\r\nSubject: x\r\n\r\nhello\r\n"
#define MOST    2000

/* ---- a session without a connection ---------------------------------------------------------------- */

struct desk {
	struct rig *rig;
	struct host host;
	struct identity who;
	struct imap_options options;
	struct imap_session s;
	struct stream *client;
	struct selected *sel;
};

static void desk_open(struct desk *d, struct rig *rig, const char *user)
{
	struct stream *ends[2];

	*d = (struct desk){.rig = rig};
	d->host.store = rig->store;
	d->host.deleteright = 'c';
	d->host.implicit_rights =
		ACL_LOOKUP | ACL_CREATE | ACL_DELETEMBOX | ACL_ADMIN | ACL_ANNOTATEMSG;
	d->host.names = (struct mboxname_view){.unixhierarchysep = true,
					       .altnamespace = true,
					       .userprefix = "Other Users",
					       .sharedprefix = "Shared Folders",
					       .deletedprefix = "DELETED"};
	snprintf(d->who.user, sizeof(d->who.user), "%s", user);
	stream_pipe(ends, NULL);
	d->client = ends[1];
	d->s = (struct imap_session){.host = &d->host,
				     .identity = &d->who,
				     .options = &d->options,
				     .out = ends[0]};
}

static void desk_select(struct desk *d, bool examine)
{
	struct us_err err;

	assert_ok(selected_open(&d->s, SPAN_LIT(BOX), ACL_ALL, examine, &d->sel, &err), &err);
}

static void desk_close(struct desk *d)
{
	selected_close(&d->sel);
	stream_free(&d->s.out);
	stream_free(&d->client);
}

/* ---- a client that believes ------------------------------------------------------------------------ */

struct client {
	uint32_t n, recent;
	char flags[MOST][120]; /* of message i + 1; "": never told */
};

static void take_line(struct client *c, const char *line)
{
	unsigned n;
	int at = 0;
	char word[16];

	if (strncmp(line, "* FLAGS", 7) == 0 || strncmp(line, "* OK [PERM", 10) == 0)
		return;
	assert_int_equal(sscanf(line, "* %u %15s %n", &n, word, &at), 2);
	if (strcmp(word, "EXISTS") == 0) {
		assert_true(n > c->n && n < MOST);
		memset(c->flags[c->n], 0, (n - c->n) * sizeof(c->flags[0]));
		c->n = n;
	} else if (strcmp(word, "RECENT") == 0) {
		c->recent = n;
	} else if (strcmp(word, "EXPUNGE") == 0) {
		assert_true(n >= 1 && n <= c->n);
		memmove(c->flags[n - 1], c->flags[n], (c->n - n) * sizeof(c->flags[0]));
		c->n--;
	} else {
		assert_string_equal(word, "FETCH");
		assert_true(n >= 1 && n <= c->n); /* never above the last EXISTS */
		snprintf(c->flags[n - 1], sizeof(c->flags[0]), "%s", line + at);
	}
}

static unsigned take_all(struct desk *d, struct client *c)
{
	struct buf line = BUF_INIT;
	unsigned n = 0;

	assert_int_equal(stream_flush(d->s.out, NULL), 0);
	while (stream_readable(d->client) && stream_line(d->client, 4096, &line, NULL) > 0) {
		take_line(c, line.data);
		n++;
	}
	buf_free(&line);
	return n;
}

static void update(struct desk *d, struct client *c, enum selected_news what)
{
	uint32_t before = c->n;
	struct us_err err;

	assert_ok(selected_update(d->sel, what, &err), &err);
	(void)take_all(d, c);
	if (what == SELECTED_KEEP_NUMBERS)
		assert_true(c->n >= before); /* nothing was expunged */
	assert_int_equal(c->n, d->sel->exists);
}

/* FETCH 1:* FLAGS */
static void fetch_all(struct desk *d, struct client *c)
{
	struct uidset uids = UIDSET_INIT;
	struct selected_walk walk;
	const struct record *r;
	uint32_t seq;

	uidset_add(&uids, 1, UINT32_MAX);
	walk = selected_walk(d->sel, &uids);
	while ((r = selected_next(&walk, &seq))) {
		assert_int_equal(selected_uid(d->sel, seq), r->uid);
		stream_printf(d->s.out, "* %u FETCH (FLAGS ", seq);
		selected_put_flags(d->sel, d->s.out, r);
		stream_write_str(d->s.out, ")\r\n");
	}
	uidset_free(&uids);
	(void)take_all(d, c);
}

/* All was told: the client's picture is the mailbox. */
static void check_told(struct desk *d, struct client *c)
{
	struct mailbox *m = rig_mailbox(d->rig, BOX);
	struct view_walk walk = view_walk(&m->view, 1);
	const struct record *r;
	char told[sizeof(c->flags[0])];
	uint32_t seq = 0;

	while ((r = view_next_live(&m->view, &walk))) {
		uint32_t uid = r->uid;

		assert_int_equal(selected_seq(d->sel, uid), ++seq);
		assert_int_equal(selected_uid(d->sel, seq), uid);
		if (!c->flags[seq - 1][0])
			continue;
		snprintf(told, sizeof(told), "%s", c->flags[seq - 1]);
		assert_int_equal(!!strstr(told, "\\Flagged"), !!(r->system_flags & FLAG_FLAGGED));
		assert_int_equal(!!strstr(told, "\\Seen"), !!(r->system_flags & FLAG_SEEN));
		assert_int_equal(!!strstr(told, "\\Recent"), selected_is_recent(d->sel, uid));
	}
	assert_int_equal(c->n, seq);
	assert_int_equal(m->view.counters.exists, seq);
	mailbox_close(&m);
}

/* ---- what others do ---------------------------------------------------------------------------------- */

static uint32_t random_live(struct rig *rig)
{
	struct mailbox *m = rig_mailbox(rig, BOX);
	uint32_t from = 1 + (uint32_t)rand() % (m->view.counters.last_uid + 1), uid;
	struct view_walk walk = view_walk(&m->view, from);
	const struct record *r = view_next_live(&m->view, &walk);

	uid = r ? r->uid : 0;
	mailbox_close(&m);
	return uid;
}

/* cyr_expire: records that are expunged leave the mailbox, and a new generation is written. */
static void unlink_expunged(struct rig *rig, bool compacting)
{
	struct mailbox *m = rig_mailbox(rig, BOX);
	struct commit *c = NULL;
	struct us_err err;

	assert_ok(mailbox_lock(m, &err), &err);
	assert_ok(commit_begin(m, &c, &err), &err);
	for (uint32_t uid = 1; uid <= m->view.counters.last_uid; uid++) {
		const struct record *r = view_find(&m->view, uid);

		if (r && !record_is_live(r))
			assert_ok(commit_unlink(c, uid, uid, &err), &err);
	}
	assert_ok(commit_finish(&c, &err), &err);
	if (compacting)
		assert_ok(compact(m, &err), &err);
	mailbox_unlock(m);
	mailbox_close(&m);
}

static void something(struct rig *rig)
{
	int what = rand() % 12;
	uint32_t uid = what > 4 ? random_live(rig) : 0;

	if (what <= 4)
		rig_append(rig, BOX, MESSAGE, rand() % 2 ? FLAG_SEEN : 0);
	else if (uid && what <= 8)
		rig_flags(rig, BOX, uid, rand() % 2 ? FLAG_FLAGGED : FLAG_SEEN, false);
	else if (uid && what <= 10)
		rig_flags(rig, BOX, uid, 0, true);
	else if (what == 11)
		unlink_expunged(rig, rand() % 2);
}

static void a_client_that_believes_knows(void **state)
{
	struct rig *rig = *state;

	rig_create(rig, BOX);
	for (unsigned round = 0; round < 12; round++) {
		struct client *c = us_calloc(1, sizeof(*c));
		struct desk d;

		srand(round);
		for (int i = 0; i < 10; i++)
			something(rig);
		desk_open(&d, rig, "bob");
		desk_select(&d, rand() % 2);
		c->n = d.sel->exists;
		for (int i = 0; i < 30; i++) {
			for (int n = rand() % 4; n; n--)
				something(rig);
			if (rand() % 6 == 0)
				fetch_all(&d, c);
			update(&d, c, rand() % 2 ? SELECTED_ALL : SELECTED_KEEP_NUMBERS);
		}
		update(&d, c, SELECTED_ALL);
		check_told(&d, c);
		assert_int_equal(take_all(&d, c), 0);
		update(&d, c, SELECTED_ALL); /* and there is no more to tell */
		desk_close(&d);
		free(c);
	}
}

/* Expunged and out of the index before this session ever had a number for them. */
static void what_went_without_a_trace_is_told(void **state)
{
	struct rig *rig = *state;
	struct client *c = us_calloc(1, sizeof(*c));
	struct desk d;

	rig_create(rig, BOX);
	for (int i = 0; i < 4; i++)
		rig_append(rig, BOX, MESSAGE, 0);
	desk_open(&d, rig, "bob");
	desk_select(&d, false);
	c->n = 4;
	rig_flags(rig, BOX, 1, 0, true);
	rig_flags(rig, BOX, 3, 0, true);
	unlink_expunged(rig, true);
	rig_append(rig, BOX, MESSAGE, FLAG_FLAGGED);
	rig_flags(rig, BOX, 2, FLAG_SEEN, false);
	update(&d, c, SELECTED_KEEP_NUMBERS);
	assert_int_equal(c->n, 5); /* 2 4 5, and two that are nothing any more */
	fetch_all(&d, c);
	rig_append(rig, BOX, MESSAGE, 0);
	update(&d, c, SELECTED_KEEP_NUMBERS);
	assert_int_equal(c->n,
			 5); /* its place is behind them: it waits until they are told to be gone */
	update(&d, c, SELECTED_ALL);
	assert_int_equal(c->n, 4);
	fetch_all(&d, c);
	check_told(&d, c);
	desk_close(&d);
	free(c);
}

/* ---- \Recent ---------------------------------------------------------------------------------------- */

static void a_message_is_recent_once(void **state)
{
	struct rig *rig = *state;
	struct client *c[2] = {us_calloc(1, sizeof(**c)), us_calloc(1, sizeof(**c))};
	struct desk one, two, looker;

	rig_create(rig, BOX);
	rig_append(rig, BOX, MESSAGE, 0);
	desk_open(&looker, rig, "bob");
	desk_select(&looker, /* examine */ true);
	assert_int_equal(looker.sel->recent, 1); /* shown, not taken */
	desk_open(&one, rig, "bob");
	desk_select(&one, false);
	assert_int_equal(one.sel->recent, 1);
	desk_open(&two, rig, "bob");
	desk_select(&two, false);
	assert_int_equal(two.sel->recent, 0);
	c[0]->n = c[1]->n = 1;
	rig_append(rig, BOX, MESSAGE, 0);
	update(&two, c[1], SELECTED_ALL);
	assert_int_equal(c[1]->recent, 1);
	update(&one, c[0], SELECTED_ALL);
	assert_int_equal(c[0]->recent, 1); /* still that of before */
	assert_true(selected_is_recent(two.sel, 2));
	assert_false(selected_is_recent(one.sel, 2));
	desk_close(&one);
	desk_close(&two);
	desk_close(&looker);
	free(c[0]);
	free(c[1]);
}

/* ---- \Seen of others --------------------------------------------------------------------------------- */

static void others_have_their_own_seen(void **state)
{
	struct rig *rig = *state;
	struct client *c = us_calloc(1, sizeof(*c));
	struct uidset two = UIDSET_INIT;
	struct desk alice, again, bob;
	struct us_err err;

	rig_create(rig, BOX);
	for (int i = 0; i < 3; i++)
		rig_append(rig, BOX, MESSAGE, i == 0 ? FLAG_SEEN : 0);
	desk_open(&bob, rig, "bob");
	desk_select(&bob, false);
	assert_int_equal(selected_first_unseen(bob.sel), 2);
	desk_open(&alice, rig, "alice");
	desk_select(&alice, false);
	assert_false(alice.sel->own_seen);
	assert_int_equal(selected_first_unseen(alice.sel), 1);
	desk_open(&again, rig, "alice");
	desk_select(&again, false);
	c->n = 3;
	uidset_add(&two, 1, 2);
	assert_ok(selected_set_seen(alice.sel, &two, true, &err), &err);
	assert_int_equal(selected_first_unseen(alice.sel), 3);
	update(&again, c, SELECTED_ALL); /* her other session is told */
	assert_non_null(strstr(c->flags[0], "\\Seen"));
	assert_non_null(strstr(c->flags[1], "\\Seen"));
	assert_string_equal(c->flags[2], "");
	assert_int_equal(selected_first_unseen(bob.sel), 2); /* and he is not concerned */
	uidset_free(&two);
	desk_close(&alice);
	desk_close(&again);
	desk_close(&bob);
	free(c);
}

static void seen_can_be_shared(void **state)
{
	struct rig *rig = *state;
	struct folder_create options = {.acl = SPAN_LIT("bob\tlrswipkxtecdan\t"),
					.options = MAILBOX_OPTION_SHARED_SEEN};
	struct desk alice;
	struct us_err err;

	assert_ok(folder_create(rig->store, SPAN_LIT(BOX), &options, &err), &err);
	rig_append(rig, BOX, MESSAGE, FLAG_SEEN);
	desk_open(&alice, rig, "alice");
	desk_select(&alice, false);
	assert_true(alice.sel->own_seen);
	assert_int_equal(selected_first_unseen(alice.sel), 0);
	desk_close(&alice);
}

/* ---- sets, the bell, the end ------------------------------------------------------------------------- */

static struct token_set set_of(struct pool *pool, const char *text)
{
	struct scan s = scan_init(span_of(text));

	return token_sequence_set(&s, pool);
}

static void check_resolved(struct desk *d, const char *set, bool by_uid, const char *wanted)
{
	struct pool *pool = pool_new();
	struct token_set parsed = set_of(pool, set);
	struct uidset out = UIDSET_INIT;
	struct buf text = BUF_INIT;
	int rc = selected_resolve(d->sel, &parsed, by_uid, &out, NULL);

	uidset_format(&out, &text);
	assert_string_equal(rc < 0 ? "none" : text.data, wanted);
	buf_free(&text);
	uidset_free(&out);
	pool_free(&pool);
}

static void sets_are_resolved_by_what_was_told(void **state)
{
	struct rig *rig = *state;
	struct client *c = us_calloc(1, sizeof(*c));
	struct desk d;

	rig_create(rig, BOX);
	for (int i = 0; i < 6; i++)
		rig_append(rig, BOX, MESSAGE, 0);
	rig_flags(rig, BOX, 2, 0, true);
	rig_flags(rig, BOX, 5, 0, true);
	desk_open(&d, rig, "bob"); /* 1=1 2=3 3=4 4=6 */
	desk_select(&d, false);
	c->n = 4;
	rig_append(rig, BOX, MESSAGE, 0); /* 7: not told */
	check_resolved(&d, "1:2", false, "1:3");
	check_resolved(&d, "*", false, "6");
	check_resolved(&d, "4:*", false, "6");
	check_resolved(&d, "5", false, "none");
	check_resolved(&d, "3:9", false, "4:6");
	check_resolved(&d, "1:*", true, "1:6");
	check_resolved(&d, "7", true, "");
	check_resolved(&d, "9:*", true, "6");
	rig_flags(rig, BOX, 6, 0, true);
	update(&d, c, SELECTED_KEEP_NUMBERS);
	check_resolved(&d, "*", false, "7"); /* told now; 6 is still number 4 */
	assert_int_equal(selected_seq(d.sel, 6), 4);
	update(&d, c, SELECTED_ALL);
	assert_int_equal(selected_seq(d.sel, 6), 0);
	assert_int_equal(selected_seq(d.sel, 7), 4);
	desk_close(&d);
	free(c);
}

static void own_changes_are_no_news(void **state)
{
	struct rig *rig = *state;
	struct client *c = us_calloc(1, sizeof(*c));
	struct commit *commit = NULL;
	struct record r;
	struct us_err err;
	uint64_t modseq;
	struct desk d;

	rig_create(rig, BOX);
	rig_append(rig, BOX, MESSAGE, 0);
	rig_append(rig, BOX, MESSAGE, 0);
	desk_open(&d, rig, "bob");
	desk_select(&d, false);
	c->n = 2;
	rig_flags(rig, BOX, 1, FLAG_FLAGGED, false); /* somebody else's */
	assert_ok(selected_lock(d.sel, &err), &err);
	assert_ok(commit_begin(d.sel->mailbox, &commit, &err), &err);
	r = *view_find(&d.sel->mailbox->view, 2);
	r.system_flags |= FLAG_SEEN;
	r.modseq = modseq = commit_modseq(commit);
	assert_ok(commit_put(commit, &r, &err), &err);
	assert_ok(commit_finish(&commit, &err), &err);
	selected_unlock(d.sel, modseq);
	update(&d, c, SELECTED_ALL);
	assert_non_null(strstr(c->flags[0], "\\Flagged"));
	assert_string_equal(c->flags[1], "");
	desk_close(&d);
	free(c);
}

static void the_bell_rings_for_a_commit(void **state)
{
	struct rig *rig = *state;
	struct client *c = us_calloc(1, sizeof(*c));
	struct pollfd p = {.events = POLLIN};
	struct us_err err;
	struct desk d;

	rig_create(rig, BOX);
	desk_open(&d, rig, "bob");
	desk_select(&d, false);
	assert_ok(bell_tend(&d.sel->bell, NULL, d.sel->mailbox, &err), &err);
	p.fd = d.sel->bell.fds[1]; /* an instance of our own */
	assert_int_equal(poll(&p, 1, 0), 0);
	rig_append(rig, BOX, MESSAGE, 0);
	assert_int_equal(poll(&p, 1, 1000), 1);
	bell_take(&d.sel->bell);
	update(&d, c, SELECTED_ALL);
	assert_int_equal(c->n, 1);
	bell_take(&d.sel->bell); /* our own claim of \Recent rang, too */
	assert_int_equal(poll(&p, 1, 0), 0);
	desk_close(&d);
	free(c);
}

static void a_deleted_mailbox_ends_it(void **state)
{
	struct rig *rig = *state;
	struct us_err err;
	struct desk d;

	rig_create(rig, BOX);
	desk_open(&d, rig, "bob");
	desk_select(&d, false);
	assert_ok(folder_rename(rig->store, SPAN_LIT(BOX), SPAN_LIT("user.bob2"), SPAN_NULL, 0,
				&err),
		  &err);
	assert_ok(selected_update(d.sel, SELECTED_ALL, &err), &err); /* a rename is followed */
	assert_ok(folder_delete_delayed(rig->store, SPAN_LIT("user.bob2"), NULL, &err), &err);
	assert_int_equal(selected_update(d.sel, SELECTED_ALL, &err), US_ENOENT);
	desk_close(&d);
}

/* What a name stands for may change between looking it up and opening it: even to the selected mailbox. */
static void a_target_is_the_mailbox_that_was_found(void **state)
{
	struct rig *rig = *state;
	struct access found = {.name = SPAN_LIT("user.bob.b"), .rights = ACL_ALL};
	struct target target = {0};
	struct us_err err;
	struct desk d;

	rig_create(rig, BOX);
	rig_create(rig, "user.bob.b");
	desk_open(&d, rig, "bob");
	d.s.pool = pool_new();
	desk_select(&d, false);
	d.s.selected = d.sel;
	assert_int_equal(mailbox_row_get(rig->store, found.name, d.s.pool, &found.row, NULL, NULL,
					 &err),
			 1);
	assert_ok(folder_delete_delayed(rig->store, found.name, NULL, &err), &err);
	assert_ok(folder_rename(rig->store, SPAN_LIT(BOX), found.name, SPAN_NULL, 0, &err), &err);
	assert_int_equal(target_open_beside(&d.s, &found, &target, &err), US_ECHANGED);
	target_close(&target);
	pool_free(&d.s.pool);
	desk_close(&d);
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_RIG(a_client_that_believes_knows),
		WITH_RIG(what_went_without_a_trace_is_told),
		WITH_RIG(a_message_is_recent_once),
		WITH_RIG(others_have_their_own_seen),
		WITH_RIG(seen_can_be_shared),
		WITH_RIG(sets_are_resolved_by_what_was_told),
		WITH_RIG(own_changes_are_no_news),
		WITH_RIG(the_bell_rings_for_a_commit),
		WITH_RIG(a_deleted_mailbox_ends_it),
		WITH_RIG(a_target_is_the_mailbox_that_was_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
