/* lock.h - kernel locks that fall with their holder (doc/FORMATS.md 8).
 *
 * Open-file-description locks on byte 0 of a file: between processes, and between two descriptors of one process. The
 * kernel drops them with the last copy of the descriptor, so a process that forks while it holds one must not
 * let the child live on with it.
 */
#ifndef US_STORE_LOCK_H
#define US_STORE_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/err.h"

enum lock_mode { LOCK_SHARED, LOCK_EXCLUSIVE };

/* Take the lock, waiting at most wait_ms (0: not at all): US_EBUSY if it was not had. */
int lock_take(int fd, enum lock_mode mode, unsigned wait_ms, struct us_err *err);
void lock_drop(int fd);

/* Where those who want the same lock queue up: memory that they share, zero at first. What it holds means nothing once
 * nobody runs, and carries no ownership: that is the kernel's lock. */
struct lock_queue {
	uint32_t releases; /* counts them; who waits sleeps on this word */
	uint32_t
		promised_ms; /* until then (CLOCK_MONOTONIC) the lock is for who was woken; 0: for anybody */
};

/* The same, served in the order of coming: a waiter sleeps, is woken when the lock is dropped, and nobody who comes later
 * gets in before him, nor does who asks without waiting. A holder who dies wakes nobody: then it takes some hundredths of a
 * second. `queue` NULL: as above. */
int lock_take_queued(int fd, enum lock_mode mode, unsigned wait_ms, struct lock_queue *queue,
		     struct us_err *err);
void lock_drop_queued(int fd, struct lock_queue *queue);

#endif
