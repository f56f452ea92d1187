/* test_service_survivors.c - connections of an earlier parent, counted until they end. */
#include "tests/unit/test.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/session/service_private.h"

/* A process in a group of its own that waits to be killed. */
static pid_t start_one(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		for (;;)
			pause();
	}
	setpgid(pid, pid);
	return pid;
}

static void end_one(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void survivors_are_counted_until_they_end(void **state UNUSED)
{
	struct service_survivors s;
	pid_t one = start_one(), two = start_one();
	char list[64];

	snprintf(list, sizeof(list), "%d,%d", one, two);
	service_survivors_read(&s, list);
	assert_int_equal(s.n, 2);
	service_survivors_prune(&s);
	assert_int_equal(s.n, 2);
	end_one(one);
	service_survivors_prune(&s);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.items[0].pid, two);
	/* the same number, but in another group: it is somebody else */
	s.items[0].group = 1;
	service_survivors_prune(&s);
	assert_int_equal(s.n, 0);
	end_one(two);
	service_survivors_free(&s);
}

static void what_is_no_process_is_no_survivor(void **state UNUSED)
{
	static const char *const lists[] = {NULL, "",    ",",          "0",
					    "-1", "x,y", "2147483647", "99999999999"};
	struct service_survivors s;
	char self[24];

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		service_survivors_read(&s, lists[i]);
		assert_int_equal(s.n, 0);
		service_survivors_free(&s);
	}
	snprintf(self, sizeof(self), "%d", (int)getpid()); /* of our own group */
	service_survivors_read(&s, self);
	assert_int_equal(s.n, 0);
	service_survivors_free(&s);
}

static void write_program(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void a_program_file_is_replaced_by_another_only(void **state UNUSED)
{
	char dir[] = "/tmp/us-binary-XXXXXX";
	char *path, *other;
	struct service_binary b;

	assert_non_null(mkdtemp(dir));
	path = us_asprintf("%s/prog", dir);
	other = us_asprintf("%s/prog.new", dir);
	write_program(path, "1");
	service_binary_note(&b, path);
	assert_false(service_binary_replaced(&b));
	unlink(path);
	assert_false(service_binary_replaced(&b)); /* while a package is unpacked */
	write_program(other, "1");
	rename(other, path);
	assert_true(service_binary_replaced(&b));
	service_binary_note(&b, path);
	write_program(path, "12");
	assert_true(service_binary_replaced(&b));
	unlink(path);
	service_binary_note(&b, path);
	write_program(path, "1");
	assert_false(service_binary_replaced(&b)); /* not known then, so nothing to compare with */
	unlink(path);
	rmdir(dir);
	free(path);
	free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(survivors_are_counted_until_they_end),
		cmocka_unit_test(what_is_no_process_is_no_survivor),
		cmocka_unit_test(a_program_file_is_replaced_by_another_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
