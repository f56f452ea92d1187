/* cache.c - see cache.h.
 *
 * Layout, version 1, little-endian. The record begins with a head of 48 bytes:
 *
 *	offset size
 *	 0	2	version, 1
 *	 2	2	flags: 1 headers complete, 2 sent date known, 4 limits were met
 *	 4	4	size of the message
 *	 8	4	size of its header, blank line included
 *	12	4	number of parts, at least 1
 *	16	8	sent date, seconds since 1970 UTC, signed; 0 if not known
 *	24	4	zone of the sent date, seconds east, signed
 *	28	4	length of ENVELOPE
 *	32	4	length of BODYSTRUCTURE
 *	36	4	length of BODY
 *	40	4	length of the cached header fields
 *	44	4	zero
 *
 * then one row of 24 bytes for each part, each part before its children, the message itself first:
 *
 *	 0	4	offset of the header in the message
 *	 4	4	size of the header
 *	 8	4	offset of the body
 *	12	4	size of the body
 *	16	4	row of the first part that is neither this one nor in it
 *	20	1	kind: 0 leaf, 1 text, 2 multipart, 3 message/rfc822
 *	21	1	encoding: 0 7bit, 1 8bit, 2 binary, 3 quoted-printable, 4 base64, 5 uuencode, 6 other
 *	22	2	zero
 *
 * then the four texts in the order of their lengths. Nothing follows.
 */
#include "server/store/mime/cache.h"

#include <endian.h>
#include <string.h>

#include "server/base/mem.h"
#include "server/store/mime/body.h"
#include "server/store/mime/envelope.h"
#include "server/store/mime/field.h"

#define HEAD_SIZE 48
#define ROW_SIZE  24

enum { FLAG_HEADERS = 1, FLAG_SENT = 2, FLAG_LIMITED = 4, FLAGS_ALL = 7 };

/* What clients ask for in HEADER.FIELDS when they list or open a mailbox: mutt, Thunderbird, Apple Mail,
 * K-9, Outlook and Outlook Express, Roundcube, mbsync (X-TUID), OfflineIMAP, aerc; threading, priorities,
 * lists, receipts, spam marks, and what filters of clients look at. One field that is not here makes such
 * a question read the file. Long fields nobody lists by (Received, DKIM-Signature, ARC-*) are left out. */
#define FIELD(name)                    \
	{                              \
		name, sizeof(name) - 1 \
	}
static const struct span cached_fields[] = {
	FIELD("From"),
	FIELD("To"),
	FIELD("Cc"),
	FIELD("Bcc"),
	FIELD("Subject"),
	FIELD("Date"),
	FIELD("Message-ID"),
	FIELD("In-Reply-To"),
	FIELD("References"),
	FIELD("Reply-To"),
	FIELD("Sender"),
	FIELD("Return-Path"),
	FIELD("Delivered-To"),
	FIELD("X-Original-To"),
	FIELD("MIME-Version"),
	FIELD("Content-Type"),
	FIELD("Content-Transfer-Encoding"),
	FIELD("Content-Disposition"),
	FIELD("Content-Description"),
	FIELD("Content-Class"),
	FIELD("Priority"),
	FIELD("X-Priority"),
	FIELD("X-MSMail-Priority"),
	FIELD("Importance"),
	FIELD("Precedence"),
	FIELD("Auto-Submitted"),
	FIELD("Newsgroups"),
	FIELD("Followup-To"),
	FIELD("Mail-Followup-To"),
	FIELD("Mail-Reply-To"),
	FIELD("Lines"),
	FIELD("Keywords"),
	FIELD("X-Label"),
	FIELD("List-Id"),
	FIELD("List-Post"),
	FIELD("List-Unsubscribe"),
	FIELD("List-Unsubscribe-Post"),
	FIELD("List-Help"),
	FIELD("Mailing-List"),
	FIELD("Disposition-Notification-To"),
	FIELD("Return-Receipt-To"),
	FIELD("User-Agent"),
	FIELD("X-Mailer"),
	FIELD("X-Spam-Flag"),
	FIELD("X-Spam-Status"),
	FIELD("X-Spam-Score"),
	FIELD("X-Spam-Level"),
	FIELD("X-Spam"),
	FIELD("X-Ref"),
	FIELD("X-MSOESRec"),
	FIELD("X-TUID"),
	FIELD("X-Uniform-Type-Identifier"),
	FIELD("X-Universally-Unique-Identifier"),
	FIELD("X-Draft-Info"),
	FIELD("X-Mozilla-Draft-Info"),
	FIELD("X-K9mail-Identity"),
	FIELD("Draft-Info"),
	FIELD("Autocrypt"),
};
#undef FIELD

