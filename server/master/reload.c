/* reload.c - SIGHUP: cyrus.conf is read anew, and every service process is replaced.
 *
 * A service that stays keeps its listener, so no client is refused at any moment: the old process stops
 * accepting and leaves, who comes then waits in the listener's queue, and the new process takes him.
 * Connected clients are finished by the processes that serve them. A cyrus.conf with an error in it changes
 * nothing; a service whose listen means nothing now (a host that has no address, say) stays as it is.
 */
#include "server/master/master_private.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "server/base/log.h"

#define LOOK_AFTER_MS 30000

static void set_services(struct master *m, const struct entries *list)
{
	for (size_t i = 0; i < m->instances.n; i++)
		m->instances.items[i]->kept = false;
	for (size_t i = 0; i < list->n; i++)
		(void)instance_set_entry(
			m, &list->items[i]); /* what fails is logged, and the others go on */
	for (size_t i = 0; i < m->instances.n; i++)
		if (!m->instances.items[i]->kept)
			instance_retire(m->instances.items[i]);
	instance_sweep(m);
}

static struct daemon *find_daemon(struct master *m, const char *name)
{
	for (size_t i = 1; i < m->daemons.n; i++) /* the first is metad */
		if (!m->daemons.items[i]->removed &&
		    strcmp(m->daemons.items[i]->entry.name, name) == 0)
			return m->daemons.items[i];
	return NULL;
}

static void set_daemon(struct master *m, const struct entry *e)
{
	struct daemon *d = find_daemon(m, e->name);

	/* One with another command is another one: the old goes as if it had been taken out. */
	if (d && strcmp(d->entry.cmd, e->cmd) == 0) {
		entry_fini(&d->entry);
		d->entry = entry_copy(e);
		d->kept = true;
	} else {
		(void)daemon_add(m, e);
	}
}

static void set_daemons(struct master *m, const struct entries *list)
{
	for (size_t i = 0; i < m->daemons.n; i++)
		m->daemons.items[i]->kept = i == 0;
	for (size_t i = 0; i < list->n; i++)
		set_daemon(m, &list->items[i]);
	for (size_t i = 0; i < m->daemons.n; i++)
		if (!m->daemons.items[i]->kept)
			m->daemons.items[i]->removed = true;
}

/* Services and daemons are told; metad, START and events are not: they have nothing to read anew, and most
 * of them would die of it. */
static void tell_children(struct master *m)
{
	for (size_t i = 0; i < m->procs.n; i++) {
		struct proc *p = &m->procs.items[i];
		bool gone = p->daemon && p->daemon->removed;

		p->before_reload = true;
		if (p->kind != PROC_SERVICE && p->kind != PROC_SURVIVOR && p->kind != PROC_DAEMON)
			continue;
		if (p->daemon == m->daemons.items[0])
			continue;
		p->told_to_go = true;
		(void)kill(p->pid, gone ? SIGTERM : SIGHUP); /* our child, not waited for yet */
	}
}

static void tell_log(const struct master *m)
{
	size_t listening = 0, all = 0;
	char text[160];

	for (size_t i = 0; i < m->instances.n; i++) {
		all += !m->instances.items[i]->removed;
		listening += m->instances.items[i]->listener.fd >= 0;
	}
	snprintf(text, sizeof(text),
		 "Services reconfigured. %zu out of %zu services instances are now active",
		 listening, all);
	log_event(LOG_NOTICE, "master.reloaded", LF_TEXT(text));
}

void reload(struct master *m)
{
	struct settings s;
	struct us_err err;

	log_event(LOG_NOTICE, "master.hup", LF_TEXT("got SIGHUP"));
	if (settings_load(m->opt.cyrus_conf, &s, &err) < 0) {
		log_event(LOG_ERR, "master.reload.refused",
			  LF_TEXT("configuration stays as it was"), LF_ERR(&err));
		return;
	}
	set_services(m, &s.services);
	set_daemons(m, &s.daemons);
	event_set_all(m, &s.events);
	settings_free(&s);
	tell_children(m);
	daemon_sweep(m);
	m->reloaded_ms = master_now_ms();
	tell_log(m);
}

int64_t reload_wait_ms(const struct master *m)
{
	int64_t left;

	if (!m->reloaded_ms)
		return -1;
	left = m->reloaded_ms + LOOK_AFTER_MS - master_now_ms();
	return left > 0 ? left : 0;
}

void reload_look_at_leftovers(struct master *m)
{
	size_t n = 0;

	if (reload_wait_ms(m) != 0)
		return;
	m->reloaded_ms = 0;
	for (size_t i = 0; i < m->procs.n; i++)
		n += m->procs.items[i].before_reload && m->procs.items[i].told_to_go;
	if (n)
		log_event(LOG_NOTICE, "master.reload.leftovers",
			  LF_TEXT("processes from before the SIGHUP are still alive"),
			  LF_NUM("processes", n));
}
