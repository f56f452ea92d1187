/* test_lock.c - kernel locks between processes: waiting, in a queue and without one, and holders who die. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "server/store/lock.h"

struct shared {
	uint32_t word;
	uint32_t inside, worst, rounds;
};

static char path[64];
static struct shared *shared;

static int setup(void **state UNUSED)
{
	strcpy(path, "/tmp/us-lock-XXXXXX");
	close(mkstemp(path));
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	return shared == MAP_FAILED;
}

static int teardown(void **state UNUSED)
{
	munmap(shared, sizeof(*shared));
	return unlink(path);
}

static int open_file(void)
{
	return open(path, O_RDWR | O_CLOEXEC);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* In another process: take the lock and say so; let go after so long, or die with it. */
static pid_t holder(int hold_ms, bool dies)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		int fd = open_file();
		struct timespec pause = {hold_ms / 1000, hold_ms % 1000 * 1000000L};
		if (lock_take(fd, LOCK_EXCLUSIVE, 1000, NULL) < 0)
			_exit(1);
		(void)!write(ready[1], "x", 1);
		nanosleep(&pause, NULL);
		if (dies)
			raise(SIGKILL);
		lock_drop_queued(fd, &shared->word);
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void who_waits_gets_it(void **state UNUSED)
{
	for (int queued = 0; queued < 2; queued++)
		for (int dies = 0; dies < 2; dies++) {
			pid_t pid = holder(100, dies);
			int fd = open_file(), status;
			int64_t began = now_ms();
			struct us_err err;

			assert_ok(lock_take_queued(fd, LOCK_EXCLUSIVE, 10000,
						   queued ? &shared->word : NULL, &err),
				  &err);
			assert_true(now_ms() - began >= 50);
			assert_true(now_ms() - began < 2000);
			close(fd);
			assert_int_equal(waitpid(pid, &status, 0), pid);
		}
}

static void who_does_not_wait_is_told(void **state UNUSED)
{
	pid_t pid = holder(10000, false);
	int fd = open_file(), status;
	struct us_err err;
	int64_t began = now_ms();

	assert_int_equal(lock_take(fd, LOCK_EXCLUSIVE, 0, &err), US_EBUSY);
	assert_int_equal(lock_take(fd, LOCK_SHARED, 0, &err), US_EBUSY);
	assert_true(now_ms() - began < 1000);
	assert_int_equal(lock_take_queued(fd, LOCK_EXCLUSIVE, 100, &shared->word, &err), US_EBUSY);
	assert_true(now_ms() - began >= 100);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_ok(lock_take(fd, LOCK_EXCLUSIVE, 0, &err), &err);
	close(fd);
}

#define WORKERS 6
#define ROUNDS  300

static void work(void)
{
	int fd = open_file();

	for (int i = 0; i < ROUNDS; i++) {
		uint32_t inside;
		if (lock_take_queued(fd, LOCK_EXCLUSIVE, 20000, &shared->word, NULL) < 0)
			_exit(1);
		inside = ++shared->inside; /* the lock alone keeps these whole */
		if (inside > shared->worst)
			shared->worst = inside;
		shared->rounds++;
		shared->inside--;
		lock_drop_queued(fd, &shared->word);
	}
	_exit(0);
}

static void one_at_a_time(void **state UNUSED)
{
	pid_t pids[WORKERS];

	for (size_t i = 0; i < WORKERS; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			work();
	}
	for (size_t i = 0; i < WORKERS; i++) {
		int status;
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(shared->worst, 1);
	assert_int_equal(shared->rounds, WORKERS * ROUNDS);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {T(who_waits_gets_it), T(who_does_not_wait_is_told),
					   T(one_at_a_time)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
