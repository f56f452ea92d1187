/* reconstruct.c - make mailboxes whole again, and rows for mailboxes that lost theirs.
 *
 * What is done to one mailbox, and what never is, stands in server/store/reconstruct.h; here is which ones, and how it is told:
 * problems one a line with the internal name, as Cyrus does and -q or not; then, without -q, the external name
 * of each mailbox when it is done.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "server/admin/names.h"
#include "server/admin/tool.h"
#include "server/base/mem.h"
#include "server/base/pool.h"
#include "server/session/listmatch.h"
#include "server/store/folder.h"
#include "server/store/mboxname.h"
#include "server/store/reconstruct.h"

struct work {
	struct tool tool;
	const char *conf_path;
	bool recursive, find, all_rows, users, paths, quiet, only_version;
	const char *partition; /* -p */
	struct reconstruct_options mailbox;
	struct rebuild_options rows;
	char **words;
	struct pool *pool;
	struct span *names; /* what the word being worked on means */
	size_t n, cap;
	int status; /* of what went wrong so far */
};

static void print_line(void *ctx UNUSED, const char *line)
{
	printf("%s\n", line);
}

/* Goes on with the next mailbox. */
static void complain(struct work *w, const struct us_err *err)
{
	tool_warn(&w->tool, err);
	if (!w->status)
		w->status = err->code == US_ENOENT ? EX_DATAERR : us_err_exit(err->code);
}

/* ---- which mailboxes --------------------------------------------------------------------------------- */

/* Does a mailbox belong to what a word names, in modified UTF-7 if it is no user's? */
static bool word_covers(const struct work *w, const char *word, struct span name)
{
	const struct host *host = &w->tool.host;
	struct buf text = BUF_INIT;
	bool covers = false;

	if (w->users) {
		covers = mboxname_owner(name, host->names.deletedprefix, &text) &&
			 span_is(buf_span(&text), word);
	} else if (names_is_pattern(span_of(word))) {
		/* -r: what is below a mailbox that fits, too */
		struct span at = name;
		do {
			buf_clear(&text);
			names_external(host, at, &text);
			covers = listmatch_fits(span_of(word), buf_span(&text),
						mboxname_separator(&host->names));
			at = mboxname_parent(at);
		} while (!covers && w->recursive && at.len);
	} else if (names_internal(host, span_of(word), NAMES_UTF8, &text, NULL) == 0) {
		covers = span_eq(name, buf_span(&text)) ||
			 (w->recursive && mboxname_is_below(name, buf_span(&text)));
	}
	buf_free(&text);
	return covers;
}

static int keep_name(struct work *w, struct span name)
{
	us_grow(&w->names, w->n, &w->cap, sizeof(w->names[0]));
	w->names[w->n++] = pool_span(w->pool, name);
	return 0;
}

struct choosing {
	struct work *w;
	const char *word; /* as word_covers() wants it; NULL: everything */
};

static int choose(void *ctx, struct span name, const struct mailbox_row *row,
		  struct us_err *err UNUSED)
{
	struct choosing *c = ctx;

	if (!mailbox_row_is_real(row) || (c->word && !word_covers(c->w, c->word, name)))
		return 0;
	return keep_name(c->w, name);
}

static int find_one(struct work *w, const char *word, struct us_err *err)
{
	struct buf name = BUF_INIT;
	int rc = names_internal(&w->tool.host, span_of(word), NAMES_UTF8, &name, err);

	if (rc == 0)
		rc = keep_name(w, buf_span(&name));
	buf_free(&name);
	return rc;
}

static int find_many(struct work *w, const char *word, struct us_err *err)
{
	struct choosing c = {w, word};
	struct buf converted = BUF_INIT;
	int rc = 0;

	if (word && !w->users) {
		rc = names_to_mutf7(span_of(word), &converted, err);
		c.word = converted.data;
	}
	if (rc == 0)
		rc = folder_list(w->tool.host.store, SPAN_NULL, choose, &c, err);
	buf_free(&converted);
	return rc;
}

