/* cyr_info.c - what the configuration says and means, and who is connected.
 *
 * Every listing of keys is an expansion of the table in conf_options.def; what the lint has to say is conf_lint()'s. Lines are
 * those of Cyrus's cyr_info, for scripts; -v adds what only we know: keys that are legal but have no effect, and why.
 */
#include <dirent.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "config.h"
#include "server/admin/key_age.h"
#include "server/admin/tool.h"
#include "server/base/buf.h"
#include "server/base/conf_value.h"
#include "server/base/cyrusconf.h"
#include "server/base/mem.h"
#include "server/base/pool.h"
#include "server/session/proc_note.h"

#define USAGE_STATUS 255 /* as Cyrus's tool has it */

struct info {
	const char *conf_path, *cyrusconf_path, *service;
	bool verbose, marks;
	struct cyrus_version since; /* with marks: keys that are newer get one */
	struct tool tool;
};

/* ---- keys of the table ------------------------------------------------------------------------- */

/* Our own keys have no version of Cyrus: they are always new to one who comes from there. */
static void print_mark(const struct info *info, const struct conf_option *o)
{
	bool ours = o->since[0] == '0';
	const char *age = strcmp(o->since, "3.6") == 0 ? key_age(o->name) : o->since;
	struct cyrus_version version = {{0}};

	if (!info->marks)
		return;
	(void)cyrus_version_parse(age, &version); /* it is one */
	if (ours || cyrus_version_cmp(&info->since, &version) < 0)
		printf("(%s) ", age);
}

/* Sets of words are written one by one, so an empty set leaves no blank. */
static void print_key(const struct info *info, enum conf_key key, const char *value)
{
	bool nothing = conf_option(key)->type == CONF_BITS && !*value;

	print_mark(info, conf_option(key));
	printf("%s:%s%s\n", conf_option(key)->name, nothing ? "" : " ", value);
}

static const char *default_text(enum conf_key key)
{
	const char *text = conf_option(key)->fallback;

	return text ? text : "";
}

/* Is what the file says another value than the default? "1d" is "24h". */
static bool differs_from_default(const struct conf *conf, enum conf_key key)
{
	struct pool *pool = pool_new();
	struct buf mine = BUF_INIT, fallback = BUF_INIT;
	struct conf_value value;
	bool differs;

	conf_value_default(key, pool, &value);
	conf_value_write(key, &value, &fallback);
	conf_write(conf, key, &mine);
	differs = !span_eq(buf_span(&mine), buf_span(&fallback));
	buf_free(&mine);
	buf_free(&fallback);
	pool_free(&pool);
	return differs;
}

/* Durations and sizes as the file has them: "60" stays "60", whatever it counts. But what is out of bounds is not what is
 * in effect. */
static bool is_shown_as_written(const struct conf *conf, enum conf_key key)
{
	enum conf_type type = conf_option(key)->type;
	struct pool *pool = pool_new();
	struct conf_value value;
	bool as_written = (type == CONF_DURATION || type == CONF_SIZE) && conf_is_set(conf, key) &&
			  conf_value_parse(key, span_of(conf_setting_text(conf, key)), pool, &value,
					   NULL) == 0 &&
			  !value.clamped;

	pool_free(&pool);
	return as_written;
}

static void print_value(const struct info *info, enum conf_key key)
{
	const struct conf *conf = info->tool.conf;
	struct buf value = BUF_INIT;

	if (is_shown_as_written(conf, key))
		buf_add_str(&value, conf_setting_text(conf, key));
	else
		conf_write(conf, key, &value);
	print_key(info, key, value.len ? value.data : "");
	buf_free(&value);
}

static void print_others(const struct info *info)
{
	struct conf_item item;
	size_t at = 0;

	while (conf_next(info->tool.conf, "", &at, &item))
		printf("%s: %s\n", item.key, item.text);
}

static int do_conf(struct info *info, struct us_err *err UNUSED)
{
	for (int key = 0; key < CONF_KEYS; key++)
		if (conf_is_set(info->tool.conf, (enum conf_key)key) &&
		    differs_from_default(info->tool.conf, (enum conf_key)key))
			print_value(info, (enum conf_key)key);
	print_others(info);
	return 0;
}

static int do_conf_all(struct info *info, struct us_err *err UNUSED)
{
	for (int key = 0; key < CONF_KEYS; key++)
		print_value(info, (enum conf_key)key);
	print_others(info);
	return 0;
}

static int do_conf_default(struct info *info, struct us_err *err UNUSED)
{
	for (int key = 0; key < CONF_KEYS; key++)
		print_key(info, (enum conf_key)key, default_text((enum conf_key)key));
	return 0;
}

/* ---- lint -------------------------------------------------------------------------------------- */

struct lint_walk {
	const struct info *info;
	const struct cyrusconf *cyrusconf;
};

static bool has_service(const struct cyrusconf *conf, const char *name)
{
	const struct cyrusconf_entry *entry;

	for (int section = 0; section < CYRUSCONF_SECTIONS; section++) {
		size_t at = 0;
		while ((entry = cyrusconf_next(conf, (enum cyrusconf_section)section, &at)))
			if (strcasecmp(entry->name, name) == 0)
				return true;
	}
	return false;
}

