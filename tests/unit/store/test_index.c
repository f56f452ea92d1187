/* test_index.c - the base of records: finding places in it, and one damaged record that must not hide or double others. */
#include "tests/unit/store/rig.h"

#include <fcntl.h>
#include <unistd.h>

#include "server/store/compact.h"
#include "server/store/index.h"

#define MESSAGE "From: a@b\r\nSubject: test\r\n\r\nBody.\r\n"
#define MOST    30

/* ---- a bare index ---------------------------------------------------------------------------------- */

struct made {
	const uint32_t *uids;
	size_t n, at;
	struct record record;
};

static const struct record *next_made(void *ctx)
{
	struct made *m = ctx;

	if (m->at == m->n)
		return NULL;
	m->record = (struct record){.uid = m->uids[m->at++], .modseq = 9};
	return &m->record;
}

static void make_index(struct rig *rig, const uint32_t *uids, size_t n, int *dir)
{
	struct made made = {.uids = uids, .n = n};
	struct index_source source = {next_made, &made};
	struct index_header header = {.generation = 1};
	struct flag_names names = {0};
	struct us_err err;

	*dir = open(rig->root, O_RDONLY | O_DIRECTORY);
	assert_ok(index_write_new(*dir, &header, &names, n, &source, &err), &err);
	assert_int_equal(renameat(*dir, INDEX_FILE ".new", *dir, INDEX_FILE), 0);
}

static void expect_places(const struct index_base *base, const uint32_t *uids, size_t n,
			  size_t damaged)
{
	size_t at = 0;

	for (uint32_t uid = 1; uid <= uids[n - 1] + 3; uid++) {
		uint64_t place = index_lower_bound(base, uid);
		while (at < n && uids[at] < uid)
			at++;
		if (at == damaged || at == damaged + 1)
			assert_in_range(place, damaged, damaged + 1);
		else
			assert_int_equal(place, at);
	}
}

static void every_uid_has_its_place(void **state)
{
	static const uint32_t sets[][MOST] = {{1},
					      {7},
					      {1, 2, 3, 4, 5, 6, 7, 8, 9},
					      {5, 6, 7, 8},
					      {2, 4, 6, 8, 10, 12, 14},
					      {1, 2, 3, 50, 51, 52, 90},
					      {30, 31, 32, 33, 60, 61, 62, 63, 64, 65, 70, 75, 80}};
	struct rig *rig = *state;

	for (size_t s = 0; s < ARRAY_SIZE(sets); s++) {
		struct index_base base;
		struct us_err err;
		size_t n = 0;
		int dir;
		while (sets[s][n])
			n++;
		make_index(rig, sets[s], n, &dir);
		assert_ok(index_open(dir, &base, &err), &err);
		expect_places(&base, sets[s], n, SIZE_MAX - 1);
		index_close(&base);
		for (size_t i = 0; i < n; i++)
			for (unsigned k = 0; k < 3; k++) { /* far below, far above, a little */
				static const uint32_t wrong[] = {1, UINT32_MAX, 0};
				off_t at;
				uint32_t uid = k == 2 ? sets[s][i] + 1 : wrong[k];
				int fd;
				assert_ok(index_open(dir, &base, &err), &err);
				at = (off_t)(base.header->records_offset +
					     i * sizeof(struct record));
				index_close(&base);
				if (uid == sets[s][i])
					continue;
				fd = openat(dir, INDEX_FILE, O_WRONLY);
				assert_int_equal(pwrite(fd, &uid, 4, at), 4);
				assert_ok(index_open(dir, &base, &err), &err);
				expect_places(&base, sets[s], n, i);
				assert_null(index_record(&base, i));
				index_close(&base);
				assert_int_equal(pwrite(fd, &sets[s][i], 4, at), 4);
				close(fd);
			}
		close(dir);
	}
}

/* ---- in a mailbox ----------------------------------------------------------------------------------- */

static void prepare(struct rig *rig)
{
	struct mailbox *m;
	struct us_err err;

	rig_create(rig, "user.bob");
	for (int i = 0; i < 12; i++)
		rig_append(rig, "user.bob", MESSAGE, 0);
	m = rig_mailbox(rig, "user.bob");
	assert_ok(mailbox_lock(m, &err), &err);
	assert_ok(compact(m, &err), &err);
	mailbox_close(&m);
	rig_flags(rig, "user.bob", 9, FLAG_SEEN, false); /* in the journal */
}

static void damage_uid(struct rig *rig, uint32_t uid, uint32_t wrong)
{
	struct mailbox *m = rig_mailbox(rig, "user.bob");
	off_t at = (off_t)(m->view.base.header->records_offset + (uid - 1) * sizeof(struct record));
	int fd = openat(m->dir, INDEX_FILE, O_WRONLY);

	assert_int_equal(pwrite(fd, &wrong, 4, at), 4);
	close(fd);
	mailbox_close(&m);
}

