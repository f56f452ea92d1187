/* test_cache.c - the cache record: round trip, which fields it answers, and damaged ones. */
#include "tests/unit/test.h"

#include "server/store/mime/field.h"
#include "tests/lib/mime_oracle.h"

#define MESSAGE                                                                                  \
	"Received: from x\r\n\tby y\r\nFrom: Ann <a@b>\r\nSubject: s\r\n folded\r\n"             \
	"Date: Mon, 23 Nov 2026 17:07:33 -0500\r\nX-Unheard-Of: 1\r\nMessage-ID: <1@b>\r\n"      \
	"Content-Type: multipart/mixed; boundary=x\r\n\r\n"                                      \
	"--x\r\n\r\none\r\n--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nin\r\n" \
	"--x--\r\n"

static void encode(struct span message, struct buf *out)
{
	struct pool *pool = pool_new();
	struct us_err err;

	assert_ok(mime_cache_encode(mime_scan(message, NULL, pool), out, &err), &err);
	pool_free(&pool);
}

static void a_record_holds_what_fetch_asks(void **state UNUSED)
{
	const struct span known[] = {SPAN_LIT("from"), SPAN_LIT("SUBJECT"), SPAN_LIT("References")};
	const struct span unknown[] = {SPAN_LIT("from"), SPAN_LIT("X-Unheard-Of")};
	struct buf record = BUF_INIT, out = BUF_INIT;
	struct mime_cache cache;
	struct us_err err;

	buf_add_str(&record, "before");
	encode(span_of(MESSAGE), &record);
	assert_ok(mime_cache_decode(span_from(buf_span(&record), 6), &cache, &err), &err);
	assert_int_equal(cache.message_size, strlen(MESSAGE));
	assert_int_equal(cache.header_size, (size_t)(strstr(MESSAGE, "\r\n\r\n") - MESSAGE) + 4);
	assert_int_equal(cache.n_parts, 4);
	assert_true(cache.has_sent);
	assert_int_equal(cache.sent.time, 1795471653);
	assert_int_equal(cache.sent.zone_s, -18000);
	assert_true(
		span_starts(cache.envelope, "(\"Mon, 23 Nov 2026 17:07:33 -0500\" \"s folded\""));
	assert_span(cache.headers,
		    "From: Ann <a@b>\r\nSubject: s\r\n folded\r\nDate: Mon, 23 Nov 2026 17:07:33 "
		    "-0500\r\nMessage-ID: <1@b>\r\nContent-Type: multipart/mixed; boundary=x\r\n");
	assert_true(mime_cache_has_fields(&cache, known, 3));
	assert_true(mime_cache_has_fields(&cache, known, 0));
	assert_false(mime_cache_has_fields(&cache, unknown, 2));
	mime_field_filter(cache.headers, known, 3, /* inverse */ false, &out);
	assert_string_equal(out.data, "From: Ann <a@b>\r\nSubject: s\r\n folded\r\n\r\n");
	buf_free(&out);
	buf_free(&record);
}

static void headers_too_long_are_left_to_the_file(void **state UNUSED)
{
	const struct span from = SPAN_LIT("from");
	struct buf message = BUF_INIT, record = BUF_INIT;
	struct mime_cache cache;

	buf_add_str(&message, "From: a@b\r\nTo: ");
	while (message.len < MIME_CACHE_HEADERS_MAX)
		buf_add_str(&message, "someone@example.com,\r\n ");
	buf_add_str(&message, "x@y\r\n\r\n");
	encode(buf_span(&message), &record);
	assert_int_equal(mime_cache_decode(buf_span(&record), &cache, NULL), 0);
	assert_false(cache.has_headers);
	assert_int_equal(cache.headers.len, 0);
	assert_false(mime_cache_has_fields(&cache, &from, 1));
	assert_false(cache.has_sent);
	buf_free(&message);
	buf_free(&record);
}

static void a_limited_buffer_gets_no_half_record(void **state UNUSED)
{
	struct pool *pool = pool_new();
	struct mime_tree *tree = mime_scan(span_of(MESSAGE), NULL, pool);
	struct buf small;

	buf_init(&small, 100);
	buf_add_str(&small, "before");
	assert_int_equal(mime_cache_encode(tree, &small, NULL), US_ELIMIT);
	assert_string_equal(small.data, "before");
	buf_free(&small);
	pool_free(&pool);
}

/* Each byte of the head and rows set wrong: refused, or something harmless. The copy has the exact size,
 * so that a byte too far is seen. */
static void damaged_records_stay_in_bounds(void **state UNUSED)
{
	static const unsigned char values[] = {0, 1, 0x7f, 0x80, 0xff};
	struct buf record = BUF_INIT;
	int refused = 0;

	encode(span_of(MESSAGE), &record);
	for (size_t at = 0; at < 48 + 4 * 24; at++) {
		for (size_t v = 0; v < sizeof(values); v++) {
			char *copy = us_malloc(record.len);
			struct mime_cache cache;
			memcpy(copy, record.data, record.len);
			copy[at] = (char)values[v];
			if (mime_cache_decode(span_make(copy, record.len), &cache, NULL) == 0) {
				struct mime_table table = mime_cache_table(&cache);
				for (uint32_t i = 0; i < table.n; i++) {
					struct mime_entry e = table.row(table.ctx, i);
					assert_true(e.body_offset + e.body_size <=
						    cache.message_size);
					assert_true(e.next > i && e.next <= table.n);
				}
			} else {
				refused++;
			}
			free(copy);
		}
	}
	assert_true(refused > 300);
	for (size_t len = 0; len < record.len; len++) {
		char *copy = us_malloc(len);
		struct mime_cache cache;
		memcpy(copy, record.data, len);
		assert_int_equal(mime_cache_decode(span_make(copy, len), &cache, NULL),
				 US_ECORRUPT);
		free(copy);
	}
	buf_add_char(&record, 'x');
	struct mime_cache cache;
	assert_int_equal(mime_cache_decode(buf_span(&record), &cache, NULL), US_ECORRUPT);
	buf_free(&record);
}

/* The bytes on disk, so that a change of layout is a decision: raise the version. */
static void the_layout_is_the_documented_one(void **state UNUSED)
{
	static const char head[] =
		"0100030012000000100000000100000000000000000000000000000030000000"
		"4a0000003a0000000f00000000000000"
		"000000001000000010000000020000000100000001000000";
	struct buf record = BUF_INIT, hex = BUF_INIT;

	encode(SPAN_LIT("Date: 1 Jan 70\n\nx\n"), &record);
	buf_add_hex(&hex, record.data, 48 + 24);
	assert_string_equal(hex.data, head);
	assert_span(span_make(record.data + 72, record.len - 72),
		    "(\"1 Jan 70\" NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
		    "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"us-ascii\") NIL NIL \"7BIT\" 2 1 NIL NIL "
		    "NIL NIL)"
		    "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"us-ascii\") NIL NIL \"7BIT\" 2 1)"
		    "Date: 1 Jan 70\n");
	buf_free(&hex);
	buf_free(&record);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_holds_what_fetch_asks),
		cmocka_unit_test(headers_too_long_are_left_to_the_file),
		cmocka_unit_test(a_limited_buffer_gets_no_half_record),
		cmocka_unit_test(damaged_records_stay_in_bounds),
		cmocka_unit_test(the_layout_is_the_documented_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
