/* test_salvage.c - whatever happens to the bytes of index, journal and annotations, what was not hit is kept. */
#include "tests/unit/store/damage.h"

#include <time.h>

#include "server/base/checksum.h"
#include "server/store/index.h"
#include "server/store/store.h"

static void salvage(struct bench *b, struct salvage *s, struct lines *l)
{
	struct salvage_place place = {b->image.dir, &b->id, store_boot_tag(b->rig.store), b->epoch,
				      UINT64_MAX};

	salvage_directory(&place, s);
	lines_of_salvage(s, l);
}

/* Everything but `hurt` (NULL: nothing) is as it was. */
static void check(const struct bench *b, const struct lines *found, const bool *hurt,
		  const char *what, size_t from, size_t to)
{
	for (unsigned uid = 0; uid < MOST_UID; uid++)
		if (!(hurt && hurt[uid]))
			expect_same_line(&b->good, found, uid, what, from, to);
}

static void the_whole_mailbox_is_read_as_it_is(void **state)
{
	struct bench *b = *state;
	struct salvage s;
	struct lines found;

	salvage(b, &s, &found);
	check(b, &found, NULL, "nothing", 0, 0);
	assert_false(s.damaged || s.base_lost || s.names_lost || s.mended || s.lost.n);
	assert_true(s.counters_are_newest && s.has_counters && s.cache_generation);
	assert_memory_equal(&s.counters, &b->good.counters, sizeof(s.counters));
	assert_int_equal(s.n_metas, 0);
	assert_true(salvage_unlink_time(&s, 4) > 0);
	assert_true(s.history.n > 0);
	salvage_fini(&s);
	free_lines(&found);
}

static void flip(struct bench *b, const struct image_file *f, size_t at, unsigned bit)
{
	char byte = (char)(f->bytes[at] ^ (char)(1u << bit));
	int fd = openat(b->image.dir, f->name, O_WRONLY);

	assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
	close(fd);
}

static void unflip(struct bench *b, const struct image_file *f, size_t at)
{
	int fd = openat(b->image.dir, f->name, O_WRONLY);

	assert_int_equal(pwrite(fd, f->bytes + at, 1, (off_t)at), 1);
	close(fd);
}

/* One bit, anywhere: nothing at all is lost. */
static void flip_all(struct bench *b, const char *name)
{
	struct image_file *f = image_find(&b->image, name);

	for (size_t at = 0; at < f->len; at++) {
		struct salvage s;
		struct lines found;
		flip(b, f, at, (unsigned)(at * 5 % 8));
		salvage(b, &s, &found);
		check(b, &found, NULL, f->name, at, at + 1);
		if (s.counters.highestmodseq != b->good.counters.highestmodseq ||
		    s.counters.last_uid != b->good.counters.last_uid)
			fail_msg("%s: bit of byte %zu: counters", f->name, at);
		salvage_fini(&s);
		free_lines(&found);
		unflip(b, f, at);
	}
}

static void a_flipped_bit_of_the_index_costs_nothing(void **state)
{
	flip_all(*state, "mbox.idx");
}

static void a_flipped_bit_of_the_journal_costs_nothing(void **state)
{
	flip_all(*state, "mbox.jnl.");
}

static void a_flipped_bit_of_the_annotations_costs_nothing(void **state)
{
	flip_all(*state, "mbox.ann.");
}

enum fill { ZEROS, ONES, NOISE, CUT };

static void damage(struct bench *b, const struct image_file *f, size_t from, size_t to,
		   enum fill fill)
{
	char *bytes = us_malloc(f->len);
	unsigned seed = (unsigned)(from * 31 + to);

	memcpy(bytes, f->bytes, f->len);
	for (size_t i = from; i < to && i < f->len; i++)
		bytes[i] = fill == ZEROS ? 0 : fill == ONES ? (char)0xff : (char)rand_r(&seed);
	write_whole(&b->image, f->name, bytes, fill == CUT ? from : f->len, &f->mtime);
	free(bytes);
}

