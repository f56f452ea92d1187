/* test_stream_deflate.c - compression on a stream, against itself and against zlib used by hand. */
#include "tests/unit/base/lines.h"

#include <zlib.h>

static const struct stream_config impatient = {.read_timeout_ms = 0,
					       .write_timeout_ms = 1000,
					       .quiet_after_ms = 1000,
					       .high_water = 32768};

static void make_pair(struct stream *end[2], bool deflate)
{
	struct us_err err;

	stream_pipe(end, &impatient);
	for (int i = 0; deflate && i < 2; i++)
		assert_ok(stream_start_deflate(end[i], &err), &err);
}

static void free_pair(struct stream *end[2])
{
	stream_free(&end[0]);
	stream_free(&end[1]);
}

static void each_flush_can_be_read_at_once(void **state UNUSED)
{
	struct stream *end[2];

	make_pair(end, true);
	talk_in_turns(end);
	free_pair(end);
}

static void an_empty_flush_sends_nothing(void **state UNUSED)
{
	struct stream *end[2];
	struct us_err err;
	uint64_t sent;

	make_pair(end, true);
	assert_ok(stream_flush(end[0], &err), &err);
	assert_int_equal(stream_stats(end[0]).wire_out, 0);
	send_line(end[0], "x");
	sent = stream_stats(end[0]).wire_out;
	assert_ok(stream_flush(end[0], &err), &err);
	assert_int_equal(stream_stats(end[0]).wire_out, sent);
	free_pair(end);
}

/* Above the high-water mark the compressor is fed without a flush; the flush must still drive it all out. */
static void bulk_comes_out_whole(void **state UNUSED)
{
	size_t size = 700000;
	unsigned char *sent = us_malloc(size), *got = us_malloc(size);
	struct stream *end[2];
	struct us_err err;
	uint32_t random = 1;

	for (size_t i = 0; i < size; i++) {
		random = random * 1103515245 + 12345;
		sent[i] = i % 3 ? (unsigned char)(random >> 16) : 'a';
	}
	make_pair(end, true);
	for (size_t at = 0, piece = 1; at < size; at += piece, piece = piece * 3 % 40009 + 1)
		stream_write(end[0], sent + at, piece < size - at ? piece : size - at);
	assert_ok(stream_flush(end[0], &err), &err);
	assert_ok(stream_read(end[1], got, size, &err), &err);
	assert_memory_equal(got, sent, size);
	free(sent);
	free(got);
	free_pair(end);
}

static void a_file_is_compressed_too(void **state UNUSED)
{
	FILE *file = tmpfile();
	char *got = us_malloc(200000);
	struct stream *end[2];
	struct us_err err;

	assert_non_null(file);
	assert_int_equal(ftruncate(fileno(file), 200000), 0);
	make_pair(end, true);
	assert_ok(stream_send_file(end[0], fileno(file), 0, 200000, &err), &err);
	assert_ok(stream_flush(end[0], &err), &err);
	assert_true(stream_stats(end[0]).wire_out < 2000);
	assert_ok(stream_read(end[1], got, 200000, &err), &err);
	assert_int_equal(got[0] | got[199999], 0);
	fclose(file);
	free(got);
	free_pair(end);
}

/* The command that switches it on and its reply are plain; what stands behind the command in the same
 * packet is compressed already. */
static void the_next_byte_is_compressed(void **state UNUSED)
{
	struct stream *end[2], *packer[2];
	struct us_err err;
	struct span packed;

	make_pair(packer, false);
	assert_ok(stream_start_deflate(packer[0], &err), &err);
	send_line(packer[0], "GET USER bob");
	assert_int_equal(stream_peek(packer[1], &packed, &err), 1);

	make_pair(end, false);
	stream_write_str(end[0], "COMPRESS DEFLATE\r\n");
	stream_write_span(end[0], packed);
	assert_ok(stream_flush(end[0], &err), &err);
	expect_line(end[1], "COMPRESS DEFLATE");
	stream_write_str(end[1], "OK DEFLATE active\r\n");
	assert_ok(stream_start_deflate(end[1], &err), &err);
	assert_true(stream_compression(end[1]));
	assert_int_equal(stream_start_deflate(end[1], &err), US_EINVAL);
	expect_line(end[1], "GET USER bob");
	expect_line(end[0], "OK DEFLATE active");
	assert_int_equal(stream_stats(end[1]).plain_in, 18 + 14);
	free_pair(end);
	free_pair(packer);
}

