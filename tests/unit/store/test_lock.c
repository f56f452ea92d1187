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
	struct lock_queue queue;
	uint32_t inside, worst, rounds;
	uint32_t asks, had; /* of who waits his turn */
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
		lock_drop_queued(fd, &shared->queue);
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
						   queued ? &shared->queue : NULL, &err),
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
	assert_int_equal(lock_take_queued(fd, LOCK_EXCLUSIVE, 100, &shared->queue, &err), US_EBUSY);
	assert_true(now_ms() - began >= 100);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_ok(lock_take(fd, LOCK_EXCLUSIVE, 0, &err), &err);
	close(fd);
}

/* In another process: ask for the lock, and have had it, so many times. */
static pid_t waiter(uint32_t times)
{
	pid_t pid = fork();
	int fd;

	if (pid)
		return pid;
	fd = open_file();
	for (uint32_t i = 1; i <= times; i++) {
		__atomic_store_n(&shared->asks, i, __ATOMIC_RELEASE);
		if (lock_take_queued(fd, LOCK_EXCLUSIVE, 20000, &shared->queue, NULL) < 0)
			_exit(1);
		__atomic_store_n(&shared->had, i, __ATOMIC_RELEASE);
		lock_drop_queued(fd, &shared->queue);
		while (__atomic_load_n(&shared->rounds, __ATOMIC_ACQUIRE) < i)
			usleep(100);
	}
	_exit(0);
}

static void wait_for_sleeper(pid_t pid)
{
	char stat[64], state = 0;

	snprintf(stat, sizeof(stat), "/proc/%d/stat", (int)pid);
	while (state != 'S') {
		FILE *f = fopen(stat, "r");
		assert_non_null(f);
		assert_int_equal(fscanf(f, "%*d %*s %c", &state), 1);
		fclose(f);
	}
}

/* Drop it and want it back at once. Did who slept have it before us? */
static bool next_has_it_first(int fd, uint32_t turn)
{
	struct us_err err;
	bool first;

	lock_drop_queued(fd, &shared->queue);
	assert_ok(lock_take_queued(fd, LOCK_EXCLUSIVE, 20000, &shared->queue, &err), &err);
	first = __atomic_load_n(&shared->had, __ATOMIC_ACQUIRE) == turn;
	lock_drop_queued(fd, &shared->queue);
	while (__atomic_load_n(&shared->had, __ATOMIC_ACQUIRE) < turn)
		usleep(100);
	assert_ok(lock_take_queued(fd, LOCK_EXCLUSIVE, 20000, &shared->queue, &err), &err);
	return first;
}

/* Even if who comes later is awake, and the one who waits has yet to wake up. Not each time: a sleep ends now and then, to
 * see if the holder is dead, and must begin again. */
static void who_waits_comes_before_who_comes_later(void **state UNUSED)
{
	const uint32_t times = 200;
	uint32_t first = 0;
	int fd = open_file(), status;
	struct us_err err;
	pid_t pid;

	assert_ok(lock_take_queued(fd, LOCK_EXCLUSIVE, 0, &shared->queue, &err), &err);
	pid = waiter(times);
	for (uint32_t i = 1; i <= times; i++) {
		while (__atomic_load_n(&shared->asks, __ATOMIC_ACQUIRE) < i)
			usleep(100);
		wait_for_sleeper(pid);
		first += next_has_it_first(fd, i);
		__atomic_store_n(&shared->rounds, i, __ATOMIC_RELEASE);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(first > times / 2);
	close(fd);
}

/* Who was promised it and died, or promised it before the machine went down, keeps nobody out for long. */
static void a_promise_lapses(void **state UNUSED)
{
	int fd = open_file();
	struct us_err err;

	for (uint32_t i = 0; i < 3; i++) {
		uint32_t now = (uint32_t)now_ms(), until[] = {now + 15, now + 1000, now - 1};
		int64_t began = now_ms();
		shared->queue.promised_ms = until[i];
		assert_ok(lock_take_queued(fd, LOCK_EXCLUSIVE, i ? 0 : 5000, &shared->queue, &err),
			  &err);
		assert_true(now_ms() - began < 2500);
		lock_drop_queued(fd, &shared->queue);
		assert_int_equal(shared->queue.promised_ms, 0);
	}
	close(fd);
}

#define WORKERS 6
#define ROUNDS  300

static void work(void)
{
	int fd = open_file();

	for (int i = 0; i < ROUNDS; i++) {
		uint32_t inside;
		if (lock_take_queued(fd, LOCK_EXCLUSIVE, 20000, &shared->queue, NULL) < 0)
			_exit(1);
		inside = ++shared->inside; /* the lock alone keeps these whole */
		if (inside > shared->worst)
			shared->worst = inside;
		shared->rounds++;
		shared->inside--;
		lock_drop_queued(fd, &shared->queue);
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
					   T(who_waits_comes_before_who_comes_later),
					   T(a_promise_lapses), T(one_at_a_time)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
