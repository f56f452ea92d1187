/* sums.c - see sums.h. */
#include "reconcile/sums.h"

#include <inttypes.h>
#include <stdio.h>

#include "server/base/buf.h"
#include "server/base/mem.h"

static const struct {
	uint32_t flag;
	const char *name; /* lower case, as it is summed */
} system_flags[] = {
	{FLAG_DELETED, "\\deleted"}, {FLAG_ANSWERED, "\\answered"}, {FLAG_FLAGGED, "\\flagged"},
	{FLAG_DRAFT, "\\draft"},     {FLAG_SEEN, "\\seen"},
};

static uint32_t keyword_crc(struct span name)
{
	struct buf lower = BUF_INIT;
	uint32_t crc;

	for (size_t i = 0; i < name.len; i++)
		buf_add_char(&lower, (char)us_lower((unsigned char)name.ptr[i]));
	crc = us_crc32(buf_span(&lower));
	buf_free(&lower);
	return crc;
}

static uint32_t flags_crc(const struct state_record *r)
{
	uint32_t crc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(system_flags); i++)
		if (r->system_flags & system_flags[i].flag)
			crc ^= us_crc32(span_of(system_flags[i].name));
	for (size_t i = 0; i < r->n_keywords; i++)
		crc ^= keyword_crc(r->keywords[i]);
	return crc;
}

static uint32_t basic_crc(const struct state_record *r)
{
	char text[160], hex[GUID_HEX];
	int len;

	guid_format(&r->guid, hex);
	len = snprintf(text, sizeof(text),
		       "%" PRIu32 " %" PRIu64 " %" PRId64 " (%" PRIu32 ") %" PRId64 " %s", r->uid,
		       r->modseq, r->last_updated, flags_crc(r), r->internaldate, hex);
	return us_crc32(span_make(text, (size_t)len));
}

static uint32_t annotation_crc(uint32_t uid, struct span entry, struct span userid,
			       struct span value)
{
	struct buf text = BUF_INIT;
	uint32_t crc;

	buf_printf(&text, "%" PRIu32 " ", uid);
	buf_add_span(&text, entry);
	buf_add_char(&text, ' ');
	buf_add_span(&text, userid);
	buf_add_char(&text, ' ');
	buf_add_span(&text, value);
	crc = us_crc32(buf_span(&text));
	buf_free(&text);
	return crc;
}

/* thrid without the leading zeros it has on the wire. */
static uint32_t virtual_crc(const struct state_record *r)
{
	static const char prefix[] = "/vendor/cmu/cyrus-imapd/";
	char thrid[24] = "", savedate[24] = "", createdmodseq[24] = "", entry[64];
	const struct {
		const char *name, *value;
	} all[] = {
		{"thrid", thrid},
		{"savedate", savedate},
		{"createdmodseq", createdmodseq},
	};
	uint32_t crc = 0;

	if (r->thrid)
		snprintf(thrid, sizeof(thrid), "%" PRIx64, r->thrid);
	if (r->savedate)
		snprintf(savedate, sizeof(savedate), "%" PRId64, r->savedate);
	if (r->createdmodseq)
		snprintf(createdmodseq, sizeof(createdmodseq), "%" PRIu64, r->createdmodseq);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		snprintf(entry, sizeof(entry), "%s%s", prefix, all[i].name);
		if (all[i].value[0])
			crc ^= annotation_crc(r->uid, span_of(entry), SPAN_LIT(""),
					      span_of(all[i].value));
	}
	return crc;
}

void sums_add(struct sums *s, const struct state_record *r)
{
	if (r->expunged)
		return;
	s->basic ^= basic_crc(r);
	s->annot ^= virtual_crc(r);
	for (size_t i = 0; i < r->n_annotations; i++)
		s->annot ^= annotation_crc(r->uid, r->annotations[i].entry,
					   r->annotations[i].userid, r->annotations[i].value);
}

struct sums sums_said(const struct state_mailbox *m)
{
	return (struct sums){m->sync_crc, m->has_sync_crc_annot ? m->sync_crc_annot : 0};
}

bool sums_agree(struct sums a, struct sums b)
{
	return (!a.basic || !b.basic || a.basic == b.basic) &&
	       (!a.annot || !b.annot || a.annot == b.annot);
}
