/* cyr_dbtool.c - look into, and change, what a Cyrus keeps in database files: metad's tables in the form of those.
 *
 * dbview.h says which file is what. Backends are read and ignored: there is one. Keys and values are printed as they are;
 * some have NULs in them, and can be given on standard input only.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "server/admin/dbview.h"
#include "server/admin/tool.h"
#include "server/base/mem.h"

#define PROGRAM    "cyr_dbtool"
#define USAGE_EXIT 255        /* as Cyrus's */
#define MOST_LINE  (8u << 20) /* of standard input */

struct run {
	struct tool tool;
	const char *file, *action;
	const char *key, *value; /* NULL: on standard input */
	struct dbview *view;
};

static int usage(const char *argv0)
{
	fprintf(stderr,
		"Usage: %s [-C altconfig] <db file> <db backend> <action> [<key>] [<value>]\n"
		"Usable Backends: flat, skiplist, quotalegacy, sql, twoskip\n"
		"\n"
		"Actions:\n"
		"* show [<prefix>]\n"
		"* get <key>\n"
		"* set <key> <value>\n"
		"* delete <key>\n"
		"* dump - internal format dump\n"
		"* consistent - check consistency\n"
		"* repack - nothing is to be done for it\n"
		"* batch - read from stdin and execute commands\n"
		"You may omit key or key/value and specify one per line on stdin\n"
		"keys are terminated by tab or newline, values are terminated by newline\n",
		argv0);
	return USAGE_EXIT;
}

/* ---- output ------------------------------------------------------------------------------------- */

static int print_entry(void *ctx UNUSED, struct span key, struct span value,
		       struct us_err *err UNUSED)
{
	fwrite(key.ptr, 1, key.len, stdout);
	putchar('\t');
	fwrite(value.ptr, 1, value.len, stdout);
	putchar('\n');
	return 0;
}

static int print_line(void *ctx UNUSED, struct span line, struct span value UNUSED,
		      struct us_err *err UNUSED)
{
	fwrite(line.ptr, 1, line.len, stdout);
	putchar('\n');
	return 0;
}

static int print_value(struct run *r, struct span key, struct us_err *err)
{
	struct buf value = BUF_INIT;
	int rc = dbview_get(r->view, key, &value, err);

	if (rc >= 0)
		(void)print_line(NULL, buf_span(&value), SPAN_NULL,
				 err); /* absent: an empty line */
	buf_free(&value);
	return rc < 0 ? rc : 0;
}

static int ignore_entry(void *ctx UNUSED, struct span key UNUSED, struct span value UNUSED,
			struct us_err *err UNUSED)
{
	return 0;
}

/* ---- input -------------------------------------------------------------------------------------- */

/* A line of standard input without its end: 1, or 0 at the end. NULs are part of it. */
static int read_line(struct buf *line, struct us_err *err)
{
	int c;

	buf_clear(line);
	while ((c = getchar()) != EOF && c != '\n') {
		if (line->len == MOST_LINE)
			return us_fail(err, US_ELIMIT, "a line of more than %u bytes", MOST_LINE);
		buf_add_char(line, (char)c);
	}
	return c != EOF || line->len;
}

static struct span key_of(struct span *line)
{
	struct span key = SPAN_LIT("");

	(void)span_split(line, '\t', &key); /* an empty line has an empty key */
	return key;
}

typedef int each_line(struct run *r, struct span key, struct span value, struct us_err *err);

static int do_lines(struct run *r, each_line *fn, struct us_err *err)
{
	struct buf line = BUF_INIT;
	int rc;

	while ((rc = read_line(&line, err)) > 0) {
		struct span value = buf_span(&line), key = key_of(&value);
		rc = fn(r, key, value, err);
		if (rc < 0)
			break;
	}
	buf_free(&line);
	return rc;
}

/* ---- actions ------------------------------------------------------------------------------------ */

static int get_line(struct run *r, struct span key, struct span value UNUSED, struct us_err *err)
{
	return print_value(r, key, err);
}

static int set_line(struct run *r, struct span key, struct span value, struct us_err *err)
{
	return dbview_set(r->view, key, value, err);
}

static int delete_line(struct run *r, struct span key, struct span value UNUSED, struct us_err *err)
{
	return dbview_del(r->view, key, err);
}

static int do_show(struct run *r, struct us_err *err)
{
	return dbview_each(r->view, span_of(r->key), print_entry, NULL, err);
}

static int do_get(struct run *r, struct us_err *err)
{
	return r->key ? print_value(r, span_of(r->key), err) : do_lines(r, get_line, err);
}

static int do_set(struct run *r, struct us_err *err)
{
	if (!r->key)
		return do_lines(r, set_line, err);
	if (!r->value)
		return us_fail(err, US_EINVAL, "set: a value is missing");
	return dbview_set(r->view, span_of(r->key), span_of(r->value), err);
}

