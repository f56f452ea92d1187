/* salvage_journal.c - what can be read of a journal, past what cannot.
 *
 * Between the header page and publish_end every byte belongs to a published frame, each right behind the other: a frame whose
 * sum does not fit is damage there, and what comes behind it is as good as ever. Behind publish_end lies at most one
 * commit that was not published, and then what earlier commits that were given up have left: there the chain is
 * followed as recovery does (recover.c) and ends where it breaks.
 *
 *	frame fits			taken, with the sum the next one starts from
 *	one bit is wrong		mended, taken
 *	more, and its length is right	passed over; the next one vouches for the place by its own sum
 *	its header is gone too		the next frame is looked for. What it starts from is not known, so it is taken
 *					only if its ops are whole and the frame behind it starts from it: bytes that a user
 *					stored as an annotation cannot do that
 *
 * Of a frame that is passed over the RECORD ops are taken: each record has a sum of its own.
 */
#include "server/store/salvage_private.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"
#include "server/store/journal_private.h"
#include "server/store/mend.h"

struct found_frame {
	uint64_t offset;
	uint32_t length;
	bool whole;
};

struct reading {
	struct salvage *s;
	const struct salvage_place *place;
	char *bytes;
	size_t size;
	uint64_t published; /* damage before this is loss */
	uint64_t limit;     /* nothing is read from here on */
	uint64_t serial;    /* of the frame before */
	uint32_t crc;       /* what the frame at `at` starts from */
	bool certain;       /* serial and crc are of the very frame before */
	bool broken;        /* something is lost */
	uint64_t at;
	struct found_frame *frames;
	size_t n, cap;
};

/* ---- the header ---------------------------------------------------------------------------------- */

static uint64_t word(const uint64_t *at)
{
	return journal_word(at);
}

/* The words are not summed: what they say is only believed where it can be. */
static void believe_words(struct reading *r, const struct journal_header *h)
{
	uint64_t end = word(&h->publish_end);
	bool same_boot = word(&h->boot_tag) == r->place->boot_tag;

	if (end >= JOURNAL_PAGE && end % 8 == 0)
		r->published = end;
	if (r->published > r->size)
		r->broken = true; /* the file was longer once */
	/* A sync had failed: what lies behind may not be on the disk. */
	if (same_boot && word(&h->epoch) != r->place->epoch)
		r->limit = r->published < r->size ? r->published : r->size;
}

/* 0: a journal that is not ours. */
static bool read_header(struct reading *r, uint32_t generation)
{
	struct journal_header *h = (void *)r->bytes;
	uint32_t is;

	r->at = r->published = JOURNAL_PAGE;
	r->limit = r->size;
	if (r->size < JOURNAL_PAGE) {
		r->broken = true;
		return true;
	}
	is = us_crc32c(0, h, offsetof(struct journal_header, crc));
	if (is != h->crc &&
	    !mend_bit(h, offsetof(struct journal_header, crc), MEND_NO_HOLE, is, h->crc)) {
		r->published = r->size; /* no salt, no serial, no words */
		r->broken = true;
		return true;
	}
	r->s->mended += is != h->crc;
	r->s->damaged |= is != h->crc;
	if (storeid_cmp(&h->storeid, r->place->id) != 0 || h->generation != generation ||
	    memcmp(h->magic, JOURNAL_MAGIC, 8) != 0 || h->version != JOURNAL_VERSION)
		return false;
	r->serial = h->base_serial;
	r->crc = us_crc32c(0, &h->salt, sizeof(h->salt));
	r->certain = true;
	r->s->base_was_empty |= h->base_serial == 0;
	believe_words(r, h);
	return true;
}

/* ---- frames -------------------------------------------------------------------------------------- */

static struct journal_frame *frame_at(const struct reading *r, uint64_t at)
{
	if (at > r->limit || r->limit - at < sizeof(struct journal_frame))
		return NULL;
	return (void *)(r->bytes + at);
}

static bool is_sane(const struct reading *r, uint64_t at)
{
	const struct journal_frame *f = frame_at(r, at);

	return f && journal_frame_is_sane(f, r->limit - at) && f->serial > r->serial;
}

static bool fits(const struct reading *r, uint64_t at, uint64_t serial, uint32_t crc)
{
	const struct journal_frame *f = frame_at(r, at);

	return is_sane(r, at) && f->serial == serial + 1 &&
	       f->crc == journal_frame_crc(f, f->length, crc);
}

static bool ops_are_whole(const struct journal_frame *f)
{
	const struct journal_op *op = NULL, *last = NULL;
	uint32_t n = 0;
	bool bad;

	while ((op = journal_op_next(f, op, &bad))) {
		last = op;
		n++;
	}
	return !bad && n == f->count &&
	       (!(f->flags & FRAME_COMMIT) || (last && last->kind == OP_COUNTERS));
}

/* Journals grow ahead of their frames, by zeros. */
static bool is_nothing_from(const struct reading *r, uint64_t at)
{
	while (at < r->limit && r->bytes[at] == 0)
		at++;
	return at == r->limit;
}

