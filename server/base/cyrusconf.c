/* cyrusconf.c - see cyrusconf.h.
 *
 * file    = *(anything / section)
 * section = name [anything] "{" [anything] LF *(entry LF) "}" [anything] LF
 * name    = "START" / "SERVICES" / "EVENTS" / "DAEMON"		without case
 *
 * A line is at most 4095 bytes; from a "#" on it is a comment, even within quotes. What stands behind an
 * opening "{" on its line, or behind a closing "}", is skipped, and so are other sections with all in them.
 *
 * A Cyrus reads the file once for each kind of section and is stricter, or laxer, in corners where nobody can
 * want what it does: it knows a name only if its first letter is upper case, sees only the first section of a
 * name, and drops whatever follows a "}" too many. We read what is there and leave a note.
 */
#include "server/base/cyrusconf_private.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/buf.h"
#include "server/base/conf_file.h"
#include "server/base/mem.h"
#include "server/base/pool.h"

/* No keys: they bound the reading of a file that is read before imapd.conf is of use to anybody, and that only root writes. */
#define MOST_LINE    4095 /* as in Cyrus */
#define MOST_ENTRIES 1000

struct cyrusconf {
	struct pool *pool;
	struct cyrusconf_entry *entries;
	size_t n_entries, cap_entries;
	struct cyrusconf_note *notes;
	size_t n_notes, cap_notes;
};

/* Where we are in the text. */
struct reader {
	struct cyrusconf *conf;
	struct span rest;
	unsigned line;
	unsigned seen; /* sections, a bit each */
};

static const struct section {
	const char *name;
	int maxforkrate;
} sections[CYRUSCONF_SECTIONS] = {
	[CYRUSCONF_START] = {"START", 0},
	[CYRUSCONF_SERVICES] = {"SERVICES", 0},
	[CYRUSCONF_EVENTS] = {"EVENTS", 0},
	[CYRUSCONF_DAEMON] = {"DAEMON", 10},
};

static const char *const protos[CYRUSCONF_PROTO_UNKNOWN] = {
	[CYRUSCONF_TCP] = "tcp", [CYRUSCONF_TCP4] = "tcp4", [CYRUSCONF_TCP6] = "tcp6",
	[CYRUSCONF_UDP] = "udp", [CYRUSCONF_UDP4] = "udp4", [CYRUSCONF_UDP6] = "udp6",
};

#define note(r, ...) add_note(r, pool_printf((r)->conf->pool, __VA_ARGS__))
static void add_note(struct reader *r, const char *text)
{
	struct cyrusconf *c = r->conf;

	us_grow(&c->notes, c->n_notes, &c->cap_notes, sizeof(*c->notes));
	c->notes[c->n_notes++] = (struct cyrusconf_note){r->line, text};
}

/* ---- values ----------------------------------------------------------------------------------- */

/* As atoi(3) reads it, if it begins with a number at all. */
static bool number_of(struct span text, int *out)
{
	bool minus = text.len && text.ptr[0] == '-';
	struct span digits = span_from(text, minus);
	int64_t n = 0;
	size_t i;

	for (i = 0; i < digits.len && digits.ptr[i] >= '0' && digits.ptr[i] <= '9'; i++)
		n = n > INT_MAX ? n : n * 10 + (digits.ptr[i] - '0');
	if (n > INT_MAX)
		n = INT_MAX;
	if (i)
		*out = (int)(minus ? -n : n);
	return i > 0;
}

static bool switch_of(struct span text, bool *out)
{
	bool yes = span_starts(text, "1") || span_starts(text, "y") || span_starts(text, "t") ||
		   span_starts(text, "on");
	bool no = span_starts(text, "0") || span_starts(text, "n") || span_starts(text, "f") ||
		  span_starts(text, "of");

	if (yes || no)
		*out = yes;
	return yes || no;
}

static enum cyrusconf_proto proto_of(struct span text)
{
	for (int i = 0; i < CYRUSCONF_PROTO_UNKNOWN; i++)
		if (span_is(text, protos[i]))
			return (enum cyrusconf_proto)i;
	return CYRUSCONF_PROTO_UNKNOWN;
}

