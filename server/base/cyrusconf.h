/* cyrusconf.h - cyrus.conf: what master starts, listens for and keeps running. */
#ifndef US_BASE_CYRUSCONF_H
#define US_BASE_CYRUSCONF_H

#include <stdbool.h>
#include <stddef.h>

#include "server/base/err.h"
#include "server/base/span.h"

struct cyrusconf; /* opaque */
struct pool;

enum cyrusconf_section {
	CYRUSCONF_START,
	CYRUSCONF_SERVICES,
	CYRUSCONF_EVENTS,
	CYRUSCONF_DAEMON,
	CYRUSCONF_SECTIONS
};

enum cyrusconf_proto {
	CYRUSCONF_TCP, /* every address family there is */
	CYRUSCONF_TCP4,
	CYRUSCONF_TCP6,
	CYRUSCONF_UDP,
	CYRUSCONF_UDP4,
	CYRUSCONF_UDP6,
	CYRUSCONF_PROTO_UNKNOWN, /* such a service is disabled */
};

/* One entry. Keys that its section does not have are at their defaults. */
struct cyrusconf_entry {
	enum cyrusconf_section section;
	const char *name;
	unsigned line;
	const char
		*fault; /* NULL; else why it cannot be run: no cmd, no listen, its name is taken */

	const char *cmd;   /* as written; NULL: not given */
	const char **argv; /* its words, NULL behind the last; never NULL itself */
	size_t argc;

	const char *listen; /* SERVICES; NULL: not given; see cyrusconf_listen_parse() */
	enum cyrusconf_proto proto;
	int prefork;  /* ready processes wanted */
	int maxchild; /* negative: no limit */
	bool babysit;

	int maxfds;      /* SERVICES, DAEMON; 0: leave the limit alone */
	int maxforkrate; /* SERVICES, DAEMON; forks a second, 0: no limit */
	bool wait;       /* DAEMON */

	int period_min; /* EVENTS; 0: once, at the start */
	int at_hhmm;    /* EVENTS; -1: not given */
};

/* Something that has no effect, or not the one it seems to have. Never a reason not to start. */
struct cyrusconf_note {
	unsigned line;
	const char *text;
};

/* Returns  0 with *out for cyrusconf_free(); US_ECONFIG with file (`name`) and line, *out untouched. */
int cyrusconf_parse(struct span text, const char *name, struct cyrusconf **out, struct us_err *err);
/* The same from a file. path NULL: cyrus.conf in the compiled-in directory, /etc. */
int cyrusconf_load(const char *path, struct cyrusconf **out, struct us_err *err);
void cyrusconf_free(struct cyrusconf **conf);

/* Walk the entries of a section in the order of the file; start with *at 0. NULL at the end. What is given
 * lives as long as the conf. */
const struct cyrusconf_entry *cyrusconf_next(const struct cyrusconf *conf,
					     enum cyrusconf_section section, size_t *at);
const struct cyrusconf_note *cyrusconf_next_note(const struct cyrusconf *conf, size_t *at);
const char *cyrusconf_section_name(enum cyrusconf_section section);

/* What a `listen` value means. */
struct cyrusconf_listen {
	const char *path; /* of a Unix socket; else NULL */
	const char *host; /* name or address; NULL: all addresses */
	const char *port; /* number or name in services(5) */
};
/* listen = "/" path / [host ":"] port / "[" address "]:" port
 * Returns  0 with *out in `pool`; US_ECONFIG. */
int cyrusconf_listen_parse(const char *text, struct pool *pool, struct cyrusconf_listen *out,
			   struct us_err *err);

/* The words of a command line, split at white space and nothing else: no quoting, no shell. NULL behind the
 * last; *argc may be NULL. All of it in `pool`. */
const char **cyrusconf_split(const char *cmd, struct pool *pool, size_t *argc);

#endif
