/* test_stream_zstd.c - zstd on a stream, against itself and against the library used by hand. */
#include "tests/unit/base/lines.h"

#include <sys/socket.h>
#include <zstd.h>

#define BLOCK 131072 /* the longest block, and the window */

static const struct stream_config impatient = {.read_timeout_ms = 0,
					       .write_timeout_ms = 1000,
					       .quiet_after_ms = 5,
					       .high_water = 32768};

/* end[1] unpacks; end[0] packs too, or writes what a test gives it. */
static void make_pair(struct stream *end[2], bool both, uint64_t let_by_from)
{
	struct us_err err;

	stream_pipe(end, &impatient);
	assert_ok(stream_start_zstd(end[1], let_by_from, &err), &err);
	if (both)
		assert_ok(stream_start_zstd(end[0], let_by_from, &err), &err);
}

static void free_pair(struct stream *end[2])
{
	stream_free(&end[0]);
	stream_free(&end[1]);
}

/* What packing a text and a flush gives. */
static void pack_line(const char *text, struct buf *out)
{
	struct stream *end[2];
	struct us_err err;
	struct span packed;

	stream_pipe(end, &impatient);
	assert_ok(stream_start_zstd(end[0], STREAM_PACK_ALL, &err), &err);
	send_line(end[0], text);
	assert_int_equal(stream_peek(end[1], &packed, &err), 1);
	buf_clear(out);
	buf_add_span(out, packed);
	free_pair(end);
}

static void push_bytes(struct stream *s, const void *data, size_t len)
{
	struct us_err err;

	stream_write(s, data, len);
	assert_ok(stream_flush(s, &err), &err);
}

/* Read to the end, whatever it is: how many bytes came. */
static size_t read_on(struct stream *s, int *end, struct us_err *err)
{
	size_t total = 0;
	struct span seen;

	while ((*end = stream_peek(s, &seen, err)) > 0) {
		total += seen.len;
		stream_take(s, seen.len);
	}
	return total;
}

/* ---- lines ------------------------------------------------------------------------------------ */

static void each_flush_can_be_read_at_once(void **state UNUSED)
{
	struct stream *end[2];

	make_pair(end, true, STREAM_PACK_ALL);
	talk_in_turns(end);
	free_pair(end);
}

/* The same order about another message: a few dozen octets, also after a silence. */
static void what_was_said_before_costs_little(void **state UNUSED)
{
	struct stream *end[2];
	struct us_err err;
	char text[400];
	uint64_t before = 0;

	make_pair(end, true, STREAM_PACK_ALL);
	for (int i = 0; i < 6; i++) {
		snprintf(text, sizeof(text),
			 "APPLY MAILBOX %%(UNIQUEID 0123456789abcdef MBOXNAME user.bob LAST_UID "
			 "40000 "
			 "HIGHESTMODSEQ %d UIDVALIDITY 1764560000 PARTITION default ACL "
			 "\"bob\tlrswipkxtecdan\t\" OPTIONS P RECORD (%%(UID %d MODSEQ %d "
			 "FLAGS (\\Flagged) INTERNALDATE 1764560000)))",
			 40017 + i, 100 + 37 * i, 40017 + i);
		before = stream_stats(end[0]).wire_out;
		send_line(end[0], text);
		expect_line(end[1], text);
		assert_int_equal(stream_wait(end[0], NULL, 0, 10, &err), 0);
	}
	assert_in_range(stream_stats(end[0]).wire_out - before, 1, 50);
	free_pair(end);
}

static void an_empty_flush_sends_nothing(void **state UNUSED)
{
	struct stream *end[2];
	struct us_err err;
	uint64_t sent;

	make_pair(end, true, STREAM_PACK_ALL);
	assert_ok(stream_flush(end[0], &err), &err);
	assert_int_equal(stream_stats(end[0]).wire_out, 0);
	send_line(end[0], "x");
	sent = stream_stats(end[0]).wire_out;
	assert_ok(stream_flush(end[0], &err), &err);
	assert_int_equal(stream_stats(end[0]).wire_out, sent);
	free_pair(end);
}

/* The command that switches it on and its reply are plain; what stands behind the command in the same
 * packet is compressed already. */
