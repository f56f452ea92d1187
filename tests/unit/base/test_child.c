/* test_child.c - what a child says, and how its end is told. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/base/buf.h"
#include "server/base/child.h"
#include "server/base/io.h"
#include "server/base/log.h"

/* Statuses as waitpid(2) gives them: of real processes. */
static int status_of_exit(int code)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(code);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int status_of_signal(int number)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		signal(number, SIG_DFL);
		raise(number);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void ends_are_well_asked_for_or_failures(void **state UNUSED)
{
	assert_int_equal(child_end_of(status_of_exit(0)), CHILD_END_WELL);
	assert_int_equal(child_end_of(status_of_exit(75)), CHILD_END_KILLED);
	assert_int_equal(child_end_of(status_of_exit(1)), CHILD_END_FAILED);
	assert_int_equal(child_end_of(status_of_signal(SIGTERM)), CHILD_END_FAILED);
	assert_int_equal(child_end_of(status_of_signal(SIGKILL)), CHILD_END_FAILED);
}

static void obituary_has_the_words_monitors_search_for(void **state UNUSED)
{
	static const char *const expected[] = {
		"process type:SERVICE name:imap path:/x/imapd age:0.007s pid:42 exited normally "
		"event=",
		"process type:SERVICE name:imap path:/x/imapd age:1.000s pid:42 was killed event=",
		"process type:SERVICE name:imap path:/x/imapd age:61.050s pid:42 exited, status 3 "
		"event=",
		"pid:42 signaled to death by signal 9 (Killed) event=",
	};
	const int64_t ages[] = {7, 1000, 61050, 3600999};
	const int statuses[] = {status_of_exit(0), status_of_exit(75), status_of_exit(3),
				status_of_signal(SIGKILL)};
	char path[] = "/tmp/us-child-XXXXXX";
	struct buf text = BUF_INIT;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	log_set_file(path);
	for (size_t i = 0; i < ARRAY_SIZE(ages); i++) {
		struct child_obituary who = {.type = "SERVICE",
					     .name = "imap",
					     .path = "/x/imapd",
					     .age_ms = ages[i],
					     .pid = 42,
					     .status = statuses[i]};
		child_log_end(&who);
	}
	log_set_file(NULL);
	assert_int_equal(io_read_file(AT_FDCWD, path, 10000, &text, NULL), 0);
	unlink(path);
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
		if (!strstr(text.data, expected[i]))
			fail_msg("not in the log: %s\n%s", expected[i], text.data);
	buf_free(&text);
}

static void numbers_from_the_environment(void **state UNUSED)
{
	static const struct {
		const char *text;
		int64_t number;
	} rows[] = {{"0", 0}, {"100", 100}, {"-1", -1}, {"", 7},
		    {"x", 7}, {"12x", 7},   {" ", 7},   {"99999999999999999999", 7},
		    {NULL, 7}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].text)
			setenv("US_TEST_NUMBER", rows[i].text, 1);
		else
			unsetenv("US_TEST_NUMBER");
		assert_int_equal(child_env_number("US_TEST_NUMBER", 7), rows[i].number);
	}
}

/* In a process of its own, with a pipe as descriptor 3: what comes out at our end. */
static size_t hear(void (*say)(void), char *out, size_t size)
{
	int ends[2], status;
	ssize_t n, len = 0;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		dup2(ends[1], CHILD_STATUS_FD);
		if (ends[1] != CHILD_STATUS_FD)
			close(ends[1]);
		say();
		_exit(0);
	}
	close(ends[1]);
	while ((n = read(ends[0], out + len, size - (size_t)len)) > 0)
		len += n;
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	return (size_t)len;
}

static void say_two_things(void)
{
	child_say(CHILD_UNAVAILABLE);
	child_say(CHILD_FORKING);
}

static void messages_are_as_a_cyrus_writes_them(void **state UNUSED)
{
	char bytes[64];
	int32_t words[4];

	assert_int_equal(hear(say_two_things, bytes, sizeof(bytes)), sizeof(words));
	memcpy(words, bytes, sizeof(words));
	assert_int_equal(words[0], 2);
	assert_int_equal(words[2], 5);
	assert_true(words[1] > 1 && words[1] == words[3]);
}

static void ok_is_said_once_and_the_pipe_given_back(void **state UNUSED)
{
	char bytes[64];

	assert_int_equal(hear(child_say_ok, bytes, sizeof(bytes)), 4);
	assert_memory_equal(bytes, "ok\r\n", 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends_are_well_asked_for_or_failures),
		cmocka_unit_test(obituary_has_the_words_monitors_search_for),
		cmocka_unit_test(numbers_from_the_environment),
		cmocka_unit_test(messages_are_as_a_cyrus_writes_them),
		cmocka_unit_test(ok_is_said_once_and_the_pipe_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
