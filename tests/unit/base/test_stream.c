/* test_stream.c - reading, writing and counting over the pipe in memory and over socket pairs. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/base/stream.h"

/* Nobody in these tests waits for anything: what is not there is an error at once. */
static const struct stream_config impatient = {.read_timeout_ms = 0,
					       .write_timeout_ms = 1000,
					       .quiet_after_ms = 1000,
					       .high_water = 32768};

static void send_text(struct stream *s, const char *text)
{
	struct us_err err;

	stream_write_str(s, text);
	assert_ok(stream_flush(s, &err), &err);
}

static void make_socket_stream(struct stream **s, int *peer)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	*s = stream_new(fds[0], fds[0], &impatient);
	*peer = fds[1];
}

/* Everything that stands in a socket, without waiting. */
static size_t drain(int fd, char *data, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while ((n = recv(fd, data + len, size - len, MSG_DONTWAIT)) > 0)
		len += (size_t)n;
	return len;
}

/* ---- lines ------------------------------------------------------------------------------------ */

static void lines_end_in_crlf_or_lf(void **state UNUSED)
{
	static const char *const expected[] = {"one", "two", "", "", "a\rb", "c\r"};
	struct buf line = BUF_INIT;
	struct stream *end[2];
	struct us_err err;

	stream_pipe(end, &impatient);
	send_text(end[0], "one\r\ntwo\n\r\n\na\rb\r\nc\r\r\n");
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		assert_int_equal(stream_line(end[1], 100, &line, &err), 1);
		assert_span(buf_span(&line), expected[i]);
	}
	assert_int_equal(stream_line(end[1], 100, &line, &err), US_ETIMEOUT);
	buf_free(&line);
	stream_free(&end[0]);
	stream_free(&end[1]);
}

static void lines_may_hold_nuls(void **state UNUSED)
{
	struct buf line = BUF_INIT;
	struct stream *end[2];
	struct us_err err;

	stream_pipe(end, &impatient);
	stream_write(end[0], "a\0b\0\r\n", 6);
	assert_ok(stream_flush(end[0], &err), &err);
	assert_int_equal(stream_line(end[1], 4, &line, &err), 1);
	assert_int_equal(line.len, 4);
	assert_memory_equal(line.data, "a\0b\0", 4);
	buf_free(&line);
	stream_free(&end[0]);
	stream_free(&end[1]);
}

