/* lock.c - see lock.h.
 *
 * fcntl has no lock call with a timeout and a signal-driven one would belong to the program, not to a library. So
 * we try, with pauses that begin well below the time a commit takes and grow a little: a waiter costs next to
 * nothing and comes in soon after the holder leaves. But whoever is awake when it leaves comes before those who sleep,
 * and one of many waiters may be passed over for long. Where they share memory they sleep on a word of it, and the
 * kernel wakes them in the order in which they came. Until the one who is woken gets to run, the lock is promised to him:
 *
 *	holder:	 promise, unlock, count the release, wake one; did nobody sleep: withdraw, count and wake again
 *	waiter:	 try, unless it is promised; sleep until the count changes; once woken, try in any case
 *
 * Who is promised the lock and dies loses his promise to time. Nothing here has to be right for the lock to be exclusive.
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
#define PROMISE_MS     20U   /* how long one who was woken may take to come, on a busy machine */

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

static uint32_t now_ms(void)
{
	return (uint32_t)(now_us() / 1000);
}

/* A time that is not soon is what another boot has left. */
static bool is_promised(const struct lock_queue *q)
{
	uint32_t until = __atomic_load_n(&q->promised_ms, __ATOMIC_ACQUIRE);

	return until && until - now_ms() - 1 < PROMISE_MS;
}

/* Until the count is another one than when the lock was seen taken. True: it is our turn. */
static bool pause_in(struct lock_queue *q, uint32_t seen)
{
	struct timespec most = {0, QUEUE_PAUSE_US * 1000};

	return syscall(SYS_futex, &q->releases, FUTEX_WAIT, seen, &most, NULL, 0) == 0;
}

static int try_in_turn(int fd, short type, struct lock_queue *q, bool my_turn)
{
	if (q && !my_turn && is_promised(q)) {
		errno = EAGAIN;
		return -1;
	}
	return try_lock(fd, type);
}

int lock_take_queued(int fd, enum lock_mode mode, unsigned wait_ms, struct lock_queue *q,
		     struct us_err *err)
{
	short type = mode == LOCK_EXCLUSIVE ? F_WRLCK : F_RDLCK;
	int64_t end = now_us() + (int64_t)wait_ms * 1000;
	long pause_us = FIRST_PAUSE_US;
	bool my_turn = false;

	for (;;) {
		uint32_t seen = q ? __atomic_load_n(&q->releases, __ATOMIC_ACQUIRE) : 0;

		if (try_in_turn(fd, type, q, my_turn) == 0)
			return 0;
		if (errno != EAGAIN && errno != EACCES && errno != EINTR)
			return us_fail_errno(err, "lock");
		if (now_us() >= end)
			return us_fail(err, US_EBUSY, "locked for more than %u ms", wait_ms);
		if (q)
			my_turn = pause_in(q, seen);
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

static bool wake_next(struct lock_queue *q)
{
	__atomic_add_fetch(&q->releases, 1, __ATOMIC_RELEASE);
	return syscall(SYS_futex, &q->releases, FUTEX_WAKE, 1, NULL, NULL, 0) > 0;
}

void lock_drop_queued(int fd, struct lock_queue *q)
{
	uint32_t promise = now_ms() + PROMISE_MS;

	if (q)
		__atomic_store_n(&q->promised_ms, promise, __ATOMIC_RELEASE);
	lock_drop(fd);
	if (!q || wake_next(q))
		return;
	/* Unless the next holder has made one meanwhile. Who saw ours may be asleep by now. */
	if (__atomic_compare_exchange_n(&q->promised_ms, &promise, 0, false, __ATOMIC_RELEASE,
					__ATOMIC_RELAXED))
		(void)wake_next(q);
}