static void garbage_is_a_protocol_error_that_stays(void **state UNUSED)
{
	static const char *const rows[] = {"GET USER bob\r\n", "\xff\xff\xff", "\x07",
					   "\x78\x9c\x4b\x04\x11"};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct stream *end[2];
		struct us_err err = US_ERR_INIT;
		struct span seen;
		int rc;

		make_pair(end, false);
		assert_ok(stream_start_deflate(end[1], &err), &err);
		stream_write_str(end[0], rows[i]);
		assert_ok(stream_flush(end[0], &err), &err);
		while ((rc = stream_peek(end[1], &seen, &err)) > 0)
			stream_take(end[1], seen.len);
		if (rc != US_EPROTO)
			fail_msg("row %zu: %d %s", i, rc, err.text);
		assert_int_equal(stream_peek(end[1], &seen, &err), US_EPROTO);
		assert_int_equal(stream_wait(end[1], NULL, 0, -1, &err), (int)STREAM_READABLE);
		/* we can still say why we go, in our own compression */
		send_line(end[1], "* BYE");
		free_pair(end);
	}
}

static void a_finished_stream_is_the_end(void **state UNUSED)
{
	unsigned char packed[100];
	struct stream *end[2];
	z_stream z = {0};
	struct us_err err;
	struct span seen;

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -15, 9, 0), Z_OK);
	z.next_in = (z_const Bytef *)"LOGOUT\r\n";
	z.avail_in = 8;
	z.next_out = packed;
	z.avail_out = sizeof(packed);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	make_pair(end, false);
	assert_ok(stream_start_deflate(end[1], &err), &err);
	stream_write(end[0], packed, sizeof(packed) - z.avail_out);
	send_line(end[0], "behind it");
	expect_line(end[1], "LOGOUT");
	assert_int_equal(stream_peek(end[1], &seen, &err), 0);
	assert_true(stream_eof(end[1]));
	deflateEnd(&z);
	free_pair(end);
}

/* Half a block is nothing to read yet: who waits must sleep on. */
static void a_part_of_a_block_is_not_readable(void **state UNUSED)
{
	struct stream *end[2], *packer[2];
	struct us_err err;
	struct span packed;

	make_pair(packer, false);
	assert_ok(stream_start_deflate(packer[0], &err), &err);
	send_line(packer[0], "GET USER bob");
	assert_int_equal(stream_peek(packer[1], &packed, &err), 1);
	make_pair(end, false);
	assert_ok(stream_start_deflate(end[1], &err), &err);
	stream_write(end[0], packed.ptr, 1);
	assert_ok(stream_flush(end[0], &err), &err);
	assert_int_equal(stream_wait(end[1], NULL, 0, 10, &err), 0);
	assert_false(stream_readable(end[1]));
	stream_write(end[0], packed.ptr + 1, packed.len - 1);
	assert_ok(stream_flush(end[0], &err), &err);
	assert_int_equal(stream_wait(end[1], NULL, 0, -1, &err), (int)STREAM_READABLE);
	expect_line(end[1], "GET USER bob");
	free_pair(end);
	free_pair(packer);
}

/* One input of a few bytes that unfolds to much more than the buffer: wait and readable must see what the
 * inflater still holds. */
static void what_the_inflater_holds_is_readable(void **state UNUSED)
{
	struct stream *end[2];
	struct us_err err;
	struct span seen;
	size_t total = 0;
	char *zeros = us_calloc(1, 300000);

	make_pair(end, true);
	stream_write(end[0], zeros, 300000);
	assert_ok(stream_flush(end[0], &err), &err);
	assert_true(stream_stats(end[0]).wire_out < 4096); /* all of it comes with one read */
	while (total < 300000) {
		assert_true(stream_readable(end[1]));
		assert_int_equal(stream_wait(end[1], NULL, 0, -1, &err), (int)STREAM_READABLE);
		assert_int_equal(stream_peek(end[1], &seen, &err), 1);
		assert_true(stream_memory(end[1]) < 65536 + 65536);
		total += seen.len;
		stream_take(end[1], seen.len);
	}
	assert_false(stream_readable(end[1]));
	free(zeros);
	free_pair(end);
}

