/* test_process.c - signals become flags, titles stay in their place, privileges go for good. */
#include "tests/unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/base/forkrate.h"
#include "server/base/process.h"

/* Run fn in a process of its own; it returns true when all is well. */
static void assert_in_child(bool (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(fn() ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void signals_raise_their_flags(void **state UNUSED)
{
	static const struct {
		int number;
		bool stop, reload, child;
	} rows[] = {{SIGTERM, true, false, false},
		    {SIGINT, true, false, false},
		    {SIGQUIT, true, false, false},
		    {SIGHUP, false, true, false},
		    {SIGCHLD, false, false, true}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		process_signals_catch();
		assert_false(process_flags.wake);
		raise(SIGPIPE); /* is ignored */
		raise(rows[i].number);
		assert_int_equal(process_flags.stop, rows[i].stop);
		assert_int_equal(process_flags.reload, rows[i].reload);
		assert_int_equal(process_flags.child, rows[i].child);
		assert_true(process_flags.wake);
	}
	process_signals_default();
}

static void umask_is_read_as_octal(void **state UNUSED)
{
	static const char *const bad[] = {"", "8", "0x1", "1000", "-1", " 77", "077x", "u=rwx"};
	mode_t before = umask(0);

	assert_int_equal(process_set_umask("027", NULL), 0);
	assert_int_equal(umask(0), 027);
	assert_int_equal(process_set_umask("7", NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(process_set_umask(bad[i], NULL), US_ECONFIG);
	assert_int_equal(umask(before), 7);
}

static bool all_signals_are_default(void)
{
	struct sigaction action;
	sigset_t mask;

	process_signals_catch();
	sigfillset(&mask);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	process_signals_default();
	sigprocmask(SIG_SETMASK, NULL, &mask);
	for (int number = 1; number < 32; number++) {
		if (number == SIGKILL || number == SIGSTOP)
			continue;
		sigaction(number, NULL, &action);
		if (action.sa_handler != SIG_DFL || sigismember(&mask, number))
			return false;
	}
	return true;
}

static void a_program_finds_signals_as_they_are_by_default(void **state UNUSED)
{
	assert_in_child(all_signals_are_default);
}

static void title_stays_behind_the_name_and_before_the_environment(void **state UNUSED)
{
	char memory[] = "imapd\0-C\0/etc/imapd.conf\0US_TEST=1";
	char *argv[] = {memory, memory + 6, memory + 9, NULL};
	const char *environment = memory + 25;

	process_title_init(3, argv);
	process_title_set("%s [192.0.2.1]", "imap");
	assert_string_equal(memory, "imapd");
	assert_string_equal(memory + 6, "imap [192.0.2.1]");
	process_title_set("a title that is far too long for so little room");
	assert_int_equal(strlen(memory + 6), 18);
	assert_string_equal(environment, "US_TEST=1");
	process_title_set("x");
	assert_string_equal(memory + 6, "x");
	for (const char *c = memory + 7; c < environment; c++)
		assert_int_equal(*c, 0);
}

static void title_needs_words_to_write_over(void **state UNUSED)
{
	char apart[] = "one\0two\0\0three";
	char *lonely[] = {apart, NULL};
	char *scattered[] = {apart, apart + 4, apart + 9, NULL};

	process_title_init(1, lonely);
	process_title_set("title");
	process_title_init(3, scattered);
	process_title_set("title");
	assert_string_equal(apart + 4, "two");
	assert_string_equal(apart + 9, "three");
}

static void users_are_found_or_refused(void **state UNUSED)
{
	struct process_user user = {.uid = 77};
	char long_name[100];

	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	assert_int_equal(process_user_find("root", NULL, &user, NULL), 0);
	assert_int_equal(user.uid, 0);
	assert_int_equal(user.gid, 0);
	assert_int_equal(process_user_find("root", "mail", &user, NULL), 0);
	assert_int_equal(user.gid, getgrnam("mail")->gr_gid);
	user.uid = 77;
	assert_int_equal(process_user_find("no-such-user", "", &user, NULL), US_ECONFIG);
	assert_int_equal(process_user_find("root", "no-such-group", &user, NULL), US_ECONFIG);
	assert_int_equal(process_user_find(long_name, "", &user, NULL), US_ECONFIG);
	assert_int_equal(user.uid, 77);
}

static bool becomes_for_good(void)
{
	struct process_user user;
	uid_t r, e, s;
	gid_t gr, ge, gs, group;

	if (process_user_find("daemon", NULL, &user, NULL) < 0 || process_become(&user, NULL) < 0)
		return false;
	getresuid(&r, &e, &s);
	getresgid(&gr, &ge, &gs);
	return r == user.uid && e == user.uid && s == user.uid && gr == user.gid &&
	       ge == user.gid && gs == user.gid && setuid(0) < 0 && getgroups(1, &group) == 1 &&
	       group == user.gid;
}

static bool steps_down_and_up(void)
{
	struct process_user user;

	if (process_user_find("daemon", NULL, &user, NULL) < 0 ||
	    process_step_down(&user, NULL) < 0)
		return false;
	if (geteuid() != user.uid || getegid() != user.gid || getuid() != 0 ||
	    open("/etc/shadow", O_RDONLY) >= 0)
		return false;
	if (process_step_up(NULL) < 0 || geteuid() != 0 || getegid() != 0)
		return false;
	if (process_step_down(&user, NULL) < 0 || process_become(&user, NULL) < 0)
		return false;
	return getuid() == user.uid && process_step_up(NULL) == US_EPERM;
}

static void root_becomes_the_user(void **state UNUSED)
{
	if (geteuid() != 0)
		skip();
	assert_in_child(becomes_for_good);
	assert_in_child(steps_down_and_up);
}

static bool reserves_and_closes(void)
{
	process_close_from(1);
	if (process_reserve_fds(NULL) < 0)
		return false;
	for (int fd = 0; fd <= 4; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			return false;
	if (fcntl(5, F_GETFD) >= 0 || dup2(0, 9) != 9)
		return false;
	process_close_on_exec_from(5);
	if (fcntl(9, F_GETFD) != FD_CLOEXEC || fcntl(4, F_GETFD) != 0)
		return false;
	process_close_from(5);
	return fcntl(9, F_GETFD) < 0 && fcntl(4, F_GETFD) >= 0;
}

static void low_descriptors_are_reserved(void **state UNUSED)
{
	assert_in_child(reserves_and_closes);
}

/* A steady rate is estimated as what it is, and forgotten when it stops. */
static void forkrate_settles_at_the_rate(void **state UNUSED)
{
	static const unsigned rates[] = {1, 5, 20, 100};

	for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
		struct forkrate rate = {0, 0};
		int64_t now = 12345;

		for (unsigned n = 0; n < 30 * rates[i]; n++) {
			now += 1000 / rates[i];
			forkrate_note(&rate, now);
		}
		assert_true(forkrate_get(&rate, now) > rates[i] * 0.9);
		assert_true(forkrate_get(&rate, now + 500 / rates[i]) < rates[i] * 1.1);
		assert_true(forkrate_exceeds(&rate, (rates[i] + 1) / 2, now));
		assert_false(forkrate_exceeds(&rate, 0, now));
		assert_false(forkrate_exceeds(&rate, 2 * rates[i], now));
		assert_true(forkrate_get(&rate, now + 20000) < 0.01);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signals_raise_their_flags),
		cmocka_unit_test(umask_is_read_as_octal),
		cmocka_unit_test(a_program_finds_signals_as_they_are_by_default),
		cmocka_unit_test(title_stays_behind_the_name_and_before_the_environment),
		cmocka_unit_test(title_needs_words_to_write_over),
		cmocka_unit_test(users_are_found_or_refused),
		cmocka_unit_test(root_becomes_the_user),
		cmocka_unit_test(low_descriptors_are_reserved),
		cmocka_unit_test(forkrate_settles_at_the_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