static void run(struct bench *b, struct image_file *f, const struct pieces *pieces, size_t from,
		size_t to, enum fill fill)
{
	bool hurt[MOST_UID];
	struct salvage s;
	struct lines found;

	find_hurt(pieces, from, to, hurt);
	if (pieces == &b->index)
		heal_by_journal(&b->journal, hurt);
	damage(b, f, from, to, fill);
	salvage(b, &s, &found);
	/* Keywords of the base may have been lost: reconstruct takes them from mbox.hdr. */
	for (unsigned uid = 0; uid < MOST_UID; uid++)
		hurt[uid] |= s.names_lost && b->good.has_keyword[uid];
	check(b, &found, hurt, f->name, from, to);
	for (unsigned uid = 0; uid < MOST_UID; uid++)
		if (found.of[uid] && b->good.of[uid])
			assert_true(guid_eq(&found.guid[uid], &b->good.guid[uid]));
	write_whole(&b->image, f->name, f->bytes, f->len, &f->mtime);
	salvage_fini(&s);
	free_lines(&found);
}

static void run_all(struct bench *b, const char *name, const struct pieces *pieces)
{
	static const size_t sizes[] = {2, 64, 200, 512, 4096};
	struct image_file *f = image_find(&b->image, name);

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		for (size_t from = 0; from < f->len; from += sizes[i] < 90 ? 37 : sizes[i] / 2)
			run(b, f, pieces, from, from + sizes[i], (enum fill)(from % 3));
	for (size_t from = 0; from < f->len; from += 61)
		run(b, f, pieces, from, f->len, CUT);
}

static void damage_to_the_index_costs_the_records_it_hits(void **state)
{
	struct bench *b = *state;

	run_all(b, "mbox.idx", &b->index);
}

static void damage_to_the_journal_costs_the_frames_it_hits(void **state)
{
	struct bench *b = *state;

	run_all(b, "mbox.jnl.", &b->journal);
}

static void damage_to_the_annotations_costs_the_messages_it_hits(void **state)
{
	struct bench *b = *state;

	run_all(b, "mbox.ann.", &b->annots);
}

/* The sum is right, as a hostile disk or a lucky bit has it: what is not there costs no time. */
static void an_index_that_tells_of_billions_is_read_at_once(void **state)
{
	struct bench *b = *state;
	struct image_file *f = image_find(&b->image, "mbox.idx");
	char *bytes = us_malloc(f->len);
	struct index_header *h = (void *)bytes;
	bool hurt[MOST_UID];
	struct salvage s;
	struct lines found;
	unsigned missing;
	clock_t began;

	memcpy(bytes, f->bytes, f->len);
	missing = UINT32_MAX - (unsigned)h->n_records;
	h->n_records = UINT32_MAX;
	h->crc = us_crc32c(0, h, offsetof(struct index_header, crc));
	write_whole(&b->image, f->name, bytes, f->len, &f->mtime);
	began = clock();
	salvage(b, &s, &found);
	assert_true(clock() - began < CLOCKS_PER_SEC);
	assert_int_equal(s.bad_records, missing);
	assert_true(s.names_lost); /* their place is not within the file either */
	for (unsigned uid = 0; uid < MOST_UID; uid++)
		hurt[uid] = b->good.has_keyword[uid];
	check(b, &found, hurt, "billions", 0, 0);
	write_whole(&b->image, f->name, f->bytes, f->len, &f->mtime);
	salvage_fini(&s);
	free_lines(&found);
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_whole_mailbox_is_read_as_it_is),
		cmocka_unit_test(a_flipped_bit_of_the_index_costs_nothing),
		cmocka_unit_test(a_flipped_bit_of_the_journal_costs_nothing),
		cmocka_unit_test(a_flipped_bit_of_the_annotations_costs_nothing),
		cmocka_unit_test(damage_to_the_index_costs_the_records_it_hits),
		cmocka_unit_test(damage_to_the_journal_costs_the_frames_it_hits),
		cmocka_unit_test(damage_to_the_annotations_costs_the_messages_it_hits),
		cmocka_unit_test(an_index_that_tells_of_billions_is_read_at_once),
	};

	return cmocka_run_group_tests(tests, bench_make, bench_drop);
}