/* Does what comes behind it start from it, or is it the last one there is? */
static bool is_vouched_for(const struct reading *r, const struct journal_frame *f)
{
	uint64_t end = (uint64_t)((const char *)f - r->bytes) + f->length;

	return end == r->published || fits(r, end, f->serial, f->crc) || is_nothing_from(r, end);
}

static void note_frame(struct reading *r, uint64_t length, bool whole)
{
	us_grow(&r->frames, r->n, &r->cap, sizeof(r->frames[0]));
	r->frames[r->n++] = (struct found_frame){r->at, (uint32_t)length, whole};
}

static void take_place_behind(struct reading *r, const struct journal_frame *f)
{
	r->at += f->length;
	r->serial = f->serial;
	r->crc = f->crc;
	r->certain = true;
}

/* Where the next frame may begin; the end of what is published if there is none. */
static uint64_t look_for_frame(const struct reading *r)
{
	uint64_t end = r->published < r->limit ? r->published : r->limit;

	for (uint64_t at = r->at + 8; at + sizeof(struct journal_frame) <= end; at += 8)
		if (is_sane(r, at))
			return at;
	return end;
}

static bool mend_frame(struct reading *r, uint64_t length)
{
	struct journal_frame *f = frame_at(r, r->at);
	char *as_found;
	uint32_t is;
	bool well;

	if (!f || length < sizeof(*f) || length % 8 || length > JOURNAL_LONGEST ||
	    length > r->limit - r->at)
		return false;
	as_found = us_malloc(length);
	memcpy(as_found, f, length);
	is = journal_frame_crc(f, (uint32_t)length, r->crc);
	well = mend_bit(f, length, offsetof(struct journal_frame, crc), is, f->crc);
	f->crc = journal_frame_crc(f, (uint32_t)length, r->crc);
	well = well && f->length == length && fits(r, r->at, r->serial, r->crc) && ops_are_whole(f);
	if (!well)
		memcpy(f, as_found, length);
	r->s->mended += well;
	r->s->damaged |= well;
	free(as_found);
	return well;
}

static void pass_over(struct reading *r, uint64_t next)
{
	const struct journal_frame *f = frame_at(r, r->at);

	r->broken = true;
	r->s->bad_frames += r->certain;
	if (is_sane(r, r->at) && fits(r, r->at + f->length, f->serial, f->crc)) {
		note_frame(r, f->length, false);
		take_place_behind(r, f);
		return;
	}
	note_frame(r, next - r->at, false);
	r->at = next;
	r->certain = false;
}

/* One frame, or one piece of damage. False: that is all there is. */
static bool read_frame(struct reading *r)
{
	const struct journal_frame *f = frame_at(r, r->at);
	uint64_t next;

	if (!f && r->at >= r->published)
		return false;
	if (f && r->certain && fits(r, r->at, r->serial, r->crc)) {
		note_frame(r, f->length, true);
		take_place_behind(r, f);
		return true;
	}
	if (r->at >= r->published || r->at >= r->limit)
		return false;
	if (!r->certain && is_sane(r, r->at) && ops_are_whole(f) && is_vouched_for(r, f)) {
		note_frame(r, f->length, true);
		take_place_behind(r, f);
		return true;
	}
	next = look_for_frame(r);
	if (!r->certain || !f ||
	    !((is_sane(r, r->at) && mend_frame(r, f->length)) || mend_frame(r, next - r->at)))
		pass_over(r, next);
	return true;
}

/* ---- ops ----------------------------------------------------------------------------------------- */

static void take_flags(struct salvage *s, const struct op_flags *op)
{
	struct record *r = salvage_find(s, op->uid);

	history_note(&s->history, r, &op->op);
	if (!r) {
		us_grow(&s->orphans, s->n_orphans, &s->cap_orphans, sizeof(s->orphans[0]));
		s->orphans[s->n_orphans] = *op;
		s->orphans[s->n_orphans].reserved = (uint32_t)s->n_orphans;
		s->n_orphans++;
		return;
	}
	r->system_flags = op->system_flags;
	r->internal_flags = op->internal_flags;
	r->modseq = op->modseq;
	r->last_updated = op->last_updated;
	memcpy(r->user_flags, op->user_flags, sizeof(r->user_flags));
}

static void take_cacheref(struct salvage *s, const struct op_cacheref *op)
{
	struct record *r = salvage_find(s, op->uid);

	if (!r)
		return;
	r->cache_offset = op->offset;
	r->cache_length = op->length;
	r->cache_crc = op->crc;
	r->cache_version = op->version;
}

static void take_unlink(struct salvage *s, const struct op_unlink *op, int64_t time_ns)
{
	salvage_remove(s, op->low, op->high);
	annots_drop(&s->annots, op->low, op->high);
	salvage_add_range(&s->unlinked, op->low, op->high, time_ns);
}