/* ---- entries ---------------------------------------------------------------------------------- */

#define IN(section)   (1u << CYRUSCONF_##section)
#define EVERYWHERE    (IN(START) | IN(SERVICES) | IN(EVENTS) | IN(DAEMON))
#define FIELD(member) offsetof(struct cyrusconf_entry, member)

/* Each key an entry can have; `least` is what smaller numbers are taken for. */
static const struct field {
	const char *key;
	unsigned sections;
	enum { TEXT, NUMBER, SWITCH, PROTO } type;
	size_t offset;
	int least;
} fields[] = {
	{"cmd", EVERYWHERE, TEXT, FIELD(cmd), 0},
	{"listen", IN(SERVICES), TEXT, FIELD(listen), 0},
	{"proto", IN(SERVICES), PROTO, FIELD(proto), 0},
	{"prefork", IN(SERVICES), NUMBER, FIELD(prefork), 0},
	{"maxchild", IN(SERVICES), NUMBER, FIELD(maxchild), -1},
	{"babysit", IN(SERVICES), SWITCH, FIELD(babysit), 0},
	{"maxfds", IN(SERVICES) | IN(DAEMON), NUMBER, FIELD(maxfds), 0},
	{"maxforkrate", IN(SERVICES) | IN(DAEMON), NUMBER, FIELD(maxforkrate), 0},
	{"period", IN(EVENTS), NUMBER, FIELD(period_min), 0},
	{"at", IN(EVENTS), NUMBER, FIELD(at_hhmm), -1},
	{"wait", IN(DAEMON), SWITCH, FIELD(wait), 0},
};

static void set_number(struct reader *r, const struct field *f, struct span text, int *out)
{
	if (!number_of(text, out))
		note(r, "%s=%.*s is not a number and ignored", f->key, SPAN_ARG(text));
	else if (*out < f->least)
		*out = f->least;
}

static void set_field(struct reader *r, struct cyrusconf_entry *e, const struct field *f,
		      struct span text)
{
	void *out = (char *)e + f->offset;

	switch (f->type) {
	case TEXT:
		*(const char **)out = pool_strndup(r->conf->pool, text.ptr, text.len);
		break;
	case NUMBER:
		set_number(r, f, text, out);
		break;
	case SWITCH:
		if (!switch_of(text, out))
			note(r, "%s=%.*s is neither yes nor no and ignored", f->key,
			     SPAN_ARG(text));
		break;
	case PROTO:
		*(enum cyrusconf_proto *)out = proto_of(text);
		break;
	}
}

static const struct field *find_field(struct span key)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (span_is(key, fields[i].key))
			return &fields[i];
	return NULL;
}

static bool is_repeated(const struct cyrusconf_line *line, size_t i)
{
	for (size_t before = 0; before < i; before++)
		if (span_eq(line->args[before].key, line->args[i].key))
			return true;
	return false;
}

static void set_arg(struct reader *r, struct cyrusconf_entry *e, const struct cyrusconf_line *line,
		    size_t i)
{
	const struct cyrusconf_arg *arg = &line->args[i];
	const struct field *f = find_field(arg->key);

	if (is_repeated(line, i))
		note(r, "%.*s is given twice, the first one is used", SPAN_ARG(arg->key));
	else if (f && f->sections & 1u << e->section)
		set_field(r, e, f, arg->value);
	else if (span_is(arg->key, "cron"))
		note(r, "cron needs a Cyrus of version 3.13 and is ignored: use at or period");
	else
		note(r, "%.*s means nothing in section %s and is ignored", SPAN_ARG(arg->key),
		     sections[e->section].name);
}

/* hhmm, or not given. */
static void check_time(struct reader *r, struct cyrusconf_entry *e)
{
	if (e->at_hhmm < 0 || (e->at_hhmm / 100 < 24 && e->at_hhmm % 100 < 60))
		return;
	note(r, "at=%d is no time of day and ignored", e->at_hhmm);
	e->at_hhmm = -1;
}

