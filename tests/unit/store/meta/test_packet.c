/* test_packet.c - what is said on metad's socket, and batches: there and back, and what is malformed. */
#include "tests/unit/test.h"

#include "server/store/meta/batch.h"
#include "server/store/meta/packet.h"

static void requests_come_back_as_they_were(void **state UNUSED)
{
	struct request range = {.kind = PACKET_RANGE,
				.table = META_SEEN,
				.first = SPAN_LIT("a"),
				.end = SPAN_LIT("bcd"),
				.range_flags = RANGE_KEYS_ONLY,
				.most = 70000};
	struct request r;
	struct us_err err;
	struct buf body = BUF_INIT;

	request_range(&body, &range);
	assert_ok(request_parse(PACKET_RANGE, buf_span(&body), &r, &err), &err);
	assert_int_equal(r.table, META_SEEN);
	assert_int_equal(r.range_flags, RANGE_KEYS_ONLY);
	assert_int_equal(r.most, 70000);
	assert_span(r.first, "a");
	assert_span(r.end, "bcd");
	for (size_t i = 0; i < body.len; i++)
		assert_int_equal(request_parse(PACKET_RANGE, span_make(body.data, i), &r, &err),
				 US_EPROTO);
	buf_clear(&body);
	request_get(&body, META_QUOTA, SPAN_LIT("user.bob"));
	assert_ok(request_parse(PACKET_GET, buf_span(&body), &r, &err), &err);
	assert_int_equal(r.table, META_QUOTA);
	assert_span(r.key, "user.bob");
	body.data[0] = META_N_TABLES;
	assert_int_equal(request_parse(PACKET_GET, buf_span(&body), &r, &err), US_EPROTO);
	assert_int_equal(request_parse(0, SPAN_NULL, &r, &err), US_EPROTO);
	assert_int_equal(request_parse(7, SPAN_NULL, &r, &err), US_EPROTO);
	assert_int_equal(request_parse(PACKET_BARRIER, SPAN_LIT("x"), &r, &err), US_EPROTO);
	buf_free(&body);
}

/* Give the bytes of `wire` bit by bit; returns what the last step said. */
static int feed(struct span wire, size_t step, struct message *m, size_t most)
{
	size_t have = 0, at = 0;
	struct us_err err;
	int rc = 0;

	while (at < wire.len && rc == 0) {
		struct packet p;
		size_t used = 0;
		rc = packet_next(span_make(wire.ptr + at, have - at), &p, &used, &err);
		if (rc == 0)
			have = have + step < wire.len ? have + step : wire.len;
		if (rc > 0) {
			at += used;
			rc = message_add(m, &p, most, &err);
		}
	}
	return rc;
}

static void a_message_may_take_many_packets(void **state UNUSED)
{
	static const size_t sizes[] = {0, 1, PACKET_MAX - PACKET_HEAD, PACKET_MAX - PACKET_HEAD + 1,
				       3 * PACKET_MAX};
	struct message m = MESSAGE_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		char *body = us_calloc(1, sizes[i] + 1);
		struct buf wire = BUF_INIT;
		for (size_t j = 0; j < sizes[i]; j++)
			body[j] = (char)(j * 7);
		message_put(&wire, PACKET_BATCH, 42, span_make(body, sizes[i]));
		assert_int_equal(feed(buf_span(&wire), 70001, &m, sizes[i]), 1);
		assert_int_equal(m.kind, PACKET_BATCH);
		assert_int_equal(m.number, 42);
		assert_true(span_eq(m.body, span_make(body, sizes[i])));
		if (sizes[i])
			assert_int_equal(feed(buf_span(&wire), 70001, &m, sizes[i] - 1), US_ELIMIT);
		m.open = false;
		buf_free(&wire);
		free(body);
	}
	message_fini(&m);
}

static void packets_of_two_messages_do_not_mix(void **state UNUSED)
{
	struct message m = MESSAGE_INIT;
	struct packet first = {PACKET_BATCH, PACKET_MORE, 1, SPAN_LIT("a")};
	struct packet other = {PACKET_BATCH, 0, 2, SPAN_LIT("b")};
	struct us_err err;

	assert_int_equal(message_add(&m, &first, 100, &err), 0);
	assert_int_equal(message_add(&m, &other, 100, &err), US_EPROTO);
	message_fini(&m);
}

static void lengths_out_of_bounds_are_refused(void **state UNUSED)
{
	static const uint32_t lengths[] = {0, 15, PACKET_MAX + 1, UINT32_MAX};
	char bytes[PACKET_HEAD] = {0};
	struct packet p;
	struct us_err err;
	size_t used;

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		memcpy(bytes, &lengths[i], 4);
		assert_int_equal(packet_next(span_make(bytes, sizeof(bytes)), &p, &used, &err),
				 US_EPROTO);
	}
}

