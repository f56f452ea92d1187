/* schedule.h - when the EVENTS of cyrus.conf are due. No file and no clock in here: the caller says what
 * time it is, so every rule about daylight saving is a unit test.
 */
#ifndef US_MASTER_SCHEDULE_H
#define US_MASTER_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* One moment on two clocks: periods are measured on the one that never jumps, times of day are what the
 * wall clock shows. */
struct schedule_moment {
	int64_t steady_ms;
	time_t wall;
};

enum schedule_kind {
	SCHEDULE_ONCE,   /* at start, never again */
	SCHEDULE_PERIOD, /* at start, then every period_ms */
	SCHEDULE_AT,     /* daily at hour:minute, local time; not at start */
};

struct schedule {
	enum schedule_kind kind;
	int64_t period_ms;
	int hour, minute;
	int64_t due_ms; /* ONCE and PERIOD; INT64_MAX: never */
	time_t due_at;  /* AT */
	long shift_s;   /* AT: by how much local time was moved between the last run and the next */
};

/* What `at` (hhmm as a number; negative: not given) and `period` (minutes; 0: not given) of an entry mean.
 * An `at` that is no time of day counts as not given. */
struct schedule schedule_make(int at_hhmm, int period_min, struct schedule_moment now);

/* Is it due? If so its next time is set, so each time is told once. A time of day that is more than a day
 * away, because the wall clock was set back, is looked for anew. */
bool schedule_take_due(struct schedule *s, struct schedule_moment now);
/* Milliseconds until it may be due; -1: never. */
int64_t schedule_wait_ms(const struct schedule *s, struct schedule_moment now);
/* The first instant after `after` that is the time hour:minute of its local day. On a day that lacks this
 * time the instant at which clocks jump over it; on one that has it twice the first. */
time_t schedule_next_at(time_t after, int hour, int minute);

#endif