/* Services and daemons share their names: it is what they are told to be. */
static bool is_taken(const struct cyrusconf *c, const struct cyrusconf_entry *e)
{
	if (e->section != CYRUSCONF_SERVICES && e->section != CYRUSCONF_DAEMON)
		return false;
	for (size_t i = 0; i < c->n_entries; i++)
		if ((c->entries[i].section == CYRUSCONF_SERVICES ||
		     c->entries[i].section == CYRUSCONF_DAEMON) &&
		    strcmp(c->entries[i].name, e->name) == 0)
			return true;
	return false;
}

static const char *find_fault(const struct cyrusconf *c, const struct cyrusconf_entry *e)
{
	if (!e->argc)
		return "it has no cmd";
	if (e->section == CYRUSCONF_SERVICES && !(e->listen && *e->listen))
		return "it has no listen";
	return is_taken(c, e) ? "its name is taken by an earlier entry" : NULL;
}

static int take_entry(struct reader *r, enum cyrusconf_section section, struct span text,
		      struct us_err *err)
{
	struct cyrusconf *c = r->conf;
	struct cyrusconf_entry e = {.section = section,
				    .line = r->line,
				    .maxchild = -1,
				    .maxforkrate = sections[section].maxforkrate,
				    .at_hhmm = -1};
	struct cyrusconf_line line;
	int rc = cyrusconf_line_parse(text, &line, err);

	if (rc == 0 && c->n_entries == MOST_ENTRIES)
		rc = us_fail(err, US_ECONFIG, "more than %d entries", MOST_ENTRIES);
	if (rc < 0)
		return rc;
	e.name = pool_strndup(c->pool, line.name.ptr, line.name.len);
	for (size_t i = 0; i < line.n_args; i++)
		set_arg(r, &e, &line, i);
	check_time(r, &e);
	e.argv = cyrusconf_split(e.cmd ? e.cmd : "", c->pool, &e.argc);
	e.fault = find_fault(c, &e);
	us_grow(&c->entries, c->n_entries, &c->cap_entries, sizeof(*c->entries));
	c->entries[c->n_entries++] = e;
	return 0;
}

/* ---- lines and sections ----------------------------------------------------------------------- */

/* The next line that is not empty, without white space in front and comment. 1; 0 at the end. */
static int next_line(struct reader *r, struct span *out, struct us_err *err)
{
	while (r->rest.len) {
		const char *hash;

		(void)span_split(&r->rest, '\n', out); /* there is one: rest is not empty */
		r->line++;
		if (out->len > MOST_LINE)
			return us_fail(err, US_ECONFIG, "the line is longer than %d bytes",
				       MOST_LINE);
		if (span_find(*out, '\0'))
			return us_fail(err, US_ECONFIG, "a NUL byte");
		hash = span_find(*out, '#');
		if (hash)
			out->len = (size_t)(hash - out->ptr);
		while (out->len && cyrusconf_is_space(out->ptr[0]))
			*out = span_from(*out, 1);
		if (out->len)
			return 1;
	}
	return 0;
}

/* The section a line names; CYRUSCONF_SECTIONS: none. */
static enum cyrusconf_section find_section(struct span line)
{
	for (int i = 0; i < CYRUSCONF_SECTIONS; i++) {
		struct span after = span_from(line, strlen(sections[i].name));
		unsigned char c =
			after.len ? (unsigned char)us_lower((unsigned char)after.ptr[0]) : ' ';
		if (span_starts_nocase(line, sections[i].name) && !(c >= 'a' && c <= 'z') &&
		    !(c >= '0' && c <= '9'))
			return (enum cyrusconf_section)i;
	}
	return CYRUSCONF_SECTIONS;
}

static int count_braces(struct span line)
{
	int level = 0;

	for (size_t i = 0; i < line.len; i++)
		level += (line.ptr[i] == '{') - (line.ptr[i] == '}');
	return level;
}