static void the_next_byte_is_compressed(void **state UNUSED)
{
	struct buf packed = BUF_INIT;
	struct stream *end[2];
	struct us_err err;

	pack_line("GET USER bob", &packed);
	stream_pipe(end, &impatient);
	assert_null(stream_compression(end[1]));
	stream_write_str(end[0], "COMPRESS ZSTD\r\n");
	push_bytes(end[0], packed.data, packed.len);
	expect_line(end[1], "COMPRESS ZSTD");
	stream_write_str(end[1], "OK ZSTD active\r\n");
	assert_ok(stream_start_zstd(end[1], STREAM_PACK_ALL, &err), &err);
	assert_string_equal(stream_compression(end[1]), "ZSTD");
	assert_int_equal(stream_start_zstd(end[1], STREAM_PACK_ALL, &err), US_EINVAL);
	assert_int_equal(stream_start_deflate(end[1], &err), US_EINVAL);
	expect_line(end[1], "GET USER bob");
	expect_line(end[0], "OK ZSTD active");
	assert_int_equal(stream_stats(end[1]).plain_in, 15 + 14);
	buf_free(&packed);
	free_pair(end);
}

/* ---- bulk and files --------------------------------------------------------------------------- */

static char *some_text(size_t size)
{
	char *text = us_malloc(size);
	uint32_t random = 1;

	for (size_t i = 0; i < size; i++) {
		random = random * 1103515245 + 12345;
		text[i] = i % 3 ? (char)(random >> 16) : 'a';
	}
	return text;
}

/* Above the high-water mark the compressor is fed without a flush; the flush must still drive it all out. */
static void bulk_comes_out_whole(void **state UNUSED)
{
	size_t size = 700000;
	char *sent = some_text(size), *got = us_malloc(size);
	struct stream *end[2];
	struct us_err err;

	make_pair(end, true, STREAM_PACK_ALL);
	for (size_t at = 0, piece = 1; at < size; at += piece, piece = piece * 3 % 40009 + 1)
		stream_write(end[0], sent + at, piece < size - at ? piece : size - at);
	assert_ok(stream_flush(end[0], &err), &err);
	assert_ok(stream_read(end[1], got, size, &err), &err);
	assert_memory_equal(got, sent, size);
	free(sent);
	free(got);
	free_pair(end);
}

static FILE *file_of(const char *data, size_t len)
{
	FILE *file = tmpfile();

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, len, file), len);
	assert_int_equal(fflush(file), 0);
	return file;
}

/* A line, a file, a line; how many bytes that took. */
static uint64_t send_file_between_lines(struct stream *end[2], const char *data, size_t len)
{
	FILE *file = file_of(data, len);
	char *got = us_malloc(len + 1);
	uint64_t before = stream_stats(end[0]).wire_out;
	struct us_err err;

	stream_write_str(end[0], "APPLY MESSAGE\r\n");
	assert_ok(stream_send_file(end[0], fileno(file), 0, len, &err), &err);
	send_line(end[0], "that was it");
	expect_line(end[1], "APPLY MESSAGE");
	assert_ok(stream_read(end[1], got, len, &err), &err);
	assert_memory_equal(got, data, len);
	expect_line(end[1], "that was it");
	assert_int_equal(stream_stats(end[0]).plain_out, stream_stats(end[1]).plain_in);
	assert_int_equal(stream_stats(end[0]).wire_out, stream_stats(end[1]).wire_in);
	free(got);
	fclose(file);
	return stream_stats(end[0]).wire_out - before;
}

static void a_file_is_compressed_too(void **state UNUSED)
{
	struct stream *end[2];
	char *zeros = us_calloc(1, 200000);

	make_pair(end, true, STREAM_PACK_ALL);
	assert_in_range(send_file_between_lines(end, zeros, 200000), 30, 200);
	free(zeros);
	free_pair(end);
}

static const size_t lengths[] = {1, 999, 1000, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 300000};

static void a_long_file_goes_by_as_it_is(void **state UNUSED)
{
	struct stream *end[2];
	char *zeros = us_calloc(1, 300000);

	make_pair(end, true, 1000);
	for (int round = 0; round < 2; round++)
		for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
			size_t len = lengths[i], low = len < 1000 ? 1 : len, most = low + 130;

			assert_in_range(send_file_between_lines(end, zeros, len), low, most);
		}
	free(zeros);
	free_pair(end);
}

/* The same over sockets, by sendfile(2); the other end needs no agreement about lengths. */
static void a_long_file_goes_through_a_socket(void **state UNUSED)
{
	struct stream *end[2];
	struct us_err err;
	char *text = some_text(300000);
	int fd[2], room = 1 << 20;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(setsockopt(fd[i], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)), 0);
		end[i] = stream_new(fd[i], fd[i], &impatient);
	}
	assert_ok(stream_start_zstd(end[0], 1000, &err), &err);
	assert_ok(stream_start_zstd(end[1], STREAM_PACK_ALL, &err), &err);
	send_file_between_lines(end, text,
				100000); /* what the kernel holds for us is enough for it */
	send_file_between_lines(end, text, 20000);
	free(text);
	free_pair(end);
}

