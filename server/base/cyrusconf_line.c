/* cyrusconf_line.c - one entry of cyrus.conf, and the words of a command; see cyrusconf.h.
 *
 * entry  = name *(1*ws argument)
 * name   = 1*(ALPHA / DIGIT)
 * argument = *(ALPHA / DIGIT) "=" value		at most 64 to an entry
 * value  = DQUOTE *(any but DQUOTE) DQUOTE / *(any but ws)
 *
 * As in Cyrus there are no escapes, the next argument may follow a closing quote at once, a quote in the
 * middle of a bare value is part of it, and so are brackets in either kind of value.
 */
#include "server/base/cyrusconf_private.h"

#include "server/base/pool.h"
#include "server/base/scan.h"

bool cyrusconf_is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_space(unsigned char c)
{
	return cyrusconf_is_space((char)c);
}

static bool is_no_space(unsigned char c)
{
	return !is_space(c);
}

static bool is_alnum(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static int bad_character(const struct scan *s, const char *where, struct us_err *err)
{
	int c = scan_peek(s);

	if (c < 0)
		return us_fail(err, US_ECONFIG, "%s ends too early", where);
	if (c < ' ' || c >= 0x7f)
		return us_fail(err, US_ECONFIG, "bad character '\\%03o' in %s", (unsigned)c, where);
	return us_fail(err, US_ECONFIG, "bad character '%c' in %s", c, where);
}

static int parse_value(struct scan *s, struct span *out, struct us_err *err)
{
	if (!scan_skip(s, '"')) {
		*out = scan_while(s, is_no_space);
		return 0;
	}
	*out = scan_until(s, '"');
	scan_expect(s, '"');
	return s->bad ? us_fail(err, US_ECONFIG, "missing \"") : 0;
}

static int parse_arg(struct scan *s, struct cyrusconf_arg *out, struct us_err *err)
{
	out->key = scan_while(s, is_alnum);
	if (!scan_skip(s, '='))
		return bad_character(s, "argument", err);
	return parse_value(s, &out->value, err);
}

int cyrusconf_line_parse(struct span text, struct cyrusconf_line *out, struct us_err *err)
{
	struct scan s = scan_init(text);
	int rc = 0;

	out->n_args = 0;
	out->name = scan_while(&s, is_alnum);
	if (!out->name.len || (!scan_end(&s) && !scan_while(&s, is_space).len))
		return bad_character(&s, "name", err);
	while (rc == 0 && !scan_end(&s)) {
		if (out->n_args == CYRUSCONF_MOST_ARGS)
			return us_fail(err, US_ECONFIG, "too many arguments");
		rc = parse_arg(&s, &out->args[out->n_args++], err);
		(void)scan_while(&s, is_space); /* none is well, too */
	}
	return rc;
}

const char **cyrusconf_split(const char *cmd, struct pool *pool, size_t *argc)
{
	struct span text = span_of(cmd);
	const char **argv = pool_alloc(pool, (text.len / 2 + 2) * sizeof(*argv));
	struct scan s = scan_init(text);
	size_t n = 0;

	while (scan_while(&s, is_space), !scan_end(&s)) {
		struct span word = scan_while(&s, is_no_space);
		argv[n++] = pool_strndup(pool, word.ptr, word.len);
	}
	if (argc)
		*argc = n;
	return argv;
}
