/* wait.c - see wait.h. */
#include "server/base/wait.h"

#include <errno.h>
#include <limits.h>
#include <time.h>

int64_t wait_clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t wait_deadline_ms(int timeout_ms)
{
	return timeout_ms < 0 ? -1 : wait_clock_ms() + timeout_ms;
}

int wait_left_ms(int64_t deadline_ms)
{
	int64_t left;

	if (deadline_ms < 0)
		return -1;
	left = deadline_ms - wait_clock_ms();
	if (left < 0)
		return 0;
	return left > INT_MAX ? INT_MAX : (int)left;
}

static int sleep_once(struct pollfd *fds, size_t n, int left_ms, const sigset_t *mask)
{
	struct timespec left = {left_ms / 1000, (long)(left_ms % 1000) * 1000000};

	return ppoll(fds, n, left_ms < 0 ? NULL : &left, mask);
}

/* One sleep with the stop flag looked at under a mask that lets no signal in before the sleep begins. */
static int sleep_or_stop(struct pollfd *fds, size_t n, int left_ms,
			 const volatile sig_atomic_t *stop)
{
	sigset_t all, before;
	int rc, number;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (*stop) {
		rc = US_ECLOSED;
		number = 0;
	} else {
		rc = sleep_once(fds, n, left_ms, &before);
		number = errno;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = number;
	return rc;
}

int wait_ready(struct pollfd *fds, size_t n, int timeout_ms, const volatile sig_atomic_t *stop,
	       struct us_err *err)
{
	int64_t deadline = wait_deadline_ms(timeout_ms);

	for (;;) {
		int left = wait_left_ms(deadline);
		int rc = stop ? sleep_or_stop(fds, n, left, stop) : sleep_once(fds, n, left, NULL);

		if (rc == US_ECLOSED)
			return us_fail(err, US_ECLOSED, "shutting down");
		if (rc >= 0)
			return rc;
		if (errno != EINTR)
			return us_fail_errno(err, "waiting for the network");
	}
}
