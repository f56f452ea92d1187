/* mbexamine.c - a mailbox as its files have it: for who wants to know what is on the disk.
 *
 *	mbexamine.c		the command line, which mailboxes
 *	mbexamine_show.c	index and cache, printed
 *	mbexamine_check.c	-c and -q: what the message files have, beside the index
 *
 * The text is Cyrus's, line for line; where our files hold something else, the line has what comes nearest, and the manual page
 * says so. Nothing is changed and nobody is kept waiting: there is no lock.
 */
#include "server/admin/mbexamine.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "server/admin/names.h"
#include "server/base/datetime.h"
#include "server/base/mem.h"
#include "server/base/pool.h"
#include "server/session/listmatch.h"
#include "server/store/cache.h"
#include "server/store/folder.h"
#include "server/store/mboxname.h"
#include "server/store/partition.h"

void mbexamine_found(struct mbexamine *w)
{
	if (!w->status)
		w->status = EX_DATAERR;
}

static void complain(struct mbexamine *w, const struct us_err *err)
{
	tool_warn(&w->tool, err);
	if (!w->status)
		w->status = us_err_exit(err->code);
}

void mbexamine_complain(struct mbexamine *w, struct mailbox *m, uint32_t uid, struct us_err *err)
{
	us_err_prefix(err, "%s, UID %u", m->name.data, uid);
	complain(w, err);
}

void mbexamine_print_path(const struct mailbox *m)
{
	struct buf path = BUF_INIT;

	partition_mailbox_path(&m->row.storeid, &path);
	printf("  Path to mailbox: %s/%s\n", m->partition->path, path.data);
	buf_free(&path);
}

/* ---- what the cache has ------------------------------------------------------------------------------------- */

int mbexamine_cached(struct mailbox *m, const struct record *r, struct mime_cache *out)
{
	struct span payload;

	return cache_find(m, r, &payload) > 0 && mime_cache_decode(payload, out, NULL) == 0;
}

const struct mime_envelope *mbexamine_fields(const struct mime_cache *cache, struct pool *pool)
{
	return cache->has_headers ? mime_scan(cache->headers, NULL, pool)->root->envelope : NULL;
}

int64_t mbexamine_day(const struct mime_envelope *e, int64_t otherwise)
{
	struct datetime when = {.time = otherwise};

	if (e)
		(void)datetime_parse_mail(e->date, &when); /* which stays what it is */
	return datetime_midnight(when);
}

/* ---- which mailboxes ----------------------------------------------------------------------------------------- */

static void examine(struct mbexamine *w, struct span name)
{
	struct buf external = BUF_INIT;
	struct mailbox *m = NULL;
	struct us_err err;
	int rc = mailbox_open(w->tool.host.store, name, &m, &err);

	names_external(&w->tool.host, name, &external);
	if (rc < 0) {
		us_err_prefix(&err, "%s", external.data);
		complain(w, &err);
	} else {
		printf("Examining %s...", external.data);
		if (w->mode == MBEXAMINE_SHOW)
			mbexamine_show(w, m);
		else if (w->mode == MBEXAMINE_COMPARE)
			mbexamine_compare(w, m);
		else
			mbexamine_quota(w, m);
	}
	buf_free(&external);
	mailbox_close(&m);
	fflush(stdout); /* before what is said of the next */
}

struct chosen {
	const struct host *host;
	struct span pattern;
	struct pool *pool;
	struct span *names;
	size_t n, cap;
};

static int keep_if_it_fits(void *ctx, struct span name, const struct mailbox_row *row,
			   struct us_err *err UNUSED)
{
	struct chosen *c = ctx;
	struct buf external = BUF_INIT;

	names_external(c->host, name, &external);
	if (mailbox_row_is_real(row) &&
	    listmatch_fits(c->pattern, buf_span(&external), mboxname_separator(&c->host->names))) {
		us_grow(&c->names, c->n, &c->cap, sizeof(c->names[0]));
		c->names[c->n++] = pool_span(c->pool, name);
	}
	buf_free(&external);
	return 0;
}

