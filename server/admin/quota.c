/* quota.c - limits of quota roots, and what is used of them.
 *
 * What is used is added up from the mailboxes each time and stored nowhere, so there is no count that -f could
 * put right. What -f finds are roots that no mailbox is under, left by the deletion of a mailbox that had limits of its own:
 * they are removed, as Cyrus does. Roots are listed in the byte order of their internal names, which is Cyrus's.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include <jansson.h>

#include "server/admin/names.h"
#include "server/admin/tool.h"
#include "server/base/mem.h"
#include "server/base/pool.h"
#include "server/store/mboxname.h"
#include "server/store/quota.h"

/* Of each resource: its name, and how many bytes one of its units has. */
static const struct {
	const char *name;
	uint64_t unit;
} resources[STATE_RESOURCES] = {
	[STATE_STORAGE] = {"STORAGE", 1024},
	[STATE_MESSAGE] = {"MESSAGE", 1},
	[STATE_ANNOTATION_STORAGE] = {"X-ANNOTATION-STORAGE", 1024},
	[STATE_NUM_FOLDERS] = {"X-NUM-FOLDERS", 1},
};

struct root {
	struct state_quota limits; /* its name in the pool */
};

struct work {
	struct tool tool;
	const char *conf_path, *domain;
	bool fix, quiet, json, dry_run, users;
	struct pool *pool;
	struct span prefix; /* what roots of the present word begin with */
	struct root *roots; /* what the word being worked on means */
	size_t n, cap;
	json_t *object; /* with json */
	bool failed;    /* something was complained about */
};

/* ---- which roots ------------------------------------------------------------------------------- */

static int keep_root(void *ctx, const struct state_quota *limits, struct us_err *err UNUSED)
{
	struct work *w = ctx;

	us_grow(&w->roots, w->n, &w->cap, sizeof(w->roots[0]));
	w->roots[w->n].limits = *limits;
	w->roots[w->n++].limits.root = pool_span(w->pool, limits->root);
	return 0;
}

/* Of a user: his INBOX's root and those below it, not those of one whose name begins alike. */
static int keep_user_root(void *ctx, const struct state_quota *limits, struct us_err *err)
{
	struct work *w = ctx;
	struct span inbox = w->prefix;
	bool his = span_eq(limits->root, inbox) || mboxname_is_below(limits->root, inbox);

	return his ? keep_root(ctx, limits, err) : 0;
}

static int compare_roots(const void *a, const void *b)
{
	return span_cmp(((const struct root *)a)->limits.root,
			((const struct root *)b)->limits.root);
}

/* What roots must begin with for a word; a word may end with the separator, which no name does. */
static int prefix_of_word(struct work *w, const char *word, bool is_user, struct buf *out,
			  struct us_err *err)
{
	char separator = mboxname_separator(&w->tool.host.names);
	struct span name = span_of(word);
	bool whole = !is_user && name.len && name.ptr[name.len - 1] == separator;
	int rc = 0;

	if (w->domain && !is_user)
		buf_printf(out, "%s!", w->domain);
	if (whole)
		name.len--;
	if (name.len)
		rc = names_internal(&w->tool.host, name, is_user ? NAMES_USER : NAMES_UTF8, out,
				    err);
	if (whole)
		buf_add_char(out, '.');
	return rc < 0 ? us_err_prefix(err, "%s", word) : 0;
}

static int find_roots(struct work *w, const char *word, struct us_err *err)
{
	bool is_user = w->users && *word; /* without a word -u says nothing */
	struct buf prefix = BUF_INIT;
	int rc = prefix_of_word(w, word, is_user, &prefix, err);

	w->n = 0;
	w->prefix = buf_span(&prefix);
	if (rc == 0)
		rc = quota_list(w->tool.host.store, buf_span(&prefix),
				is_user ? keep_user_root : keep_root, w, err);
	buf_free(&prefix);
	if (w->n)
		qsort(w->roots, w->n, sizeof(w->roots[0]), compare_roots);
	return rc;
}

/* ---- showing them ------------------------------------------------------------------------------- */

static void print_row(const char *root, int resource, int64_t limit, uint64_t used)
{
	if (limit > 0)
		printf("%8" PRId64 " %8" PRIu64, limit, used * 100 / (uint64_t)limit);
	else if (limit == 0)
		printf("%8d %8s", 0, "");
	else
		printf("%8s %8s", "", "");
	printf(" %8" PRIu64 " %20s %s\n", used, resources[resource].name, root);
}

static void print_rows(const char *root, const struct state_quota *limits,
		       const struct quota_usage *usage)
{
	for (int i = 0; i < STATE_RESOURCES; i++)
		print_row(root, i, limits->limit[i], usage->used[i]);
}

