/* packet.c - see packet.h. */
#include "server/store/meta/packet.h"

#include <string.h>

#include "server/base/mem.h"
#include "server/base/scan.h"

#define PAD(n) (((n) + 7) & ~(size_t)7)

struct packet_head {
	uint32_t length;
	uint16_t kind, flags;
	uint64_t number;
};

/* ---- binary numbers from a scanner -------------------------------------------------------------- */

static uint32_t take_u32(struct scan *s)
{
	struct span bytes = scan_take(s, 4);
	uint32_t n = 0;

	if (bytes.len == 4)
		memcpy(&n, bytes.ptr, 4);
	return n;
}

static uint8_t take_u8(struct scan *s)
{
	int byte = scan_byte(s);

	return byte < 0 ? 0 : (uint8_t)byte;
}

static enum meta_table take_table(struct scan *s)
{
	unsigned table = take_u8(s);

	if (table >= META_N_TABLES)
		scan_fail(s);
	return table < META_N_TABLES ? (enum meta_table)table : META_MAILBOXES;
}

static struct span take_key(struct scan *s, uint32_t len)
{
	if (len > META_KEY_MAX + 1) /* "behind this key" is one byte longer than it */
		scan_fail(s);
	return scan_take(s, len);
}

/* ---- packets ----------------------------------------------------------------------------------- */

int packet_next(struct span in, struct packet *out, size_t *used, struct us_err *err)
{
	struct packet_head head;

	if (in.len < PACKET_HEAD)
		return 0;
	memcpy(&head, in.ptr, sizeof(head));
	if (head.length < PACKET_HEAD || head.length > PACKET_MAX)
		return us_fail(err, US_EPROTO, "a packet of %u bytes", head.length);
	if (head.flags & ~(unsigned)PACKET_MORE)
		return us_fail(err, US_EPROTO, "packet flags %x", head.flags);
	if (in.len < head.length)
		return 0;
	*out = (struct packet){head.kind, head.flags, head.number,
			       span_make(in.ptr + PACKET_HEAD, head.length - PACKET_HEAD)};
	*used = head.length;
	return 1;
}

int message_add(struct message *m, const struct packet *packet, size_t most, struct us_err *err)
{
	if (m->open && (packet->kind != m->kind || packet->number != m->number))
		return us_fail(err, US_EPROTO, "a packet of kind %u within a message of kind %u",
			       packet->kind, m->kind);
	if (!m->open)
		buf_clear(&m->joined);
	if (packet->body.len > most || m->joined.len > most - packet->body.len)
		return us_fail(err, US_ELIMIT, "a message of more than %zu bytes", most);
	m->kind = packet->kind;
	m->number = packet->number;
	if (m->open || packet->flags & PACKET_MORE)
		buf_add_span(&m->joined, packet->body);
	m->body = m->joined.len ? buf_span(&m->joined) : packet->body;
	m->open = packet->flags & PACKET_MORE;
	return !m->open;
}

void message_fini(struct message *m)
{
	buf_free(&m->joined);
	m->open = false;
}

void message_put(struct buf *out, unsigned kind, uint64_t number, struct span body)
{
	do {
		size_t len =
			body.len <= PACKET_MAX - PACKET_HEAD ? body.len : PACKET_MAX - PACKET_HEAD;
		struct packet_head head = {(uint32_t)(PACKET_HEAD + len), (uint16_t)kind,
					   len < body.len ? PACKET_MORE : 0, number};
		buf_add(out, &head, sizeof(head));
		buf_add(out, body.ptr, len);
		body = span_from(body, len);
	} while (body.len);
}

/* ---- requests ---------------------------------------------------------------------------------- */

static void parse_get(struct scan *s, struct request *out)
{
	uint32_t len;

	out->table = take_table(s);
	(void)scan_take(s, 3); /* reserved */
	len = take_u32(s);
	out->key = take_key(s, len);
	if (!len)
		scan_fail(s);
}

static void parse_range(struct scan *s, struct request *out)
{
	uint32_t first, end;

	out->table = take_table(s);
	out->range_flags = take_u8(s);
	(void)scan_take(s, 2); /* reserved */
	out->most = take_u32(s);
	first = take_u32(s);
	end = take_u32(s);
	out->first = take_key(s, first);
	out->end = take_key(s, end);
	if (out->range_flags & ~(unsigned)RANGE_KEYS_ONLY || !out->most)
		scan_fail(s);
}

