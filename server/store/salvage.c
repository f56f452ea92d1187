/* salvage.c - see salvage.h. */
#include "server/store/salvage.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/io.h"
#include "server/base/mem.h"
#include "server/store/index.h"
#include "server/store/journal.h"

void salvage_fini(struct salvage *s)
{
	free(s->records);
	annots_fini(&s->annots);
	pool_free(&s->pool);
	memset(s, 0, sizeof(*s));
}

static size_t lower_bound(const struct salvage *s, uint32_t uid)
{
	size_t low = 0, high = s->n;

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
	size_t at = lower_bound(s, uid);

	return at < s->n && s->records[at].uid == uid ? &s->records[at] : NULL;
}

void salvage_put(struct salvage *s, const struct record *r)
{
	size_t at = lower_bound(s, r->uid);

	if (at == s->n || s->records[at].uid != r->uid) {
		us_grow(&s->records, s->n, &s->cap, sizeof(s->records[0]));
		memmove(&s->records[at + 1], &s->records[at], (s->n - at) * sizeof(s->records[0]));
		s->n++;
	}
	s->records[at] = *r;
}

static void name_flag(struct salvage *s, unsigned bit, struct span name)
{
	flag_names_set(&s->names, bit, pool_span(s->pool, name));
}

/* ---- the base ---------------------------------------------------------------------------------- */

static void take_sound_index(struct salvage *s, int dir, const struct storeid *id,
			     struct index_base *base)
{
	struct flag_names *names = us_calloc(1, sizeof(*names));

	index_flag_names(base, names);
	for (unsigned bit = 0; bit < USER_FLAGS; bit++)
		if (names->bit[bit].name.ptr)
			name_flag(s, bit, names->bit[bit].name);
	free(names);
	for (uint64_t i = 0; i < base->n_records; i++) {
		const struct record *r = index_record(base, i);
		if (r)
			salvage_put(s, r);
		else
			s->bad_records++;
	}
	if (base->header->annot_generation &&
	    annots_load(&s->annots, dir, base->header->annot_generation, id, NULL) < 0)
		s->index_was_bad = true;
	s->counters = base->header->counters;
	s->has_counters = true;
	s->serial = base->header->serial;
	s->generation = base->header->generation;
}

/* The header is of no use: look for records wherever one could begin. A record is recognised by its checksum. */
static void take_loose_records(struct salvage *s, int dir)
{
	struct stat st;
	const char *map;
	int fd = openat(dir, INDEX_FILE, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size == 0) {
		if (fd >= 0)
			close(fd);
		return;
	}
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		return;
	for (size_t at = 4096; at + sizeof(struct record) <= (size_t)st.st_size; at += 8) {
		struct record r;
		memcpy(&r, map + at, sizeof(r));
		if (!r.uid || !record_is_sound(&r))
			continue;
		salvage_put(s, &r);
		at += sizeof(r) - 8;
	}
	munmap((void *)map, (size_t)st.st_size);
}

static void take_base(struct salvage *s, int dir, const struct storeid *id)
{
	struct index_base base;

	if (index_open(dir, &base, NULL) == 0) {
		take_sound_index(s, dir, id, &base);
		index_close(&base);
	} else {
		s->index_was_bad = true;
		take_loose_records(s, dir);
	}
}

/* ---- journals ---------------------------------------------------------------------------------- */

static void take_op(struct salvage *s, const struct journal_op *op)
{
	const struct op_record *record = (const void *)op;
	const struct op_flags *flags = (const void *)op;
	const struct op_unlink *unlink_op = (const void *)op;
	const struct op_flagname *name = (const void *)op;
	struct span entry, userid, value;
	struct record *r;

	switch (op->kind) {
	case OP_RECORD:
		if (record_is_sound(&record->record))
			salvage_put(s, &record->record);
		else
			s->bad_records++;
		break;
	case OP_FLAGS:
		r = salvage_find(s, flags->uid);
		if (!r)
			break;
		r->system_flags = flags->system_flags;
		r->internal_flags = flags->internal_flags;
		r->modseq = flags->modseq;
		r->last_updated = flags->last_updated;
		memcpy(r->user_flags, flags->user_flags, sizeof(r->user_flags));
		break;
	case OP_UNLINK:
		for (size_t i = lower_bound(s, unlink_op->low);
		     i < s->n && s->records[i].uid <= unlink_op->high;) {
			memmove(&s->records[i], &s->records[i + 1],
				(s->n - i - 1) * sizeof(s->records[0]));
			s->n--;
		}
		annots_drop(&s->annots, unlink_op->low, unlink_op->high);
		break;
	case OP_FLAGNAME:
		if (name->length)
			name_flag(s, name->bit, span_make(name->name, name->length));
		break;
	case OP_ANNOT:
		if (op_annot_parts((const void *)op, &entry, &userid, &value))
			annots_put(&s->annots, ((const struct op_annot *)op)->uid, entry, userid,
				   value, ((const struct op_annot *)op)->modseq);
		break;
	case OP_COUNTERS:
		s->counters = ((const struct op_counters *)op)->counters;
		s->has_counters = true;
		break;
	default:
		break;
	}
}

static void take_frame(struct salvage *s, const struct journal_frame *frame)
{
	const struct journal_op *op = NULL;
	bool bad;

	while ((op = journal_op_next(frame, op, &bad)))
		take_op(s, op);
}

/* Where the last complete commit ends. */
static uint64_t last_commit(struct journal *j)
{
	struct journal_position at = journal_start(j);
	const struct journal_frame *frame;
	uint64_t end = at.offset;

	while (journal_next(j, &at, UINT64_MAX, &frame, NULL) > 0)
		if (frame->flags & FRAME_COMMIT)
			end = at.offset;
	return end;
}

static void take_journal(struct salvage *s, int dir, uint32_t generation, const struct storeid *id)
{
	const struct journal_frame *frame;
	struct journal_position at;
	struct journal j;
	uint64_t end;

	if (journal_open(dir, generation, id, false, &j, NULL) < 0) {
		s->index_was_bad = true;
		return;
	}
	end = last_commit(&j);
	at = journal_start(&j);
	while (journal_next(&j, &at, end, &frame, NULL) > 0) {
		take_frame(s, frame);
		if (frame->serial > s->serial)
			s->serial = frame->serial;
	}
	/* What the journal had published and the chain does not reach is lost. */
	if (journal_publish_end(&j) > end)
		s->index_was_bad = true;
	journal_close(&j);
}

static uint32_t highest_journal(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	uint32_t highest = 0;

	while (d && (entry = readdir(d))) {
		uint64_t n;
		if (span_starts(span_of(entry->d_name), "mbox.jnl.") &&
		    span_u64(span_from(span_of(entry->d_name), strlen("mbox.jnl.")), UINT32_MAX,
			     &n) &&
		    n > highest)
			highest = (uint32_t)n;
	}
	if (d)
		closedir(d);
	return highest;
}

void salvage_directory(int dir, const struct storeid *id, struct salvage *out)
{
	uint32_t journal = highest_journal(dir);

	memset(out, 0, sizeof(*out));
	out->pool = pool_new();
	take_base(out, dir, id);
	if (out->generation)
		take_journal(out, dir, out->generation, id);
	else if (journal)
		take_journal(out, dir, journal,
			     id); /* its base is gone; records in it are whole all the same */
	if (journal > out->generation)
		out->generation = journal;
	out->index_was_bad |= out->bad_records > 0;
}
