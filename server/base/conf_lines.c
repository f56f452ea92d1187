/* conf_lines.c - see conf_lines.h.
 *
 * file    = *(line LF) [line]
 * line    = *ws [ "#" anything / setting / include ]
 * setting = key ":" *ws value *ws			value is not empty
 * key     = 1*255(ALPHA / DIGIT / "-" / "_")		without case
 * include = "@include:" *ws path *ws		each path once
 *
 * A line that ends in a backslash goes on in the next one, with nothing in between. That is decided before
 * anything else: a comment can swallow the line behind it, and a line of one backslash more than one joins
 * on over an empty line.
 */
#include "server/base/conf_lines.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"
#include "server/base/pool.h"
#include "server/base/scan.h"

#define MOST_FILES 100
#define MOST_KEY   255

struct lines {
	const struct conf_reader *reader;
	struct pool *pool;
	int (*fn)(void *ctx, const struct conf_line *line, struct us_err *err);
	void *ctx;
	const char *files[MOST_FILES];
	size_t n_files;
};

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct span trim(struct span s)
{
	while (s.len && is_space(s.ptr[0]))
		s = span_from(s, 1);
	while (s.len && is_space(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

static bool in_key(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

/* The next line with those that continue it; *n counts the physical ones, *first is the first of these. */
static bool next_line(struct span *rest, struct buf *out, unsigned *n, unsigned *first)
{
	struct span piece;

	buf_clear(out);
	*first = *n + 1;
	if (!rest->len)
		return false;
	while (rest->len) {
		bool ended = span_find(*rest, '\n') != NULL;

		(void)span_split(rest, '\n', &piece); /* there is one: rest is not empty */
		buf_add_span(out, piece);
		++*n;
		if (!ended || !out->len || out->data[out->len - 1] != '\\')
			break;
		buf_truncate(out, out->len - 1);
	}
	return true;
}

static int read_text(struct lines *r, struct span text, const char *file, struct us_err *err);

static int read_include(struct lines *r, const char *path, struct us_err *err)
{
	struct buf text = BUF_INIT;
	const char *file = pool_strdup(r->pool, path);
	int rc;

	if (!r->reader)
		return us_fail(err, US_ECONFIG, "no file can be included here");
	if (r->n_files == MOST_FILES)
		return us_fail(err, US_ECONFIG, "more than %d files", MOST_FILES);
	for (size_t i = 0; i < r->n_files; i++)
		if (strcmp(r->files[i], path) == 0)
			return us_fail(err, US_ECONFIG, "%s is included twice", path);
	r->files[r->n_files++] = file;
	rc = r->reader->read(r->reader->ctx, path, &text, err);
	if (rc == 0)
		rc = read_text(r, buf_span(&text), file, err);
	buf_free(&text);
	return rc;
}

static void lower(struct span s, char *out)
{
	for (size_t i = 0; i < s.len; i++)
		out[i] = (char)us_lower((unsigned char)s.ptr[i]);
}

/* `text` is our own copy of the line: the key in it is turned into lower case. */
static int read_setting(struct lines *r, struct span text, struct conf_line *line,
			struct us_err *err)
{
	struct scan s = scan_init(text);
	bool directive = scan_skip(&s, '@');
	int rc;

	line->key = scan_while(&s, in_key);
	scan_expect(&s, ':');
	line->value = trim(scan_rest(&s));
	if (s.bad || (!line->key.len && !directive))
		return us_fail(err, US_ECONFIG, "no key followed by a colon");
	if (line->key.len > MOST_KEY)
		return us_fail(err, US_ECONFIG, "the key is longer than %d bytes", MOST_KEY);
	lower(line->key, (char *)line->key.ptr);
	if (!line->value.len)
		return us_fail(err, US_ECONFIG, "%.*s: the value is missing", SPAN_ARG(line->key));
	if (directive && !span_is(line->key, "include"))
		return us_fail(err, US_ECONFIG, "@%.*s is no directive", SPAN_ARG(line->key));
	if (directive) {
		char *path = span_dup(line->value);
		rc = read_include(r, path, err);
		free(path);
		return rc;
	}
	rc = r->fn(r->ctx, line, err);
	if (rc < 0)
		us_err_prefix(err, "%.*s", SPAN_ARG(line->key));
	return rc;
}

static int read_line(struct lines *r, struct span text, struct conf_line *line, struct us_err *err)
{
	text = trim(text);
	if (!text.len || text.ptr[0] == '#')
		return 0;
	if (span_find(text, '\0'))
		return us_fail(err, US_ECONFIG, "a NUL byte");
	return read_setting(r, text, line, err);
}

/* Files nest no deeper than MOST_FILES, since none is read twice. */
static int read_text(struct lines *r, struct span text, const char *file, struct us_err *err)
{
	struct conf_line line = {.file = file};
	struct buf joined = BUF_INIT;
	unsigned n = 0;
	int rc = 0;

	while (rc == 0 && next_line(&text, &joined, &n, &line.line))
		rc = read_line(r, buf_span(&joined), &line, err);
	buf_free(&joined);
	if (rc < 0)
		us_err_prefix(err, "%s:%u", file, line.line);
	return rc;
}

int conf_lines_read(struct span text, const char *name, const struct conf_reader *reader,
		    struct pool *pool,
		    int (*fn)(void *ctx, const struct conf_line *line, struct us_err *err),
		    void *ctx, struct us_err *err)
{
	struct lines r = {.reader = reader, .pool = pool, .fn = fn, .ctx = ctx};

	r.files[r.n_files++] = pool_strdup(pool, name);
	return read_text(&r, text, r.files[0], err);
}
