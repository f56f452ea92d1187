/* record.c - see record.h. */
#include "server/store/record.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/base/mem.h"

uint32_t record_crc(const struct record *r)
{
	return us_crc32c(0, r, offsetof(struct record, crc));
}

bool record_is_sound(const struct record *r)
{
	return r->crc == record_crc(r);
}

/* ---- flag names ------------------------------------------------------------------------------- */

int flag_names_find(const struct flag_names *names, struct span name)
{
	for (int bit = 0; bit < USER_FLAGS; bit++)
		if (names->bit[bit].name.ptr && span_eq_nocase(names->bit[bit].name, name))
			return bit;
	return -1;
}

int flag_names_free_bit(const struct flag_names *names)
{
	for (int bit = 0; bit < USER_FLAGS; bit++)
		if (!names->bit[bit].name.ptr)
			return bit;
	return -1;
}

static void add_lower(struct buf *out, struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		buf_add_char(out, (char)us_lower((unsigned char)s.ptr[i]));
}

void flag_names_set(struct flag_names *names, unsigned bit, struct span name)
{
	struct buf lower = BUF_INIT;

	us_assert(bit < USER_FLAGS);
	add_lower(&lower, name);
	names->bit[bit].name = name;
	names->bit[bit].lower_crc = us_crc32(buf_span(&lower));
	buf_free(&lower);
}

/* ---- the sums of the Cyrus protocol (csync-protocol 9) ----------------------------------------- */

static const struct {
	uint32_t flag;
	uint32_t crc;
} system_flags[] = {
	/* the values are vectors of the protocol */
	{FLAG_ANSWERED, 2050749261u}, {FLAG_DELETED, 301770925u}, {FLAG_DRAFT, 1255147686u},
	{FLAG_FLAGGED, 3986028895u},  {FLAG_SEEN, 3201761491u},
};

static uint32_t flags_crc(const struct record *r, const struct flag_names *names)
{
	uint32_t crc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(system_flags); i++)
		if (r->system_flags & system_flags[i].flag)
			crc ^= system_flags[i].crc;
	for (unsigned word = 0; word < 2; word++)
		for (uint64_t bits = r->user_flags[word]; bits; bits &= bits - 1) {
			unsigned bit = word * 64 + (unsigned)__builtin_ctzll(bits);
			if (names->bit[bit].name.ptr)
				crc ^= names->bit[bit].lower_crc;
		}
	return crc;
}

static char *put_number(char *to, uint64_t n)
{
	char digits[20];
	size_t at = sizeof(digits);

	do
		digits[--at] = (char)('0' + n % 10);
	while (n /= 10);
	memcpy(to, digits + at, sizeof(digits) - at);
	return to + sizeof(digits) - at;
}

static char *put_signed(char *to, int64_t n)
{
	if (n < 0)
		*to++ = '-';
	return put_number(to, n < 0 ? -(uint64_t)n : (uint64_t)n);
}

/* "uid modseq last_updated (flags) internaldate guid". Written by hand, for a change of 10,000 messages sums twice as
 * many records, and printf(3) takes ten times as long. */
uint32_t record_sync_crc(const struct record *r, const struct flag_names *names)
{
	char text[160], *at = text;

	if (!record_is_live(r))
		return 0;
	at = put_number(at, r->uid);
	*at++ = ' ';
	at = put_number(at, r->modseq);
	*at++ = ' ';
	at = put_signed(at, r->last_updated);
	*at++ = ' ';
	*at++ = '(';
	at = put_number(at, flags_crc(r, names));
	*at++ = ')';
	*at++ = ' ';
	at = put_signed(at, record_internaldate(r));
	*at++ = ' ';
	guid_format(&r->guid, at);
	return us_crc32(span_make(text, (size_t)(at - text) + GUID_HEX - 1));
}

uint32_t annotation_crc(uint32_t uid, struct span entry, struct span userid, struct span value)
{
	struct buf text = BUF_INIT;
	uint32_t crc;

	buf_printf(&text, "%" PRIu32 " %.*s %.*s ", uid, SPAN_ARG(entry), SPAN_ARG(userid));
	buf_add_span(&text, value);
	crc = us_crc32(buf_span(&text));
	buf_free(&text);
	return crc;
}

