/* test_spool.c - records go into the spool and come out the same, as often as wanted, from memory or by way of a file. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <unistd.h>

#include "server/base/failpoint.h"
#include "server/csync/spool.h"

static const struct span keywords[] = {SPAN_LIT("$Forwarded"), SPAN_LIT("x")};

/* Record number i has i % 3 keywords and i % 4 annotations, one of them long now and then. */
static struct state_record record(uint32_t i, struct state_annotation notes[3], char *text,
				  size_t size)
{
	struct state_record r = {.uid = i,
				 .modseq = i * (uint64_t)1000000007,
				 .keywords = keywords,
				 .n_keywords = i % 3,
				 .annotations = notes,
				 .n_annotations = i % 4};

	memset(text, 'a' + (int)(i % 26), size);
	notes[0] = (struct state_annotation){SPAN_LIT("/comment"), SPAN_LIT(""), SPAN_LIT("v"), i};
	notes[1] = (struct state_annotation){SPAN_LIT("/a"), SPAN_LIT("bob"), SPAN_LIT(""), 7};
	notes[2] = (struct state_annotation){SPAN_LIT("/b"), SPAN_LIT("u"),
					     span_make(text, i % 100 ? 5 : size), 9};
	return r;
}

struct walk {
	uint32_t next, stop_at;
	char text[100000];
};

static int check(void *ctx, const struct state_record *r, struct us_err *err)
{
	struct walk *w = ctx;
	struct state_annotation notes[3];
	struct state_record expected = record(w->next, notes, w->text, sizeof(w->text));

	if (w->next == w->stop_at)
		return us_fail(err, US_EINVAL, "enough");
	assert_int_equal(r->uid, w->next);
	assert_int_equal(r->modseq, expected.modseq);
	assert_int_equal(r->n_keywords, expected.n_keywords);
	for (size_t i = 0; i < r->n_keywords; i++)
		assert_true(span_eq(r->keywords[i], keywords[i]));
	assert_int_equal(r->n_annotations, expected.n_annotations);
	for (size_t i = 0; i < r->n_annotations; i++) {
		assert_true(span_eq(r->annotations[i].entry, notes[i].entry));
		assert_true(span_eq(r->annotations[i].userid, notes[i].userid));
		assert_true(span_eq(r->annotations[i].value, notes[i].value));
		assert_int_equal(r->annotations[i].modseq, notes[i].modseq);
	}
	w->next++;
	return 0;
}

static void check_all(struct spool *s, uint32_t n)
{
	struct pool *pool = pool_new();
	struct walk *w = us_calloc(1, sizeof(*w));
	struct us_err err;

	w->next = 1;
	assert_ok(spool_each(s, pool, check, w, &err), &err);
	assert_int_equal(w->next, n + 1);
	w->next = 1;
	w->stop_at = n / 2 + 1;
	assert_int_equal(spool_each(s, pool, check, w, &err), n ? US_EINVAL : 0);
	pool_free(&pool);
	free(w);
}

static void fill(struct spool *s, uint32_t from, uint32_t to)
{
	static char text[100000];
	struct state_annotation notes[3];
	struct us_err err;

	for (uint32_t i = from; i <= to; i++) {
		struct state_record r = record(i, notes, text, sizeof(text));
		assert_ok(spool_put(s, &r, &err), &err);
	}
}

static void what_goes_in_comes_out(void **state UNUSED)
{
	static const uint32_t sizes[] = {0, 1, 50, 2000, 9000};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		int dir = open("/tmp", O_RDONLY | O_DIRECTORY);
		struct spool *s = spool_new(dir, 1u << 30);

		fill(s, 1, sizes[i]);
		assert_int_equal(spool_count(s), sizes[i]);
		check_all(s, sizes[i]);
		check_all(s, sizes[i]);
		fill(s, sizes[i] + 1, sizes[i] + 700); /* more, after it was read */
		check_all(s, sizes[i] + 700);
		spool_free(&s);
		close(dir);
	}
}

static void the_ceiling_and_a_full_disk(void **state UNUSED)
{
	static char text[100000];
	struct failpoint_page *page = us_calloc(1, sizeof(*page));
	int dir = open("/tmp", O_RDONLY | O_DIRECTORY), rc = 0;
	struct state_annotation notes[3];
	struct state_record r = record(1, notes, text, sizeof(text));
	struct spool *s = spool_new(dir, 5000);
	unsigned n = 0;

	while ((rc = spool_put(s, &r, NULL)) == 0)
		n++;
	assert_int_equal(rc, US_ELIMIT);
	assert_in_range(n, 10, 50);
	spool_free(&s);
	failpoint_page_init(page);
	failpoint_use(page);
	strcpy(page->name, "csync.spool.write");
	page->action = FAILPOINT_ENOSPC;
	s = spool_new(dir, 1u << 30);
	while ((rc = spool_put(s, &r, NULL)) == 0)
		;
	assert_int_equal(rc, US_ENOSPC);
	failpoint_use(NULL);
	spool_free(&s);
	close(dir);
	free(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_goes_in_comes_out),
		cmocka_unit_test(the_ceiling_and_a_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
