/* schedule.c - see schedule.h. */
#include "server/master/schedule.h"

#define MINUTE_S      60
#define LONGEST_DAY_S (26 * 60 * MINUTE_S) /* with the hour or two by which clocks are moved */

struct schedule schedule_make(int at_hhmm, int period_min, struct schedule_moment now)
{
	struct schedule s = {.kind = SCHEDULE_ONCE, .due_ms = now.steady_ms};

	if (at_hhmm >= 0 && at_hhmm / 100 < 24 && at_hhmm % 100 < 60) {
		s.kind = SCHEDULE_AT;
		s.hour = at_hhmm / 100;
		s.minute = at_hhmm % 100;
		s.due_at = schedule_next_at(now.wall, s.hour, s.minute);
	} else if (period_min > 0) {
		s.kind = SCHEDULE_PERIOD;
		s.period_ms = (int64_t)period_min * MINUTE_S * 1000;
	}
	return s;
}

static long offset_of(time_t t)
{
	struct tm tm;

	localtime_r(&t, &tm);
	return tm.tm_gmtoff;
}

static void advance(struct schedule *s, struct schedule_moment now)
{
	time_t last = s->due_at;

	switch (s->kind) {
	case SCHEDULE_ONCE:
		s->due_ms = INT64_MAX;
		break;
	case SCHEDULE_PERIOD:
		s->due_ms += s->period_ms;
		if (s->due_ms <= now.steady_ms)
			s->due_ms = now.steady_ms + s->period_ms; /* missed some: do not catch up */
		break;
	case SCHEDULE_AT:
		s->due_at = schedule_next_at(now.wall, s->hour, s->minute);
		s->shift_s = offset_of(s->due_at) - offset_of(last);
		break;
	}
}

bool schedule_take_due(struct schedule *s, struct schedule_moment now)
{
	if (s->kind == SCHEDULE_AT && s->due_at - now.wall > LONGEST_DAY_S)
		s->due_at = schedule_next_at(now.wall, s->hour, s->minute);
	if (s->kind == SCHEDULE_AT ? s->due_at > now.wall : s->due_ms > now.steady_ms)
		return false;
	advance(s, now);
	return true;
}

int64_t schedule_wait_ms(const struct schedule *s, struct schedule_moment now)
{
	int64_t left;

	if (s->kind == SCHEDULE_AT)
		left = ((int64_t)s->due_at - now.wall) * 1000;
	else if (s->due_ms == INT64_MAX)
		return -1;
	else
		left = s->due_ms - now.steady_ms;
	return left > 0 ? left : 0;
}

/* Does local time at t show that day, and hour:minute or later, or a later day? */
static bool reached(time_t t, const struct tm *day, int hour, int minute)
{
	struct tm tm;

	localtime_r(&t, &tm);
	if (tm.tm_year != day->tm_year)
		return tm.tm_year > day->tm_year;
	if (tm.tm_yday != day->tm_yday)
		return tm.tm_yday > day->tm_yday;
	return tm.tm_hour > hour || (tm.tm_hour == hour && tm.tm_min >= minute);
}

/* The first whole minute of `day` at which local time is hour:minute or has passed it.
 *
 * mktime(3) says only roughly when that is on a day on which clocks are moved, so we walk there minute by
 * minute from well before: some 500 steps at most, once a day for each event. Clocks are moved by at most
 * two hours anywhere, and by whole minutes. */
static time_t instant_on(const struct tm *day, int hour, int minute)
{
	struct tm tm = {.tm_year = day->tm_year,
			.tm_mon = day->tm_mon,
			.tm_mday = day->tm_mday,
			.tm_hour = hour,
			.tm_min = minute,
			.tm_isdst = -1};
	time_t t = mktime(&tm) - 4 * 60 * MINUTE_S;

	while (!reached(t, day, hour, minute))
		t += MINUTE_S;
	return t;
}

time_t schedule_next_at(time_t after, int hour, int minute)
{
	struct tm day;

	for (int ahead = 0;; ahead++) {
		time_t t;

		/* Noon, for a day may have 23 or 25 hours; mktime() puts the date in order. */
		localtime_r(&after, &day);
		day.tm_mday += ahead;
		day.tm_hour = 12;
		day.tm_min = day.tm_sec = 0;
		day.tm_isdst = -1;
		mktime(&day);
		t = instant_on(&day, hour, minute);
		if (t > after)
			return t;
	}
}