static void answers_carry_status_and_text(void **state UNUSED)
{
	struct buf wire = BUF_INIT;
	struct message m = MESSAGE_INIT;
	struct span body;
	struct us_err err;

	answer_put(&wire, PACKET_GET, 9, 0, SPAN_NULL, SPAN_LIT("value"));
	assert_int_equal(feed(buf_span(&wire), 1, &m, 100), 1);
	assert_int_equal(m.kind, PACKET_GET | PACKET_ANSWER);
	assert_int_equal(answer_parse(m.body, &body, &err), 0);
	assert_span(body, "value");
	buf_clear(&wire);
	answer_put(&wire, PACKET_GET, 9, US_ECHANGED, SPAN_LIT("why not"), SPAN_NULL);
	assert_int_equal(feed(buf_span(&wire), 1, &m, 100), 1);
	assert_int_equal(answer_parse(m.body, &body, &err), US_ECHANGED);
	assert_string_equal(err.text, "why not");
	for (size_t i = 0; i < m.body.len; i++)
		assert_int_equal(answer_parse(span_make(m.body.ptr, i), &body, &err), US_EPROTO);
	message_fini(&m);
	buf_free(&wire);
}

static void entries_come_back_as_they_were(void **state UNUSED)
{
	struct buf b = BUF_INIT;
	struct span rest, key, value;
	struct us_err err;

	entry_put(&b, SPAN_LIT("one"), SPAN_LIT("1"));
	entry_put(&b, SPAN_LIT("two"), SPAN_NULL);
	rest = buf_span(&b);
	assert_int_equal(entry_next(&rest, &key, &value, &err), 1);
	assert_span(key, "one");
	assert_span(value, "1");
	assert_int_equal(entry_next(&rest, &key, &value, &err), 1);
	assert_span(key, "two");
	assert_int_equal(value.len, 0);
	assert_int_equal(entry_next(&rest, &key, &value, &err), 0);
	rest = span_make(b.data, b.len - 1);
	assert_int_equal(entry_next(&rest, &key, &value, &err), 1);
	assert_int_equal(entry_next(&rest, &key, &value, &err), US_EPROTO);
	buf_free(&b);
}

static void batches_come_back_as_they_were(void **state UNUSED)
{
	struct meta_batch batch, again;
	struct batch_item item;
	struct buf text = BUF_INIT;
	struct us_err err;
	uint32_t flags;
	size_t at = 0;

	meta_batch_init(&batch);
	assert_true(batch.nonce != 0);
	meta_batch_expect(&batch, META_QUOTA, SPAN_LIT("root"), 5);
	meta_batch_put(&batch, META_USERS, SPAN_LIT("joe"), SPAN_LIT("payload"));
	meta_batch_del(&batch, META_SEEN, SPAN_LIT("joe1234567"));
	meta_batch_serial(&batch, META_MAILBOXES, SPAN_LIT("x"), UINT64_MAX);
	batch_encode(&batch, BATCH_FLAG_LAZY, &text);
	assert_int_equal(text.len % 8, 0);
	for (size_t i = 0; i < text.len; i++) {
		if (batch_decode(span_make(text.data, i), &again, &flags, &err) == 0)
			fail_msg("%zu of %zu bytes are taken for a batch", i, text.len);
	}
	assert_ok(batch_decode(buf_span(&text), &again, &flags, &err), &err);
	assert_int_equal(flags, BATCH_FLAG_LAZY);
	assert_true(again.nonce == batch.nonce);
	assert_int_equal(again.n_items, 4);
	assert_true(batch_next(&again, &at, &item));
	assert_int_equal(item.what, BATCH_EXPECT);
	assert_int_equal(item.number, 5);
	assert_true(batch_next(&again, &at, &item));
	assert_int_equal(item.what, BATCH_PUT);
	assert_int_equal(item.table, META_USERS);
	assert_span(item.key, "joe");
	assert_span(item.payload, "payload");
	assert_true(batch_next(&again, &at, &item));
	assert_int_equal(item.what, BATCH_DEL);
	assert_span(item.key, "joe1234567");
	assert_true(batch_next(&again, &at, &item));
	assert_int_equal(item.what, BATCH_SERIAL);
	assert_true(item.number == UINT64_MAX);
	assert_false(batch_next(&again, &at, &item));
	meta_batch_fini(&again);

	text.data[16] = 9; /* of the first item: what */
	assert_int_equal(batch_decode(buf_span(&text), &again, NULL, &err), US_EPROTO);
	text.data[16] = BATCH_EXPECT;
	text.data[17] = META_N_TABLES;
	assert_int_equal(batch_decode(buf_span(&text), &again, NULL, &err), US_EPROTO);
	meta_batch_fini(&batch);
	buf_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_come_back_as_they_were),
		cmocka_unit_test(a_message_may_take_many_packets),
		cmocka_unit_test(packets_of_two_messages_do_not_mix),
		cmocka_unit_test(lengths_out_of_bounds_are_refused),
		cmocka_unit_test(answers_carry_status_and_text),
		cmocka_unit_test(entries_come_back_as_they_were),
		cmocka_unit_test(batches_come_back_as_they_were),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
