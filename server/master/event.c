/* event.c - see event.h. */
#include "server/master/event.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/master/master_private.h"
#include "server/master/programs.h"
#include "server/master/spawn.h"

#define LOOK_AT_CLOCK_MS 60000

struct schedule_moment event_now(void)
{
	return (struct schedule_moment){.steady_ms = master_now_ms(), .wall = time(NULL)};
}

void event_free_all(struct master *m)
{
	for (size_t i = 0; i < m->events.n; i++)
		entry_fini(&m->events.items[i].entry);
	free(m->events.items);
	m->events = (struct events){NULL, 0, 0};
}

void event_set_all(struct master *m, const struct entries *list)
{
	struct schedule_moment now = event_now();

	event_free_all(m);
	for (size_t i = 0; i < list->n; i++) {
		const struct entry *e = &list->items[i];

		us_grow(&m->events.items, m->events.n, &m->events.cap, sizeof(*m->events.items));
		m->events.items[m->events.n++] =
			(struct event){entry_copy(e),
				       schedule_make(e->at_hhmm, e->period_min, now)};
	}
}

static void run(struct master *m, const struct event *ev)
{
	struct spawn what = {.argv = ev->entry.argv,
			     .user = m->as_root ? &m->user : NULL,
			     .status_fd = -1,
			     .listen_fd = -1,
			     .unclean = m->unclean};
	struct us_err err;
	char *program = NULL;
	pid_t pid;

	pid = programs_find(ev->entry.argv[0], &program, &err);
	if (pid == 0) {
		what.path = program;
		pid = spawn_program(&what, &err);
	}
	if (pid < 0)
		log_event(LOG_ERR, "master.event.failed", LF_TEXT("can't run event"),
			  LF_STR("service", ev->entry.name), LF_ERR(&err));
	else
		proctable_add(&m->procs, pid, PROC_EVENT, ev->entry.name, program, master_now_ms());
	free(program);
}

static void tell_shift(const struct event *ev)
{
	char text[256];

	if (ev->schedule.kind != SCHEDULE_AT || ev->schedule.shift_s == 0)
		return;
	snprintf(text, sizeof(text), "timezone shift for %s - altering schedule by %ld seconds",
		 ev->entry.name, ev->schedule.shift_s);
	log_event(LOG_NOTICE, "master.event.shifted", LF_TEXT(text));
}

void event_run_due(struct master *m)
{
	struct schedule_moment now = event_now();

	for (size_t i = 0; i < m->events.n; i++) {
		struct event *ev = &m->events.items[i];

		if (schedule_take_due(&ev->schedule, now)) {
			run(m, ev);
			tell_shift(ev);
		}
	}
}

int64_t event_wait_ms(const struct master *m)
{
	struct schedule_moment now = event_now();
	int64_t wait = -1;

	for (size_t i = 0; i < m->events.n; i++) {
		int64_t one = schedule_wait_ms(&m->events.items[i].schedule, now);
		if (one >= 0 && (wait < 0 || one < wait))
			wait = one;
	}
	return wait > LOOK_AT_CLOCK_MS ? LOOK_AT_CLOCK_MS : wait;
}