/* ---- numbers ----------------------------------------------------------------------------------- */

static void set_le(char *to, uint64_t value, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		to[i] = (char)(value >> (8 * i));
}

/* The caller knows that those bytes are there. */
static uint16_t get_u16(const char *from)
{
	uint16_t value;

	memcpy(&value, from, sizeof(value));
	return le16toh(value);
}

static uint32_t get_u32(const char *from)
{
	uint32_t value;

	memcpy(&value, from, sizeof(value));
	return le32toh(value);
}

static uint64_t get_u64(const char *from)
{
	uint64_t value;

	memcpy(&value, from, sizeof(value));
	return le64toh(value);
}

/* ---- writing ----------------------------------------------------------------------------------- */

static void put_row(struct buf *out, const struct mime_entry *e)
{
	char row[ROW_SIZE] = {0};

	set_le(row, e->header_offset, 4);
	set_le(row + 4, e->header_size, 4);
	set_le(row + 8, e->body_offset, 4);
	set_le(row + 12, e->body_size, 4);
	set_le(row + 16, e->next, 4);
	set_le(row + 20, e->kind, 1);
	set_le(row + 21, e->encoding, 1);
	buf_add(out, row, ROW_SIZE);
}

static bool is_cached(struct span name)
{
	for (size_t i = 0; i < ARRAY_SIZE(cached_fields); i++)
		if (name.len == cached_fields[i].len && span_eq_nocase(name, cached_fields[i]))
			return true;
	return false;
}

/* false, *out as before: they are too long to keep. */
static bool put_headers(struct buf *out, struct span header)
{
	size_t from = out->len;
	struct mime_field field;

	while (mime_field_next(&header, &field)) {
		if (!is_cached(field.name))
			continue;
		if (field.raw.len > MIME_CACHE_HEADERS_MAX ||
		    out->len - from > MIME_CACHE_HEADERS_MAX - field.raw.len) {
			buf_truncate(out, from);
			return false;
		}
		buf_add_span(out, field.raw);
	}
	return true;
}

static void put_rows(struct buf *out, const struct mime_tree *tree)
{
	struct mime_table table = mime_tree_table(tree);

	for (uint32_t i = 0; i < table.n; i++) {
		struct mime_entry e = table.row(table.ctx, i);
		put_row(out, &e);
	}
}

/* Filled in last, when the lengths are known. */
static void set_head(char *head, const struct mime_tree *tree, unsigned flags, const size_t len[4])
{
	struct datetime sent = {0, 0};

	if (datetime_parse_mail(tree->root->envelope->date, &sent))
		flags |= FLAG_SENT;
	if (tree->limited)
		flags |= FLAG_LIMITED;
	set_le(head, MIME_CACHE_VERSION, 2);
	set_le(head + 2, flags, 2);
	set_le(head + 4, tree->message.len, 4);
	set_le(head + 8, tree->root->header_size, 4);
	set_le(head + 12, tree->n_parts, 4);
	set_le(head + 16, (uint64_t)sent.time, 8);
	set_le(head + 24, (uint32_t)sent.zone_s, 4);
	for (size_t i = 0; i < 4; i++)
		set_le(head + 28 + 4 * i, len[i], 4);
}

int mime_cache_encode(const struct mime_tree *tree, struct buf *out, struct us_err *err)
{
	const char zeros[HEAD_SIZE] = {0};
	size_t start = out->len, at, len[4];
	unsigned flags = 0;

	if (tree->message.len > UINT32_MAX)
		return us_fail(err, US_ELIMIT, "a message of %zu bytes", tree->message.len);
	buf_add(out, zeros, HEAD_SIZE);
	put_rows(out, tree);
	at = out->len;
	mime_put_envelope(out, tree);
	len[0] = out->len - at;
	at = out->len;
	mime_put_body(out, tree, /* extensible */ true);
	len[1] = out->len - at;
	at = out->len;
	mime_put_body(out, tree, /* extensible */ false);
	len[2] = out->len - at;
	at = out->len;
	if (put_headers(out, mime_part_header(tree, tree->root)))
		flags |= FLAG_HEADERS;
	len[3] = out->len - at;
	if (out->over || out->len - start > UINT32_MAX) {
		buf_truncate(out, start);
		return us_fail(err, US_ELIMIT, "the cache record does not fit");
	}
	set_head(out->data + start, tree, flags, len);
	return 0;
}

