/* view.c - see view.h. */
#include "server/store/view.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"

/* ---- the records ------------------------------------------------------------------------------- */

static size_t slot_of(const struct view *v, uint32_t uid)
{
	size_t i = (uid * 2654435761u) & (v->n_slots - 1);

	while (v->slots[i] && v->changed[v->slots[i] - 1].uid != uid)
		i = (i + 1) & (v->n_slots - 1);
	return i;
}

static struct record *find_changed(const struct view *v, uint32_t uid)
{
	size_t i;

	if (!v->n_changed)
		return NULL;
	i = slot_of(v, uid);
	return v->slots[i] ? &v->changed[v->slots[i] - 1] : NULL;
}

static void rehash(struct view *v)
{
	v->n_slots = v->n_slots ? v->n_slots * 2 : 64;
	free(v->slots);
	v->slots = us_calloc(v->n_slots, sizeof(v->slots[0]));
	for (size_t i = 0; i < v->n_changed; i++)
		v->slots[slot_of(v, v->changed[i].uid)] = (uint32_t)i + 1;
}

static size_t appended_bound(const struct view *v, uint32_t uid)
{
	size_t low = 0, high = v->n_appended;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (v->appended[middle].uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static const struct record *find_base(struct view *v, uint32_t uid)
{
	uint64_t i = index_lower_bound(&v->base, uid);
	const struct record *r;

	if (i == v->base.n_records)
		return NULL;
	r = index_record(&v->base, i);
	if (!r)
		v->corrupt = true;
	return r && r->uid == uid ? r : NULL;
}

/* The UID of a damaged record may be another's; one that its neighbours leave room for is its own. */
static bool uid_is_in_place(const struct view *v, uint64_t i)
{
	const struct record *r = &v->base.records[i];

	return (i == 0 || r[-1].uid < r->uid) && (i + 1 == v->base.n_records || r->uid < r[1].uid);
}

/* As the journal has left it: NULL if it is damaged and the journal has no other. */
static const struct record *base_record(struct view *v, uint64_t i)
{
	const struct record *r = index_record(&v->base, i), *changed = NULL;

	if (r || uid_is_in_place(v, i))
		changed = find_changed(v, v->base.records[i].uid);
	return changed ? changed : r;
}

static const struct record *find_any(struct view *v, uint32_t uid)
{
	const struct record *r;
	size_t at;

	if (uid > v->base_max_uid) {
		at = appended_bound(v, uid);
		return at < v->n_appended && v->appended[at].uid == uid ? &v->appended[at] : NULL;
	}
	r = find_changed(v, uid);
	return r ? r : find_base(v, uid);
}

const struct record *view_find(struct view *v, uint32_t uid)
{
	const struct record *r = find_any(v, uid);

	return r && !(r->internal_flags & RECORD_GONE) ? r : NULL;
}

static void note_run(struct view *v, uint32_t uid)
{
	uint64_t run = index_lower_bound(&v->base, uid) / VIEW_RUN;

	if (!v->changed_runs)
		v->changed_runs = us_calloc(v->base.n_records / VIEW_RUN / 8 + 1, 1);
	v->changed_runs[run / 8] |= (uint8_t)(1u << run % 8);
}

static bool run_is_changed(const struct view *v, uint64_t i)
{
	uint64_t run = i / VIEW_RUN;

	return v->changed_runs && v->changed_runs[run / 8] & 1u << run % 8;
}

/* A copy in memory of the record, to be changed; NULL: there is none. */
static struct record *make_writable(struct view *v, uint32_t uid)
{
	const struct record *r = find_any(v, uid);

	if (!r || uid > v->base_max_uid || find_changed(v, uid))
		return (struct record *)r; /* ours already */
	if ((v->n_changed + 1) * 2 > v->n_slots)
		rehash(v);
	us_grow(&v->changed, v->n_changed, &v->cap_changed, sizeof(v->changed[0]));
	v->changed[v->n_changed++] = *r;
	v->slots[slot_of(v, uid)] = (uint32_t)v->n_changed;
	note_run(v, uid);
	return &v->changed[v->n_changed - 1];
}

static int put_record(struct view *v, const struct record *record, struct us_err *err)
{
	struct record *r;

	if (!record_is_sound(record))
		return us_fail(err, US_ECORRUPT, "record %u in the journal: wrong checksum",
			       record->uid);
	r = make_writable(v, record->uid);
	if (r) {
		*r = *record;
		return 0;
	}
	if (record->uid <= v->base_max_uid ||
	    (v->n_appended && record->uid <= v->appended[v->n_appended - 1].uid))
		return us_fail(err, US_ECORRUPT, "uid %u is appended below the highest",
			       record->uid);
	us_grow(&v->appended, v->n_appended, &v->cap_appended, sizeof(v->appended[0]));
	v->appended[v->n_appended++] = *record;
	return 0;
}

/* ---- walking ----------------------------------------------------------------------------------- */

struct view_walk view_walk(const struct view *v, uint32_t from_uid)
{
	return (struct view_walk){index_lower_bound(&v->base, from_uid),
				  appended_bound(v, from_uid), 0};
}

struct view_walk view_walk_since(const struct view *v, uint32_t from_uid, uint64_t since)
{
	struct view_walk walk = view_walk(v, from_uid);

	walk.since = since;
	return walk;
}

/* Records that are old in the base still matter if one of them changed in the journal. */
static void pass_old_runs(const struct view *v, struct view_walk *walk)
{
	while (walk->since && walk->base < v->base.n_records && walk->base % VIEW_RUN == 0 &&
	       !run_is_changed(v, walk->base) &&
	       index_block_modseq(&v->base, walk->base) <= walk->since)
		walk->base += VIEW_RUN;
}

const struct record *view_next(struct view *v, struct view_walk *walk)
{
	const struct record *r;

	for (;;) {
		pass_old_runs(v, walk);
		if (walk->base < v->base.n_records) {
			r = base_record(v, walk->base++);
			if (!r)
				v->corrupt = true;
		} else if (walk->appended < v->n_appended) {
			r = &v->appended[walk->appended++];
		} else {
			return NULL;
		}
		if (r && !(r->internal_flags & RECORD_GONE))
			return r;
	}
}

bool view_is_sound(struct view *v)
{
	struct view_walk walk = view_walk(v, 1);

	while (view_next(v, &walk))
		;
	return !v->corrupt;
}

const struct record *view_next_live(struct view *v, struct view_walk *walk)
{
	const struct record *r;

	do
		r = view_next(v, walk);
	while (r && !record_is_live(r));
	return r;
}

void view_find_first_unseen(struct view *v)
{
	struct view_walk walk;
	const struct record *r;
	uint32_t seq = 0;

	v->counters.first_unseen_uid = v->counters.first_unseen_seq = 0;
	if (!v->counters.unseen)
		return;
	walk = view_walk(v, 1);
	while ((r = view_next_live(v, &walk))) {
		seq++;
		if (r->system_flags & FLAG_SEEN)
			continue;
		v->counters.first_unseen_uid = r->uid;
		v->counters.first_unseen_seq = seq;
		return;
	}
}

/* ---- ops --------------------------------------------------------------------------------------- */

static int apply_flags(struct view *v, const struct op_flags *op, struct us_err *err)
{
	struct record *r = make_writable(v, op->uid);

	if (!r)
		return us_fail(err, US_ECORRUPT, "flags of uid %u, which is not there", op->uid);
	r->system_flags = op->system_flags;
	r->internal_flags = op->internal_flags;
	r->modseq = op->modseq;
	r->last_updated = op->last_updated;
	memcpy(r->user_flags, op->user_flags, sizeof(r->user_flags));
	return 0;
}

static int apply_unlink(struct view *v, const struct op_unlink *op)
{
	struct view_walk walk = view_walk(v, op->low);
	const struct record *r;

	while ((r = view_next(v, &walk)) && r->uid <= op->high)
		make_writable(v, r->uid)->internal_flags |= RECORD_GONE;
	annots_drop(&v->annots, op->low, op->high);
	return 0;
}

static int apply_cacheref(struct view *v, const struct op_cacheref *op, struct us_err *err)
{
	struct record *r = make_writable(v, op->uid);

	if (!r)
		return us_fail(err, US_ECORRUPT, "cache of uid %u, which is not there", op->uid);
	r->cache_offset = op->offset;
	r->cache_length = op->length;
	r->cache_crc = op->crc;
	r->cache_version = op->version;
	return 0;
}

static void apply_flagname(struct view *v, const struct op_flagname *op)
{
	if (!v->name_pool)
		v->name_pool = pool_new();
	if (op->length)
		flag_names_set(&v->names, op->bit,
			       pool_span(v->name_pool, span_make(op->name, op->length)));
	else
		memset(&v->names.bit[op->bit], 0, sizeof(v->names.bit[0]));
}

static void apply_annot(struct view *v, const struct op_annot *op)
{
	struct span entry, userid, value;

	if (op_annot_parts(op, &entry, &userid, &value))
		annots_put(&v->annots, op->uid, entry, userid, value, op->modseq);
}

int view_apply(struct view *v, const struct journal_op *op, uint64_t serial, struct us_err *err)
{
	v->tail_ops += op->kind !=
		       OP_FLAGHIST; /* which is no work, and is there again after a compaction */
	switch (op->kind) {
	case OP_RECORD:
		return put_record(v, &((const struct op_record *)op)->record, err);
	case OP_FLAGS:
		return apply_flags(v, (const void *)op, err);
	case OP_UNLINK:
		return apply_unlink(v, (const void *)op);
	case OP_CACHEREF:
		return apply_cacheref(v, (const void *)op, err);
	case OP_FLAGNAME:
		apply_flagname(v, (const void *)op);
		return 0;
	case OP_ANNOT:
		apply_annot(v, (const void *)op);
		return 0;
	case OP_META:
		v->meta_serial = serial;
		return 0;
	case OP_COUNTERS:
		v->counters = ((const struct op_counters *)op)->counters;
		return 0;
	case OP_FLAGHIST:
		return 0;
	default:
		return us_fail(err, US_ECORRUPT, "an op of kind %u in the journal", op->kind);
	}
}

int view_take_frame(struct view *v, const struct journal_frame *frame,
		    struct journal_position after, struct us_err *err)
{
	const struct journal_op *op = NULL;
	bool bad;
	int rc;

	while ((op = journal_op_next(frame, op, &bad))) {
		rc = view_apply(v, op, frame->serial, err);
		if (rc < 0)
			return rc;
	}
	if (bad)
		return us_fail(err, US_ECORRUPT, "a malformed op in frame %llu",
			       (unsigned long long)frame->serial);
	v->at = after;
	return 0;
}

/* ---- opening ----------------------------------------------------------------------------------- */

/* What comes later is above it. A damaged record at the end may claim any UID, but none above the last one given. */
static uint32_t highest_in(const struct index_base *base)
{
	const struct record *last = base->records + base->n_records - 1;

	if (!base->n_records)
		return 0;
	return record_is_sound(last) ? last->uid : base->header->counters.last_uid;
}

int view_open_base(struct view *v, int dir, const struct storeid *storeid, bool writable,
		   struct us_err *err)
{
	int rc;

	memset(v, 0, sizeof(*v));
	v->journal.fd = -1;
	rc = index_open(dir, &v->base, err);
	if (rc < 0)
		return rc;
	if (storeid_cmp(&v->base.header->storeid, storeid) != 0)
		rc = us_fail(err, US_ECORRUPT, INDEX_FILE " is another mailbox's");
	if (rc == 0)
		rc = journal_open(dir, v->base.header->generation, storeid, writable, &v->journal,
				  err);
	if (rc == 0 && v->base.header->annot_generation)
		rc = annots_load(&v->annots, dir, v->base.header->annot_generation, storeid, err);
	if (rc < 0) {
		view_close(v);
		return rc;
	}
	v->counters = v->base.header->counters;
	index_flag_names(&v->base, &v->names);
	v->at = journal_start(&v->journal);
	v->base_max_uid = highest_in(&v->base);
	return 0;
}

int view_open(struct view *v, int dir, const struct storeid *storeid, bool writable,
	      uint64_t boot_tag, uint64_t epoch, struct us_err *err)
{
	int rc = view_open_base(v, dir, storeid, writable, err);

	if (rc < 0)
		return rc;
	if (journal_word(&v->journal.header->boot_tag) != boot_tag ||
	    journal_word(&v->journal.header->epoch) != epoch)
		rc = us_fail(err, US_ECHANGED, "the journal is not recovered yet");
	else
		rc = view_advance(v, err);
	if (rc < 0)
		view_close(v);
	return rc < 0 ? rc : 0;
}

void view_close(struct view *v)
{
	index_close(&v->base);
	journal_close(&v->journal);
	annots_fini(&v->annots);
	pool_free(&v->name_pool);
	free(v->appended);
	free(v->changed);
	free(v->changed_runs);
	free(v->slots);
	memset(v, 0, sizeof(*v));
	v->journal.fd = -1;
}

int view_advance(struct view *v, struct us_err *err)
{
	uint64_t end = journal_publish_end(&v->journal);
	struct journal_position at = v->at;
	const struct journal_frame *frame;
	int rc;

	if (end == at.offset)
		return 0;
	while (at.offset != end) {
		rc = journal_next(&v->journal, &at, end, &frame, err);
		if (rc < 0)
			return rc;
		if (rc == 0)
			return us_fail(err, US_ECORRUPT, "no valid frame at %llu of the journal",
				       (unsigned long long)at.offset);
		rc = view_take_frame(v, frame, at, err);
		if (rc < 0)
			return rc;
	}
	return 1;
}
