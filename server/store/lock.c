/* lock.c - see lock.h.
 *
 * fcntl has no lock call with a timeout and a signal-driven one would belong to the program, not to a library. So
 * we try, with pauses that begin well below the time a commit takes and grow a little: a waiter costs next to
 * nothing and comes in soon after the holder leaves. But whoever just let go is the first to come back, and one of many
 * waiters may be passed over for long: where they share a word of memory they sleep on that, in a queue. The word
 * carries no ownership, the kernel's lock does.
 */
#include "server/store/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define FIRST_PAUSE_US 20
#define MOST_PAUSE_US  2000
#define QUEUE_PAUSE_US 20000 /* how long a dead holder is taken for a live one */

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

/* Nobody's word: sleep a little longer each time. */
static void pause_alone(long *pause_us)
{
	struct timespec pause = {0, *pause_us * 1000};

	nanosleep(&pause, NULL);
	if (*pause_us < MOST_PAUSE_US)
		*pause_us += *pause_us / 2;
}

/* Until the word is another one than when the lock was seen taken. */
static void pause_on(uint32_t *word, uint32_t seen)
{
	struct timespec most = {0, QUEUE_PAUSE_US * 1000};

	syscall(SYS_futex, word, FUTEX_WAIT, seen, &most, NULL, 0);
}

int lock_take_queued(int fd, enum lock_mode mode, unsigned wait_ms, uint32_t *word,
		     struct us_err *err)
{
	short type = mode == LOCK_EXCLUSIVE ? F_WRLCK : F_RDLCK;
	int64_t end = now_us() + (int64_t)wait_ms * 1000;
	long pause_us = FIRST_PAUSE_US;

	for (;;) {
		uint32_t seen = word ? __atomic_load_n(word, __ATOMIC_ACQUIRE) : 0;

		if (try_lock(fd, type) == 0)
			return 0;
		if (errno != EAGAIN && errno != EACCES && errno != EINTR)
			return us_fail_errno(err, "lock");
		if (now_us() >= end)
			return us_fail(err, US_EBUSY, "locked for more than %u ms", wait_ms);
		if (word)
			pause_on(word, seen);
		else
			pause_alone(&pause_us);
	}
}

int lock_take(int fd, enum lock_mode mode, unsigned wait_ms, struct us_err *err)
{
	return lock_take_queued(fd, mode, wait_ms, NULL, err);
}

void lock_drop(int fd)
{
	(void)try_lock(fd, F_UNLCK); /* cannot fail but for a bad descriptor */
}

void lock_drop_queued(int fd, uint32_t *word)
{
	lock_drop(fd);
	if (!word)
		return;
	__atomic_add_fetch(word, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}