/* ---- what does not belong there --------------------------------------------------------------- */

#define MAGIC "\x28\xb5\x2f\xfd"
#define LINE  "\x00\x38" /* no flags; a window of 128 KB */

static void garbage_is_a_protocol_error_that_stays(void **state UNUSED)
{
	const struct span rows[] = {
		SPAN_LIT("GET USER bob\r\n"),
		SPAN_LIT(MAGIC LINE "\x07\x00\x00"), /* the block type that is reserved */
		SPAN_LIT(MAGIC LINE "\xff\xff\xff"),
		SPAN_LIT(MAGIC LINE "\x09\x00\x10"),        /* a raw block of 128 KB and a byte */
		SPAN_LIT(MAGIC "\x08\x38"),                 /* a bit that is reserved */
		SPAN_LIT(MAGIC "\x00\x39"),                 /* a window of 144 KB */
		SPAN_LIT(MAGIC "\x00\x40"),                 /* of 256 KB */
		SPAN_LIT(MAGIC "\x00\xff"),                 /* of some TB */
		SPAN_LIT(MAGIC "\xe0\0\0\0\1\0\0\0\0"),     /* all in one segment, of 16 MB */
		SPAN_LIT(MAGIC "\x01\x38\x05"),             /* a dictionary */
		SPAN_LIT("\x50\x2a\x4d\x18\1\0\0\0x"),      /* a skippable frame */
		SPAN_LIT("\x27\xb5\x2f\xfd" LINE "\0\0\0"), /* zstd 0.7 */
		SPAN_LIT("\x1f\x8b\x08\0\0\0\0\0\0\3"),     /* gzip */
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct us_err err = US_ERR_INIT;
		struct stream *end[2];
		struct span seen;
		int rc;

		make_pair(end, false, STREAM_PACK_ALL);
		push_bytes(end[0], rows[i].ptr, rows[i].len);
		(void)read_on(end[1], &rc, &err);
		if (rc != US_EPROTO || !strstr(err.text, "does not send zstd"))
			fail_msg("row %zu: %d %s", i, rc, err.text);
		assert_int_equal(stream_peek(end[1], &seen, &err), US_EPROTO);
		assert_int_equal(stream_wait(end[1], NULL, 0, -1, &err), (int)STREAM_READABLE);
		assert_true(stream_memory(end[1]) < 1 << 20);
		/* we can still say why we go, in our own compression */
		send_line(end[1], "* BYE");
		free_pair(end);
	}
}

/* Any octet changed: it is found, or another text of no great length comes out. */
static void damage_does_no_harm(void **state UNUSED)
{
	struct buf packed = BUF_INIT;
	int seen_errors = 0;

	pack_line("GET USER bob, and a few words more, a few words more, for a match or two",
		  &packed);
	for (size_t at = 0; at < packed.len; at++)
		for (int bit = 0; bit < 8; bit++) {
			struct us_err err = US_ERR_INIT;
			struct stream *end[2];
			int rc;

			make_pair(end, false, STREAM_PACK_ALL);
			packed.data[at] ^= (char)(1 << bit);
			push_bytes(end[0], packed.data, packed.len);
			packed.data[at] ^= (char)(1 << bit);
			stream_free(&end[0]);
			assert_in_range(read_on(end[1], &rc, &err), 0, BLOCK);
			assert_true(rc == 0 || rc == US_EPROTO || rc == US_ECLOSED);
			seen_errors += rc < 0;
			free_pair(end);
		}
	assert_true(seen_errors > 50);
	buf_free(&packed);
}

/* Not so short that it goes raw, for of a raw block each octet can be read at once. */
#define PACKED_LINE "GET USER bob_bob_bob_bob_bob_bob_bob_bob_bob_bob_bob_bob"

/* Wherever it is cut but between two blocks, the reader is told that something is missing. */
static void a_cut_is_found(void **state UNUSED)
{
	struct buf packed = BUF_INIT;

	pack_line(PACKED_LINE, &packed);
	for (size_t cut = 0; cut <= packed.len; cut++) {
		bool clean = cut == 0 || cut == 6 || cut == packed.len;
		struct us_err err = US_ERR_INIT;
		struct stream *end[2];
		int rc;

		make_pair(end, false, STREAM_PACK_ALL);
		push_bytes(end[0], packed.data, cut);
		stream_free(&end[0]);
		assert_int_equal(read_on(end[1], &rc, &err),
				 cut == packed.len ? strlen(PACKED_LINE) + 2 : 0);
		if (rc != (clean ? 0 : US_ECLOSED))
			fail_msg("cut at %zu: %d %s", cut, rc, err.text);
		assert_true(clean || strstr(err.text, "inside a block"));
		free_pair(end);
	}
	buf_free(&packed);
}

