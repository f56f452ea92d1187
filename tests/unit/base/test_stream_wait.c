/* test_stream_wait.c - timeouts, the stop flag, waiting for several things, and peers that both write. */
#include "tests/unit/test.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "server/base/stream.h"
#include "server/base/wait.h"

static volatile sig_atomic_t stop;

static struct stream_config config_of(int read_ms, int write_ms)
{
	struct stream_config config = STREAM_CONFIG_DEFAULT;

	config.read_timeout_ms = read_ms;
	config.write_timeout_ms = write_ms;
	config.stop = &stop;
	return config;
}

static struct stream *socket_stream(const struct stream_config *config, int *peer)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	*peer = fds[1];
	return stream_new(fds[0], fds[0], config);
}

/* Write until the system takes no more and the write times out. */
static int fill_up(struct stream *s, struct us_err *err)
{
	char kilobyte[1024] = {0};

	for (int i = 0; i < 10000; i++)
		stream_write(s, kilobyte, sizeof(kilobyte));
	return stream_flush(s, err);
}

/* ---- timeouts --------------------------------------------------------------------------------- */

static void silence_ends_reading_but_not_writing(void **state UNUSED)
{
	struct stream_config config = config_of(30, 1000);
	int64_t began = wait_clock_ms();
	char seen[40] = "";
	struct stream *s;
	struct us_err err;
	struct span span;
	int peer;

	s = socket_stream(&config, &peer);
	assert_int_equal(stream_peek(s, &span, &err), US_ETIMEOUT);
	assert_true(wait_clock_ms() - began >= 30);
	assert_non_null(strstr(err.text, "0.030 s"));
	/* it stays, though bytes come now */
	assert_int_equal(write(peer, "late", 4), 4);
	assert_int_equal(stream_peek(s, &span, &err), US_ETIMEOUT);
	assert_false(stream_stopping(s));
	stream_write_str(s, "* BYE idle for too long\r\n");
	assert_ok(stream_flush(s, &err), &err);
	assert_int_equal(read(peer, seen, sizeof(seen)), 25);
	stream_free(&s);
	close(peer);
}

static void *drip(void *ctx)
{
	struct timespec pause = {0, 15000000};

	for (int i = 0; i < 8; i++) {
		nanosleep(&pause, NULL);
		assert_int_equal(write(*(int *)ctx, "x", 1), 1);
	}
	return NULL;
}

static void any_byte_breaks_the_silence(void **state UNUSED)
{
	struct stream_config config = config_of(500, 1000);
	struct us_err err;
	struct stream *s;
	pthread_t thread;
	char data[8];
	int peer;

	s = socket_stream(&config, &peer);
	assert_int_equal(pthread_create(&thread, NULL, drip, &peer), 0);
	assert_ok(stream_read(s, data, 8, &err), &err);
	pthread_join(thread, NULL);
	stream_free(&s);
	close(peer);
}

static void a_peer_that_takes_nothing_times_out(void **state UNUSED)
{
	struct stream_config config = config_of(-1, 40);
	int64_t began = wait_clock_ms();
	struct stream *s;
	struct us_err err;
	int peer;

	s = socket_stream(&config, &peer);
	assert_int_equal(fill_up(s, &err), US_ETIMEOUT);
	assert_true(wait_clock_ms() - began >= 40);
	assert_true(wait_clock_ms() - began < 2000);
	stream_free(&s);
	close(peer);
}

static void file_sending_times_out_too(void **state UNUSED)
{
	struct stream_config config = config_of(-1, 40);
	FILE *file = tmpfile();
	struct stream *s;
	struct us_err err;
	int peer;

	assert_non_null(file);
	assert_int_equal(ftruncate(fileno(file), 64 << 20), 0);
	s = socket_stream(&config, &peer);
	assert_int_equal(stream_send_file(s, fileno(file), 0, 64 << 20, &err), US_ETIMEOUT);
	assert_int_equal(stream_flush(s, &err), US_ETIMEOUT);
	stream_free(&s);
	close(peer);
	fclose(file);
}

/* ---- the stop flag ---------------------------------------------------------------------------- */

static void on_signal(int number UNUSED)
{
	stop = 1;
}

static void signal_in(int ms)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	struct itimerspec soon = {.it_value = {0, ms * 1000000L}};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	timer_t timer;

	stop = 0;
	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	assert_int_equal(timer_settime(timer, 0, &soon, NULL), 0);
}

static void stop_ends_a_read_and_lets_bye_out(void **state UNUSED)
{
	struct stream_config config = config_of(-1, -1);
	char seen[40] = "";
	struct stream *s;
	struct us_err err;
	struct span span;
	int peer;

	s = socket_stream(&config, &peer);
	signal_in(20);
	assert_int_equal(stream_peek(s, &span, &err), US_ECLOSED);
	assert_string_equal(err.text, "shutting down");
	assert_true(stream_stopping(s));
	assert_int_equal(stream_wait(s, NULL, 0, -1, &err), (int)STREAM_READABLE); /* the error */
	stream_write_str(s, "BYE shutting down\r\n");
	assert_ok(stream_flush(s, &err), &err);
	assert_int_equal(read(peer, seen, sizeof(seen)), 19);
	stream_free(&s);
	close(peer);
	stop = 0;
}