static int examine_pattern(struct mbexamine *w, const char *word, struct us_err *err)
{
	struct buf pattern = BUF_INIT;
	struct chosen c = {.host = &w->tool.host, .pool = pool_new()};
	int rc = names_to_mutf7(span_of(word), &pattern, err);

	c.pattern = buf_span(&pattern);
	if (rc == 0)
		rc = folder_list(w->tool.host.store, SPAN_NULL, keep_if_it_fits, &c, err);
	for (size_t i = 0; rc == 0 && i < c.n; i++)
		examine(w, c.names[i]);
	if (rc == 0 && !c.n)
		rc = us_fail(err, US_ENOENT, "%s: Mailbox does not exist", word);
	free(c.names);
	pool_free(&c.pool);
	buf_free(&pattern);
	return rc;
}

static int examine_name(struct mbexamine *w, const char *word, struct us_err *err)
{
	struct buf name = BUF_INIT;
	int rc = names_internal(&w->tool.host, span_of(word), NAMES_UTF8, &name, err);

	if (rc == 0)
		examine(w, buf_span(&name));
	else
		us_err_prefix(err, "%s", word);
	buf_free(&name);
	return rc;
}

static void examine_word(struct mbexamine *w, const char *word)
{
	struct us_err err;

	if ((names_is_pattern(span_of(word)) ? examine_pattern(w, word, &err)
					     : examine_name(w, word, &err)) < 0)
		complain(w, &err);
}

/* ---- the command line ------------------------------------------------------------------------------------------ */

static int usage(void)
{
	fputs("usage: mbexamine [-C <alt_config>] [-s seqnum] mailbox...\n"
	      "       mbexamine [-C <alt_config>] [-u uid] mailbox...\n"
	      "       mbexamine [-C <alt_config>] -q mailbox...\n"
	      "       mbexamine [-C <alt_config>] -c mailbox...\n",
	      stderr);
	return EX_USAGE;
}

static bool set_mode(struct mbexamine *w, enum mbexamine_mode mode)
{
	if (w->mode != MBEXAMINE_SHOW)
		return false;
	w->mode = mode;
	return true;
}

static bool set_wanted(struct mbexamine *w, enum mbexamine_wanted wanted)
{
	uint64_t number;

	if (w->wanted != WANTED_ALL || !span_u64(span_of(optarg), UINT32_MAX, &number) || !number)
		return false;
	w->wanted = wanted;
	w->number = (uint32_t)number;
	return true;
}

static bool take_option(struct mbexamine *w, int letter)
{
	switch (letter) {
	case 'C':
		w->conf_path = optarg;
		return true;
	case 'u':
		return set_wanted(w, WANTED_UID);
	case 's':
		return set_wanted(w, WANTED_SEQNUM);
	case 'q':
		return set_mode(w, MBEXAMINE_QUOTA);
	case 'c':
		return set_mode(w, MBEXAMINE_COMPARE);
	default:
		return false;
	}
}

static int run(struct mbexamine *w, char **words)
{
	struct us_err err = US_ERR_INIT;
	int rc;

	mime_text_start();
	w->text = mime_text_new(NULL);
	rc = tool_begin(&w->tool, "mbexamine", w->conf_path, HOST_STORE_READ, &err);
	if (rc == 0 && !*words)
		examine_word(w, "*");
	for (; rc == 0 && *words; words++)
		examine_word(w, *words);
	mime_text_free(&w->text);
	mime_text_stop();
	return tool_end(&w->tool, rc < 0 ? rc : w->status, &err);
}

int main(int argc, char **argv)
{
	struct mbexamine w = {.mode = MBEXAMINE_SHOW};
	bool well = true;
	int letter;

	while (well && (letter = getopt(argc, argv, "C:u:s:qc")) != -1)
		well = take_option(&w, letter);
	if (w.wanted != WANTED_ALL && w.mode != MBEXAMINE_SHOW)
		well = false;
	return well ? run(&w, argv + optind) : usage();
}