static void expect_others(struct rig *rig, uint32_t damaged)
{
	struct mailbox *m = rig_mailbox(rig, "user.bob");
	struct view_walk walk = view_walk(&m->view, 1);
	const struct record *r;
	uint32_t expected = 0;

	for (uint32_t uid = 1; uid <= 14; uid++) {
		r = view_find(&m->view, uid);
		assert_int_equal(r != NULL, uid != damaged && uid <= 12);
		assert_true(!r || r->uid == uid);
	}
	assert_true(m->view.corrupt);
	while ((r = view_next(&m->view, &walk))) {
		expected += expected + 1 == damaged ? 2 : 1;
		assert_int_equal(r->uid, expected);
	}
	assert_int_equal(expected, 12 - (damaged == 12));
	assert_false(view_is_sound(&m->view));
	mailbox_close(&m);
}

static void a_damaged_record_costs_itself_only(void **state)
{
	static const uint32_t wrong[] = {0, 1, 3, 9, 12, 13, 4000000000};
	struct rig *rig = *state;

	prepare(rig);
	for (uint32_t uid = 1; uid <= 12; uid++)
		for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
			if (uid == wrong[i] || uid == 9) /* the journal has that one */
				continue;
			damage_uid(rig, uid, wrong[i]);
			expect_others(rig, uid);
			damage_uid(rig, uid, uid);
		}
}

/* How many records a walk gives; those that changed since must be among them. */
static unsigned given_since(struct mailbox *m, uint64_t since, const uint32_t *changed)
{
	struct view_walk walk = view_walk_since(&m->view, 1, since);
	const struct record *r;
	uint32_t last = 0;
	unsigned n = 0;

	for (; (r = view_next(&m->view, &walk)); n++) {
		assert_true(r->uid > last);
		last = r->uid;
		if (r->modseq > since)
			assert_int_equal(r->uid, *changed++);
	}
	assert_int_equal(*changed, 0);
	return n;
}

/* Whether the change is in the base or behind it, in the journal. */
static void what_has_not_changed_is_passed_over(void **state)
{
	enum { N = 3 * VIEW_RUN };
	struct rig *rig = *state;
	struct mailbox *m;
	struct us_err err;
	uint64_t since, later;

	rig_create(rig, "user.bob");
	for (unsigned i = 0; i < N; i++)
		rig_append(rig, "user.bob", MESSAGE, 0);
	m = rig_mailbox(rig, "user.bob");
	assert_ok(mailbox_lock(m, &err), &err);
	assert_ok(compact(m, &err), &err);
	mailbox_unlock(m);
	since = m->view.counters.highestmodseq;
	assert_int_equal(given_since(m, since, (uint32_t[]){0}), 0);
	mailbox_close(&m);

	rig_flags(rig, "user.bob", 9, FLAG_SEEN, false);
	rig_flags(rig, "user.bob", N, FLAG_SEEN, false);
	rig_append(rig, "user.bob", MESSAGE, 0);
	m = rig_mailbox(rig, "user.bob");
	assert_int_equal(given_since(m, since, (uint32_t[]){9, N, N + 1, 0}), 2 * VIEW_RUN + 1);
	assert_int_equal(given_since(m, since - 1, (uint32_t[]){9, N, N + 1, 0}), N + 1);
	assert_ok(mailbox_lock(m, &err), &err);
	assert_ok(compact(m, &err), &err);
	mailbox_unlock(m);
	later = m->view.counters.highestmodseq;
	mailbox_close(&m);

	m = rig_mailbox(rig, "user.bob");
	assert_int_equal(given_since(m, later, (uint32_t[]){0}), 0);
	assert_true(given_since(m, since, (uint32_t[]){9, N, N + 1, 0}) >= 3);
	mailbox_close(&m);
}

/* It would be a mailbox without that message, with nothing to tell of it. */
static void it_is_not_made_anew_without_it(void **state)
{
	struct rig *rig = *state;
	struct mailbox *m;
	struct us_err err;

	prepare(rig);
	damage_uid(rig, 5, 50);
	m = rig_mailbox(rig, "user.bob");
	assert_ok(mailbox_lock(m, &err), &err);
	assert_int_equal(compact(m, &err), US_ECORRUPT);
	mailbox_close(&m);
	assert_int_equal(folder_rename(rig->store, SPAN_LIT("user.bob"), SPAN_LIT("user.bob"),
				       SPAN_LIT("p2"), 0, &err),
			 US_ECORRUPT);
	damage_uid(rig, 5, 5);
	assert_ok(folder_rename(rig->store, SPAN_LIT("user.bob"), SPAN_LIT("user.bob"),
				SPAN_LIT("p2"), 0, &err),
		  &err);
	m = rig_mailbox(rig, "user.bob");
	assert_int_equal(m->view.counters.exists, 12);
	mailbox_close(&m);
}

#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_uid_has_its_place),
		T(a_damaged_record_costs_itself_only),
		T(what_has_not_changed_is_passed_over),
		T(it_is_not_made_anew_without_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