/* ---- reading ----------------------------------------------------------------------------------- */

static struct mime_entry decode_row(const char *from)
{
	return (struct mime_entry){.header_offset = get_u32(from),
				   .header_size = get_u32(from + 4),
				   .body_offset = get_u32(from + 8),
				   .body_size = get_u32(from + 12),
				   .next = get_u32(from + 16),
				   .kind = (enum mime_kind)(unsigned char)from[20],
				   .encoding = (enum mime_encoding)(unsigned char)from[21]};
}

/* Everything a look-up relies on. */
static bool row_is_sound(const char *from, uint32_t i, const struct mime_cache *cache)
{
	struct mime_entry e = decode_row(from);

	return (unsigned char)from[20] <= MIME_MESSAGE &&
	       (unsigned char)from[21] <= MIME_ENCODING_OTHER && e.next > i &&
	       e.next <= cache->n_parts && e.header_offset + e.header_size == e.body_offset &&
	       e.body_offset + e.body_size <= cache->message_size;
}

static bool rows_are_sound(const struct mime_cache *cache)
{
	struct mime_entry root = decode_row(cache->parts.ptr);

	for (uint32_t i = 0; i < cache->n_parts; i++)
		if (!row_is_sound(cache->parts.ptr + (size_t)i * ROW_SIZE, i, cache))
			return false;
	return root.next == cache->n_parts && root.header_offset == 0 &&
	       root.header_size == cache->header_size;
}

/* Behind the head: the rows and texts, which must use up the record exactly. */
static bool take_texts(struct span rest, const char *head, struct mime_cache *cache)
{
	struct span *const texts[4] = {&cache->envelope, &cache->body_structure, &cache->body,
				       &cache->headers};
	uint64_t rows = (uint64_t)cache->n_parts * ROW_SIZE;

	if (rows > rest.len)
		return false;
	cache->parts = span_make(rest.ptr, rows);
	rest = span_from(rest, rows);
	for (size_t i = 0; i < 4; i++) {
		uint32_t len = get_u32(head + 28 + 4 * i);
		if (len > rest.len)
			return false;
		*texts[i] = span_make(rest.ptr, len);
		rest = span_from(rest, len);
	}
	return rest.len == 0;
}

int mime_cache_decode(struct span record, struct mime_cache *out, struct us_err *err)
{
	struct mime_cache cache = {0};
	const char *head = record.ptr;
	unsigned flags;

	if (record.len < HEAD_SIZE)
		return us_fail(err, US_ECORRUPT, "a cache record of %zu bytes", record.len);
	if (get_u16(head) != MIME_CACHE_VERSION)
		return us_fail(err, US_ECORRUPT, "cache record version %u",
			       (unsigned)get_u16(head));
	flags = (unsigned)get_u16(head + 2);
	cache.has_headers = flags & FLAG_HEADERS;
	cache.has_sent = flags & FLAG_SENT;
	cache.limited = flags & FLAG_LIMITED;
	cache.message_size = get_u32(head + 4);
	cache.header_size = get_u32(head + 8);
	cache.n_parts = get_u32(head + 12);
	cache.sent.time = (int64_t)get_u64(head + 16);
	cache.sent.zone_s = (int32_t)get_u32(head + 24);
	if ((flags & ~(unsigned)FLAGS_ALL) || get_u32(head + 44) || !cache.n_parts ||
	    !take_texts(span_from(record, HEAD_SIZE), head, &cache) || !rows_are_sound(&cache))
		return us_fail(err, US_ECORRUPT, "cache record contradicts itself");
	*out = cache;
	return 0;
}

static struct mime_entry cache_row(const void *ctx, uint32_t i)
{
	const struct mime_cache *cache = ctx;

	return decode_row(cache->parts.ptr + (size_t)i * ROW_SIZE);
}

struct mime_table mime_cache_table(const struct mime_cache *cache)
{
	return (struct mime_table){cache, cache->n_parts, cache_row};
}

bool mime_cache_has_fields(const struct mime_cache *cache, const struct span *names, size_t n)
{
	if (!cache->has_headers)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!is_cached(names[i]))
			return false;
	return true;
}
