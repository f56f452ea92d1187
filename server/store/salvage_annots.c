/* salvage_annots.c - message annotations, where their file is damaged.
 *
 * The file has one sum for all of it. But each record carries the sum of its own annotations (annot_crc), and records are
 * checked one by one: once the journal has been taken in, the annotations of a message are right if they come to the sum
 * its record says. Those of other messages are lost.
 */
#include "server/store/salvage_private.h"

void salvage_annotations(struct salvage *s, const struct salvage_place *place, uint32_t generation)
{
	struct us_err err;
	int rc = annots_load(&s->annots, place->dir, generation, place->id, &err);

	if (rc == 0)
		return;
	if (rc != US_ENOENT && rc != US_ECORRUPT)
		salvage_note_unread(s, &err);
	s->damaged = true;
	if (annots_load_damaged(&s->annots, place->dir, generation, place->id))
		s->mended++;
	else
		s->annots_are_doubtful = true;
}

static bool come_to_its_sum(const struct salvage *s, const struct record *r)
{
	const struct state_annotation *items;
	uint32_t crc = 0;
	uint64_t bytes = 0;
	size_t n;

	items = annots_of(&s->annots, r->uid, &n);
	for (size_t i = 0; i < n; i++) {
		crc ^= annotation_crc(r->uid, items[i].entry, items[i].userid, items[i].value);
		bytes += items[i].value.len;
	}
	return crc == r->annot_crc && bytes == r->annot_bytes;
}

/* Nobody vouches for what a lost record may have had. */
static void drop_unclaimed(struct salvage *s)
{
	for (size_t i = s->annots.n; i-- > 0;) {
		if (i >= s->annots.n || salvage_find(s, s->annots.uids[i]))
			continue;
		annots_drop(&s->annots, s->annots.uids[i], s->annots.uids[i]);
	}
}

void salvage_check_annotations(struct salvage *s)
{
	if (!s->annots_are_doubtful)
		return;
	for (size_t i = 0; i < s->n; i++)
		if (!come_to_its_sum(s, &s->records[i])) {
			annots_drop(&s->annots, s->records[i].uid, s->records[i].uid);
			s->bad_annots++;
		}
	drop_unclaimed(s);
}
