/* settings.h - what cyrus.conf asks for, as master uses it. */
#ifndef US_MASTER_SETTINGS_H
#define US_MASTER_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "server/base/err.h"
#include "server/master/account.h"
#include "server/master/listener.h"

struct entry {
	char *name;
	char *cmd;   /* as it was written */
	char **argv; /* its words; NULL behind the last */

	/* SERVICES */
	char *listen;
	int proto; /* enum cyrusconf_proto */
	struct account_rules rules;
	/* SERVICES and DAEMON */
	unsigned maxfds; /* 0: leave the limit alone */
	/* DAEMON */
	unsigned maxforkrate;
	bool wait;
	/* EVENTS; negative and 0: not given */
	int at_hhmm, period_min;
};

struct entries {
	struct entry *items;
	size_t n, cap;
};

struct settings {
	struct entries start, services, events, daemons;
};

/* Read and check the file; path NULL: the default one. *out is for settings_free(); untouched on failure.
 * US_ECONFIG with file and line: it cannot be read, is no cyrus.conf, or has an entry that cannot be run: one without a cmd or
 * listen, or with a name given before. */
int settings_load(const char *path, struct settings *out, struct us_err *err);
void settings_free(struct settings *s);

/* Entries of one's own; the copy is for entry_fini(). */
struct entry entry_copy(const struct entry *e);
void entry_fini(struct entry *e);

/* The addresses a service listens on, to free(), and the type of its sockets; nothing is opened. US_ECONFIG,
 * US_EINVAL: a bad listen or proto, or a name nobody knows. */
int entry_resolve(const struct entry *e, struct listener **out, size_t *n_out, int *type,
		  struct us_err *err);

#endif
