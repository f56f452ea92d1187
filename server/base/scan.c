/* scan.c - see scan.h. */
#include "server/base/scan.h"

#include <string.h>

struct scan scan_init(struct span text)
{
	return (struct scan){text, 0, false};
}

bool scan_end(const struct scan *s)
{
	return s->bad || s->at == s->text.len;
}

bool scan_ok_at_end(const struct scan *s)
{
	return !s->bad && s->at == s->text.len;
}

size_t scan_offset(const struct scan *s)
{
	return s->at;
}

void scan_fail(struct scan *s)
{
	s->bad = true;
}

int scan_peek(const struct scan *s)
{
	return scan_end(s) ? -1 : (unsigned char)s->text.ptr[s->at];
}

int scan_byte(struct scan *s)
{
	int c = scan_peek(s);

	if (c < 0)
		scan_fail(s);
	else
		s->at++;
	return c;
}

bool scan_skip(struct scan *s, char c)
{
	if (scan_peek(s) != (unsigned char)c)
		return false;
	s->at++;
	return true;
}

void scan_expect(struct scan *s, char c)
{
	if (!scan_skip(s, c))
		scan_fail(s);
}

bool scan_skip_str(struct scan *s, const char *word)
{
	if (s->bad || !span_starts_nocase(span_from(s->text, s->at), word))
		return false;
	s->at += strlen(word);
	return true;
}

void scan_blanks(struct scan *s)
{
	while (scan_skip(s, ' ') || scan_skip(s, '\t'))
		;
}

static bool is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

uint64_t scan_u64(struct scan *s, uint64_t max)
{
	struct scan before = *s;
	uint64_t n = 0;

	if (!span_u64(scan_while(s, is_digit), max, &n)) {
		*s = before;
		scan_fail(s);
	}
	return n;
}

uint32_t scan_u32(struct scan *s)
{
	return (uint32_t)scan_u64(s, UINT32_MAX);
}

uint32_t scan_uid(struct scan *s)
{
	struct scan before = *s;
	uint32_t uid;

	if (scan_skip(s, '*'))
		return UINT32_MAX;
	uid = scan_u32(s);
	if (uid == 0) {
		*s = before;
		scan_fail(s);
	}
	return uid;
}

struct span scan_take(struct scan *s, size_t len)
{
	struct span out;

	if (s->bad || len > s->text.len - s->at) {
		scan_fail(s);
		return SPAN_NULL;
	}
	out = span_make(s->text.ptr + s->at, len);
	s->at += len;
	return out;
}

struct span scan_until(struct scan *s, char stop)
{
	struct span rest = span_from(s->text, s->at);
	const char *at = s->bad ? NULL : span_find(rest, stop);

	if (!at) {
		scan_fail(s);
		return SPAN_NULL;
	}
	return scan_take(s, (size_t)(at - rest.ptr));
}

struct span scan_rest(struct scan *s)
{
	return scan_take(s, s->bad ? 0 : s->text.len - s->at);
}

struct span scan_while(struct scan *s, bool (*is_in)(unsigned char c))
{
	size_t from = s->at;

	while (!scan_end(s) && is_in((unsigned char)s->text.ptr[s->at]))
		s->at++;
	return s->bad ? SPAN_NULL : span_make(s->text.ptr + from, s->at - from);
}
