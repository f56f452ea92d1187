/* lock.c - see lock.h.
 *
 * fcntl has no lock call with a timeout and a signal-driven one would belong to the program, not to a library. So
 * we try, with pauses that begin well below the time a commit takes and grow a little: a waiter costs next to
 * nothing and comes in soon after the holder leaves.
 */
#include "server/store/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#define FIRST_PAUSE_US 20
#define MOST_PAUSE_US  2000

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int try_lock(int fd, short type)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};

	return fcntl(fd, F_OFD_SETLK, &lock);
}

int lock_take(int fd, enum lock_mode mode, unsigned wait_ms, struct us_err *err)
{
	short type = mode == LOCK_EXCLUSIVE ? F_WRLCK : F_RDLCK;
	int64_t end = now_us() + (int64_t)wait_ms * 1000;
	long pause_us = FIRST_PAUSE_US;

	while (try_lock(fd, type) < 0) {
		struct timespec pause = {0, pause_us * 1000};
		if (errno != EAGAIN && errno != EACCES && errno != EINTR)
			return us_fail_errno(err, "lock");
		if (now_us() >= end)
			return us_fail(err, US_EBUSY, "locked for more than %u ms", wait_ms);
		nanosleep(&pause, NULL);
		if (pause_us < MOST_PAUSE_US)
			pause_us += pause_us / 2;
	}
	return 0;
}

void lock_drop(int fd)
{
	(void)try_lock(fd, F_UNLCK); /* cannot fail but for a bad descriptor */
}