static int find_names(struct work *w, const char *word, struct us_err *err)
{
	bool one = word && !w->users && !w->recursive && !names_is_pattern(span_of(word));

	w->n = 0;
	pool_clear(w->pool);
	return one ? find_one(w, word, err) : find_many(w, word, err);
}

/* ---- doing it ------------------------------------------------------------------------------------------ */

static void print_name(struct work *w, struct span name)
{
	struct buf external = BUF_INIT;

	if (w->quiet)
		return;
	names_external(&w->tool.host, name, &external);
	printf("%s\n", external.data);
	buf_free(&external);
}

static void do_mailbox(struct work *w, struct span name)
{
	struct reconstruct_report report;
	struct us_err err;
	int rc = 0;

	if (!w->only_version)
		rc = reconstruct_mailbox(w->tool.host.store, name, &w->mailbox, &report, &err);
	if (rc == 0)
		print_name(w, name);
	else
		complain(w, &err);
	fflush(stdout); /* it may take long: whoever watches sees how far it is */
}

static void do_word(struct work *w, const char *word)
{
	struct us_err err;

	if (find_names(w, word, &err) < 0) {
		us_err_prefix(&err, "%s", word ? word : "the mailboxes");
		complain(w, &err);
		return;
	}
	if (!w->n && word) {
		us_fail(&err, US_ENOENT, "%s: Mailbox does not exist", word);
		complain(w, &err);
	}
	for (size_t i = 0; i < w->n; i++)
		do_mailbox(w, w->names[i]);
}

/* ---- rows ------------------------------------------------------------------------------------------------ */

static bool is_wanted(void *ctx, struct span name)
{
	const struct work *w = ctx;
	bool wanted = w->all_rows || !*w->words;

	for (char **word = w->words; *word && !wanted; word++) {
		struct buf converted = BUF_INIT;
		if (w->users)
			wanted = word_covers(w, *word, name);
		else if (names_to_mutf7(span_of(*word), &converted, NULL) == 0)
			wanted = word_covers(w, converted.data, name);
		buf_free(&converted); /* what cannot be converted is told of when its turn comes */
	}
	return wanted;
}

static void print_made(void *ctx, struct span name, struct span uniqueid)
{
	struct work *w = ctx;

	if (!w->quiet || w->all_rows || w->paths)
		printf("%s mbentry for %.*s (%.*s)\n", w->rows.dry_run ? "would create" : "created",
		       SPAN_ARG(name), SPAN_ARG(uniqueid));
}

static int acl_of(void *ctx, struct span name, struct buf *out, struct us_err *err)
{
	const struct work *w = ctx;

	return host_initial_acl(&w->tool.host, name, out, err);
}

static void find_rows(struct work *w)
{
	struct us_err err;
	unsigned n;

	if (rebuild_rows(w->tool.host.store, &w->rows, &n, &err) < 0)
		complain(w, &err);
}

static void do_path(struct work *w, const char *path)
{
	struct us_err err;
	int rc = rebuild_row(w->tool.host.store, path, &w->rows, &err);

	if (rc == US_EEXIST)
		printf("%s\n", err.text); /* there is nothing to be done */
	else if (rc < 0)
		complain(w, &err);
}

/* ---- the command line -------------------------------------------------------------------------------------- */

static int usage(void)
{
	fputs("usage: reconstruct [-C imapd.conf] [-p partition] [-x] [-r] [-f] [-s] [-q] [-n] "
	      "[-G]\n"
	      "                   [-R | -U] [-o | -O] [-M] [-I] mailbox... | -u user...\n"
	      "       reconstruct [-C imapd.conf] [-r] [-q] -V version mailbox... | -u user...\n"
	      "       reconstruct [-C imapd.conf] [-n] [-x] [-I] -P directory...\n"
	      "       reconstruct [-C imapd.conf] [-n] [-x] [-I] [-p partition] -m | -d\n",
	      stderr);
	return EX_USAGE;
}

