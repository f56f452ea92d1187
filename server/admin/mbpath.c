/* mbpath.c - where the files of mailboxes and users lie.
 *
 * A mailbox has one directory here, so its data, metadata and archive paths are one. The paths of a user's databases that the
 * JSON form has are for scripts that build on them: this server keeps that data in metad, nothing is there.
 */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include <jansson.h>

#include "server/admin/json_text.h"
#include "server/admin/names.h"
#include "server/admin/tool.h"
#include "server/base/io.h"
#include "server/base/mem.h"
#include "server/session/user_paths.h"
#include "server/store/hdr.h"
#include "server/store/mailbox.h"
#include "server/store/mboxname.h"
#include "server/store/partition.h"

struct options {
	const char *conf_path;
	int selector; /* one of ADMSU, 'a', or 0 */
	enum { WORDS_NAMES, WORDS_USERS, WORDS_PATHS } words;
	bool json, local_only, quiet, stop, mutf7;
};

struct paths {
	struct tool tool;
	struct options opt;
	struct pool *pool; /* of one mailbox */
};

/* One mailbox, found. */
struct target {
	struct span name; /* internal */
	struct mailbox_row row;
	bool has_user;  /* below user.X, DELETED ones too */
	bool has_inbox; /* and that user is there */
	struct storeid inbox;
};

/* ---- finding ----------------------------------------------------------------------------------- */

/* A directory of a mailbox knows its name as of the last change of its row; the row decides. */
static int name_of_path(struct paths *p, const char *path, struct buf *name, struct us_err *err)
{
	struct mailbox_row row;
	struct hdr hdr;
	int dir = -1, rc;

	rc = io_open(NULL, AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, &dir, err);
	if (rc == 0)
		rc = hdr_read(dir, p->pool, &hdr, err);
	if (rc == 0)
		rc = mailbox_name_of_uniqueid(p->tool.host.store, hdr.row.uniqueid, name, err);
	if (rc > 0)
		rc = mailbox_row_get(p->tool.host.store, buf_span(name), p->pool, &row, NULL, NULL,
				     err);
	if (rc > 0 && storeid_cmp(&row.storeid, &hdr.row.storeid) != 0)
		rc = 0;
	io_close(&dir);
	if (rc == 0)
		return us_fail(err, US_ENOENT, "no mailbox is there");
	return rc < 0 ? rc : 0;
}

static int name_of_word(struct paths *p, const char *word, struct buf *name, struct us_err *err)
{
	switch (p->opt.words) {
	case WORDS_PATHS:
		return name_of_path(p, word, name, err);
	case WORDS_USERS:
		return names_internal(&p->tool.host, span_of(word), NAMES_USER, name, err);
	default:
		return names_internal(&p->tool.host, span_of(word),
				      p->opt.mutf7 ? NAMES_MUTF7 : NAMES_UTF8, name, err);
	}
}

static int find_user(struct paths *p, struct target *t, struct us_err *err)
{
	struct buf userid = BUF_INIT, name = BUF_INIT;
	struct mailbox_row row;
	int rc = 0;

	t->has_user = mboxname_owner(t->name, p->tool.host.names.deletedprefix, &userid);
	if (t->has_user) {
		mboxname_user_inbox(buf_span(&userid), &name);
		rc = mailbox_row_get(p->tool.host.store, buf_span(&name), p->pool, &row, NULL, NULL,
				     err);
		t->has_inbox = rc > 0 && mailbox_row_is_real(&row);
		if (t->has_inbox)
			t->inbox = row.storeid;
	}
	buf_free(&userid);
	buf_free(&name);
	return rc < 0 ? rc : 0;
}

/* A path needs a partition to begin with. */
static int check_partition(struct paths *p, const struct mailbox_row *row, struct us_err *err)
{
	if (mboxtype_has(row->type, MBOXTYPE_REMOTE) ||
	    store_partition(p->tool.host.store, row->local_partition))
		return 0;
	return us_fail(err, US_ECONFIG, "no partition-%.*s is configured",
		       SPAN_ARG(row->local_partition));
}

static int find_target(struct paths *p, const char *word, struct target *t, struct us_err *err)
{
	struct buf name = BUF_INIT;
	int rc = name_of_word(p, word, &name, err);

	memset(t, 0, sizeof(*t));
	t->name = pool_span(p->pool, buf_span(&name));
	buf_free(&name);
	if (rc == 0)
		rc = mailbox_row_get(p->tool.host.store, t->name, p->pool, &t->row, NULL, NULL,
				     err);
	if (rc > 0 && !mailbox_row_is_real(&t->row) && !mboxtype_has(t->row.type, MBOXTYPE_REMOTE))
		rc = 0; /* no directory, nowhere */
	if (rc == 0)
		rc = us_fail(err, US_ENOENT, "Mailbox does not exist");
	if (rc > 0)
		rc = check_partition(p, &t->row, err);
	return rc < 0 ? rc : find_user(p, t, err);
}

/* ---- paths; all live in the pool ----------------------------------------------------------------- */

