/* fuzz_meta.c - what is said on metad's socket: packets of requests, batches, answers, entries.
 *
 * The input is a stream of packets, as either side might receive it. What parses as a batch must be the same batch after
 * it was written and read again, and every item the decoder counted must be there to be walked over. */
#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"
#include "server/store/meta/batch.h"
#include "server/store/meta/packet.h"

#define MOST (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_batch(struct span text)
{
	struct meta_batch batch, again;
	struct batch_item item;
	struct buf written = BUF_INIT;
	uint32_t flags, n = 0;
	size_t at = 0;

	if (batch_decode(text, &batch, &flags, NULL) < 0)
		return;
	while (batch_next(&batch, &at, &item))
		n++;
	us_assert(n == batch.n_items && at == batch.items.len);
	batch_encode(&batch, flags, &written);
	us_assert(batch_decode(buf_span(&written), &again, &flags, NULL) == 0);
	us_assert(again.nonce == batch.nonce && again.n_items == n);
	us_assert(span_eq(buf_span(&batch.items), buf_span(&again.items)));
	meta_batch_fini(&batch);
	meta_batch_fini(&again);
	buf_free(&written);
}

static void check_request(const struct message *m)
{
	struct request r, again;
	struct buf body = BUF_INIT;

	if (request_parse(m->kind, m->body, &r, NULL) < 0)
		return;
	switch (r.kind) {
	case PACKET_GET:
		request_get(&body, r.table, r.key);
		break;
	case PACKET_RANGE:
		request_range(&body, &r);
		break;
	case PACKET_BATCH:
		check_batch(r.batch);
		return;
	default:
		return;
	}
	us_assert(request_parse(r.kind, buf_span(&body), &again, NULL) == 0);
	us_assert(again.table == r.table && span_eq(again.key, r.key) &&
		  span_eq(again.first, r.first) && span_eq(again.end, r.end) &&
		  again.most == r.most);
	buf_free(&body);
}

static void check_answer(struct span body)
{
	struct span rest, key, value, payload;
	struct meta_stamp stamp;
	struct us_err err;

	if (answer_parse(body, &rest, &err) < 0)
		return;
	while (entry_next(&rest, &key, &value, NULL) > 0)
		(void)value_split(value, &stamp, &payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = span_make(data, size);
	struct message m = MESSAGE_INIT;
	struct packet packet;
	size_t used;
	int rc = 0;

	while (rc >= 0 && packet_next(rest, &packet, &used, NULL) > 0) {
		rest = span_from(rest, used);
		rc = message_add(&m, &packet, MOST, NULL);
		if (rc > 0 && m.kind & PACKET_ANSWER)
			check_answer(m.body);
		else if (rc > 0)
			check_request(&m);
	}
	message_fini(&m);
	return 0;
}
