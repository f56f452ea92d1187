/* watches.c - see watches.h. */
#include "server/idle/watches.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "server/base/io.h"
#include "server/base/mem.h"

#define EVENTS_SIZE (64u << 10)
#define MOST_READS  16 /* in a turn: then others have their turn */

struct watch {
	int wd; /* the kernel's number: first, what is compared */
	struct waiter *first;
	struct watch *next, *prev; /* all there are */
};

struct watches {
	int inotify;
	void *by_wd; /* tsearch(3) */
	struct watch *first;
	struct watches_figures figures;
	void (*heard)(void *ctx, struct waiter *who, enum watches_news what);
	void *ctx;
	char *events;
};

int watches_new(void (*heard)(void *ctx, struct waiter *who, enum watches_news what), void *ctx,
		struct watches **out, struct us_err *err)
{
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	struct watches *w;

	if (fd < 0)
		return us_fail_errno(err, "inotify");
	w = us_calloc(1, sizeof(*w));
	w->inotify = fd;
	w->heard = heard;
	w->ctx = ctx;
	w->events = us_malloc(EVENTS_SIZE); /* aligned for anything */
	*out = w;
	return 0;
}

int watches_fd(const struct watches *w)
{
	return w->inotify;
}

struct watches_figures watches_figures(const struct watches *w)
{
	return w->figures;
}

/* ---- the table --------------------------------------------------------------------------------- */

static int compare_wd(const void *a, const void *b)
{
	int left = *(const int *)a, right = *(const int *)b;

	return left < right ? -1 : left > right;
}

static struct watch *find(const struct watches *w, int wd)
{
	struct watch **node = tfind(&wd, (void *const *)&w->by_wd, compare_wd);

	return node ? *node : NULL;
}

static struct watch *find_or_make(struct watches *w, int wd)
{
	struct watch *watch = find(w, wd);

	if (watch)
		return watch;
	watch = us_calloc(1, sizeof(*watch));
	watch->wd = wd;
	if (!tsearch(watch, &w->by_wd, compare_wd))
		us_panic("out of memory");
	watch->next = w->first;
	if (w->first)
		w->first->prev = watch;
	w->first = watch;
	w->figures.watches++;
	return watch;
}

static void forget(struct watches *w, struct watch *watch)
{
	(void)tdelete(&watch->wd, &w->by_wd, compare_wd); /* it is there */
	if (watch->prev)
		watch->prev->next = watch->next;
	else
		w->first = watch->next;
	if (watch->next)
		watch->next->prev = watch->prev;
	w->figures.watches--;
	free(watch);
}

static void link_waiter(struct watches *w, struct watch *watch, struct waiter *who)
{
	*who = (struct waiter){watch, watch->first, NULL};
	if (watch->first)
		watch->first->prev = who;
	watch->first = who;
	w->figures.waiters++;
}

static void unlink_waiter(struct watches *w, struct waiter *who)
{
	if (who->prev)
		who->prev->next = who->next;
	else
		who->watch->first = who->next;
	if (who->next)
		who->next->prev = who->prev;
	*who = (struct waiter){0};
	w->figures.waiters--;
}

/* ---- waiting ------------------------------------------------------------------------------------ */

void watches_remove(struct watches *w, struct waiter *who)
{
	struct watch *watch = who->watch;

	if (!watch)
		return;
	unlink_waiter(w, who);
	if (watch->first)
		return;
	(void)inotify_rm_watch(w->inotify, watch->wd); /* gone already is as good */
	forget(w, watch);
}

int watches_add(struct watches *w, struct waiter *who, const char *path, uint32_t more,
		struct us_err *err)
{
	int wd = inotify_add_watch(w->inotify, path, IN_MODIFY | IN_DELETE_SELF | more);
	struct watch *watch;

	if (wd < 0 && errno == ENOSPC)
		return us_fail(err, US_ELIMIT, "fs.inotify.max_user_watches is used up");
	if (wd < 0)
		return us_fail_errno(err, "watch %s", path);
	watch = find_or_make(w, wd);
	if (who->watch == watch)
		return 0;
	watches_remove(w, who);
	link_waiter(w, watch, who);
	return 0;
}

/* ---- hearing ------------------------------------------------------------------------------------ */

static void ring(struct watches *w, struct watch *watch)
{
	for (struct waiter *who = watch->first; who; who = who->next)
		w->heard(w->ctx, who, WATCHES_RING);
}

static void fall(struct watches *w, struct watch *watch)
{
	struct waiter *who;

	while ((who = watch->first)) {
		unlink_waiter(w, who);
		w->heard(w->ctx, who, WATCHES_FELL);
	}
	forget(w, watch);
}

/* Events of a watch that we removed may still come: nobody knows their number any more. */
static void take_event(struct watches *w, const struct inotify_event *event)
{
	struct watch *watch = find(w, event->wd);

	if (event->mask & IN_Q_OVERFLOW) /* some were lost, and nobody knows whose */
		for (struct watch *each = w->first; each; each = each->next)
			ring(w, each);
	else if (watch && event->mask & IN_IGNORED)
		fall(w, watch);
	else if (watch)
		ring(w, watch);
}

void watches_take(struct watches *w)
{
	for (int reads = 0; reads < MOST_READS; reads++) {
		ssize_t n = read(w->inotify, w->events, EVENTS_SIZE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		for (ssize_t at = 0; at < n;) {
			const struct inotify_event *event = (const void *)(w->events + at);

			take_event(w, event);
			at += (ssize_t)(sizeof(*event) + event->len);
		}
	}
}

void watches_free(struct watches **watches)
{
	struct watches *w = *watches;

	if (!w)
		return;
	while (w->first) {
		while (w->first->first)
			unlink_waiter(w, w->first->first);
		forget(w, w->first);
	}
	io_close(&w->inotify);
	free(w->events);
	free(w);
	*watches = NULL;
}
