/* record.c - see record.h. */
#include "synclog/record.h"

#include <string.h>

#include "server/base/mem.h"
#include "server/base/scan.h"

static const struct {
	const char *name;
	unsigned args;
} kinds[SYNCLOG_KINDS] = {
	[SYNCLOG_USER] = {"USER", 1},
	[SYNCLOG_UNUSER] = {"UNUSER", 1},
	[SYNCLOG_META] = {"META", 1},
	[SYNCLOG_SIEVE] = {"SIEVE", 1},
	[SYNCLOG_APPEND] = {"APPEND", 1},
	[SYNCLOG_MAILBOX] = {"MAILBOX", 1},
	[SYNCLOG_DOUBLEMAILBOX] = {"DOUBLEMAILBOX", 2},
	[SYNCLOG_RENAME] = {"RENAME", 2},
	[SYNCLOG_UNMAILBOX] = {"UNMAILBOX", 1},
	[SYNCLOG_QUOTA] = {"QUOTA", 1},
	[SYNCLOG_ANNOTATION] = {"ANNOTATION", 1},
	[SYNCLOG_SEEN] = {"SEEN", 2},
	[SYNCLOG_SUB] = {"SUB", 2},
	[SYNCLOG_UNSUB] = {"UNSUB", 2},
};

const char *synclog_kind_name(enum synclog_kind kind)
{
	return kinds[kind].name;
}

unsigned synclog_kind_args(enum synclog_kind kind)
{
	return kinds[kind].args;
}

/* ---- writing ----------------------------------------------------------------------------------- */

static bool is_bare(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (strchr(" \t()\\\"{}", s.ptr[i]))
			return false;
	return s.len > 0;
}

static void add_arg(struct buf *out, struct span s)
{
	buf_add_char(out, ' ');
	if (is_bare(s)) {
		buf_add_span(out, s);
		return;
	}
	buf_add_char(out, '"');
	for (size_t i = 0; i < s.len; i++) {
		if (strchr("\\\"{}", s.ptr[i]))
			buf_add_char(out, '\\');
		buf_add_char(out, s.ptr[i]);
	}
	buf_add_char(out, '"');
}

int synclog_format(const struct synclog_record *record, struct buf *out, struct us_err *err)
{
	us_assert(record->n_args == kinds[record->kind].args);
	for (unsigned i = 0; i < record->n_args; i++)
		if (span_find(record->arg[i], '\r') || span_find(record->arg[i], '\n') ||
		    span_find(record->arg[i], '\0'))
			return us_fail(err, US_EINVAL, "a name with a line end cannot be logged");
	buf_add_str(out, kinds[record->kind].name);
	for (unsigned i = 0; i < record->n_args; i++)
		add_arg(out, record->arg[i]);
	buf_add_char(out, '\n');
	return 0;
}

/* ---- reading ----------------------------------------------------------------------------------- */

static bool in_word(unsigned char c)
{
	return c && c != '\r' && c != '\n' && c != ' ' && c != '\t' && c != '"' && c != '(' &&
	       c != ')' && c != '\\' && c != '{' && c != '}';
}

static struct span read_quoted(struct scan *s, struct pool *pool)
{
	struct buf out = BUF_INIT;
	struct span copy;
	int c;

	while ((c = scan_byte(s)) >= 0 && c != '"') {
		if (c == '\\')
			c = scan_byte(s);
		if (c == '\r' || c == '\n' || c <= 0)
			scan_fail(s);
		else
			buf_add_char(&out, (char)c);
	}
	copy = pool_span(pool, buf_span(&out));
	buf_free(&out);
	return copy;
}

static struct span read_literal(struct scan *s, struct pool *pool)
{
	uint64_t size = scan_u64(s, 1u << 20);

	(void)scan_skip(s, '+');
	scan_expect(s, '}');
	(void)scan_skip(s, '\r');
	scan_expect(s, '\n');
	return pool_span(pool, scan_take(s, (size_t)size));
}

static struct span read_arg(struct scan *s, struct pool *pool)
{
	struct span word;

	if (scan_skip(s, '"'))
		return read_quoted(s, pool);
	if (scan_skip(s, '{'))
		return read_literal(s, pool);
	word = scan_while(s, in_word);
	if (!word.len)
		scan_fail(s);
	return pool_span(pool, word);
}

static bool find_kind(struct span word, enum synclog_kind *out)
{
	for (int kind = 0; kind < SYNCLOG_KINDS; kind++)
		if (span_is_nocase(word, kinds[kind].name)) {
			*out = (enum synclog_kind)kind;
			return true;
		}
	return false;
}

static void read_record(struct scan *s, struct pool *pool, struct synclog_record *r)
{
	if (!find_kind(scan_while(s, in_word), &r->kind)) {
		scan_fail(s);
		return;
	}
	r->n_args = kinds[r->kind].args;
	for (unsigned i = 0; i < r->n_args; i++) {
		scan_expect(s, ' ');
		scan_blanks(s);
		r->arg[i] = read_arg(s, pool);
	}
	scan_blanks(s);
	(void)scan_skip(s, '\r');
	if (!scan_end(s))
		scan_expect(s, '\n');
}

/* The line a bad record began on, and what follows it. */
static struct span skip_line(struct span *rest)
{
	struct span line;

	(void)span_split(rest, '\n', &line); /* *rest is not used up */
	return line;
}

int synclog_parse(struct span *rest, struct pool *pool, struct synclog_record *out,
		  struct span *bad, struct us_err *err)
{
	struct synclog_record r = {0};
	struct scan s;

	while (rest->len && (rest->ptr[0] == '\n' || rest->ptr[0] == '\r'))
		*rest = span_from(*rest, 1);
	if (!rest->len)
		return 0;
	s = scan_init(*rest);
	read_record(&s, pool, &r);
	if (s.bad) {
		*bad = skip_line(rest);
		return us_fail(err, US_EPROTO, "malformed line in a sync log");
	}
	*rest = span_from(*rest, scan_offset(&s));
	*out = r;
	return 1;
}