static void stop_ends_a_wait(void **state UNUSED)
{
	struct stream_config config = config_of(-1, -1);
	struct stream *s;
	struct us_err err;
	int peer;

	s = socket_stream(&config, &peer);
	signal_in(20);
	assert_int_equal(stream_wait(s, NULL, 0, -1, &err), US_ECLOSED);
	assert_true(stream_stopping(s));
	stream_free(&s);
	close(peer);
	stop = 0;
}

/* A client that always has another command on the way would never let us stop, were the flag looked at only
 * when nothing is there. */
static void stop_is_seen_by_a_busy_reader(void **state UNUSED)
{
	struct stream_config config = config_of(-1, -1);
	struct buf line = BUF_INIT;
	struct stream *s;
	struct us_err err;
	int peer, rc = 1, lines = 0;

	s = socket_stream(&config, &peer);
	for (; lines < 1000 && rc == 1; lines++) {
		assert_int_equal(write(peer, "NOOP\r\nNOOP\r\n", 12), 12);
		stop = lines >= 10;
		rc = stream_line(s, 100, &line, &err);
	}
	assert_int_equal(rc, US_ECLOSED);
	assert_true(lines < 50); /* what was in our buffer already is answered */
	buf_free(&line);
	stream_free(&s);
	close(peer);
	stop = 0;
}

static void stop_shortens_a_blocked_write(void **state UNUSED)
{
	struct stream_config config = config_of(-1, 60000);
	int64_t began = wait_clock_ms();
	struct stream *s;
	struct us_err err;
	int peer;

	s = socket_stream(&config, &peer);
	signal_in(20);
	assert_int_equal(fill_up(s, &err), US_ETIMEOUT);
	assert_true(wait_clock_ms() - began >= STREAM_GRACE_MS);
	assert_true(wait_clock_ms() - began < STREAM_GRACE_MS + 3000);
	stream_free(&s);
	close(peer);
	stop = 0;
}

/* ---- waiting for several things --------------------------------------------------------------- */

static void wait_tells_who_is_readable(void **state UNUSED)
{
	struct stream_config config = config_of(-1, -1);
	struct stream *s;
	struct us_err err;
	int peer, one[2], two[2];

	s = socket_stream(&config, &peer);
	assert_int_equal(pipe(one), 0);
	assert_int_equal(pipe(two), 0);
	const int others[2] = {one[0], two[0]};
	assert_int_equal(stream_wait(s, others, 2, 10, &err), 0);
	assert_int_equal(write(two[1], "x", 1), 1);
	assert_int_equal(stream_wait(s, others, 2, -1, &err), (int)STREAM_OTHER(1));
	assert_int_equal(write(peer, "DONE\r\n", 6), 6);
	assert_int_equal(stream_wait(s, others, 2, -1, &err),
			 (int)(STREAM_OTHER(1) | STREAM_READABLE));
	assert_int_equal(write(one[1], "x", 1), 1);
	/* bytes are in our buffer by now: all the same the others are looked at */
	assert_int_equal(stream_wait(s, others, 2, -1, &err),
			 (int)(STREAM_OTHER(0) | STREAM_OTHER(1) | STREAM_READABLE));
	stream_free(&s);
	close(peer);
	for (int i = 0; i < 2; i++) {
		close(one[i]);
		close(two[i]);
	}
}

static void wait_flushes_and_sees_the_end(void **state UNUSED)
{
	struct stream_config config = config_of(-1, -1);
	struct stream *s;
	struct us_err err;
	struct span span;
	char seen[20];
	int peer;

	s = socket_stream(&config, &peer);
	stream_write_str(s, "+ idling\r\n");
	assert_int_equal(stream_wait(s, NULL, 0, 5, &err), 0);
	assert_int_equal(read(peer, seen, sizeof(seen)), 10);
	/* nothing is spoilt by the time that passed */
	assert_int_equal(write(peer, "DONE", 4), 4);
	assert_int_equal(stream_wait(s, NULL, 0, 1000, &err), (int)STREAM_READABLE);
	assert_int_equal(stream_peek(s, &span, &err), 1);
	stream_take(s, 4);
	close(peer);
	assert_int_equal(stream_wait(s, NULL, 0, -1, &err), (int)STREAM_READABLE);
	assert_int_equal(stream_peek(s, &span, &err), 0);
	stream_free(&s);
}

/* ---- peers that both write -------------------------------------------------------------------- */

struct talker {
	int fd;
	size_t lines, seen;
};