static bool take_choice(struct work *w, int letter)
{
	switch (letter) {
	case 'G':
		return w->mailbox.check_guids = true;
	case 's':
		return w->mailbox.no_stat = true;
	case 'n':
		return w->mailbox.dry_run = w->rows.dry_run = true;
	case 'R':
		w->mailbox.mismatch = MISMATCH_NEW_UID;
		return true;
	case 'U':
		w->mailbox.mismatch = MISMATCH_REMOVE;
		return true;
	case 'o':
		w->mailbox.odd = ODD_IGNORE;
		return true;
	case 'O':
		w->mailbox.odd = ODD_REMOVE;
		return true;
	case 'x':
		return w->rows.fresh = true;
	case 'I':
		return w->rows.new_uniqueid = true;
	case 'g': /* of Cyrus before 2.4 */
	case 'k':
		fprintf(stderr, "reconstruct: deprecated option -%c ignored\n", letter);
		return true;
	case 'M': /* the row is believed always */
		return true;
	default:
		return false;
	}
}

static bool take_option(struct work *w, int letter)
{
	switch (letter) {
	case 'C':
		w->conf_path = optarg;
		return true;
	case 'p':
		w->partition = optarg;
		return true;
	case 'V':
		return w->only_version = true;
	case 'r':
		return w->recursive = true;
	case 'f':
		return w->find = true;
	case 'd':
	case 'm':
		return w->all_rows = true;
	case 'q':
		return w->quiet = true;
	case 'u':
		return w->users = true;
	case 'P':
		return w->paths = true;
	default:
		return take_choice(w, letter);
	}
}

static bool is_sensible(const struct work *w)
{
	if (w->recursive && !w->users && !*w->words) {
		fputs("please specify a mailbox to recurse from\n", stderr);
		return false;
	}
	if (w->users && !*w->words) {
		fputs("please specify a user\n", stderr);
		return false;
	}
	if (w->paths && !*w->words) {
		fputs("please specify a directory\n", stderr);
		return false;
	}
	if (w->all_rows && *w->words) {
		fputs("-m is for all mailboxes\n", stderr);
		return false;
	}
	return true;
}

static int check_partition(const struct work *w, struct us_err *err)
{
	if (!w->partition || store_partition(w->tool.host.store, span_of(w->partition)))
		return 0;
	return us_fail(err, US_ECONFIG, "no partition-%s is configured", w->partition);
}

static int do_all(struct work *w, struct us_err *err)
{
	int rc = check_partition(w, err);

	if (rc < 0)
		return rc;
	if (w->paths) {
		for (char **path = w->words; *path; path++)
			do_path(w, *path);
		return w->status;
	}
	if (w->find || w->all_rows || w->partition)
		find_rows(w);
	if (w->all_rows)
		return w->status;
	if (!*w->words)
		do_word(w, NULL);
	for (char **word = w->words; *word; word++)
		do_word(w, *word);
	return w->status;
}

int main(int argc, char **argv)
{
	struct work w = {.mailbox.tell = print_line,
			 .rows = {.wanted = is_wanted,
				  .made = print_made,
				  .tell = print_line,
				  .acl_of = acl_of}};
	struct us_err err = US_ERR_INIT;
	int letter, rc;

	w.rows.ctx = &w;
	while ((letter = getopt(argc, argv, "C:p:V:rfdmqnuPGsRUoOxIgkM")) != -1)
		if (!take_option(&w, letter))
			return usage();
	w.words = argv + optind;
	w.rows.partition = span_of(w.partition);
	if (!is_sensible(&w))
		return EX_USAGE;
	w.pool = pool_new();
	rc = tool_begin(&w.tool, "reconstruct", w.conf_path,
			w.mailbox.dry_run || w.only_version ? HOST_STORE_READ : HOST_STORE_WRITE,
			&err);
	if (rc == 0)
		rc = do_all(&w, &err);
	free(w.names);
	pool_free(&w.pool);
	return tool_end(&w.tool, rc, &err);
}