/* 4 octets that stand for 128 KB, again and again: nobody holds more of it than he reads. */
static void a_bomb_unfolds_as_it_is_read(void **state UNUSED)
{
	struct buf bomb = BUF_INIT, line = BUF_INIT;
	struct stream *end[2];
	struct us_err err;
	struct span seen;

	buf_add(&bomb, MAGIC LINE, 6);
	for (int i = 0; i < 1000; i++)
		buf_add(&bomb, "\x02\x00\x10x", 4);
	make_pair(end, false, STREAM_PACK_ALL);
	push_bytes(end[0], bomb.data, bomb.len);
	assert_int_equal(stream_line(end[1], 10000, &line, &err), US_ELIMIT);
	while (stream_readable(end[1])) {
		assert_int_equal(stream_peek(end[1], &seen, &err), 1);
		stream_take(end[1], seen.len);
		assert_true(stream_memory(end[1]) < 1 << 20);
	}
	assert_int_equal(stream_stats(end[1]).plain_in, 1000 * BLOCK);
	buf_free(&bomb);
	buf_free(&line);
	free_pair(end);
}

/* ---- readable --------------------------------------------------------------------------------- */

/* Half a block is nothing to read yet: who waits must sleep on. */
static void a_part_of_a_block_is_not_readable(void **state UNUSED)
{
	struct buf packed = BUF_INIT;
	struct stream *end[2];
	struct us_err err;

	pack_line(PACKED_LINE, &packed);
	make_pair(end, false, STREAM_PACK_ALL);
	for (size_t i = 0; i + 1 < packed.len; i++) {
		push_bytes(end[0], packed.data + i, 1);
		assert_int_equal(stream_wait(end[1], NULL, 0, 1, &err), 0);
		assert_false(stream_readable(end[1]));
	}
	push_bytes(end[0], packed.data + packed.len - 1, 1);
	assert_int_equal(stream_wait(end[1], NULL, 0, -1, &err), (int)STREAM_READABLE);
	expect_line(end[1], PACKED_LINE);
	assert_false(stream_readable(end[1]));
	buf_free(&packed);
	free_pair(end);
}

/* What another maker of zstd sends: frames that end, say their length, have a checksum, follow each other. */
static void frames_of_others_are_read(void **state UNUSED)
{
	ZSTD_CCtx *cctx = ZSTD_createCCtx();
	char packed[1000];
	struct stream *end[2];
	struct us_err err;
	struct span seen;
	size_t n;

	make_pair(end, false, STREAM_PACK_ALL);
	ZSTD_CCtx_setParameter(cctx, ZSTD_c_checksumFlag, 1);
	for (int level = -5; level < 20; level += 8) {
		ZSTD_CCtx_setParameter(cctx, ZSTD_c_compressionLevel, level);
		n = ZSTD_compress2(cctx, packed, sizeof(packed), "NOOP\r\n", 6);
		assert_false(ZSTD_isError(n));
		push_bytes(end[0], packed, n);
		n = ZSTD_compress2(cctx, packed, sizeof(packed), "", 0);
		push_bytes(end[0], packed, n);
		expect_line(end[1], "NOOP");
		assert_false(stream_readable(end[1]));
	}
	stream_free(&end[0]);
	assert_int_equal(stream_peek(end[1], &seen, &err), 0);
	ZSTD_freeCCtx(cctx);
	free_pair(end);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_flush_can_be_read_at_once),
		cmocka_unit_test(what_was_said_before_costs_little),
		cmocka_unit_test(an_empty_flush_sends_nothing),
		cmocka_unit_test(the_next_byte_is_compressed),
		cmocka_unit_test(bulk_comes_out_whole),
		cmocka_unit_test(a_file_is_compressed_too),
		cmocka_unit_test(a_long_file_goes_by_as_it_is),
		cmocka_unit_test(a_long_file_goes_through_a_socket),
		cmocka_unit_test(garbage_is_a_protocol_error_that_stays),
		cmocka_unit_test(damage_does_no_harm),
		cmocka_unit_test(a_cut_is_found),
		cmocka_unit_test(a_bomb_unfolds_as_it_is_read),
		cmocka_unit_test(a_part_of_a_block_is_not_readable),
		cmocka_unit_test(frames_of_others_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