static const char *data_path(struct paths *p, const struct target *t)
{
	struct partition *partition = store_partition(p->tool.host.store, t->row.local_partition);
	struct buf path = BUF_INIT;
	const char *kept;

	buf_printf(&path, "%s/", partition->path);
	partition_mailbox_path(&t->row.storeid, &path);
	kept = pool_strdup(p->pool, path.data);
	buf_free(&path);
	return kept;
}

static const char *user_path(struct paths *p, const struct target *t, bool sieve)
{
	const struct storeid *inbox = t->has_inbox ? &t->inbox : NULL;
	struct buf path = BUF_INIT;
	const char *kept;

	if (sieve)
		user_sieve_path(p->tool.conf, inbox, &path);
	else
		user_files_path(p->tool.conf, inbox, &path);
	kept = pool_strdup(p->pool, path.data);
	buf_free(&path);
	return kept;
}

/* ---- as lines ------------------------------------------------------------------------------------- */

static const char *selected_path(struct paths *p, const struct target *t, int selector)
{
	if (selector == 'S' || selector == 'U')
		return user_path(p, t, selector == 'S');
	return data_path(p, t);
}

static void print_lines(struct paths *p, const struct target *t)
{
	static const struct {
		const char *name;
		int selector;
	} all[] = {{"Archive", 'A'}, {"Data", 'D'}, {"Meta", 'M'}, {"Sieve", 'S'}, {"User", 'U'}};

	if (p->opt.selector != 'a') {
		printf("%s\n", selected_path(p, t, p->opt.selector));
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		printf("%s: %s\n", all[i].name, selected_path(p, t, all[i].selector));
}

/* ---- as JSON -------------------------------------------------------------------------------------- */

/* The parts behind the owner's name, dots written as dots. */
static json_t *boxes_json(struct span local)
{
	json_t *boxes = json_array();
	struct span part;

	while (span_split(&local, '.', &part)) {
		char *copy = span_dup(part);
		for (char *c = copy; *c; c++)
			*c = *c == '^' ? '.' : *c;
		json_array_append_new(boxes, json_text(span_of(copy)));
		free(copy);
	}
	return boxes;
}

/* Take the time off the end of a deleted name; it is in hexadecimal. */
static int64_t cut_time(struct span *local)
{
	const char *dot = memrchr(local->ptr, '.', local->len);
	char *hex = span_dup(span_from(*local, (size_t)(dot - local->ptr) + 1));
	int64_t time = strtoll(hex, NULL, 16);

	free(hex);
	local->len = (size_t)(dot - local->ptr);
	return time;
}

static json_t *name_json(struct paths *p, const struct target *t)
{
	const char *deletedprefix = p->tool.host.names.deletedprefix;
	struct span local = mboxname_local(t->name), domain = mboxname_domain(t->name), part;
	json_t *name = json_object();
	struct buf userid = BUF_INIT;

	json_object_set_new(name, "intname", json_text(t->name));
	if (domain.len)
		json_object_set_new(name, "domain", json_text(domain));
	if (mboxname_is_deleted(t->name, deletedprefix)) {
		json_object_set_new(name, "isdeleted", json_integer(cut_time(&local)));
		local = span_from(local, strlen(deletedprefix) + 1);
	}
	if (mboxname_owner(t->name, deletedprefix, &userid)) {
		struct span id = buf_span(&userid);
		json_object_set_new(name, "userid", json_text(id));
		if (domain.len)
			id.len -= domain.len + 1;
		json_object_set_new(name, "localpart", json_text(id));
		(void)span_split(&local, '.', &part); /* "user" */
		(void)span_split(&local, '.', &part); /* the owner */
	}
	json_object_set_new(name, "boxes", boxes_json(local));
	buf_free(&userid);
	return name;
}

static json_t *user_json(struct paths *p, const struct target *t)
{
	static const struct {
		const char *key, *file;
	} files[] = {{"conversations", "conversations.db"},
		     {"counters", "counters.db"},
		     {"dav", "dav.db"},
		     {"seen", "seen.db"},
		     {"sub", "sub.db"},
		     {"xapianactive", "xapianactive.db"}};
	const char *folder = user_path(p, t, false);
	json_t *user = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		json_object_set_new(user, files[i].key,
				    json_sprintf("%s/%s", folder, files[i].file));
	json_object_set_new(user, "sieve", json_string(user_path(p, t, true)));
	return user;
}

static void print_json(struct paths *p, const struct target *t)
{
	json_t *all = json_object();

	json_object_set_new(all, "archive", json_string(data_path(p, t)));
	json_object_set_new(all, "data", json_string(data_path(p, t)));
	json_object_set_new(all, "meta", json_string(data_path(p, t)));
	json_object_set_new(all, "mbname", name_json(p, t));
	if (t->has_user) {
		json_object_set_new(all, "user", user_json(p, t));
		json_object_set_new(all, "xapian", json_object());
	}
	json_dumpf(all, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
	putchar('\n');
	json_decref(all);
}

/* ---- a word after the other ------------------------------------------------------------------------ */

static void complain(struct paths *p, const char *word, int rc, const struct us_err *err)
{
	struct buf name = BUF_INIT, external = BUF_INIT;

	if (p->opt.quiet)
		return;
	if (rc != US_ENOENT && rc != US_EINVAL) {
		fprintf(stderr, "%s: %s\n", word, err->text);
	} else if (p->opt.words == WORDS_USERS) {
		if (names_internal(&p->tool.host, span_of(word), NAMES_USER, &name, NULL) == 0)
			names_external(&p->tool.host, buf_span(&name), &external);
		fprintf(stderr, "Invalid mailbox name: '%s' ('%s')\n", word,
			external.len ? external.data : "");
	} else {
		fprintf(stderr, "Invalid mailbox name: '%s'\n", word);
	}
	buf_free(&name);
	buf_free(&external);
}

/* Another server of the murder has it. */
static bool print_remote(struct paths *p, const struct target *t)
{
	if (!p->opt.local_only)
		printf("%.*s!%.*s\n", SPAN_ARG(t->row.server), SPAN_ARG(t->row.partition));
	else if (!p->opt.quiet)
		fprintf(stderr, "Non-local mailbox: '%.*s'\n", SPAN_ARG(t->name));
	return !p->opt.local_only;
}

static int do_word(struct paths *p, const char *word)
{
	struct us_err err;
	struct target t;
	int rc = find_target(p, word, &t, &err);

	if (rc < 0) {
		complain(p, word, rc, &err);
		return rc == US_ENOENT || rc == US_EINVAL ? EX_DATAERR : us_err_exit(rc);
	}
	if (mboxtype_has(t.row.type, MBOXTYPE_REMOTE))
		return print_remote(p, &t) ? 0 : EX_DATAERR;
	if (p->opt.json)
		print_json(p, &t);
	else
		print_lines(p, &t);
	return 0;
}

static int do_words(struct paths *p, char **words)
{
	int status = 0;

	for (; *words; words++) {
		int one = do_word(p, *words);
		status = one ? one : status;
		pool_clear(p->pool);
		if (!one || !p->opt.stop)
			continue;
		if (!p->opt.quiet)
			fputs("fatal error: Error in processing mailbox. Stopping\n", stderr);
		break;
	}
	return status;
}

/* ---- the command line -------------------------------------------------------------------------------- */

static int usage(void)
{
	fputs("usage: mbpath [-C imapd.conf] [-7] [-l] [-q] [-s] [-u | -p] [-j | -a | -A | -D | -M "
	      "| "
	      "-S | -U] mailbox...\n\n"
	      "\t-j\tprint all values as a JSON object\n"
	      "\t-a\tprint all values with prefixes\n"
	      "\t-l\tlocal only (exit with error for remote/nonexistent)\n"
	      "\t-m\toutput the path to the metadata files, as -M\n"
	      "\t-q\tquietly drop any error messages\n"
	      "\t-s\tstop on error\n"
	      "\t-7\tmailbox arguments are in modified UTF7 rather than UTF8\n"
	      "\t-u\targuments are user, not mailbox\n"
	      "\t-p\targuments are UNIX path, not mailbox\n"
	      "\t-A\tpartition archive directory\n"
	      "\t-D\tpartition data directory (*default*)\n"
	      "\t-M\tpartition metadata file directory\n"
	      "\t-S\tsieve directory for the user\n"
	      "\t-U\tuser files directory\n",
	      stderr);
	return EX_USAGE;
}

static bool select_one(struct options *o, int selector)
{
	if (o->selector)
		fputs("ERROR: Duplicate selectors given\n", stderr);
	else
		o->selector = selector;
	return o->selector == selector;
}

static bool take_option(struct options *o, int letter)
{
	switch (letter) {
	case 'C':
		o->conf_path = optarg;
		return true;
	case '7':
		return o->mutf7 = true;
	case 'j':
		return o->json = true;
	case 'l':
		return o->local_only = true;
	case 'q':
		return o->quiet = true;
	case 's':
		return o->stop = true;
	case 'u':
		o->words = WORDS_USERS;
		return true;
	case 'p':
		o->words = WORDS_PATHS;
		return true;
	case 'm':
		return select_one(o, 'M');
	case 'a':
	case 'A':
	case 'D':
	case 'M':
	case 'S':
	case 'U':
		return select_one(o, letter);
	default:
		return false;
	}
}

int main(int argc, char **argv)
{
	struct paths p = {0};
	struct us_err err = US_ERR_INIT;
	int letter, rc;

	while ((letter = getopt(argc, argv, "C:7jaADMSUlmqsup")) != -1)
		if (!take_option(&p.opt, letter))
			return usage();
	p.pool = pool_new();
	rc = tool_begin(&p.tool, "mbpath", p.opt.conf_path, HOST_STORE_READ, &err);
	if (rc == 0)
		rc = do_words(&p, argv + optind);
	pool_free(&p.pool);
	return tool_end(&p.tool, rc, &err);
}
