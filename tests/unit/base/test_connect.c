/* test_connect.c - targets as operators write them, and connecting to what is and is not there. */
#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/base/connect.h"
#include "server/base/wait.h"

static void targets_are_read(void **state UNUSED)
{
	static const struct {
		const char *text, *host, *port;
		bool local, tls, noauth;
	} rows[] = {
		{"b.example.net", "b.example.net", NULL, false, false, false},
		{"b:2005", "b", "2005", false, false, false},
		{"b:csync", "b", "csync", false, false, false},
		{"b:2005/tls", "b", "2005", false, true, false},
		{"b/tls", "b", NULL, false, true, false},
		{"b/noauth", "b", NULL, false, false, true},
		{"b:1/noauth/TLS", "b", "1", false, true, true},
		{"[::1]:2005/tls", "::1", "2005", false, true, false},
		{"[fe80::1]", "fe80::1", NULL, false, false, false},
		{"::1", "::1", NULL, false, false, false},
		{"127.0.0.1:99999", "127.0.0.1", "99999", false, false, false},
		{"/run/cyrus/socket/sync", "/run/cyrus/socket/sync", NULL, true, false, false},
		{"/run/tls/noauth", "/run/tls/noauth", NULL, true, false, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct connect_target t;
		struct us_err err;

		assert_ok(connect_parse(span_of(rows[i].text), &t, &err), &err);
		assert_span(t.host, rows[i].host);
		assert_int_equal(t.port.ptr != NULL, rows[i].port != NULL);
		if (rows[i].port)
			assert_span(t.port, rows[i].port);
		assert_int_equal(t.local, rows[i].local);
		assert_int_equal(t.tls, rows[i].tls);
		assert_int_equal(t.noauth, rows[i].noauth);
	}
}

static void malformed_targets_are_refused(void **state UNUSED)
{
	static const char *const bad[] = {"",   ":2005",  "b:",    "b:/tls", "[::1",   "[]:1",
					  "b/", "b/tls/", "b/ssl", "[::1]x", "b//tls", "[a]b:1"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct connect_target t = {.host = SPAN_LIT("kept")};

		if (connect_parse(span_of(bad[i]), &t, NULL) != US_EINVAL)
			fail_msg("\"%s\" was taken for a target", bad[i]);
		assert_span(t.host, "kept");
	}
}

static int listen_inet(char port[8])
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&in, len), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	snprintf(port, 8, "%d", ntohs(in.sin_port));
	return fd;
}

static int open_text(const char *text, const char *port, int timeout_ms, int *fd,
		     struct us_err *err)
{
	struct connect_target target;

	assert_ok(connect_parse(span_of(text), &target, err), err);
	return connect_open(&target, port, timeout_ms, NULL, fd, err);
}

static void a_listener_is_reached(void **state UNUSED)
{
	char port[8];
	int listener = listen_inet(port), fd = -1, peer;
	struct us_err err;

	/* localhost may have an IPv6 address first, where nobody listens */
	assert_ok(open_text("localhost", port, 5000, &fd, &err), &err);
	peer = accept(listener, NULL, NULL);
	assert_int_equal(send(fd, "x", 1, 0), 1);
	assert_true(peer >= 0);
	close(peer);
	close(fd);
	close(listener);
}

static void nobody_there_is_said_with_the_address(void **state UNUSED)
{
	char port[8], text[32];
	int listener = listen_inet(port), fd = -7;
	struct us_err err;

	close(listener);
	snprintf(text, sizeof(text), "127.0.0.1:%s", port);
	assert_int_equal(open_text(text, "csync", 5000, &fd, &err), US_ECLOSED);
	assert_non_null(strstr(err.text, "[127.0.0.1]:"));
	assert_non_null(strstr(err.text, "refused"));
	assert_int_equal(fd, -7);
}

static void unknown_names_are_no_such_object(void **state UNUSED)
{
	struct us_err err;
	int fd;

	assert_int_equal(open_text("127.0.0.1", "no-such-service", 1000, &fd, &err), US_ENOENT);
	assert_int_equal(open_text("127.0.0.1:no-such-service", "1", 1000, &fd, &err), US_ENOENT);
	assert_int_equal(open_text("127.0.0.256", "1", 1000, &fd, &err), US_ENOENT);
}

/* A service that Debian's list lacks is known here: the attempt comes as far as being refused or accepted. */
static void csync_needs_no_services_entry(void **state UNUSED)
{
	struct us_err err = US_ERR_INIT;
	int fd = -1, rc = open_text("127.0.0.1", "csync", 1000, &fd, &err);

	if (rc == 0)
		close(fd);
	else
		assert_non_null(strstr(err.text, ":2005"));
}

static void unix_sockets_are_paths(void **state UNUSED)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct connect_target target;
	char dir[] = "/tmp/us-connect-XXXXXX", longer[200];
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), fd = -1;
	struct us_err err;

	assert_non_null(mkdtemp(dir));
	snprintf(un.sun_path, sizeof(un.sun_path), "%s/sock", dir);
	assert_int_equal(open_text(un.sun_path, "csync", 1000, &fd, &err), US_ENOENT);
	assert_int_equal(bind(listener, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_ok(open_text(un.sun_path, "csync", 1000, &fd, &err), &err);
	close(fd);
	close(listener);
	assert_int_equal(open_text(un.sun_path, "csync", 1000, &fd, &err), US_ECLOSED);
	unlink(un.sun_path);
	rmdir(dir);

	memset(longer, '/', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_ok(connect_parse(span_of(longer), &target, &err), &err);
	assert_int_equal(connect_open(&target, "1", 0, NULL, &fd, &err), US_EINVAL);
}

/* A full backlog is a host that does not answer: the kernel drops the SYN. */
static void silence_ends_with_the_timeout(void **state UNUSED)
{
	char port[8];
	int listener = listen_inet(port), fd, fill[8], n = 0, rc = 0;
	struct us_err err;
	int64_t began;

	while (rc == 0 && n < 8) {
		rc = open_text("127.0.0.1", port, 200, &fill[n], &err);
		n += rc == 0;
	}
	began = wait_clock_ms();
	assert_int_equal(open_text("127.0.0.1", port, 150, &fd, &err), US_ETIMEOUT);
	assert_true(wait_clock_ms() - began >= 150);
	assert_true(wait_clock_ms() - began < 5000);
	while (n)
		close(fill[--n]);
	close(listener);
}

static void the_stop_flag_ends_an_attempt(void **state UNUSED)
{
	const volatile sig_atomic_t stop = 1;
	struct connect_target target = {.host = SPAN_LIT("127.0.0.1")};
	char port[8];
	int listener = listen_inet(port), fill[8], fd = -1, n = 0, rc = 0;
	struct us_err err;

	while (rc == 0 && n < 8) {
		rc = open_text("127.0.0.1", port, 200, &fill[n], &err);
		n += rc == 0;
	}
	assert_int_equal(connect_open(&target, port, -1, &stop, &fd, &err), US_ECLOSED);
	assert_string_equal(err.text, "shutting down");
	while (n)
		close(fill[--n]);
	close(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(targets_are_read),
		cmocka_unit_test(malformed_targets_are_refused),
		cmocka_unit_test(a_listener_is_reached),
		cmocka_unit_test(nobody_there_is_said_with_the_address),
		cmocka_unit_test(unknown_names_are_no_such_object),
		cmocka_unit_test(csync_needs_no_services_entry),
		cmocka_unit_test(unix_sockets_are_paths),
		cmocka_unit_test(silence_ends_with_the_timeout),
		cmocka_unit_test(the_stop_flag_ends_an_attempt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