/* Send many orders without reading, as a pipelining client does, then count the replies. */
static void *talk(void *ctx)
{
	struct talker *talker = ctx;
	struct stream_config config = config_of(5000, 5000);
	struct stream *s = stream_new(talker->fd, talker->fd, &config);
	struct buf line = BUF_INIT;
	struct us_err err;

	for (size_t i = 0; i < talker->lines; i++)
		stream_printf(s,
			      "APPLY something that takes a hundred bytes or so to be said "
			      "%040zu\r\n",
			      i);
	if (stream_flush(s, &err) == 0)
		while (talker->seen < talker->lines && stream_line(s, 100, &line, &err) == 1)
			talker->seen++;
	buf_free(&line);
	stream_free(&s);
	return NULL;
}

static void shrink_buffers(int fd)
{
	int small = 4096;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
}

/* The server's replies to the batch exceed what the system buffers, and the client reads none of them
 * before it has sent its own megabyte. */
static void pipelining_does_not_deadlock(void **state UNUSED)
{
	struct stream_config config = config_of(5000, 5000);
	struct talker talker = {.lines = 10000};
	struct buf line = BUF_INIT;
	struct stream *s;
	struct us_err err;
	pthread_t thread;
	int fds[2];

	config.high_water = 1024;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	shrink_buffers(fds[0]);
	shrink_buffers(fds[1]);
	talker.fd = fds[1];
	s = stream_new(fds[0], fds[0], &config);
	assert_int_equal(pthread_create(&thread, NULL, talk, &talker), 0);
	for (size_t i = 0; i < talker.lines; i++) {
		assert_ok(stream_line(s, 200, &line, &err), &err);
		stream_write_str(s, "OK done\r\n");
	}
	assert_ok(stream_flush(s, &err), &err);
	pthread_join(thread, NULL);
	assert_int_equal(talker.seen, talker.lines);
	buf_free(&line);
	stream_free(&s);
}

/* ---- sockets and memory ----------------------------------------------------------------------- */

static void nagle_is_off_and_keepalive_as_told(void **state UNUSED)
{
	struct stream_config config = config_of(-1, -1);
	struct stream *s;
	int fd, value;
	socklen_t len = sizeof(value);

	config.keepalive = true;
	config.keepalive_count = 3;
	config.keepalive_idle_s = 77;
	config.keepalive_interval_s = 11;
	fd = socket(AF_INET, SOCK_STREAM, 0);
	s = stream_new(fd, fd, &config);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &len), 0);
	assert_true(value);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, &len), 0);
	assert_true(value);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &value, &len), 0);
	assert_int_equal(value, 3);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &value, &len), 0);
	assert_int_equal(value, 77);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &value, &len), 0);
	assert_int_equal(value, 11);
	stream_free(&s);
}

static void a_quiet_stream_holds_no_buffers(void **state UNUSED)
{
	struct stream_config config = config_of(100, 1000);
	struct buf line = BUF_INIT;
	struct us_err err;
	struct stream *s;
	char seen[1000];
	int peer;

	config.quiet_after_ms = 20;
	s = socket_stream(&config, &peer);
	assert_int_equal(stream_memory(s), 0);
	assert_int_equal(write(peer, "NOOP\r\nX", 7), 7);
	assert_int_equal(stream_line(s, 100, &line, &err), 1);
	stream_write_str(s, "OK\r\n");
	assert_true(stream_memory(s) > 0);
	assert_int_equal(stream_wait(s, NULL, 0, 30, &err), (int)STREAM_READABLE);
	assert_true(stream_memory(s) > 0); /* X waits */
	stream_take(s, 1);
	assert_int_equal(stream_wait(s, NULL, 0, 30, &err), 0);
	assert_int_equal(stream_memory(s), 0);
	assert_int_equal(read(peer, seen, sizeof(seen)), 4);
	/* and it works on */
	assert_int_equal(write(peer, "NOOP\r\n", 6), 6);
	assert_int_equal(stream_line(s, 100, &line, &err), 1);
	buf_free(&line);
	stream_free(&s);
	close(peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(silence_ends_reading_but_not_writing),
		cmocka_unit_test(any_byte_breaks_the_silence),
		cmocka_unit_test(a_peer_that_takes_nothing_times_out),
		cmocka_unit_test(file_sending_times_out_too),
		cmocka_unit_test(stop_ends_a_read_and_lets_bye_out),
		cmocka_unit_test(stop_ends_a_wait),
		cmocka_unit_test(stop_is_seen_by_a_busy_reader),
		cmocka_unit_test(stop_shortens_a_blocked_write),
		cmocka_unit_test(wait_tells_who_is_readable),
		cmocka_unit_test(wait_flushes_and_sees_the_end),
		cmocka_unit_test(pipelining_does_not_deadlock),
		cmocka_unit_test(nagle_is_off_and_keepalive_as_told),
		cmocka_unit_test(a_quiet_stream_holds_no_buffers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
