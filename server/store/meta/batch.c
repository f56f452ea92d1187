/* batch.c - see batch.h and meta.h; the form is in doc/FORMATS.md 10.3.
 *
 * A batch is kept in the form it is sent and logged in, so that encoding is a copy and the parser below is the only
 * place that knows the layout of an item. It is pure: tests/fuzz/fuzz_meta.c feeds it.
 */
#include "server/store/meta/batch.h"

#include <string.h>
#include <sys/random.h>

#include "server/base/mem.h"

#define PAD(n) (((n) + 7) & ~(size_t)7)

/*	offset  size	head of a batch		head of an item
 *	0	4	flags			u8 what, u8 table, u16 reserved
 *	4	4	number of items		key length
 *	8	8	nonce			u32 value length, u32 reserved
 *	16	8				version or serial */
struct batch_head {
	uint32_t flags, n_items;
	uint64_t nonce;
};
struct item_head {
	uint8_t what, table;
	uint16_t reserved0;
	uint32_t key_len, payload_len, reserved1;
	uint64_t number;
};

const char *meta_table_name(enum meta_table table)
{
	static const char *const names[] = {
#define X(id, number, name) [number] = (name),
		META_TABLES(X)
#undef X
	};

	return (unsigned)table < META_N_TABLES ? names[table] : "?";
}

/* ---- making ------------------------------------------------------------------------------------ */

void meta_batch_init(struct meta_batch *batch)
{
	*batch = (struct meta_batch){.items = BUF_INIT};
	do { /* short reads do not happen below 256 bytes */
		if (getrandom(&batch->nonce, sizeof(batch->nonce), 0) < 0)
			us_panic("getrandom");
	} while (!batch->nonce);
}

void meta_batch_fini(struct meta_batch *batch)
{
	buf_free(&batch->items);
	batch->n_items = 0;
}

bool meta_batch_is_empty(const struct meta_batch *batch)
{
	return batch->n_items == 0 && !batch->bad;
}

void meta_batch_add(struct meta_batch *batch, const struct meta_batch *more)
{
	buf_add_span(&batch->items, buf_span(&more->items));
	batch->n_items += more->n_items;
	batch->bad = batch->bad || more->bad;
}

static void add_padded(struct buf *b, struct span s)
{
	buf_add_span(b, s);
	buf_add(b, "\0\0\0\0\0\0\0", PAD(s.len) - s.len);
}

static void add_item(struct meta_batch *batch, enum batch_what what, enum meta_table table,
		     struct span key, struct span payload, uint64_t number)
{
	struct item_head head = {.what = what,
				 .table = (uint8_t)table,
				 .key_len = (uint32_t)key.len,
				 .payload_len = (uint32_t)payload.len,
				 .number = number};

	us_assert((unsigned)table < META_N_TABLES);
	if (!key.len || key.len > META_KEY_MAX || payload.len > META_PAYLOAD_MAX) {
		batch->bad = true;
		return;
	}
	buf_add(&batch->items, &head, sizeof(head));
	add_padded(&batch->items, key);
	add_padded(&batch->items, payload);
	batch->n_items++;
}

void meta_batch_put(struct meta_batch *batch, enum meta_table table, struct span key,
		    struct span payload)
{
	add_item(batch, BATCH_PUT, table, key, payload, 0);
}

void meta_batch_del(struct meta_batch *batch, enum meta_table table, struct span key)
{
	add_item(batch, BATCH_DEL, table, key, SPAN_NULL, 0);
}

void meta_batch_expect(struct meta_batch *batch, enum meta_table table, struct span key,
		       uint64_t version)
{
	add_item(batch, BATCH_EXPECT, table, key, SPAN_NULL, version);
}

void meta_batch_serial(struct meta_batch *batch, enum meta_table table, struct span key,
		       uint64_t serial)
{
	add_item(batch, BATCH_SERIAL, table, key, SPAN_NULL, serial);
}

void meta_batch_op(struct meta_batch *batch, enum meta_table table, struct span key,
		   uint64_t serial)
{
	add_item(batch, BATCH_OP, table, key, SPAN_NULL, serial);
}

void batch_encode(const struct meta_batch *batch, uint32_t flags, struct buf *out)
{
	struct batch_head head = {flags, batch->n_items, batch->nonce};

	buf_add(out, &head, sizeof(head));
	buf_add_span(out, buf_span(&batch->items));
}

void meta_batch_encode(const struct meta_batch *batch, struct buf *out)
{
	batch_encode(batch, 0, out);
}

/* ---- reading ----------------------------------------------------------------------------------- */

static bool item_is_sound(const struct item_head *head)
{
	return head->what >= BATCH_EXPECT && head->what <= BATCH_OP &&
	       head->table < META_N_TABLES && head->key_len > 0 && head->key_len <= META_KEY_MAX &&
	       head->payload_len <= META_PAYLOAD_MAX;
}

/* Length of the item that begins `text`, 0 if there is no whole one. */
static size_t item_length(struct span text, struct item_head *head)
{
	size_t len;

	if (text.len < sizeof(*head))
		return 0;
	memcpy(head, text.ptr, sizeof(*head));
	if (!item_is_sound(head))
		return 0;
	len = sizeof(*head) + PAD(head->key_len) + PAD(head->payload_len);
	return len <= text.len ? len : 0;
}

bool batch_next(const struct meta_batch *batch, size_t *at, struct batch_item *out)
{
	struct span rest = span_from(buf_span(&batch->items), *at);
	struct item_head head;
	size_t len = item_length(rest, &head);

	if (!len)
		return false;
	out->what = head.what;
	out->table = head.table;
	out->key = span_make(rest.ptr + sizeof(head), head.key_len);
	out->payload = span_make(rest.ptr + sizeof(head) + PAD(head.key_len), head.payload_len);
	out->number = head.number;
	*at += len;
	return true;
}

int batch_decode(struct span text, struct meta_batch *out, uint32_t *flags, struct us_err *err)
{
	struct batch_head head;
	struct span rest;

	if (text.len < sizeof(head))
		return us_fail(err, US_EPROTO, "a batch of %zu bytes", text.len);
	memcpy(&head, text.ptr, sizeof(head));
	rest = span_from(text, sizeof(head));
	for (uint32_t i = 0; i < head.n_items; i++) {
		struct item_head item;
		size_t len = item_length(rest, &item);
		if (!len)
			return us_fail(err, US_EPROTO, "item %u of a batch is malformed", i);
		rest = span_from(rest, len);
	}
	if (rest.len >= 8)
		return us_fail(err, US_EPROTO, "%zu bytes behind a batch", rest.len);
	*out = (struct meta_batch){.nonce = head.nonce, .n_items = head.n_items, .items = BUF_INIT};
	buf_add(&out->items, text.ptr + sizeof(head), text.len - sizeof(head) - rest.len);
	if (flags)
		*flags = head.flags;
	return 0;
}

int meta_batch_decode(struct span text, struct meta_batch *out, struct us_err *err)
{
	return batch_decode(text, out, NULL, err);
}