static size_t inflate_by_hand(struct span packed)
{
	char *plain = us_malloc(400000);
	z_stream z = {0};
	size_t len;

	assert_int_equal(inflateInit2(&z, -15), Z_OK);
	z.next_in = (z_const Bytef *)packed.ptr;
	z.avail_in = (uInt)packed.len;
	z.next_out = (Bytef *)plain;
	z.avail_out = 400000;
	(void)inflate(&z, Z_SYNC_FLUSH); /* what came out is what counts */
	len = 400000 - z.avail_out;
	inflateEnd(&z);
	free(plain);
	return len;
}

static size_t read_all_there_is(struct stream *s)
{
	size_t total = 0;
	struct us_err err;
	struct span seen;

	while (stream_readable(s)) {
		assert_int_equal(stream_peek(s, &seen, &err), 1);
		total += seen.len;
		stream_take(s, seen.len);
	}
	return total;
}

/* Wherever the compressed bytes are cut, all that they tell so far comes out, also when the inflater has
 * taken the last of them and stands before a full buffer. */
static void nothing_stays_in_the_inflater(void **state UNUSED)
{
	struct stream *end[2], *packer[2];
	char *zeros = us_calloc(1, 300000);
	struct us_err err;
	struct span packed;

	make_pair(packer, false);
	assert_ok(stream_start_deflate(packer[0], &err), &err);
	stream_write(packer[0], zeros, 300000);
	assert_ok(stream_flush(packer[0], &err), &err);
	assert_int_equal(stream_peek(packer[1], &packed, &err), 1);
	assert_true(packed.len > 100 && packed.len < 4096);
	for (size_t cut = 1; cut <= packed.len; cut++) {
		make_pair(end, false);
		assert_ok(stream_start_deflate(end[1], &err), &err);
		stream_write(end[0], packed.ptr, cut);
		assert_ok(stream_flush(end[0], &err), &err);
		assert_int_equal(read_all_there_is(end[1]),
				 inflate_by_hand(span_make(packed.ptr, cut)));
		free_pair(end);
	}
	free(zeros);
	free_pair(packer);
}

/* The compressor goes when the stream is quiet, the peer's inflater does not notice, and the memory is
 * really gone. */
static void a_quiet_stream_drops_its_compressor(void **state UNUSED)
{
	struct stream_config config = impatient;
	struct stream *end[2];
	struct us_err err;
	size_t busy;

	config.quiet_after_ms = 5;
	stream_pipe(end, &config);
	for (int i = 0; i < 2; i++)
		assert_ok(stream_start_deflate(end[i], &err), &err);
	for (int i = 0; i < 5; i++) {
		send_line(end[0], "the same text over and over");
		busy = stream_memory(end[0]);
		expect_line(end[1], "the same text over and over");
		assert_int_equal(stream_wait(end[0], NULL, 0, 10, &err), 0);
		assert_true(busy > 256 * 1024);
		assert_true(stream_memory(end[0]) < 48 * 1024);
	}
	free_pair(end);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_flush_can_be_read_at_once),
		cmocka_unit_test(an_empty_flush_sends_nothing),
		cmocka_unit_test(bulk_comes_out_whole),
		cmocka_unit_test(a_file_is_compressed_too),
		cmocka_unit_test(the_next_byte_is_compressed),
		cmocka_unit_test(garbage_is_a_protocol_error_that_stays),
		cmocka_unit_test(a_finished_stream_is_the_end),
		cmocka_unit_test(a_part_of_a_block_is_not_readable),
		cmocka_unit_test(what_the_inflater_holds_is_readable),
		cmocka_unit_test(nothing_stays_in_the_inflater),
		cmocka_unit_test(a_quiet_stream_drops_its_compressor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
