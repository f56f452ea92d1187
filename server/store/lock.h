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

/* The same with a word in memory that all who use this lock share: who waits sleeps on it, and is woken when it is
 * dropped, in the order in which they came. A holder who dies wakes nobody: then it takes some hundredths of a second.
 * `word` NULL: as above. */
int lock_take_queued(int fd, enum lock_mode mode, unsigned wait_ms, uint32_t *word,
		     struct us_err *err);
void lock_drop_queued(int fd, uint32_t *word);

#endif
