/* aside.c - see aside.h. */
#include "channels/aside.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/dlist.h"
#include "server/base/dlist_lexer.h"
#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"

#define MOST_BYTES ((size_t)64 << 20)

/* ---- the file: "(due attempts line reason)", a dlist an entry ----------------------------------------- */

static bool read_entry(const struct dlist *d, struct aside_entry *out)
{
	const struct dlist *item = d->first, *line, *reason;
	uint64_t due, attempts;

	if (d->kind != DLIST_LIST || d->n_children != 4 || !dlist_u64(item, &due) ||
	    !dlist_u64(item->next, &attempts) || due > INT64_MAX || attempts > UINT_MAX)
		return false;
	line = item->next->next;
	reason = line->next;
	if (line->kind != DLIST_TEXT || reason->kind != DLIST_TEXT)
		return false;
	out->due = (int64_t)due;
	out->attempts = (unsigned)attempts;
	out->line = span_dup(line->text);
	out->reason = span_dup(reason->text);
	return true;
}

static void add_entry(struct aside *a, struct aside_entry entry)
{
	us_grow(&a->entries, a->n, &a->cap, sizeof(a->entries[0]));
	a->entries[a->n++] = entry;
}

/* Take the entry that begins *rest. */
static bool next_entry(struct dlist_lexer *lx, struct pool *pool, struct aside_entry *out)
{
	struct dlist *d;
	int rc;

	dlist_lexer_restart(lx);
	pool_clear(pool);
	rc = dlist_read_tree(lx, dlist_next(lx, NULL), pool, &d, NULL);
	if (rc == 0 && dlist_next(lx, NULL) == DLIST_TOKEN_EOL)
		return read_entry(d, out);
	(void)dlist_skip_line(lx, NULL); /* the text is in memory: it ends */
	return false;
}

void aside_parse(struct aside *a, struct span rest)
{
	struct pool *pool = pool_new();
	struct dlist_lexer lx;
	struct aside_entry entry;

	dlist_lexer_init(&lx, dlist_source_span(&rest), NULL);
	while (rest.len) {
		if (next_entry(&lx, pool, &entry))
			add_entry(a, entry);
		else
			log_event(LOG_WARNING, "channel.aside.unreadable", LF_STR("path", a->path));
	}
	dlist_lexer_fini(&lx);
	pool_free(&pool);
}

int aside_open(const char *dir, struct retry retry, struct aside *out, struct us_err *err)
{
	struct aside a = {.path = us_asprintf("%s/set-aside", dir), .retry = retry};
	struct buf text = BUF_INIT;
	int rc = io_read_file(AT_FDCWD, a.path, MOST_BYTES, &text, err);

	if (rc == 0)
		aside_parse(&a, buf_span(&text));
	buf_free(&text);
	if (rc < 0 && rc != US_ENOENT) {
		aside_close(&a);
		return rc;
	}
	*out = a;
	return 0;
}

static void drop_entry(struct aside *a, size_t i)
{
	free(a->entries[i].line);
	free(a->entries[i].reason);
	memmove(&a->entries[i], &a->entries[i + 1], (a->n - i - 1) * sizeof(a->entries[0]));
	a->n--;
}

void aside_close(struct aside *a)
{
	while (a->n)
		drop_entry(a, a->n - 1);
	free(a->entries);
	free(a->path);
	memset(a, 0, sizeof(*a));
}

static struct aside_entry *find(struct aside *a, struct span line)
{
	for (size_t i = 0; i < a->n; i++)
		if (span_is(line, a->entries[i].line))
			return &a->entries[i];
	return NULL;
}

void aside_put(struct aside *a, struct span line, const char *reason, int64_t now)
{
	struct aside_entry *e = find(a, line);

	if (!e) {
		add_entry(a, (struct aside_entry){.line = span_dup(line)});
		e = &a->entries[a->n - 1];
	}
	free(e->reason);
	e->reason = us_strdup(reason);
	e->attempts++;
	/* Whole seconds, rounded up: an entry is not due before its pause is over. */
	e->due = now + (retry_pause(&a->retry, e->attempts) + 999) / 1000;
}

int aside_remove(struct aside *a, struct span line)
{
	struct aside_entry *e = find(a, line);

	if (!e)
		return 0;
	drop_entry(a, (size_t)(e - a->entries));
	return 1;
}

bool aside_is_waiting(const struct aside *a, struct span line, int64_t now)
{
	for (size_t i = 0; i < a->n; i++)
		if (span_is(line, a->entries[i].line))
			return a->entries[i].due > now;
	return false;
}

const struct aside_entry *aside_due(const struct aside *a, int64_t now)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->entries[i].due <= now)
			return &a->entries[i];
	return NULL;
}

int64_t aside_next(const struct aside *a)
{
	int64_t next = 0;

	for (size_t i = 0; i < a->n; i++)
		if (!next || a->entries[i].due < next)
			next = a->entries[i].due;
	return next;
}

void aside_format(const struct aside *a, struct buf *out)
{
	for (size_t i = 0; i < a->n; i++) {
		struct dlist_writer w = dlist_writer(out, true);
		dlist_put_list(&w);
		dlist_put_u64(&w, (uint64_t)a->entries[i].due);
		dlist_put_u64(&w, a->entries[i].attempts);
		dlist_put_str(&w, span_of(a->entries[i].line));
		dlist_put_str(&w, span_of(a->entries[i].reason));
		dlist_put_close(&w);
		buf_add_char(out, '\n');
	}
}

int aside_save(struct aside *a, struct us_err *err)
{
	struct io_replace_points points = {FP("channels.aside.write"), FP("channels.aside.sync"),
					   FP("channels.aside.rename"),
					   FP("channels.aside.sync_name")};
	struct buf text = BUF_INIT;
	int rc;

	aside_format(a, &text);
	rc = io_replace(&points, AT_FDCWD, a->path, text.data, text.len, 0640, err);
	buf_free(&text);
	return rc;
}