int request_parse(unsigned kind, struct span body, struct request *out, struct us_err *err)
{
	struct request r = {.kind = kind};
	struct scan s = scan_init(body);

	switch (kind) {
	case PACKET_HELLO:
		r.version = take_u32(&s);
		break;
	case PACKET_GET:
		parse_get(&s, &r);
		break;
	case PACKET_RANGE:
		parse_range(&s, &r);
		break;
	case PACKET_BATCH:
		r.batch = scan_rest(&s);
		break;
	case PACKET_BARRIER:
	case PACKET_STAT:
		break;
	default:
		return us_fail(err, US_EPROTO, "a request of kind %u", kind);
	}
	if (!scan_ok_at_end(&s))
		return us_fail(err, US_EPROTO, "a malformed request of kind %u", kind);
	*out = r;
	return 0;
}

static void put_u32(struct buf *out, size_t n)
{
	uint32_t number = (uint32_t)n;

	buf_add(out, &number, sizeof(number));
}

void request_hello(struct buf *out)
{
	put_u32(out, PACKET_VERSION);
}

void request_get(struct buf *out, enum meta_table table, struct span key)
{
	put_u32(out, table); /* a byte and three reserved ones */
	put_u32(out, key.len);
	buf_add_span(out, key);
}

void request_range(struct buf *out, const struct request *range)
{
	put_u32(out, (size_t)range->table | (size_t)range->range_flags << 8);
	put_u32(out, range->most);
	put_u32(out, range->first.len);
	put_u32(out, range->end.len);
	buf_add_span(out, range->first);
	buf_add_span(out, range->end);
}

/* ---- answers ----------------------------------------------------------------------------------- */

void answer_put(struct buf *out, unsigned request_kind, uint64_t number, int status,
		struct span text, struct span body)
{
	struct buf whole = BUF_INIT;
	int32_t code = status;

	buf_add(&whole, &code, sizeof(code));
	put_u32(&whole, text.len);
	buf_add_span(&whole, text);
	buf_add(&whole, "\0\0\0\0\0\0\0", PAD(text.len) - text.len);
	buf_add_span(&whole, body);
	message_put(out, request_kind | PACKET_ANSWER, number, buf_span(&whole));
	buf_free(&whole);
}

int answer_parse(struct span message_body, struct span *body, struct us_err *err)
{
	struct scan s = scan_init(message_body);
	int32_t status = (int32_t)take_u32(&s);
	uint32_t len = take_u32(&s);
	struct span text = scan_take(&s, len);

	(void)scan_take(&s, PAD(len) - len);
	*body = scan_rest(&s);
	if (!scan_ok_at_end(&s) || status > 0)
		return us_fail(err, US_EPROTO, "a malformed answer");
	return status ? us_fail(err, status, "%.*s", SPAN_ARG(text)) : 0;
}

void value_head_put(struct buf *out, const struct meta_stamp *stamp)
{
	uint64_t head[3] = {stamp->version, stamp->nonce, stamp->serial};

	buf_add(out, head, sizeof(head));
}

bool value_split(struct span value, struct meta_stamp *stamp, struct span *payload)
{
	uint64_t head[3];

	if (value.len < VALUE_HEAD)
		return false;
	memcpy(head, value.ptr, sizeof(head));
	*stamp = (struct meta_stamp){head[0], head[1], head[2]};
	*payload = span_from(value, VALUE_HEAD);
	return stamp->version != 0;
}

void entry_put(struct buf *out, struct span key, struct span value)
{
	put_u32(out, key.len);
	put_u32(out, value.len);
	buf_add_span(out, key);
	buf_add_span(out, value);
}

int entry_next(struct span *rest, struct span *key, struct span *value, struct us_err *err)
{
	struct scan s = scan_init(*rest);
	uint32_t key_len, value_len;

	if (!rest->len)
		return 0;
	key_len = take_u32(&s);
	value_len = take_u32(&s);
	*key = scan_take(&s, key_len);
	*value = scan_take(&s, value_len);
	if (s.bad || !key_len)
		return us_fail(err, US_EPROTO, "a malformed entry");
	*rest = scan_rest(&s);
	return 1;
}
