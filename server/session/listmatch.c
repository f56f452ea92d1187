/* listmatch.c - see listmatch.h. */
#include "server/session/listmatch.h"

#include <string.h>

static bool is_wildcard(char c)
{
	return c == '*' || c == '%';
}

/* Wildcards in a row are one: "*" if one of them is. */
static void add_squeezed(struct buf *out, struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		char *last = out->len ? &out->data[out->len - 1] : NULL;

		if (last && is_wildcard(*last) && is_wildcard(text.ptr[i]))
			*last = *last == '*' ? '*' : text.ptr[i];
		else
			buf_add_char(out, text.ptr[i]);
	}
}

void listmatch_join(struct span reference, struct span pattern, char separator, struct buf *out)
{
	add_squeezed(out, reference);
	if (reference.len && pattern.len && reference.ptr[reference.len - 1] == separator &&
	    pattern.ptr[0] == separator)
		pattern = span_from(pattern, 1);
	add_squeezed(out, pattern);
}

struct span listmatch_literal(struct span pattern)
{
	size_t n = 0;

	while (n < pattern.len && pattern.ptr[n] != '*' && pattern.ptr[n] != '%')
		n++;
	return span_make(pattern.ptr, n);
}

/* INBOX at the front, as a level of its own, is compared without case. */
static size_t inbox_length(struct span name, char separator)
{
	return span_starts_nocase(name, "INBOX") && (name.len == 5 || name.ptr[5] == separator) ? 5
												: 0;
}

/* The places of the pattern that are reached when a part of the name was read: a set, moved on byte by byte. So no
 * pattern makes us try more than its length at each byte. */
struct places {
	struct span pattern;
	char separator;
	bool at[LISTMATCH_MAX + 1];
};

/* A wildcard fits nothing, too: the place behind it is reached with it. */
static void close_set(struct places *p)
{
	for (size_t i = 0; i < p->pattern.len; i++)
		if (p->at[i] && is_wildcard(p->pattern.ptr[i]))
			p->at[i + 1] = true;
}

static void begin(struct places *p, struct span pattern, char separator)
{
	p->pattern = pattern;
	p->separator = separator;
	memset(p->at, 0, pattern.len + 1);
	p->at[0] = true;
	close_set(p);
}

/* From the end to the front, so that a place is moved once. */
static void step(struct places *p, char c, bool nocase)
{
	p->at[p->pattern.len] = false;
	for (size_t i = p->pattern.len; i-- > 0;) {
		char want = p->pattern.ptr[i];

		if (!p->at[i])
			continue;
		p->at[i] = want == '*' || (want == '%' && c != p->separator);
		if (!is_wildcard(want) &&
		    (want == c ||
		     (nocase && us_lower((unsigned char)want) == us_lower((unsigned char)c))))
			p->at[i + 1] = true;
	}
	close_set(p);
}

static void read_name(struct places *p, struct span name)
{
	size_t nocase = inbox_length(name, p->separator);

	for (size_t i = 0; i < name.len; i++)
		step(p, name.ptr[i], i < nocase);
}

bool listmatch_fits(struct span pattern, struct span name, char separator)
{
	struct places p;

	if (pattern.len > LISTMATCH_MAX)
		return false;
	if (span_is(pattern, "*"))
		return true;
	begin(&p, pattern, separator);
	read_name(&p, name);
	return p.at[pattern.len];
}

enum listmatch_reach listmatch_reach(struct span pattern, struct span prefix, char separator)
{
	bool itself, inside = false;
	struct places p;

	if (pattern.len > LISTMATCH_MAX)
		return LISTMATCH_NONE;
	begin(&p, pattern, separator);
	read_name(&p, span_make(prefix.ptr, prefix.len - 1));
	itself = p.at[pattern.len];
	step(&p, separator, false);
	for (size_t i = 0; i < pattern.len; i++) /* at the end of the pattern no name goes on */
		inside |= p.at[i];
	return inside ? LISTMATCH_INSIDE : itself ? LISTMATCH_ITSELF : LISTMATCH_NONE;
}
