/* event.h - the EVENTS of cyrus.conf: programs run at start, now and then, or at a time of day. They are
 * not waited for, may overlap, and get neither of the descriptors a service gets. */
#ifndef US_MASTER_EVENT_H
#define US_MASTER_EVENT_H

#include <stddef.h>
#include <stdint.h>

#include "server/master/schedule.h"
#include "server/master/settings.h"

struct master;

struct event {
	struct entry entry; /* ours */
	struct schedule schedule;
};

struct events {
	struct event *items;
	size_t n, cap;
};

struct schedule_moment event_now(void);
/* Forget the old ones, take those of the settings: what is periodic is due at once. */
void event_set_all(struct master *m, const struct entries *list);
void event_free_all(struct master *m);
/* Start every one that is due. */
void event_run_due(struct master *m);
/* Milliseconds until one may be due, at most a minute (the wall clock may be set); -1: never. */
int64_t event_wait_ms(const struct master *m);

#endif