/* Limits go up to 2^63 units. */
static json_t *limit_json(int64_t limit, uint64_t unit)
{
	return json_integer(limit > INT64_MAX / (int64_t)unit ? INT64_MAX : limit * (int64_t)unit);
}

/* In bytes and counts. */
static void add_json(json_t *object, const char *root, const struct state_quota *limits,
		     const struct quota_usage *usage)
{
	json_t *all = json_object();

	for (int i = 0; i < STATE_RESOURCES; i++) {
		uint64_t used = i == STATE_STORAGE              ? usage->bytes
				: i == STATE_ANNOTATION_STORAGE ? usage->annotation_bytes
								: usage->used[i];
		json_t *one = json_object();
		json_object_set_new(one, "used", json_integer((json_int_t)used));
		if (limits->limit[i] >= 0)
			json_object_set_new(one, "limit",
					    limit_json(limits->limit[i], resources[i].unit));
		json_object_set_new(all, resources[i].name, one);
	}
	json_object_set_new(object, root, all);
}

static void show_root(struct work *w, const struct root *root)
{
	struct quota_usage usage;
	struct buf external = BUF_INIT;
	struct us_err err;

	names_external(&w->tool.host, root->limits.root, &external);
	if (quota_usage(w->tool.host.store, root->limits.root, &usage, &err) < 0) {
		tool_warn(&w->tool, &err);
		w->failed = true;
	} else if (w->json) {
		add_json(w->object, external.data, &root->limits, &usage);
	} else {
		print_rows(external.data, &root->limits, &usage);
	}
	buf_free(&external);
}

/* ---- putting them right ---------------------------------------------------------------------------- */

/* Roots that nothing is under go, or would go, and leave the list. */
static int fix_roots(struct work *w, struct us_err *err)
{
	size_t kept = 0;
	int rc = 0;

	for (size_t i = 0; rc >= 0 && i < w->n; i++) {
		struct span root = w->roots[i].limits.root;
		rc = quota_remove_unused(w->tool.host.store, root, w->dry_run, err);
		if (rc > 0)
			fprintf(stderr, "%.*s: removed\n", SPAN_ARG(root));
		if (rc == 0)
			w->roots[kept++] = w->roots[i];
	}
	w->n = kept;
	return rc < 0 ? rc : 0;
}

static int do_word(struct work *w, const char *word, struct us_err *err)
{
	int rc = find_roots(w, word, err);

	if (rc == 0 && w->fix)
		rc = fix_roots(w, err);
	for (size_t i = 0; rc == 0 && !(w->fix && w->quiet) && i < w->n; i++)
		show_root(w, &w->roots[i]);
	return rc;
}

static void finish_output(struct work *w)
{
	if (!w->object)
		return;
	json_dumpf(w->object, stdout, JSON_INDENT(2));
	putchar('\n');
}

static int do_words(struct work *w, char **words, struct us_err *err)
{
	static char *const everything[] = {"", NULL};
	bool shows = !(w->fix && w->quiet);
	int rc = 0;

	if (shows && w->json)
		w->object = json_object();
	else if (shows)
		printf("%8s %8s %8s %20s %s\n", "Quota", "% Used", "Used", "Resource", "Root");
	if (!*words)
		words = (char **)everything;
	for (; rc == 0 && *words; words++)
		rc = do_word(w, *words, err);
	finish_output(w);
	return rc < 0 ? rc : w->failed ? EX_DATAERR : 0;
}

/* ---- the command line ---------------------------------------------------------------------------- */

static int usage(void)
{
	fputs("usage: quota [-C imapd.conf] [-d domain] [-f] [-q] [-J] [-n] [-u] [prefix...]\n",
	      stderr);
	return EX_USAGE;
}

static bool take_option(struct work *w, int letter)
{
	switch (letter) {
	case 'C':
		w->conf_path = optarg;
		return true;
	case 'd':
		w->domain = optarg;
		return true;
	case 'f':
		return w->fix = true;
	case 'q':
		return w->quiet = true;
	case 'J':
		return w->json = true;
	case 'n':
		return w->dry_run = true;
	case 'u':
		return w->users = true;
	default:
		return false;
	}
}

int main(int argc, char **argv)
{
	struct work w = {0};
	struct us_err err = US_ERR_INIT;
	int letter, rc;

	while ((letter = getopt(argc, argv, "C:d:fqJnu")) != -1)
		if (!take_option(&w, letter))
			return usage();
	w.pool = pool_new();
	rc = tool_begin(&w.tool, "quota", w.conf_path,
			w.fix && !w.dry_run ? HOST_STORE_WRITE : HOST_STORE_READ, &err);
	if (rc == 0)
		rc = do_words(&w, argv + optind, &err);
	json_decref(w.object);
	free(w.roots);
	pool_free(&w.pool);
	return tool_end(&w.tool, rc, &err);
}