/* The same lines, however they are cut into pieces on the way. */
static void the_limit_is_exact_wherever_reads_are_cut(void **state UNUSED)
{
	static const struct {
		const char *text, *line;
		int rc;
	} rows[] = {
		{"1234\r\nnext\r\n", "1234", 1},
		{"1234\nnext\r\n", "1234", 1},
		{"12345\r\nnext\r\n", "1234", US_ELIMIT},
		{"12345\nnext\r\n", "1234", US_ELIMIT},
		{"1234\r5\r\nnext\r\n", "1234", US_ELIMIT},
		{"1234\r\r\nnext\r\n", "1234", US_ELIMIT},
		{"123\r\r\nnext\r\n", "123\r", 1},
		{"1234567890123456789012345\r\nnext\r\n", "1234", US_ELIMIT},
		{"\r\nnext\r\n", "", 1},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (size_t cut = 0; cut < strlen(rows[i].text) - 6; cut++) {
			struct buf line = BUF_INIT;
			struct us_err err;
			struct stream *s;
			int peer, rc;

			make_socket_stream(&s, &peer);
			assert_int_equal(write(peer, rows[i].text, cut), cut);
			(void)stream_readable(s);
			assert_true(write(peer, rows[i].text + cut, strlen(rows[i].text) - cut) >
				    0);
			rc = stream_line(s, 4, &line, &err);
			if (rc != rows[i].rc)
				fail_msg("row %zu cut at %zu: %d", i, cut, rc);
			assert_span(buf_span(&line), rows[i].line);
			if (rc < 0)
				assert_int_equal(stream_skip_line(s, &err), 1);
			assert_int_equal(stream_line(s, 4, &line, &err), 1);
			assert_span(buf_span(&line), "next");
			buf_free(&line);
			stream_free(&s);
			close(peer);
		}
}

static void long_lines_cross_buffers(void **state UNUSED)
{
	struct buf sent = BUF_INIT, line = BUF_INIT;
	struct stream *end[2];
	struct us_err err;

	for (int i = 0; i < 50000; i++)
		buf_printf(&sent, "%d ", i);
	stream_pipe(end, &impatient);
	stream_write_span(end[0], buf_span(&sent));
	send_text(end[0], "\r\n");
	assert_int_equal(stream_line(end[1], sent.len, &line, &err), 1);
	assert_true(span_eq(buf_span(&line), buf_span(&sent)));
	buf_free(&line);
	buf_free(&sent);
	stream_free(&end[0]);
	stream_free(&end[1]);
}

static void the_end_comes_between_lines_or_within(void **state UNUSED)
{
	struct buf line = BUF_INIT;
	struct stream *end[2];
	struct us_err err;

	stream_pipe(end, &impatient);
	send_text(end[0], "whole\r\n");
	stream_free(&end[0]);
	assert_int_equal(stream_line(end[1], 10, &line, &err), 1);
	assert_int_equal(stream_line(end[1], 10, &line, &err), 0);
	assert_int_equal(stream_skip_line(end[1], &err), 0);
	assert_true(stream_eof(end[1]));
	stream_free(&end[1]);

	stream_pipe(end, &impatient);
	send_text(end[0], "half");
	stream_free(&end[0]);
	assert_int_equal(stream_line(end[1], 10, &line, &err), US_ECLOSED);
	stream_free(&end[1]);
	buf_free(&line);
}

/* ---- peek, take, counted bytes ---------------------------------------------------------------- */

static void peek_shows_and_take_consumes(void **state UNUSED)
{
	struct stream *end[2];
	struct us_err err;
	struct span seen;

	stream_pipe(end, &impatient);
	send_text(end[0], "abcdef");
	assert_int_equal(stream_peek(end[1], &seen, &err), 1);
	assert_span(seen, "abcdef");
	stream_take(end[1], 2);
	assert_int_equal(stream_peek(end[1], &seen, &err), 1);
	assert_span(seen, "cdef");
	stream_take(end[1], 4);
	stream_free(&end[0]);
	assert_false(stream_eof(end[1])); /* nobody has looked yet */
	assert_int_equal(stream_peek(end[1], &seen, &err), 0);
	assert_true(stream_eof(end[1]));
	assert_int_equal(stream_peek(end[1], &seen, &err), 0);
	stream_free(&end[1]);
}

static void a_stream_is_a_dlist_source(void **state UNUSED)
{
	struct pool *pool = pool_new();
	struct dlist_lexer lx;
	struct stream *end[2];
	struct us_err err;
	struct dlist *d;
	struct span s;

	stream_pipe(end, &impatient);
	send_text(end[0], "APPLY %(A {3+}\r\nx\r\n B (1 2))\r\nNOOP\r\n");
	dlist_lexer_init(&lx, stream_source(end[1]), NULL);
	assert_int_equal(dlist_next(&lx, &err), DLIST_TOKEN_TEXT);
	assert_ok(dlist_read_tree(&lx, dlist_next(&lx, &err), pool, &d, &err), &err);
	assert_int_equal(dlist_next(&lx, &err), DLIST_TOKEN_EOL);
	assert_true(dlist_get_str(d, "A", &s));
	assert_span(s, "x\r\n");
	dlist_lexer_restart(&lx);
	assert_int_equal(dlist_next(&lx, &err), DLIST_TOKEN_TEXT);
	assert_string_equal(lx.text.data, "NOOP");
	dlist_lexer_fini(&lx);
	pool_free(&pool);
	stream_free(&end[0]);
	stream_free(&end[1]);
}

static int collect(void *ctx, const void *data, size_t len, struct us_err *err UNUSED)
{
	buf_add(ctx, data, len);
	return 0;
}

static int refuse(void *ctx, const void *data UNUSED, size_t len UNUSED, struct us_err *err)
{
	++*(int *)ctx;
	return us_fail(err, US_ENOSPC, "no room");
}

static void copy_goes_on_behind_the_bytes(void **state UNUSED)
{
	struct buf got = BUF_INIT;
	struct stream *end[2];
	struct us_err err;
	int calls = 0;
	char tail[4];

	stream_pipe(end, &impatient);
	for (int i = 0; i < 30000; i++)
		stream_printf(end[0], "%08d", i);
	send_text(end[0], "tail");
	assert_ok(stream_copy(end[1], 120000, collect, &got, &err), &err);
	assert_int_equal(got.len, 120000);
	assert_memory_equal(got.data + 8 * 14999, "00014999", 8);
	/* who refuses is asked once, and the bytes are used up all the same */
	assert_int_equal(stream_copy(end[1], 120000, refuse, &calls, &err), US_ENOSPC);
	assert_int_equal(calls, 1);
	assert_ok(stream_read(end[1], tail, 4, &err), &err);
	assert_memory_equal(tail, "tail", 4);
	buf_free(&got);
	stream_free(&end[0]);
	stream_free(&end[1]);
}

static void counted_bytes_that_do_not_come(void **state UNUSED)
{
	struct stream *end[2];
	struct us_err err;
	char data[10];

	stream_pipe(end, &impatient);
	send_text(end[0], "12345");
	stream_free(&end[0]);
	assert_int_equal(stream_read(end[1], data, 10, &err), US_ECLOSED);
	stream_free(&end[1]);
}

/* ---- writing ---------------------------------------------------------------------------------- */

/* Three pipelined commands: their replies leave when the server has nothing left to read, not before, and
 * together. */
static void replies_to_pipelined_commands_leave_together(void **state UNUSED)
{
	struct buf line = BUF_INIT;
	struct us_err err;
	struct stream *s;
	char seen[200];
	int peer;

	make_socket_stream(&s, &peer);
	assert_int_equal(write(peer, "1\r\n2\r\n3\r\n", 9), 9);
	for (int i = 1; i <= 3; i++) {
		assert_int_equal(stream_line(s, 10, &line, &err), 1);
		stream_printf(s, "%s OK done\r\n", line.data);
		assert_int_equal(drain(peer, seen, sizeof(seen)), 0);
	}
	assert_int_equal(stream_line(s, 10, &line, &err), US_ETIMEOUT);
	assert_int_equal(drain(peer, seen, sizeof(seen)), 36 - 3);
	assert_memory_equal(seen, "1 OK done\r\n2 OK done\r\n3 OK done\r\n", 33);
	buf_free(&line);
	stream_free(&s);
	close(peer);
}

static void one_flush_is_one_packet(void **state UNUSED)
{
	struct us_err err;
	char packet[100];
	struct stream *s;
	int fds[2];

	/* a packet socket keeps the borders of writes */
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	s = stream_new(-1, fds[0], &impatient);
	stream_write_str(s, "* 1 EXISTS\r\n");
	stream_printf(s, "%s OK\r\n", "a1");
	assert_ok(stream_flush(s, &err), &err);
	assert_ok(stream_flush(s, &err), &err); /* nothing: no empty packet */
	send_text(s, "more");
	assert_int_equal(recv(fds[1], packet, sizeof(packet), MSG_DONTWAIT), 19);
	assert_int_equal(recv(fds[1], packet, sizeof(packet), MSG_DONTWAIT), 4);
	stream_free(&s);
	close(fds[1]);
}

static void the_high_water_mark_bounds_what_is_kept(void **state UNUSED)
{
	struct stream *end[2];
	char kilobyte[1024];

	memset(kilobyte, 'x', sizeof(kilobyte));
	stream_pipe(end, &impatient);
	for (int i = 0; i < 1000; i++) {
		stream_write(end[0], kilobyte, sizeof(kilobyte));
		assert_true(stream_memory(end[0]) <= 2 * 32768 + 1024);
	}
	assert_true(stream_stats(end[0]).wire_out >= 999 * 1024 - 32768);
	stream_free(&end[0]);
	stream_free(&end[1]);
}

static void large_writes_keep_their_order(void **state UNUSED)
{
	size_t size = 300000;
	char *large = us_malloc(size), *got = us_malloc(size + 6);
	struct stream *end[2];
	struct us_err err;

	for (size_t i = 0; i < size; i++)
		large[i] = (char)(i * 7);
	stream_pipe(end, &impatient);
	stream_write_str(end[0], "abc");
	stream_write(end[0], large, size);
	send_text(end[0], "xyz");
	assert_ok(stream_read(end[1], got, size + 6, &err), &err);
	assert_memory_equal(got, "abc", 3);
	assert_memory_equal(got + 3, large, size);
	assert_memory_equal(got + 3 + size, "xyz", 3);
	free(large);
	free(got);
	stream_free(&end[0]);
	stream_free(&end[1]);
}

/* After the peer is gone a write fails, and fails again; what he said before is still read. */
static void a_failed_write_stays_and_leaves_the_last_word(void **state UNUSED)
{
	struct buf line = BUF_INIT;
	struct us_err err;
	struct stream *s;
	int peer;

	make_socket_stream(&s, &peer);
	assert_int_equal(write(peer, "BYE shutting down\r\n", 19), 19);
	close(peer);
	stream_write_str(s, "NOOP\r\n");
	assert_int_equal(stream_flush(s, &err), US_ECLOSED);
	err.text[0] = '\0';
	stream_write_str(s, "NOOP\r\n");
	assert_int_equal(stream_flush(s, &err), US_ECLOSED);
	assert_non_null(strstr(err.text, "writing"));
	assert_int_equal(stream_line(s, 100, &line, &err), 1);
	assert_string_equal(line.data, "BYE shutting down");
	assert_int_equal(stream_line(s, 100, &line, &err), 0);
	buf_free(&line);
	stream_free(&s);
}

static void reads_report_a_failed_flush(void **state UNUSED)
{
	struct us_err err;
	struct stream *end[2];
	struct span seen;
	int to[2], from[2];

	assert_int_equal(pipe(to), 0);
	assert_int_equal(pipe(from), 0);
	end[0] = stream_new(from[0], to[1], &impatient);
	close(to[0]); /* nobody reads, but nobody has ended either */
	stream_write_str(end[0], "x");
	assert_int_equal(stream_peek(end[0], &seen, &err), US_ECLOSED);
	assert_non_null(strstr(err.text, "writing"));
	stream_free(&end[0]);
	close(from[1]);
}

/* ---- files ------------------------------------------------------------------------------------ */

static int make_file(size_t size)
{
	FILE *file = tmpfile();
	int fd;

	assert_non_null(file);
	for (size_t i = 0; i < size; i++)
		fputc((int)(i * 31 >> 3 & 255), file);
	fflush(file);
	fd = dup(fileno(file));
	fclose(file);
	return fd;
}

static void check_file_bytes(const char *got, size_t offset, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (got[i] != (char)((offset + i) * 31 >> 3 & 255))
			fail_msg("byte %zu differs", i);
}

static void files_go_out_in_place(void **state UNUSED)
{
	static const struct {
		size_t offset, len;
	} rows[] = {{0, 0}, {0, 5}, {3, 1000}, {0, 16384}, {7, 40000}, {1, 99999}};
	int fd = make_file(100000);

	for (size_t i = 0; i < ARRAY_SIZE(rows) * 2; i++) {
		size_t offset = rows[i / 2].offset, len = rows[i / 2].len;
		char *got = us_malloc(len + 10);
		struct stream *s, *end[2] = {NULL, NULL};
		struct us_err err;
		int peer = -1;

		if (i % 2)
			make_socket_stream(&s, &peer);
		else
			stream_pipe(end, &impatient);
		if (!(i % 2))
			s = end[0];
		stream_write_str(s, "abcde");
		assert_ok(stream_send_file(s, fd, offset, len, &err), &err);
		send_text(s, "fghij");
		if (i % 2)
			assert_int_equal(drain(peer, got, len + 10), len + 10);
		else
			assert_ok(stream_read(end[1], got, len + 10, &err), &err);
		assert_memory_equal(got, "abcde", 5);
		check_file_bytes(got + 5, offset, len);
		assert_memory_equal(got + 5 + len, "fghij", 5);
		assert_int_equal(stream_stats(s).plain_out, len + 10);
		assert_int_equal(stream_stats(s).wire_out, len + 10);
		free(got);
		stream_free(&s);
		stream_free(&end[1]);
		if (peer >= 0)
			close(peer);
	}
	close(fd);
}

static void a_short_file_is_noticed_before_it_is_sent(void **state UNUSED)
{
	int fd = make_file(1000);
	struct stream *end[2];
	struct us_err err;

	stream_pipe(end, &impatient);
	assert_int_equal(stream_send_file(end[0], fd, 0, 1001, &err), US_ECORRUPT);
	assert_int_equal(stream_send_file(end[0], fd, 1001, 0, &err), US_ECORRUPT);
	assert_int_equal(stream_send_file(end[0], fd, UINT64_MAX, 2, &err), US_ECORRUPT);
	assert_ok(stream_send_file(end[0], fd, 1000, 0, &err), &err);
	assert_ok(stream_flush(end[0], &err), &err);
	assert_int_equal(stream_stats(end[0]).wire_out, 0);
	close(fd);
	stream_free(&end[0]);
	stream_free(&end[1]);
}

/* ---- the rest --------------------------------------------------------------------------------- */

static void readable_never_blocks(void **state UNUSED)
{
	struct stream *end[2];
	struct us_err err;
	struct span seen;

	stream_pipe(end, NULL); /* would wait for ever */
	stream_write_str(end[1], "kept");
	assert_false(stream_readable(end[1]));
	assert_int_equal(stream_stats(end[1]).wire_out, 0); /* not flushed */
	send_text(end[0], "ab");
	assert_true(stream_readable(end[1]));
	assert_int_equal(stream_peek(end[1], &seen, &err), 1);
	stream_take(end[1], 1);
	assert_true(stream_readable(end[1]));
	stream_take(end[1], 1);
	assert_false(stream_readable(end[1]));
	stream_free(&end[0]);
	assert_true(stream_readable(end[1]));
	assert_int_equal(stream_peek(end[1], &seen, &err), 0);
	stream_free(&end[1]);
}

static void serve_one(void *ctx)
{
	struct stream *s = ctx;
	struct buf line = BUF_INIT;
	struct us_err err;

	if (stream_readable(s) && stream_line(s, 100, &line, &err) == 1) {
		stream_printf(s, "OK %s\r\n", line.data);
		assert_ok(stream_flush(s, &err), &err);
	}
	buf_free(&line);
}

static void both_ends_work_in_one_thread(void **state UNUSED)
{
	struct buf line = BUF_INIT;
	struct stream *end[2];
	struct us_err err;

	stream_pipe(end, &impatient);
	stream_pipe_on_empty(end[0], serve_one, end[1]);
	for (int i = 0; i < 3; i++) {
		stream_printf(end[0], "NOOP%d\r\n", i);
		assert_int_equal(stream_line(end[0], 100, &line, &err), 1);
		assert_int_equal(line.data[strlen("OK NOOP")], '0' + i);
	}
	buf_free(&line);
	stream_free(&end[0]);
	stream_free(&end[1]);
}

static void bytes_are_counted(void **state UNUSED)
{
	struct stream *end[2];
	struct stream_stats stats;
	struct us_err err;
	char data[11];

	stream_pipe(end, &impatient);
	send_text(end[0], "hello");
	stream_printf(end[0], "%s", "world!");
	assert_ok(stream_flush(end[0], &err), &err);
	assert_ok(stream_read(end[1], data, 11, &err), &err);
	stats = stream_stats(end[0]);
	assert_int_equal(stats.wire_out, 11);
	assert_int_equal(stats.plain_out, 11);
	assert_int_equal(stats.wire_in, 0);
	stats = stream_stats(end[1]);
	assert_int_equal(stats.wire_in, 11);
	assert_int_equal(stats.plain_in, 11);
	stream_free(&end[0]);
	stream_free(&end[1]);
}

/* Marks carry the time: it becomes T before comparing. */
static void read_log(int fd, struct buf *out)
{
	char data[1000];
	ssize_t n = pread(fd, data, sizeof(data), 0);

	buf_clear(out);
	for (ssize_t i = 0; i < n; i++) {
		bool mark = (data[i] == '<' || data[i] == '>') && i + 1 < n && data[i + 1] >= '1' &&
			    data[i + 1] <= '9';
		buf_add_char(out, data[i]);
		if (!mark)
			continue;
		buf_add_char(out, 'T');
		while (data[++i] >= '0' && data[i] <= '9')
			;
		buf_add_char(out, data[i]);
	}
}

static void serve_logged(struct stream *server, int log, const char *command, const char *reply)
{
	struct buf line = BUF_INIT;
	struct us_err err;

	assert_int_equal(stream_line(server, 100, &line, &err), 1);
	assert_string_equal(line.data, command);
	stream_write_str(server, reply);
	if (log >= 0)
		stream_set_telemetry(server, log);
	buf_free(&line);
}

/* The client pipelines its first command behind LOGIN, all in one packet: the log begins right after the
 * reply to LOGIN, and a later authentication stays out of it. */
static void telemetry_has_all_but_authentication(void **state UNUSED)
{
	FILE *file = tmpfile();
	struct buf log = BUF_INIT;
	struct stream *end[2];
	struct us_err err;

	assert_non_null(file);
	stream_pipe(end, &impatient);
	send_text(end[0], "LOGIN bob secret\r\nSELECT x\r\nNOOP\r\nAUTH\r\nhush\r\nLOGOUT\r\n");
	serve_logged(end[1], dup(fileno(file)), "LOGIN bob secret", "OK welcome\r\n");
	serve_logged(end[1], -1, "SELECT x", "OK selected\r\n");
	serve_logged(end[1], -1, "NOOP", "OK noop\r\n");
	serve_logged(end[1], -1, "AUTH", "+ \r\n");
	stream_set_secret(end[1], true);
	serve_logged(end[1], -1, "hush", "+ challenge\r\n");
	stream_set_secret(end[1], false);
	serve_logged(end[1], -1, "LOGOUT", "BYE\r\n");
	assert_ok(stream_flush(end[1], &err), &err);
	stream_free(&end[0]);
	stream_free(&end[1]);
	read_log(fileno(file), &log);
	assert_string_equal(log.data, "<T<SELECT x\r\n>T>OK selected\r\n<T<NOOP\r\n>T>OK noop\r\n"
				      "<T<AUTH\r\n>T>+ \r\n<T<LOGOUT\r\n>T>BYE\r\n");
	fclose(file);
	buf_free(&log);
}

static void secrets_are_wiped_as_they_are_taken(void **state UNUSED)
{
	struct stream *end[2];
	struct us_err err;
	struct span seen;

	stream_pipe(end, &impatient);
	send_text(end[0], "password rest");
	stream_set_secret(end[1], true);
	assert_int_equal(stream_peek(end[1], &seen, &err), 1);
	stream_take(end[1], 8);
	assert_memory_equal(seen.ptr, "\0\0\0\0\0\0\0\0 rest", 13);
	stream_free(&end[0]);
	stream_free(&end[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_end_in_crlf_or_lf),
		cmocka_unit_test(lines_may_hold_nuls),
		cmocka_unit_test(the_limit_is_exact_wherever_reads_are_cut),
		cmocka_unit_test(long_lines_cross_buffers),
		cmocka_unit_test(the_end_comes_between_lines_or_within),
		cmocka_unit_test(peek_shows_and_take_consumes),
		cmocka_unit_test(a_stream_is_a_dlist_source),
		cmocka_unit_test(copy_goes_on_behind_the_bytes),
		cmocka_unit_test(counted_bytes_that_do_not_come),
		cmocka_unit_test(replies_to_pipelined_commands_leave_together),
		cmocka_unit_test(one_flush_is_one_packet),
		cmocka_unit_test(the_high_water_mark_bounds_what_is_kept),
		cmocka_unit_test(large_writes_keep_their_order),
		cmocka_unit_test(a_failed_write_stays_and_leaves_the_last_word),
		cmocka_unit_test(reads_report_a_failed_flush),
		cmocka_unit_test(files_go_out_in_place),
		cmocka_unit_test(a_short_file_is_noticed_before_it_is_sent),
		cmocka_unit_test(readable_never_blocks),
		cmocka_unit_test(both_ends_work_in_one_thread),
		cmocka_unit_test(bytes_are_counted),
		cmocka_unit_test(telemetry_has_all_but_authentication),
		cmocka_unit_test(secrets_are_wiped_as_they_are_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