static int read_section(struct reader *r, enum cyrusconf_section section, struct us_err *err)
{
	struct span line;
	int rc;

	while ((rc = next_line(r, &line, err)) > 0) {
		if (line.ptr[0] == '}')
			return 0;
		rc = take_entry(r, section, line, err);
		if (rc < 0)
			return rc;
	}
	if (rc == 0)
		note(r, "section %s is not closed", sections[section].name);
	return rc;
}

static void note_opening(struct reader *r, enum cyrusconf_section section, struct span line)
{
	struct span after = span_from(line, (size_t)(span_find(line, '{') - line.ptr) + 1);

	if (r->seen & 1u << section)
		note(r, "section %s comes again: a Cyrus would skip it", sections[section].name);
	if (line.ptr[0] != sections[section].name[0])
		note(r, "section %s is in lower case: a Cyrus would skip it",
		     sections[section].name);
	while (after.len && cyrusconf_is_space(after.ptr[0]))
		after = span_from(after, 1);
	if (after.len)
		note(r, "what stands behind the { is skipped");
	r->seen |= 1u << section;
}

/* Skip what is not ours, up to the end of its braces. */
static int skip_braces(struct reader *r, int level, struct us_err *err)
{
	struct span line;
	int rc = 1;

	while (level > 0 && (rc = next_line(r, &line, err)) > 0)
		level += count_braces(line);
	if (rc == 0)
		note(r, "a { is not closed");
	return rc < 0 ? rc : 0;
}

static int read_top(struct reader *r, struct span line, struct us_err *err)
{
	enum cyrusconf_section section = find_section(line);
	int level = count_braces(line);

	if (section != CYRUSCONF_SECTIONS && level == 1) {
		note_opening(r, section, line);
		return read_section(r, section, err);
	}
	if (section == CYRUSCONF_SECTIONS || level != 0 || !span_find(line, '{'))
		note(r, level < 0 ? "a } too many: a Cyrus would drop what follows"
				  : "not in a section, skipped");
	return skip_braces(r, level, err);
}

int cyrusconf_parse(struct span text, const char *name, struct cyrusconf **out, struct us_err *err)
{
	struct cyrusconf *conf = us_calloc(1, sizeof(*conf));
	struct reader r = {.conf = conf, .rest = text};
	struct span line;
	int rc;

	conf->pool = pool_new();
	while ((rc = next_line(&r, &line, err)) > 0) {
		rc = read_top(&r, line, err);
		if (rc < 0)
			break;
	}
	if (rc == 0) {
		*out = conf;
		return 0;
	}
	us_err_prefix(err, "%s:%u", name, r.line);
	cyrusconf_free(&conf);
	return rc;
}

int cyrusconf_load(const char *path, struct cyrusconf **out, struct us_err *err)
{
	struct buf text = BUF_INIT;
	int rc;

	if (!path)
		path = CONF_CYRUS_PATH;
	rc = conf_file_read(path, &text, err);
	if (rc == 0)
		rc = cyrusconf_parse(buf_span(&text), path, out, err);
	buf_free(&text);
	return rc;
}

void cyrusconf_free(struct cyrusconf **conf)
{
	if (!*conf)
		return;
	pool_free(&(*conf)->pool);
	free((*conf)->entries);
	free((*conf)->notes);
	free(*conf);
	*conf = NULL;
}

/* ---- readers ---------------------------------------------------------------------------------- */

const struct cyrusconf_entry *cyrusconf_next(const struct cyrusconf *conf,
					     enum cyrusconf_section section, size_t *at)
{
	while (*at < conf->n_entries) {
		const struct cyrusconf_entry *e = &conf->entries[(*at)++];
		if (e->section == section)
			return e;
	}
	return NULL;
}

const struct cyrusconf_note *cyrusconf_next_note(const struct cyrusconf *conf, size_t *at)
{
	return *at < conf->n_notes ? &conf->notes[(*at)++] : NULL;
}

const char *cyrusconf_section_name(enum cyrusconf_section section)
{
	return sections[section].name;
}
