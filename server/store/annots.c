/* annots.c - see annots.h. */
#include "server/store/annots.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/io.h"
#include "server/base/mem.h"
#include "server/store/mend.h"

#define MAGIC     "USANN1\r\n"
#define VERSION   1
#define MOST_FILE ((size_t)1 << 32)

void annots_fini(struct annots *a)
{
	pool_free(&a->pool);
	free(a->uids);
	free(a->items);
	memset(a, 0, sizeof(*a));
}

static int compare(const struct annots *a, size_t i, uint32_t uid, struct span entry,
		   struct span userid)
{
	int order;

	if (a->uids[i] != uid)
		return a->uids[i] < uid ? -1 : 1;
	order = span_cmp(a->items[i].entry, entry);
	return order ? order : span_cmp(a->items[i].userid, userid);
}

/* The first place not before (uid, entry, user). */
static size_t lower_bound(const struct annots *a, uint32_t uid, struct span entry,
			  struct span userid)
{
	size_t low = 0, high = a->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (compare(a, middle, uid, entry, userid) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct state_annotation *annots_of(const struct annots *a, uint32_t uid, size_t *n_out)
{
	size_t from = lower_bound(a, uid, SPAN_NULL, SPAN_NULL), to = from;

	while (to < a->n && a->uids[to] == uid)
		to++;
	*n_out = to - from;
	return to > from ? &a->items[from] : NULL;
}

const struct state_annotation *annots_find(const struct annots *a, uint32_t uid, struct span entry,
					   struct span userid)
{
	size_t at = lower_bound(a, uid, entry, userid);

	return at < a->n && compare(a, at, uid, entry, userid) == 0 ? &a->items[at] : NULL;
}

static void remove_range(struct annots *a, size_t from, size_t to)
{
	if (from == to)
		return;
	memmove(a->items + from, a->items + to, (a->n - to) * sizeof(a->items[0]));
	memmove(a->uids + from, a->uids + to, (a->n - to) * sizeof(a->uids[0]));
	a->n -= to - from;
}

static void make_room(struct annots *a, size_t at)
{
	us_grow(&a->items, a->n, &a->cap, sizeof(a->items[0]));
	us_grow(&a->uids, a->n, &a->cap_uids, sizeof(a->uids[0]));
	memmove(a->items + at + 1, a->items + at, (a->n - at) * sizeof(a->items[0]));
	memmove(a->uids + at + 1, a->uids + at, (a->n - at) * sizeof(a->uids[0]));
	a->n++;
}

void annots_put(struct annots *a, uint32_t uid, struct span entry, struct span userid,
		struct span value, uint64_t modseq)
{
	size_t at = lower_bound(a, uid, entry, userid);
	bool there = at < a->n && compare(a, at, uid, entry, userid) == 0;

	if (!value.ptr) {
		if (there)
			remove_range(a, at, at + 1);
		return;
	}
	if (!a->pool)
		a->pool = pool_new();
	if (!there) {
		make_room(a, at);
		a->uids[at] = uid;
		a->items[at].entry = pool_span(a->pool, entry);
		a->items[at].userid = pool_span(a->pool, userid.ptr ? userid : SPAN_LIT(""));
	}
	a->items[at].value = pool_span(a->pool, value);
	a->items[at].modseq = modseq;
}

void annots_drop(struct annots *a, uint32_t low, uint32_t high)
{
	size_t from = lower_bound(a, low, SPAN_NULL, SPAN_NULL), to = from;

	while (to < a->n && a->uids[to] <= high)
		to++;
	remove_range(a, from, to);
}

void annots_encode(struct buf *out, uint32_t uid, struct span entry, struct span userid,
		   struct span value, uint64_t modseq)
{
	size_t text = entry.len + userid.len + value.len, padding = (8 - text % 8) % 8;
	struct op_annot op = {
		.op = {OP_ANNOT, 0, (uint32_t)(sizeof(op) + text + padding)},
		.uid = uid,
		.entry_length = (uint16_t)entry.len,
		.user_length = (uint16_t)userid.len,
		.modseq = modseq,
		.value_length = value.ptr ? (uint32_t)value.len : OP_ANNOT_REMOVED,
	};

	us_assert(entry.len <= UINT16_MAX && userid.len <= UINT16_MAX &&
		  value.len < OP_ANNOT_REMOVED);
	buf_add(out, &op, sizeof(op));
	buf_add_span(out, entry);
	buf_add_span(out, userid);
	buf_add_span(out, value);
	buf_add(out, "\0\0\0\0\0\0\0", padding);
}

/* ---- the base file (doc/FORMATS.md 4) ---------------------------------------------------------- */

struct annots_header {
	char magic[8];
	uint32_t version, generation;
	struct storeid storeid;
	uint64_t n, length;
	uint32_t entries_crc, crc;
	uint64_t reserved;
};
static_assert(sizeof(struct annots_header) == 64, "doc/FORMATS.md 4");

void annots_name(uint32_t generation, char out[32])
{
	snprintf(out, 32, "mbox.ann.%u", generation);
}

static bool header_is_sound(const struct annots_header *h, uint32_t generation,
			    const struct storeid *storeid, struct span entries)
{
	return memcmp(h->magic, MAGIC, 8) == 0 &&
	       h->crc == us_crc32c(0, h, offsetof(struct annots_header, crc)) &&
	       h->version == VERSION && h->generation == generation &&
	       storeid_cmp(&h->storeid, storeid) == 0 && h->length == entries.len &&
	       h->entries_crc == us_crc32c(0, entries.ptr, entries.len);
}

static bool put_entries(struct annots *a, struct span entries)
{
	while (entries.len) {
		const struct op_annot *op = (const void *)entries.ptr;
		struct span entry, userid, value;
		if (entries.len < sizeof(*op) || op->op.kind != OP_ANNOT ||
		    op->op.length > entries.len || op->op.length < sizeof(*op) ||
		    op->op.length % 8 || !op_annot_parts(op, &entry, &userid, &value))
			return false;
		annots_put(a, op->uid, entry, userid, value, op->modseq);
		entries = span_from(entries, op->op.length);
	}
	return true;
}

int annots_load(struct annots *a, int dir, uint32_t generation, const struct storeid *storeid,
		struct us_err *err)
{
	struct buf file = BUF_INIT;
	struct span entries;
	char name[32];
	int rc;

	annots_name(generation, name);
	rc = io_read_file(dir, name, MOST_FILE, &file, err);
	if (rc < 0)
		goto out;
	entries = span_from(buf_span(&file), sizeof(struct annots_header));
	if (file.len < sizeof(struct annots_header) ||
	    !header_is_sound((const void *)file.data, generation, storeid, entries) ||
	    !put_entries(a, entries))
		rc = us_fail(err, US_ECORRUPT, "%s is damaged", name);
out:
	buf_free(&file);
	return rc;
}

/* Entries that look whole, wherever they begin. */
static void put_loose_entries(struct annots *a, struct span entries)
{
	struct span entry, userid, value;

	for (size_t at = 0; at + sizeof(struct op_annot) <= entries.len; at += 8) {
		const struct op_annot *op = (const void *)(entries.ptr + at);
		if (op->op.kind != OP_ANNOT || op->op.flags || op->op.length % 8 ||
		    op->op.length < sizeof(*op) || op->op.length > entries.len - at || !op->uid ||
		    !op_annot_parts(op, &entry, &userid, &value) || !value.ptr)
			continue;
		annots_put(a, op->uid, entry, userid, value, op->modseq);
		at += op->op.length - 8;
	}
}

/* Sums that are not right are made right by a bit, if that does it. */
static bool mend_file(struct buf *file, struct span entries)
{
	struct annots_header *h = (void *)file->data;
	uint32_t is = us_crc32c(0, h, offsetof(struct annots_header, crc));

	if (is != h->crc &&
	    !mend_bit(h, offsetof(struct annots_header, crc), MEND_NO_HOLE, is, h->crc))
		return false;
	h->crc = us_crc32c(0, h, offsetof(struct annots_header, crc));
	is = us_crc32c(0, entries.ptr, entries.len);
	if (is == h->entries_crc)
		return true;
	return h->length == entries.len &&
	       mend_bit((void *)entries.ptr, entries.len, MEND_NO_HOLE, is, h->entries_crc);
}

bool annots_load_damaged(struct annots *a, int dir, uint32_t generation,
			 const struct storeid *storeid)
{
	struct buf file = BUF_INIT;
	struct span entries;
	char name[32];
	bool whole = false;

	annots_name(generation, name);
	if (io_read_file(dir, name, MOST_FILE, &file, NULL) == 0 &&
	    file.len >= sizeof(struct annots_header)) {
		const struct annots_header *h = (const void *)file.data;
		entries = span_from(buf_span(&file), sizeof(*h));
		whole = mend_file(&file, entries);
		if (whole && (storeid_cmp(&h->storeid, storeid) != 0 ||
			      h->generation != generation || h->version != VERSION))
			whole = false; /* another mailbox's */
		else if (!whole || !put_entries(a, entries))
			put_loose_entries(a, entries);
	}
	buf_free(&file);
	return whole;
}

int annots_write(const struct annots *a, int dir, uint32_t generation,
		 const struct storeid *storeid, struct us_err *err)
{
	struct annots_header h = {.version = VERSION,
				  .generation = generation,
				  .storeid = *storeid,
				  .n = a->n};
	struct buf file = BUF_INIT;
	struct span entries;
	char name[32];
	int fd = -1, rc;

	buf_add(&file, &h, sizeof(h));
	for (size_t i = 0; i < a->n; i++)
		annots_encode(&file, a->uids[i], a->items[i].entry, a->items[i].userid,
			      a->items[i].value, a->items[i].modseq);
	entries = span_from(buf_span(&file), sizeof(h));
	memcpy(h.magic, MAGIC, 8);
	h.length = entries.len;
	h.entries_crc = us_crc32c(0, entries.ptr, entries.len);
	h.crc = us_crc32c(0, &h, offsetof(struct annots_header, crc));
	memcpy(file.data, &h, sizeof(h));

	annots_name(generation, name);
	rc = io_open(FP("store.annots.create"), dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0600, &fd,
		     err);
	if (rc == 0)
		rc = io_write(FP("store.annots.write"), fd, file.data, file.len, err);
	if (rc == 0)
		rc = io_fsync(FP("store.annots.sync"), fd, err);
	io_close(&fd);
	buf_free(&file);
	return rc;
}
