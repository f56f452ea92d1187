/* watches.h - who waits for which mailbox's bell, over one instance of inotify(7).
 *
 *	watch (one a file)  --->  waiter, waiter, waiter	 each in at most one list
 *
 * A watch is there while somebody waits for it. The kernel gives one number for one file, however often it is asked for, and never
 * one that it gave before, so the number is all we know a watch by.
 */
#ifndef US_IDLE_WATCHES_H
#define US_IDLE_WATCHES_H

#include <stddef.h>
#include <stdint.h>

#include "server/base/err.h"

struct watch;
struct watches; /* opaque */

/* Embedded by who waits; zero when it waits for nothing. */
struct waiter {
	struct watch *watch; /* borrowed */
	struct waiter *next, *prev;
};

enum watches_news {
	WATCHES_RING, /* it happened, or may have */
	WATCHES_FELL, /* it went: the waiter waits for nothing any more */
};

/* `heard` is told of each waiter in turn; it must neither add nor remove one. */
int watches_new(void (*heard)(void *ctx, struct waiter *who, enum watches_news what), void *ctx,
		struct watches **out, struct us_err *err);
void watches_free(struct watches **w);
int watches_fd(const struct watches *w); /* readable: watches_take() */

/* Wait until this file is written (and for `more`: IN_*), and no longer for another. US_ENOENT: there is none. US_ELIMIT: the system
 * has no more watches for us. */
int watches_add(struct watches *w, struct waiter *who, const char *path, uint32_t more,
		struct us_err *err);
void watches_remove(struct watches *w, struct waiter *who);

/* Take in what the kernel has to say, and tell. Does not block. */
void watches_take(struct watches *w);

struct watches_figures {
	size_t watches, waiters;
};
struct watches_figures watches_figures(const struct watches *w);

#endif
