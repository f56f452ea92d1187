/* settings.c - see settings.h. server/base/cyrusconf.h reads the file; here is what master makes of it. */
#include "server/master/settings.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/cyrusconf.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/pool.h"

static const struct {
	int type, family;
} protos[] = {
	[CYRUSCONF_TCP] = {SOCK_STREAM, AF_UNSPEC}, [CYRUSCONF_TCP4] = {SOCK_STREAM, AF_INET},
	[CYRUSCONF_TCP6] = {SOCK_STREAM, AF_INET6}, [CYRUSCONF_UDP] = {SOCK_DGRAM, AF_UNSPEC},
	[CYRUSCONF_UDP4] = {SOCK_DGRAM, AF_INET},   [CYRUSCONF_UDP6] = {SOCK_DGRAM, AF_INET6},
};

/* ---- entries ---------------------------------------------------------------------------------- */

static unsigned at_least_0(int n)
{
	return n > 0 ? (unsigned)n : 0;
}

/* What proto and babysit change in the rules: a datagram service is one process, which takes every client;
 * and one that must never be without a process must not be started too fast. */
static struct account_rules rules_of(const struct cyrusconf_entry *e)
{
	bool datagrams = e->proto >= CYRUSCONF_UDP && e->proto <= CYRUSCONF_UDP6;
	struct account_rules r = {.prefork = at_least_0(e->prefork),
				  .maxchild = datagrams ? 1 : e->maxchild,
				  .maxforkrate = at_least_0(e->maxforkrate),
				  .babysit = e->babysit};

	if (datagrams && r.prefork > 1)
		r.prefork = 1;
	if (r.babysit && r.maxforkrate == 0)
		r.maxforkrate = 10;
	return r;
}

static struct entry make_entry(const struct cyrusconf_entry *e)
{
	struct entry out = {.name = us_strdup(e->name),
			    .cmd = us_strdup(e->cmd),
			    .argv = us_calloc(e->argc + 1, sizeof(char *)),
			    .listen = e->listen ? us_strdup(e->listen) : NULL,
			    .proto = (int)e->proto,
			    .rules = rules_of(e),
			    .maxfds = at_least_0(e->maxfds),
			    .maxforkrate = at_least_0(e->maxforkrate),
			    .wait = e->wait,
			    .at_hhmm = e->at_hhmm,
			    .period_min = e->period_min};

	for (size_t i = 0; i < e->argc; i++)
		out.argv[i] = us_strdup(e->argv[i]);
	return out;
}

struct entry entry_copy(const struct entry *e)
{
	struct entry copy = *e;
	size_t n = 0;

	while (e->argv[n])
		n++;
	copy.name = us_strdup(e->name);
	copy.cmd = us_strdup(e->cmd);
	copy.listen = e->listen ? us_strdup(e->listen) : NULL;
	copy.argv = us_calloc(n + 1, sizeof(char *));
	for (size_t i = 0; i < n; i++)
		copy.argv[i] = us_strdup(e->argv[i]);
	return copy;
}

void entry_fini(struct entry *e)
{
	free(e->name);
	free(e->cmd);
	free(e->listen);
	for (size_t i = 0; e->argv && e->argv[i]; i++)
		free(e->argv[i]);
	free(e->argv);
	*e = (struct entry){.name = NULL};
}

/* ---- listen ----------------------------------------------------------------------------------- */

int entry_resolve(const struct entry *e, struct listener **out, size_t *n_out, int *type,
		  struct us_err *err)
{
	struct cyrusconf_listen where;
	struct pool *pool;
	int rc;

	if (e->proto < 0 || e->proto >= CYRUSCONF_PROTO_UNKNOWN)
		return us_fail(err, US_ECONFIG, "no such proto");
	pool = pool_new();
	rc = cyrusconf_listen_parse(e->listen, pool, &where, err);
	if (rc == 0) {
		const struct listener_spec spec = {where.path, where.host, where.port,
						   protos[e->proto].family, protos[e->proto].type};
		rc = listener_resolve(&spec, out, n_out, err);
	}
	if (rc == 0)
		*type = protos[e->proto].type;
	pool_free(&pool);
	return rc;
}

/* ---- the file --------------------------------------------------------------------------------- */

static void free_list(struct entries *list)
{
	for (size_t i = 0; i < list->n; i++)
		entry_fini(&list->items[i]);
	free(list->items);
	*list = (struct entries){NULL, 0, 0};
}

void settings_free(struct settings *s)
{
	free_list(&s->start);
	free_list(&s->services);
	free_list(&s->events);
	free_list(&s->daemons);
}

static int add_section(const struct cyrusconf *conf, enum cyrusconf_section section,
		       const char *path, struct entries *list, struct us_err *err)
{
	const struct cyrusconf_entry *e;
	size_t at = 0;

	while ((e = cyrusconf_next(conf, section, &at)) != NULL) {
		if (e->fault)
			return us_fail(err, US_ECONFIG, "%s:%u: %s: %s", path, e->line, e->name,
				       e->fault);
		us_grow(&list->items, list->n, &list->cap, sizeof(*list->items));
		list->items[list->n++] = make_entry(e);
	}
	return 0;
}

static void log_notes(const struct cyrusconf *conf, const char *path)
{
	const struct cyrusconf_note *note;
	size_t at = 0;

	while ((note = cyrusconf_next_note(conf, &at)) != NULL)
		log_event(LOG_WARNING, "master.config.note", LF_TEXT(note->text),
			  LF_STR("path", path), LF_NUM("line", note->line));
}

int settings_load(const char *path, struct settings *out, struct us_err *err)
{
	struct settings s = {0};
	struct cyrusconf *conf = NULL;
	int rc;

	rc = cyrusconf_load(path, &conf, err);
	if (rc < 0)
		return rc;
	if (!path)
		path = "cyrus.conf";
	rc = add_section(conf, CYRUSCONF_START, path, &s.start, err);
	if (rc == 0)
		rc = add_section(conf, CYRUSCONF_SERVICES, path, &s.services, err);
	if (rc == 0)
		rc = add_section(conf, CYRUSCONF_EVENTS, path, &s.events, err);
	if (rc == 0)
		rc = add_section(conf, CYRUSCONF_DAEMON, path, &s.daemons, err);
	if (rc == 0) {
		log_notes(conf, path);
		*out = s;
	} else {
		settings_free(&s);
	}
	cyrusconf_free(&conf);
	return rc;
}
