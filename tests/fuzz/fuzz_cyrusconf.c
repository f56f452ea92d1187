/* fuzz_cyrusconf.c - any bytes as cyrus.conf: what is taken holds what cyrusconf.h says of it. */
#include <stdint.h>
#include <string.h>

#include "server/base/cyrusconf.h"
#include "server/base/err.h"
#include "server/base/pool.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_words(const struct cyrusconf_entry *e)
{
	size_t n = 0;

	for (; e->argv[n]; n++) {
		us_assert(e->argv[n][0] && !strpbrk(e->argv[n], " \t\r\n\v\f"));
		us_assert(strstr(e->cmd, e->argv[n]));
	}
	us_assert(n == e->argc && (n || e->fault));
}

static void check_listen(const struct cyrusconf_entry *e, struct pool *pool)
{
	struct cyrusconf_listen l;
	struct us_err err = US_ERR_INIT;

	if (!e->listen)
		return;
	if (cyrusconf_listen_parse(e->listen, pool, &l, &err) < 0)
		us_assert(err.code == US_ECONFIG);
	else
		us_assert(!l.path != !l.port && !(l.path && l.host) && !(l.host && !*l.host));
}

static void check_entry(const struct cyrusconf_entry *e, struct pool *pool)
{
	us_assert(e->name[0] && e->line && strlen(e->name) < 4096);
	us_assert(e->prefork >= 0 && e->maxchild >= -1 && e->maxfds >= 0 && e->maxforkrate >= 0);
	us_assert(e->period_min >= 0 && e->at_hhmm >= -1 && e->at_hhmm < 2400);
	us_assert(!e->listen || e->section == CYRUSCONF_SERVICES);
	check_words(e);
	check_listen(e, pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cyrusconf *conf = NULL;
	const struct cyrusconf_note *note;
	const struct cyrusconf_entry *e;
	struct us_err err = US_ERR_INIT;
	struct pool *pool;
	size_t at = 0;

	if (cyrusconf_parse(span_make(data, size), "f", &conf, &err) < 0) {
		us_assert(err.code == US_ECONFIG && err.text[0] && !conf);
		return 0;
	}
	pool = pool_new();
	while ((note = cyrusconf_next_note(conf, &at)))
		us_assert(note->text[0] && note->line);
	for (int s = 0; s < CYRUSCONF_SECTIONS; s++)
		for (at = 0; (e = cyrusconf_next(conf, (enum cyrusconf_section)s, &at));)
			check_entry(e, pool);
	pool_free(&pool);
	cyrusconf_free(&conf);
	return 0;
}
