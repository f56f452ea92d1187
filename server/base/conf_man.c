/* conf_man.c - write imapd.conf(5): the prose of a template, and an entry for each row of conf_options.def.
 *
 *	conf_man TEMPLATE >imapd.conf.5
 *
 * Run while building, so that a row is changed in one place. The line @OPTIONS@ of the template stands for
 * the entries, @NAMES@ for the table of other names; all else is mdoc(7) already.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "server/base/buf.h"
#include "server/base/conf_options.h"
#include "server/base/mem.h"
#include "server/base/span.h"

/* Headings and keys in the order of the table. */
static const struct entry {
	const char *heading;
	enum conf_key key;
} entries[] = {
#define CONF_SECTION(title)                                              {title, CONF_KEYS},
#define CONF_OPTION(key, type, fallback, low, high, since, status, text) {NULL, CONF_##key},
#include "server/base/conf_options.def"
};

/* The words of each key, in the order of the table. */
static const struct word {
	enum conf_key key;
	const char *text;
} words[] = {
#define CONF_WORD(key, id, word)     {CONF_##key, word},
#define CONF_BIT(key, id, bit, word) {CONF_##key, word},
#include "server/base/conf_options.def"
};

static const struct other {
	const char *name, *key, *since;
	enum conf_age age;
} others[] = {
#define CONF_NAME(name, key, age, since) {#name, #key, since, CONF_##age},
#include "server/base/conf_options.def"
};

/* What could be copied from the page keeps its hyphens. */
static void put_literal(const char *text)
{
	for (const char *c = text; *c; c++) {
		if (*c == '\\')
			fputs("\\e", stdout);
		else if (*c == '-')
			fputs("\\-", stdout);
		else
			putchar(*c);
	}
}

/* A sentence a line, as mdoc wants it. */
static void put_prose(const char *text)
{
	bool starts = true;

	for (const char *c = text; *c; c++) {
		if (starts && (*c == '.' || *c == '\''))
			fputs("\\&", stdout);
		starts = c > text && c[-1] == '.' && *c == ' ';
		if (*c == '\\')
			fputs("\\e", stdout);
		else
			putchar(starts ? '\n' : *c);
	}
	putchar('\n');
}

static const char *unit_name(const struct conf_option *o)
{
	switch (o->unit) {
	case 1:
		return o->type == CONF_SIZE ? "bytes" : "seconds";
	case 60:
		return "minutes";
	case 1024:
		return "KiB";
	default:
		return "days";
	}
}

static void put_words(enum conf_key key)
{
	const char *comma = "";

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (words[i].key != key)
			continue;
		fputs(comma, stdout);
		put_literal(words[i].text);
		comma = ", ";
	}
}

static void put_type(enum conf_key key, const struct conf_option *o)
{
	static const char *const names[] = {
		[CONF_SWITCH] = "Switch", [CONF_INT] = "Number",        [CONF_SIZE] = "Size",
		[CONF_STRING] = "Text",   [CONF_DURATION] = "Duration", [CONF_ENUM] = "One of ",
		[CONF_ONEOF] = "One of ", [CONF_BITS] = "Any of ",
	};

	fputs(names[o->type], stdout);
	if (o->type == CONF_SIZE || o->type == CONF_DURATION)
		printf(", a bare number counts %s", unit_name(o));
	else
		put_words(key);
}

static void put_bounds(const struct conf_option *o)
{
	if (o->low) {
		fputs("; at least ", stdout);
		put_literal(o->low);
	}
	if (o->high) {
		fputs("; at most ", stdout);
		put_literal(o->high);
	}
}

static void put_default(const struct conf_option *o)
{
	if (!o->fallback) {
		fputs("; not set by default", stdout);
	} else if (!*o->fallback) {
		fputs("; empty by default", stdout);
	} else {
		fputs("; default ", stdout);
		put_literal(o->fallback);
	}
}

static void put_status(const struct conf_option *o)
{
	static const char *const status[] = {
		[CONF_OBEYED] = "Obeyed.",
		[CONF_ACCEPTED] = "Accepted, no effect yet.",
		[CONF_IGNORED] = "Ignored.",
	};

	if (strcmp(o->since, "3.13") == 0)
		puts("Not in Cyrus 3.6, but in later versions.");
	else if (strcmp(o->since, "3.6") != 0)
		printf("Since Understudy %s, not in Cyrus.\n", o->since);
	printf(".Em %s\n", status[o->status]);
}

static void put_entry(enum conf_key key)
{
	const struct conf_option *o = conf_option(key);

	printf(".It Ic %s\n", o->name);
	put_prose(o->text);
	printf(".br\n");
	put_type(key, o);
	put_default(o);
	put_bounds(o);
	puts(".");
	put_status(o);
}

static void put_entries(void)
{
	const char *end = "";

	for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
		if (!entries[i].heading) {
			put_entry(entries[i].key);
			continue;
		}
		printf("%s.Ss %s\n.Bl -tag -width Ds\n", end, entries[i].heading);
		end = ".El\n";
	}
	fputs(end, stdout);
}

static void put_names(void)
{
	puts(".Bl -column conversations_expire_days conversations_expire_after");
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		printf(".It Ic %s Ta %s Ta %s %s\n", others[i].name, others[i].key,
		       others[i].age == CONF_OLDER ? "before" : "by", others[i].since);
	puts(".El");
}

int main(int argc, char **argv)
{
	char line[1024];
	FILE *in = argc == 2 ? fopen(argv[1], "r") : NULL;

	if (!in) {
		fprintf(stderr, "usage: conf_man template\n");
		return EX_USAGE;
	}
	while (fgets(line, sizeof(line), in)) {
		if (strcmp(line, "@OPTIONS@\n") == 0)
			put_entries();
		else if (strcmp(line, "@NAMES@\n") == 0)
			put_names();
		else
			fputs(line, stdout);
	}
	fclose(in);
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : EX_IOERR;
}
