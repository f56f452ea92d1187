/* salvage.c - see salvage.h. The base index here, the journal in salvage_journal.c, annotations in salvage_annots.c.
 *
 *	base header	sound or mended: its records are where it says; each has a sum of its own
 *			lost: records are looked for in the whole file, at the places records can have
 *	journals	of that generation; without a header the two newest, which is right whichever of them the base
 *			belongs to: a journal that was folded into its successor's base already says
 *			nothing that the base does not
 */
#include "server/store/salvage_private.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/io.h"
#include "server/base/mem.h"
#include "server/store/cache.h"
#include "server/store/index.h"
#include "server/store/journal.h"
#include "server/store/mend.h"

/* ---- what was found ---------------------------------------------------------------------------- */

void salvage_fini(struct salvage *s)
{
	free(s->records);
	free(s->metas);
	free(s->orphans);
	free(s->unlinked.items);
	free(s->lost.items);
	history_fini(&s->history);
	annots_fini(&s->annots);
	pool_free(&s->pool);
	memset(s, 0, sizeof(*s));
}

size_t salvage_lower_bound(const struct salvage *s, uint32_t uid)
{
	size_t low = 0, high = s->n;

	if (s->n && s->records[s->n - 1].uid < uid)
		return s->n; /* the usual case: they come in order */
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (s->records[middle].uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct record *salvage_find(struct salvage *s, uint32_t uid)
{
	size_t at = salvage_lower_bound(s, uid);

	return at < s->n && s->records[at].uid == uid ? &s->records[at] : NULL;
}

void salvage_put(struct salvage *s, const struct record *r)
{
	size_t at = salvage_lower_bound(s, r->uid);

	if (at == s->n || s->records[at].uid != r->uid) {
		us_grow(&s->records, s->n, &s->cap, sizeof(s->records[0]));
		memmove(&s->records[at + 1], &s->records[at], (s->n - at) * sizeof(s->records[0]));
		s->n++;
	}
	s->records[at] = *r;
}

void salvage_remove(struct salvage *s, uint32_t low, uint32_t high)
{
	size_t from = salvage_lower_bound(s, low), to = from;

	while (to < s->n && s->records[to].uid <= high)
		to++;
	if (to == from)
		return;
	memmove(&s->records[from], &s->records[to], (s->n - to) * sizeof(s->records[0]));
	s->n -= to - from;
}

void salvage_name_flag(struct salvage *s, unsigned bit, struct span name,
		       enum salvage_name_source source)
{
	flag_names_set(&s->names, bit, pool_span(s->pool, name));
	s->name_source[bit] = (uint8_t)source;
}

void salvage_add_range(struct salvage_ranges *ranges, uint32_t low, uint32_t high, int64_t time_ns)
{
	us_grow(&ranges->items, ranges->n, &ranges->cap, sizeof(ranges->items[0]));
	ranges->items[ranges->n++] = (struct salvage_range){low, high, time_ns};
}

bool salvage_may_have_lost(const struct salvage *s, uint32_t uid)
{
	for (size_t i = 0; i < s->lost.n; i++)
		if (uid >= s->lost.items[i].low && uid <= s->lost.items[i].high)
			return true;
	return false;
}

int64_t salvage_unlink_time(const struct salvage *s, uint32_t uid)
{
	int64_t time_ns = 0;

	for (size_t i = 0; i < s->unlinked.n; i++)
		if (uid >= s->unlinked.items[i].low && uid <= s->unlinked.items[i].high)
			time_ns = s->unlinked.items[i].time_ns;
	return time_ns;
}

static int compare_orphans(const void *a, const void *b)
{
	const struct op_flags *x = a, *y = b;

	if (x->uid != y->uid)
		return x->uid < y->uid ? -1 : 1;
	return (x->reserved > y->reserved) - (x->reserved < y->reserved);
}

const struct op_flags *salvage_orphan(const struct salvage *s, uint32_t uid)
{
	size_t low = 0, high = s->n_orphans;

	while (low < high) { /* the first behind the last of this uid */
		size_t middle = low + (high - low) / 2;
		if (s->orphans[middle].uid <= uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low && s->orphans[low - 1].uid == uid ? &s->orphans[low - 1] : NULL;
}

bool salvage_read_record(struct salvage *s, const void *bytes, struct record *out)
{
	struct record r;
	uint32_t is;

	memcpy(&r, bytes, sizeof(r));
	is = record_crc(&r);
	if (is != r.crc) {
		if (!mend_bit(&r, offsetof(struct record, crc), MEND_NO_HOLE, is, r.crc))
			return false;
		s->mended++;
		s->damaged = true;
	}
	if (!r.uid)
		return false;
	*out = r;
	return true;
}

/* ---- files ------------------------------------------------------------------------------------- */

void salvage_note_unread(struct salvage *s, const struct us_err *err)
{
	if (!s->unread.code)
		s->unread = *err;
}

char *salvage_map(struct salvage *s, int dir, const char *name, size_t *size)
{
	struct us_err err;
	struct stat st;
	void *map = NULL;
	int fd = -1, rc = io_open(FP("store.salvage.open"), dir, name, O_RDONLY, 0, &fd, &err);

	if (rc == 0 && fstat(fd, &st) < 0)
		rc = us_fail_errno(&err, "stat %s", name);
	if (rc == 0 && st.st_size) {
		*size = (size_t)st.st_size;
		map = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
		if (map == MAP_FAILED)
			rc = us_fail_errno(&err, "map %s", name);
	}
	io_close(&fd);
	if (rc < 0 && rc != US_ENOENT)
		salvage_note_unread(s, &err);
	return rc < 0 ? NULL : map;
}

void salvage_unmap(char *map, size_t size)
{
	if (map)
		munmap(map, size);
}

/* Numbers of the files of generations: the highest of each kind, and of all. */
struct generations {
	uint32_t journal, annots, cache, all;
};

static bool number_behind(const char *name, const char *prefix, uint32_t *highest)
{
	uint64_t n;

	if (!span_starts(span_of(name), prefix) ||
	    !span_u64(span_from(span_of(name), strlen(prefix)), UINT32_MAX - 1, &n))
		return false;
	if (n > *highest)
		*highest = (uint32_t)n;
	return true;
}

static int note_generation(void *ctx, const struct dirent *entry)
{
	struct generations *g = ctx;

	(void)(number_behind(entry->d_name, "mbox.jnl.", &g->journal) ||
	       number_behind(entry->d_name, "mbox.ann.", &g->annots) ||
	       number_behind(entry->d_name, "mbox.cache.", &g->cache));
	return 0;
}

static struct generations look_for_generations(struct salvage *s, int dir)
{
	struct generations g = {0};
	struct us_err err;

	if (io_each_name(FP("store.salvage.list"), dir, ".", note_generation, &g, &err) < 0)
		salvage_note_unread(s, &err);
	g.all = g.journal > g.annots ? g.journal : g.annots;
	g.all = g.cache > g.all ? g.cache : g.all;
	return g;
}

/* ---- the base ---------------------------------------------------------------------------------- */

struct base {
	char *map;
	size_t size;
	struct index_header *header; /* NULL: not to be believed */
};

static void read_header(struct salvage *s, const struct salvage_place *place, struct base *b)
{
	struct index_header *h = (void *)b->map;
	uint32_t is;

	if (b->size < sizeof(*h))
		return;
	is = us_crc32c(0, h, offsetof(struct index_header, crc));
	if (is != h->crc) {
		if (!mend_bit(h, offsetof(struct index_header, crc), MEND_NO_HOLE, is, h->crc))
			return;
		s->mended++;
		s->damaged = true;
	}
	if (memcmp(h->magic, INDEX_MAGIC, 8) == 0 && h->version == INDEX_VERSION &&
	    h->record_size == sizeof(struct record) && h->n_records <= UINT32_MAX)
		b->header = h;
	/* Another mailbox's index, whole or not: nothing in it is ours. */
	if (b->header && storeid_cmp(&h->storeid, place->id) != 0) {
		b->header = NULL;
		b->size = 0;
	}
}

static void take_names(struct salvage *s, const struct base *b)
{
	const struct index_header *h = b->header;
	uint64_t blocks = (h->n_records + INDEX_BLOCK - 1) / INDEX_BLOCK;
	enum salvage_name_source source = NAME_CERTAIN;
	struct flag_names *names = us_calloc(1, sizeof(*names));
	struct buf sections = BUF_INIT;

	if (h->names_offset <= b->size && h->names_length <= b->size - h->names_offset &&
	    h->maxima_offset <= b->size && blocks * 8 <= b->size - h->maxima_offset) {
		uint32_t is;
		buf_add(&sections, b->map + h->names_offset, h->names_length);
		buf_add(&sections, b->map + h->maxima_offset, blocks * 8);
		is = us_crc32c(0, sections.data, sections.len);
		if (is != h->sections_crc) {
			s->damaged = true;
			if (mend_bit(sections.data, sections.len, MEND_NO_HOLE, is,
				     h->sections_crc))
				s->mended++;
			else
				source = NAME_DOUBTFUL;
		}
		s->names_lost = source == NAME_DOUBTFUL;
		index_names_of(span_make(sections.data, h->names_length), names);
	} else {
		s->damaged = s->names_lost = true;
	}
	for (unsigned bit = 0; bit < USER_FLAGS; bit++)
		if (names->bit[bit].name.ptr)
			salvage_name_flag(s, bit, names->bit[bit].name, source);
	buf_free(&sections);
	free(names);
}

/* Records that lie within the file: the header may tell of billions. */
static uint64_t count_present(const struct base *b)
{
	const struct index_header *h = b->header;
	uint64_t room = h->records_offset < b->size ? b->size - h->records_offset : 0;
	uint64_t fit = room / sizeof(struct record);

	return fit < h->n_records ? fit : h->n_records;
}

/* A run of bad records is told as the UIDs between the good ones around it. */
static void take_records(struct salvage *s, const struct base *b)
{
	const struct index_header *h = b->header;
	uint64_t present = count_present(b);
	uint32_t before = 0;
	bool in_gap = false;

	for (uint64_t i = 0; i < present; i++) {
		struct record r;
		if (!salvage_read_record(s, b->map + h->records_offset + i * sizeof(r), &r)) {
			s->bad_records++;
			in_gap = true;
			continue;
		}
		if (in_gap && r.uid > before + 1)
			salvage_add_range(&s->lost, before + 1, r.uid - 1, 0);
		in_gap = false;
		before = r.uid;
		salvage_put(s, &r);
	}
	s->bad_records += (unsigned)(h->n_records - present);
	in_gap |= present < h->n_records;
	if (in_gap && h->counters.last_uid > before)
		salvage_add_range(&s->lost, before + 1, h->counters.last_uid, 0);
	s->damaged |= s->bad_records > 0;
}

/* Records begin at a multiple of 4096 and are 192 long, so they all have the same remainder by 192, one of three:
 * it is that where most sound records are. */
static void take_loose_records(struct salvage *s, const struct base *b)
{
	size_t found[3] = {0}, best = 0;
	struct record r;

	for (size_t i = 0; i < 3; i++)
		for (size_t at = 64 * i; at + sizeof(r) <= b->size; at += sizeof(r)) {
			memcpy(&r, b->map + at, sizeof(r));
			found[i] += at >= 4096 && r.uid && record_is_sound(&r);
		}
	for (size_t i = 1; i < 3; i++)
		if (found[i] > found[best])
			best = i;
	if (!found[best])
		return;
	for (size_t at = 64 * best; at + sizeof(r) <= b->size; at += sizeof(r))
		if (at >= 4096 && salvage_read_record(s, b->map + at, &r))
			salvage_put(s, &r);
}

static void take_base(struct salvage *s, const struct salvage_place *place, struct base *b)
{
	b->map = salvage_map(s, place->dir, INDEX_FILE, &b->size);
	if (b->map)
		read_header(s, place, b);
	if (b->header) {
		s->counters = b->header->counters;
		s->has_counters = s->counters_are_newest = true;
		s->serial = b->header->serial;
		take_names(s, b);
		take_records(s, b);
		return;
	}
	s->base_lost = s->damaged = true;
	if (b->map && b->size)
		take_loose_records(s, b);
}

/* ---- all of it ----------------------------------------------------------------------------------- */

static void take_files_of_header(struct salvage *s, const struct salvage_place *place,
				 const struct index_header *h)
{
	if (h->annot_generation)
		salvage_annotations(s, place, h->annot_generation);
	salvage_journal(s, place, h->generation, h->counters.last_uid);
	if (cache_is_there(place->dir, h->cache_generation, place->id))
		s->cache_generation = h->cache_generation;
}

static void take_newest_files(struct salvage *s, const struct salvage_place *place,
			      const struct generations *g)
{
	char name[32];

	if (g->annots)
		salvage_annotations(s, place, g->annots);
	if (g->journal > 1) {
		journal_name(g->journal - 1, name);
		if (faccessat(place->dir, name, F_OK, 0) == 0)
			salvage_journal(s, place, g->journal - 1, 0);
	}
	if (g->journal)
		salvage_journal(s, place, g->journal, 0);
	if (g->cache && cache_is_there(place->dir, g->cache, place->id))
		s->cache_generation = g->cache;
}

void salvage_directory(const struct salvage_place *place, struct salvage *out)
{
	struct generations g;
	struct base b = {0};

	memset(out, 0, sizeof(*out));
	g = look_for_generations(out, place->dir);
	out->pool = pool_new();
	history_init(&out->history);
	take_base(out, place, &b);
	out->generation = b.header && b.header->generation > g.all ? b.header->generation : g.all;
	if (b.header)
		take_files_of_header(out, place, b.header);
	else
		take_newest_files(out, place, &g);
	if (out->base_lost && !out->base_was_empty) {
		salvage_add_range(&out->lost, 1, UINT32_MAX, 0);
		out->names_lost = true;
	}
	if (out->n_orphans)
		qsort(out->orphans, out->n_orphans, sizeof(out->orphans[0]), compare_orphans);
	salvage_check_annotations(out);
	salvage_unmap(b.map, b.size);
}
