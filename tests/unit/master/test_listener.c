/* test_listener.c - ports by name, addresses behind a listen value, and opening them. */
#include "tests/unit/test.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/master/listener.h"
#include "server/master/ports.h"

static void ports_are_known_without_a_table(void **state UNUSED)
{
	static const struct {
		const char *name;
		unsigned port;
	} rows[] = {{"143", 143},   {"0", 0},        {"65535", 65535},  {"imaps", 993},
		    {"lmtp", 2003}, {"csync", 2005}, {"mupdate", 3905}, {"sieve", 4190}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		unsigned short port = 1;
		struct us_err err;
		assert_ok(ports_resolve(rows[i].name, "tcp", &port, &err), &err);
		assert_int_equal(port, rows[i].port);
	}
}

static void ports_refuse_what_is_none(void **state UNUSED)
{
	static const char *const bad[] = {"", "65536", "-1", "14x", "no-such-service"};
	unsigned short port = 7;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(ports_resolve(bad[i], "tcp", &port, NULL), US_EINVAL);
	assert_int_equal(port, 7);
}

static size_t resolve(const struct listener_spec *spec, struct listener **list)
{
	struct us_err err;
	size_t n = 0;

	assert_ok(listener_resolve(spec, list, &n, &err), &err);
	return n;
}

static void host_and_port_give_one_address(void **state UNUSED)
{
	const struct listener_spec spec = {.host = "127.0.0.1",
					   .port = "imap",
					   .family = AF_UNSPEC,
					   .type = SOCK_STREAM};
	struct listener *list;

	assert_int_equal(resolve(&spec, &list), 1);
	assert_string_equal(list[0].text, "127.0.0.1:143");
	assert_string_equal(list[0].family, "ipv4");
	free(list);
}

static void port_alone_gives_every_family(void **state UNUSED)
{
	struct listener_spec spec = {.port = "2005", .family = AF_UNSPEC, .type = SOCK_STREAM};
	struct listener *list;

	assert_int_equal(resolve(&spec, &list), 2);
	assert_true(strcmp(list[0].text, "0.0.0.0:2005") == 0 ||
		    strcmp(list[1].text, "0.0.0.0:2005") == 0);
	assert_true(strcmp(list[0].text, "[::]:2005") == 0 ||
		    strcmp(list[1].text, "[::]:2005") == 0);
	free(list);
	spec.family = AF_INET6;
	assert_int_equal(resolve(&spec, &list), 1);
	assert_string_equal(list[0].text, "[::]:2005");
	free(list);
}

static void bad_addresses_are_refused(void **state UNUSED)
{
	char deep[200];
	const struct listener_spec bad[] = {
		{.host = "256.0.0.1", .port = "1", .type = SOCK_STREAM},
		{.host = "::1", .port = "1", .family = AF_INET, .type = SOCK_STREAM},
		{.port = "none-such", .type = SOCK_STREAM},
		{.path = deep, .type = SOCK_STREAM},
	};
	struct listener *list = NULL;
	size_t n = 9;

	memset(deep, 'x', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(listener_resolve(&bad[i], &list, &n, NULL), US_EINVAL);
	assert_null(list);
	assert_int_equal(n, 9);
}

static void address_in_use_is_told_with_its_name(void **state UNUSED)
{
	struct listener_spec spec = {.host = "127.0.0.1",
				     .port = "0",
				     .family = AF_INET,
				     .type = SOCK_STREAM};
	struct sockaddr_in got;
	socklen_t len = sizeof(got);
	struct listener *first, *second;
	char port[8];

	resolve(&spec, &first);
	assert_ok(listener_open(first, SOCK_STREAM, 5, 0, 0), &first->err);
	assert_int_equal(getsockname(first->fd, (struct sockaddr *)&got, &len), 0);
	snprintf(port, sizeof(port), "%u", ntohs(got.sin_port));
	spec.port = port;
	resolve(&spec, &second);
	assert_true(listener_open(second, SOCK_STREAM, 5, 0, 0) < 0);
	assert_non_null(strstr(second->err.text, "Address already in use"));
	assert_non_null(strstr(second->err.text, second->text));
	assert_false(second->family_missing);
	listener_close(first);
	assert_ok(listener_open(second, SOCK_STREAM, 5, 0xb8, 0), &second->err);
	listener_close(second);
	free(first);
	free(second);
}

static void path_replaces_an_old_socket_but_no_file(void **state UNUSED)
{
	char dir[] = "/tmp/us-listen-XXXXXX";
	char *path;
	struct listener_spec spec = {.type = SOCK_STREAM};
	struct listener *l;
	struct stat st;
	FILE *file;

	assert_non_null(mkdtemp(dir));
	path = us_asprintf("%s/sock", dir);
	spec.path = path;
	resolve(&spec, &l);
	assert_string_equal(l->family, "unix");
	for (int i = 0; i < 2; i++) { /* the second time over what the first left */
		assert_ok(listener_open(l, SOCK_STREAM, 5, 0, 0777), &l->err);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0777);
		listener_close(l);
	}
	assert_ok(listener_open(l, SOCK_STREAM, 5, 0, 0600), &l->err);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	listener_close(l);
	unlink(path);
	file = fopen(path, "w");
	assert_non_null(file);
	fclose(file);
	assert_true(listener_open(l, SOCK_STREAM, 5, 0, 0777) < 0);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	unlink(path);
	rmdir(dir);
	free(path);
	free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ports_are_known_without_a_table),
		cmocka_unit_test(ports_refuse_what_is_none),
		cmocka_unit_test(host_and_port_give_one_address),
		cmocka_unit_test(port_alone_gives_every_family),
		cmocka_unit_test(bad_addresses_are_refused),
		cmocka_unit_test(address_in_use_is_told_with_its_name),
		cmocka_unit_test(path_replaces_an_old_socket_but_no_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
