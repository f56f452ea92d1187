/* wait.h - wait for descriptors with a deadline and without losing a signal.
 *
 * A stop flag is a variable that a signal handler sets. Between looking at it and going to sleep a signal
 * could come and be slept through; so all signals are held back while we look, and ppoll(2) lets them in
 * again at the moment it sleeps.
 */
#ifndef US_BASE_WAIT_H
#define US_BASE_WAIT_H

#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/err.h"

/* Wait until one of `fds` is ready or timeout_ms passed (-1: no limit; 0: only look). Entries with fd -1
 * are passed over.
 * Returns  how many are ready, 0 when the time is up, or US_ECLOSED if *stop was set before or while we
 *          slept (stop may be NULL: signals are then no reason to return), US_EIO.
 * Blocks   at most timeout_ms. */
int wait_ready(struct pollfd *fds, size_t n, int timeout_ms, const volatile sig_atomic_t *stop,
	       struct us_err *err);

/* Milliseconds of a clock that never jumps; and how many are left until it shows `deadline_ms`, 0 if that
 * is past, -1 (no limit) if deadline_ms is negative. */
int64_t wait_clock_ms(void);
int wait_left_ms(int64_t deadline_ms);
/* The deadline that lies timeout_ms ahead; -1 for a negative timeout. */
int64_t wait_deadline_ms(int timeout_ms);

#endif