static void take_flagname(struct salvage *s, const struct op_flagname *op)
{
	if (op->length) {
		salvage_name_flag(s, op->bit, span_make(op->name, op->length), NAME_CERTAIN);
	} else {
		memset(&s->names.bit[op->bit], 0, sizeof(s->names.bit[0]));
		s->name_source[op->bit] = NAME_CERTAIN;
	}
}

static void take_annot(struct salvage *s, const struct op_annot *op)
{
	struct span entry, userid, value;

	if (op_annot_parts(op, &entry, &userid, &value))
		annots_put(&s->annots, op->uid, entry, userid, value, op->modseq);
}

static void take_meta(struct reading *r, const struct journal_op *op, uint64_t serial)
{
	struct salvage *s = r->s;

	if (serial <= r->place->serial)
		return;
	us_grow(&s->metas, s->n_metas, &s->cap_metas, sizeof(s->metas[0]));
	s->metas[s->n_metas].serial = serial;
	s->metas[s->n_metas++].batch =
		pool_span(s->pool, span_make(op + 1, op->length - sizeof(*op)));
}

static void take_op(struct reading *r, const struct journal_frame *f, const struct journal_op *op)
{
	struct salvage *s = r->s;
	struct record record;

	switch (op->kind) {
	case OP_RECORD:
		if (salvage_read_record(s, &((const struct op_record *)op)->record, &record)) {
			history_note(&s->history, salvage_find(s, record.uid), op);
			salvage_put(s, &record);
		}
		break;
	case OP_FLAGS:
		take_flags(s, (const void *)op);
		break;
	case OP_UNLINK:
		take_unlink(s, (const void *)op, f->time_ns);
		break;
	case OP_CACHEREF:
		take_cacheref(s, (const void *)op);
		break;
	case OP_FLAGNAME:
		take_flagname(s, (const void *)op);
		break;
	case OP_ANNOT:
		take_annot(s, (const void *)op);
		break;
	case OP_META:
		take_meta(r, op, f->serial);
		break;
	case OP_COUNTERS:
		s->counters = ((const struct op_counters *)op)->counters;
		s->has_counters = true;
		break;
	case OP_FLAGHIST:
		history_note(&s->history, NULL, op);
		break;
	default:
		break;
	}
}

static void take_whole(struct reading *r, const struct found_frame *found)
{
	const struct journal_frame *f = (const void *)(r->bytes + found->offset);
	const struct journal_op *op = NULL;
	bool bad;

	while ((op = journal_op_next(f, op, &bad)))
		take_op(r, f, op);
	if (f->serial > r->s->serial)
		r->s->serial = f->serial;
}

/* RECORD ops stand at multiples of 8, wherever the ops before them end. */
static void take_records_of(struct reading *r, const struct found_frame *found)
{
	uint64_t end = found->offset + found->length;
	struct record record;

	for (uint64_t at = found->offset; at + sizeof(struct op_record) <= end; at += 8) {
		const struct op_record *op = (const void *)(r->bytes + at);
		if (op->op.kind != OP_RECORD || op->op.length != sizeof(*op) || op->op.flags ||
		    !salvage_read_record(r->s, &op->record, &record))
			continue;
		salvage_put(r->s, &record);
		at += sizeof(*op) - 8;
	}
}

/* Everything that was published, and complete commits behind it. */
static size_t count_committed(const struct reading *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++) {
		const struct journal_frame *f = (const void *)(r->bytes + r->frames[i].offset);
		if (r->frames[i].offset < r->published ||
		    (r->frames[i].whole && f->flags & FRAME_COMMIT))
			n = i + 1;
	}
	return n;
}

static void take_frames(struct reading *r)
{
	size_t n = count_committed(r);
	bool ends_well = r->at >= r->published && r->size >= JOURNAL_PAGE;

	for (size_t i = 0; i < n; i++) {
		if (r->frames[i].whole)
			take_whole(r, &r->frames[i]);
		else
			take_records_of(r, &r->frames[i]);
		if (i == n - 1)
			ends_well &= r->frames[i].whole;
	}
	r->s->counters_are_newest =
		ends_well && (n ? r->s->has_counters : r->s->counters_are_newest);
}

void salvage_journal(struct salvage *s, const struct salvage_place *place, uint32_t generation,
		     uint32_t base_last_uid)
{
	struct reading r = {.s = s, .place = place};
	char name[32];

	journal_name(generation, name);
	r.bytes = salvage_map(s, place->dir, name, &r.size);
	if (r.bytes && read_header(&r, generation)) {
		while (read_frame(&r))
			;
		take_frames(&r);
	} else {
		r.broken = true;
		s->bad_frames++;
		s->counters_are_newest = false;
	}
	if (r.broken) {
		s->damaged = true;
		if (base_last_uid < UINT32_MAX)
			salvage_add_range(&s->lost, base_last_uid + 1, UINT32_MAX, 0);
	}
	free(r.frames);
	salvage_unmap(r.bytes, r.size);
}