/* Is something wrong, or is it only without effect? */
static bool is_a_fault(const struct lint_walk *w, const struct conf_lint *lint)
{
	switch (lint->kind) {
	case CONF_LINT_UNKNOWN:
	case CONF_LINT_OLD_NAME:
	case CONF_LINT_BAD:
		return true;
	case CONF_LINT_SERVICE:
		return !has_service(w->cyrusconf, lint->text);
	default:
		return false;
	}
}

static void explain(const struct conf_lint *lint)
{
	printf("\t# %s:%u: ", lint->item.file, lint->item.line);
	switch (lint->kind) {
	case CONF_LINT_UNKNOWN:
		printf("unknown");
		break;
	case CONF_LINT_OLD_NAME:
		printf("old name of %s", lint->text);
		break;
	case CONF_LINT_BAD:
		printf("%s", lint->text);
		break;
	case CONF_LINT_CLAMPED:
		printf("out of bounds, used as %s", lint->text);
		break;
	case CONF_LINT_ACCEPTED:
		printf("accepted, without effect so far");
		break;
	case CONF_LINT_IGNORED:
		printf("ignored: %s", lint->text);
		break;
	case CONF_LINT_SERVICE:
		printf("there is no service %s", lint->text);
		break;
	}
}

static void print_lint(void *ctx, const struct conf_lint *lint)
{
	const struct lint_walk *w = ctx;
	bool fault = is_a_fault(w, lint);

	if (!fault && (!w->info->verbose || lint->kind == CONF_LINT_SERVICE))
		return;
	printf("%s: %s", lint->item.key, lint->item.text);
	if (w->info->verbose)
		explain(lint);
	putchar('\n');
}

static int do_conf_lint(struct info *info, struct us_err *err)
{
	struct lint_walk walk = {.info = info};
	struct cyrusconf *cyrusconf;
	int rc = cyrusconf_load(info->cyrusconf_path, &cyrusconf, err);

	if (rc < 0)
		return rc;
	walk.cyrusconf = cyrusconf;
	conf_lint(info->tool.conf, print_lint, &walk);
	cyrusconf_free(&cyrusconf);
	return 0;
}

/* ---- processes --------------------------------------------------------------------------------- */

static void print_process(int dir, const char *pid)
{
	struct buf note = BUF_INIT;
	struct span rest, word;

	if (proc_note_read(dir, pid, &note)) {
		rest = buf_span(&note);
		printf("%s", pid);
		for (int i = 0; i < 5; i++) {
			if (!span_split(&rest, '\t', &word))
				word = SPAN_LIT("");
			printf(" %.*s", SPAN_ARG(word));
		}
		putchar('\n');
	}
	buf_free(&note);
}

static int do_proc(struct info *info, struct us_err *err UNUSED)
{
	char *path = proc_note_dir(info->tool.conf);
	DIR *d = opendir(path);
	struct dirent *entry;
	uint64_t pid;

	while (d && (entry = readdir(d)))
		if (span_u64(span_of(entry->d_name), INT32_MAX, &pid) && pid)
			print_process(dirfd(d), entry->d_name);
	if (d)
		closedir(d);
	free(path);
	return 0;
}

static int do_version(struct info *info UNUSED, struct us_err *err UNUSED)
{
	printf("cyrus-imapd %s-Understudy-%s\n", CYRUS_INTERFACE_VERSION, UNDERSTUDY_VERSION);
	return 0;
}

/* ---- the command line -------------------------------------------------------------------------- */

static const struct {
	const char *name;
	int (*run)(struct info *info, struct us_err *err);
	const char *help;
} commands[] = {
	{"conf", do_conf, "listing of non-default config values"},
	{"conf-all", do_conf_all, "listing of all config values"},
	{"conf-default", do_conf_default, "listing of all default config values"},
	{"conf-lint", do_conf_lint, "unknown config keys; -v: those without effect too"},
	{"proc", do_proc, "listing of all open processes"},
	{"version", do_version, "version"},
};

static int usage(void)
{
	fputs("usage: cyr_info [-C imapd.conf] [-M cyrus.conf] [-n service] [-s old version] [-v] "
	      "command\n\nWhere command is one of:\n\n",
	      stderr);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(stderr, "  * %-13s - %s\n", commands[i].name, commands[i].help);
	return USAGE_STATUS;
}

static bool read_options(struct info *info, int argc, char **argv)
{
	int letter;

	while ((letter = getopt(argc, argv, "C:M:n:s:v")) != -1) {
		switch (letter) {
		case 'C':
			info->conf_path = optarg;
			break;
		case 'M':
			info->cyrusconf_path = optarg;
			break;
		case 'n':
			info->service = optarg;
			break;
		case 's':
			info->marks = true;
			if (!cyrus_version_parse(optarg, &info->since))
				return false;
			break;
		case 'v':
			info->verbose = true;
			break;
		default:
			return false;
		}
	}
	return optind < argc;
}

int main(int argc, char **argv)
{
	struct info info = {0};
	struct us_err err = US_ERR_INIT;
	int rc;

	if (!read_options(&info, argc, argv))
		return usage();
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(argv[optind], commands[i].name) != 0)
			continue;
		rc = tool_begin(&info.tool, info.service ? info.service : "cyr_info",
				info.conf_path, 0, &err);
		if (rc == 0)
			rc = commands[i].run(&info, &err);
		return tool_end(&info.tool, rc, &err);
	}
	return usage();
}