#define VENDOR "/vendor/cmu/cyrus-imapd/"

/* The text of a virtual annotation, "" if the record has none. */
static void thrid_text(const struct record *r, char out[24])
{
	out[0] = '\0';
	if (r->cid)
		snprintf(out, 24, "%" PRIx64, r->cid);
}

void record_emailid(const struct record *r, char out[RECORD_OBJECTID])
{
	char hex[GUID_HEX];

	guid_format(&r->guid, hex);
	snprintf(out, RECORD_OBJECTID, "M%.24s", hex);
}

bool record_threadid(const struct record *r, char out[RECORD_OBJECTID])
{
	snprintf(out, RECORD_OBJECTID, "T%016" PRIx64, r->cid);
	return r->cid != 0;
}

static void savedate_text(const struct record *r, char out[24])
{
	out[0] = '\0';
	if (r->savedate)
		snprintf(out, 24, "%" PRId64, r->savedate);
}

static void createdmodseq_text(const struct record *r, char out[24])
{
	out[0] = '\0';
	if (r->createdmodseq)
		snprintf(out, 24, "%" PRIu64, r->createdmodseq);
}

static const struct {
	const char *entry;
	void (*text)(const struct record *r, char out[24]);
} virtual_annotations[] = {
	{VENDOR "createdmodseq", createdmodseq_text},
	{VENDOR "savedate", savedate_text},
	{VENDOR "thrid", thrid_text},
};

uint32_t record_sync_crc_annot(const struct record *r)
{
	uint32_t crc = r->annot_crc;

	if (!record_is_live(r))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(virtual_annotations); i++) {
		char value[24], text[96];
		int len;
		virtual_annotations[i].text(r, value);
		if (!value[0])
			continue;
		len = snprintf(text, sizeof(text), "%" PRIu32 " %s  %s", r->uid,
			       virtual_annotations[i].entry, value);
		crc ^= us_crc32(span_make(text, (size_t)len));
	}
	return crc;
}

/* ---- counters --------------------------------------------------------------------------------- */

/* But for the sums of the Cyrus protocol. */
static void count_record(struct counters *c, const struct record *r, uint32_t sign)
{
	uint64_t wide = sign == 1 ? 1 : UINT64_MAX; /* plus or minus one, modulo 2^64 */

	if (r->internal_flags & RECORD_GONE)
		return;
	c->records += wide;
	if (!record_is_live(r)) {
		if (!(r->internal_flags & RECORD_UNLINKED))
			c->bytes_expunged += wide * r->size;
		return;
	}
	c->exists += sign;
	c->unseen += r->system_flags & FLAG_SEEN ? 0 : sign;
	c->answered += r->system_flags & FLAG_ANSWERED ? sign : 0;
	c->flagged += r->system_flags & FLAG_FLAGGED ? sign : 0;
	c->deleted += r->system_flags & FLAG_DELETED ? sign : 0;
	c->bytes_live += wide * r->size;
	c->bytes_deleted += r->system_flags & FLAG_DELETED ? wide * r->size : 0;
	c->annot_bytes += wide * r->annot_bytes;
}

/* What SYNC_CRC_ANNOT is made of: a change of flags, which is most of them, does not touch it. */
static bool same_annotations(const struct record *a, const struct record *b)
{
	return record_is_live(a) == record_is_live(b) && a->uid == b->uid && a->cid == b->cid &&
	       a->savedate == b->savedate && a->createdmodseq == b->createdmodseq &&
	       a->annot_crc == b->annot_crc;
}

void counters_replace(struct counters *c, const struct record *before, const struct record *after,
		      const struct flag_names *names)
{
	bool same = before && after && same_annotations(before, after);

	if (before)
		count_record(c, before, UINT32_MAX);
	if (after)
		count_record(c, after, 1);
	c->sync_crc ^= (before ? record_sync_crc(before, names) : 0) ^
		       (after ? record_sync_crc(after, names) : 0);
	if (!same)
		c->sync_crc_annot ^= (before ? record_sync_crc_annot(before) : 0) ^
				     (after ? record_sync_crc_annot(after) : 0);
}