static int do_delete(struct run *r, struct us_err *err)
{
	return r->key ? dbview_del(r->view, span_of(r->key), err) : do_lines(r, delete_line, err);
}

static int do_dump(struct run *r, struct us_err *err)
{
	return dbview_dump(r->view, print_line, NULL, err);
}

/* Every row is read, checked by the checksum of its page, and understood. */
static int do_consistent(struct run *r, struct us_err *err)
{
	int rc = dbview_each(r->view, SPAN_NULL, ignore_entry, NULL, err);

	if (rc == US_ECORRUPT || rc == US_EPROTO) {
		tool_warn(&r->tool, err);
		puts("No, not consistent");
		return EX_DATAERR;
	}
	if (rc == 0)
		puts("Yes, consistent");
	return rc;
}

static int do_repack(struct run *r UNUSED, struct us_err *err UNUSED)
{
	return 0; /* metad keeps its files in order itself */
}

/* SHOW [prefix], GET key, SET key value, DELETE key; BEGIN, COMMIT and ABORT have no effect: each change is one of its own. */
static int batch_line(struct run *r, struct span line, struct us_err *err)
{
	struct span word, key = SPAN_NULL;

	if (!span_word(&line, &word))
		return 0;
	line = span_trim(line);
	if (span_is(word, "SHOW"))
		return dbview_each(r->view, line, print_entry, NULL, err);
	if (span_is(word, "BEGIN") || span_is(word, "COMMIT"))
		return 0;
	(void)span_word(&line, &key); /* empty where none is there */
	if (span_is(word, "GET"))
		return print_value(r, key, err);
	if (span_is(word, "SET"))
		return dbview_set(r->view, key, span_trim(line), err);
	if (span_is(word, "DELETE"))
		return dbview_del(r->view, key, err);
	return us_fail(err, US_EINVAL, "batch: no command %.*s", SPAN_ARG(word));
}

static int do_batch(struct run *r, struct us_err *err)
{
	struct buf line = BUF_INIT;
	int rc;

	while ((rc = read_line(&line, err)) > 0) {
		rc = batch_line(r, buf_span(&line), err);
		if (rc < 0)
			break;
	}
	buf_free(&line);
	return rc;
}

static const struct action {
	const char *name;
	unsigned parts; /* of the host */
	int (*fn)(struct run *r, struct us_err *err);
} actions[] = {
	{"show", HOST_STORE_READ, do_show},     {"get", HOST_STORE_READ, do_get},
	{"set", HOST_STORE_WRITE, do_set},      {"delete", HOST_STORE_WRITE, do_delete},
	{"dump", HOST_STORE_READ, do_dump},     {"consistent", HOST_STORE_READ, do_consistent},
	{"repack", HOST_STORE_READ, do_repack}, {"batch", HOST_STORE_WRITE, do_batch},
};

static const struct action *find_action(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		if (strcmp(actions[i].name, name) == 0)
			return &actions[i];
	return NULL;
}

static bool is_backend(const char *name)
{
	static const char *const known[] = {"flat",    "skiplist", "quotalegacy", "sql",
					    "twoskip", "zeroskip", "lmdb",        "metad"};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strcmp(known[i], name) == 0)
			return true;
	return false;
}

/* ---- main ----------------------------------------------------------------------------------------- */

static int work(struct run *r, const char *backend, const struct action *action, struct us_err *err)
{
	int rc;

	if (!is_backend(backend))
		return us_fail(err, US_ECONFIG, "cyrusdb backend %s not supported", backend);
	rc = dbview_open(&r->tool.host, r->file, &r->view, err);
	if (rc == US_ENOENT)
		rc = err->code = US_EBUSY; /* exit 75, as Cyrus's */
	if (rc == 0)
		rc = action->fn(r, err);
	dbview_close(&r->view);
	return rc;
}

int main(int argc, char **argv)
{
	struct run r = {.file = NULL};
	const struct action *action;
	const char *conf_path = NULL;
	struct us_err err = US_ERR_INIT;
	int letter, rc;

	while ((letter = getopt(argc, argv, "C:MntT")) != -1) {
		if (letter == '?')
			return usage(argv[0]);
		if (letter == 'C')
			conf_path = optarg;
	}
	argv += optind;
	argc -= optind;
	if (argc < 3 || argc > 5)
		return usage(PROGRAM);
	r.file = argv[0];
	r.key = argc > 3 ? argv[3] : NULL;
	r.value = argc > 4 ? argv[4] : NULL;
	action = find_action(argv[2]);
	if (!action) {
		fprintf(stderr, "Unknown action %s\n", argv[2]);
		return USAGE_EXIT;
	}
	rc = tool_begin(&r.tool, PROGRAM, conf_path, action->parts, &err);
	if (rc == 0)
		rc = work(&r, argv[1], action, &err);
	return tool_end(&r.tool, rc, &err);
}
