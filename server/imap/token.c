/* token.c - see token.h. */
#include "server/imap/token.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"
#include "server/imap/uidset.h"
#include "server/store/state.h"

/* ---- classes of bytes ---------------------------------------------------------------------------- */

bool token_is_atom_char(unsigned char c)
{
	return c > ' ' && c < 0x7f && !strchr("(){%*\"\\]", c);
}

bool token_is_astring_char(unsigned char c)
{
	return token_is_atom_char(c) || c == ']';
}

static bool is_tag_char(unsigned char c)
{
	return token_is_astring_char(c) && c != '+';
}

static bool is_list_char(unsigned char c)
{
	return token_is_astring_char(c) || c == '%' || c == '*';
}

/* ---- words ------------------------------------------------------------------------------------- */

static struct span take_word(struct scan *s, bool (*is_in)(unsigned char c))
{
	struct span word = scan_while(s, is_in);

	if (!word.len)
		scan_fail(s);
	return s->bad ? SPAN_NULL : word;
}

void token_space(struct scan *s)
{
	scan_expect(s, ' ');
}

struct span token_tag(struct scan *s)
{
	return take_word(s, is_tag_char);
}

struct span token_atom(struct scan *s)
{
	return take_word(s, token_is_atom_char);
}

/* Of a quoted string with escapes, without its quotes. */
static struct span unescape(struct span raw, struct pool *pool)
{
	char *text = pool_alloc(pool, raw.len + 1);
	size_t n = 0;

	for (size_t i = 0; i < raw.len; i++) {
		if (raw.ptr[i] == '\\')
			i++;
		text[n++] = raw.ptr[i];
	}
	return span_make(text, n);
}

static struct span quoted_span(const struct scan *s, size_t start)
{
	return span_make(s->text.ptr + start, s->at - 1 - start);
}

static struct span take_quoted(struct scan *s, struct pool *pool)
{
	size_t start = s->at + 1, escapes = 0;
	int c;

	scan_expect(s, '"');
	while ((c = scan_byte(s)) != '"') {
		if (c == '\\') {
			escapes++;
			c = scan_byte(s);
			if (c != '"' && c != '\\')
				scan_fail(s);
		}
		if (c <= 0 || c == '\r' || c == '\n')
			scan_fail(s);
		if (s->bad)
			return SPAN_NULL;
	}
	return escapes ? unescape(quoted_span(s, start), pool) : quoted_span(s, start);
}

static struct span take_literal(struct scan *s, bool may_hold_nul)
{
	struct span octets;
	uint64_t size;

	scan_expect(s, '{');
	size = scan_u64(s, SIZE_MAX);
	(void)scan_skip(s, '+');
	scan_expect(s, '}');
	scan_expect(s, '\r');
	scan_expect(s, '\n');
	if (s->bad)
		return SPAN_NULL;
	octets = scan_take(s, (size_t)size);
	if (!s->bad && !may_hold_nul && span_find(octets, '\0'))
		scan_fail(s);
	return s->bad ? SPAN_NULL : octets;
}

struct span token_string(struct scan *s, struct pool *pool)
{
	return scan_peek(s) == '{' ? take_literal(s, false) : take_quoted(s, pool);
}

static bool at_string(const struct scan *s)
{
	int c = scan_peek(s);

	return c == '"' || c == '{';
}

struct span token_astring(struct scan *s, struct pool *pool)
{
	return at_string(s) ? token_string(s, pool) : take_word(s, token_is_astring_char);
}

struct span token_list_mailbox(struct scan *s, struct pool *pool)
{
	return at_string(s) ? token_string(s, pool) : take_word(s, is_list_char);
}

bool token_is_word(struct scan *s, const char *word)
{
	struct scan ahead = *s;

	if (s->bad || !span_is_nocase(token_atom(&ahead), word))
		return false;
	*s = ahead;
	return true;
}

struct span token_nstring(struct scan *s, struct pool *pool)
{
	if (token_is_word(s, "NIL"))
		return SPAN_NULL;
	return token_string(s, pool);
}

struct span token_value(struct scan *s, struct pool *pool)
{
	return scan_skip(s, '~') ? take_literal(s, true) : token_nstring(s, pool);
}

uint32_t token_number(struct scan *s)
{
	return scan_u32(s);
}

uint32_t token_nz_number(struct scan *s)
{
	uint32_t n = scan_u32(s);

	if (!n)
		scan_fail(s);
	return n;
}

uint64_t token_number64(struct scan *s)
{
	return scan_u64(s, INT64_MAX);
}

/* ---- lists -------------------------------------------------------------------------------------- */

/* A growing array in a pool: what it leaves behind while it grows goes with the pool. */
static void *grow(struct pool *pool, void *items, size_t n, size_t size)
{
	void *more;

	if (n && (n < 8 || n & (n - 1)))
		return items;
	more = pool_alloc(pool, us_mul_size(n < 8 ? 8 : n * 2, size));
	if (n)
		memcpy(more, items, n * size);
	return more;
}

static struct token_list take_list(struct scan *s, struct pool *pool,
				   struct span (*take)(struct scan *s, struct pool *pool))
{
	struct span *item = NULL;
	size_t n = 0;

	scan_expect(s, '(');
	if (scan_skip(s, ')'))
		return (struct token_list){NULL, 0};
	do {
		struct span one = take(s, pool);

		item = grow(pool, item, n, sizeof(item[0]));
		item[n++] = one;
	} while (scan_skip(s, ' '));
	scan_expect(s, ')');
	return s->bad ? (struct token_list){NULL, 0} : (struct token_list){item, n};
}

static struct span flag_in_list(struct scan *s, struct pool *pool UNUSED)
{
	return token_flag(s);
}

struct token_list token_astring_list(struct scan *s, struct pool *pool)
{
	return take_list(s, pool, token_astring);
}

struct token_list token_pattern_list(struct scan *s, struct pool *pool)
{
	return take_list(s, pool, token_list_mailbox);
}

/* ---- flags -------------------------------------------------------------------------------------- */

struct span token_flag(struct scan *s)
{
	size_t start = s->at;

	(void)scan_skip(s, '\\');
	(void)token_atom(s);
	return s->bad ? SPAN_NULL : span_make(s->text.ptr + start, s->at - start);
}

struct token_list token_flag_list(struct scan *s, struct pool *pool)
{
	return take_list(s, pool, flag_in_list);
}

uint32_t token_system_flag(struct span flag)
{
	static const struct {
		const char *name;
		uint32_t bit;
	} known[] = {
		{"\\Answered", FLAG_ANSWERED}, {"\\Flagged", FLAG_FLAGGED},
		{"\\Deleted", FLAG_DELETED},   {"\\Draft", FLAG_DRAFT},
		{"\\Seen", FLAG_SEEN},
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (span_is_nocase(flag, known[i].name))
			return known[i].bit;
	return 0;
}

bool token_sort_flags(const struct token_list *flags, struct pool *pool, uint32_t *system,
		      const struct span **keyword, size_t *n_keywords)
{
	struct span *other = pool_alloc(pool, us_mul_size(flags->n + 1, sizeof(*other)));

	*keyword = other;
	for (size_t i = 0; i < flags->n; i++) {
		uint32_t flag = token_system_flag(flags->item[i]);

		if (!flag && flags->item[i].ptr[0] == '\\')
			return false;
		*system |= flag;
		if (!flag)
			other[(*n_keywords)++] = flags->item[i];
	}
	return true;
}

/* ---- sequence sets ------------------------------------------------------------------------------ */

static uint32_t take_seq_number(struct scan *s)
{
	return scan_skip(s, '*') ? TOKEN_STAR : token_nz_number(s);
}

struct token_set token_sequence_set(struct scan *s, struct pool *pool)
{
	struct token_range *range = NULL;
	size_t n = 0;

	if (scan_skip(s, '$'))
		return (struct token_set){.saved = true};
	do {
		uint32_t from = take_seq_number(s);
		uint32_t to = scan_skip(s, ':') ? take_seq_number(s) : from;

		range = grow(pool, range, n, sizeof(range[0]));
		range[n++] = (struct token_range){from, to};
	} while (scan_skip(s, ','));
	return (struct token_set){.range = range, .n = s->bad ? 0 : n};
}

static struct uidset_range in_order(struct token_range range, uint32_t max)
{
	uint32_t a = range.from == TOKEN_STAR ? max : range.from;
	uint32_t b = range.to == TOKEN_STAR ? max : range.to;

	return (struct uidset_range){a < b ? a : b, a < b ? b : a};
}

static int by_low(const void *a, const void *b)
{
	uint32_t x = ((const struct uidset_range *)a)->low,
		 y = ((const struct uidset_range *)b)->low;

	return x < y ? -1 : x > y;
}

bool token_set_resolve(const struct token_set *set, uint32_t max, struct uidset *out)
{
	struct uidset_range *range = us_calloc(set->n + 1, sizeof(range[0]));
	bool within = true;
	size_t n = 0;

	/* In ascending order, so that adding one costs the same however many there are. */
	for (size_t i = 0; i < set->n; i++) {
		range[n] = in_order(set->range[i], max);
		if (!max || range[n].high > max)
			within = false;
		if (max && range[n].low <= max)
			n++;
	}
	qsort(range, n, sizeof(range[0]), by_low);
	for (size_t i = 0; i < n; i++)
		uidset_add(out, range[i].low, range[i].high < max ? range[i].high : max);
	free(range);
	return within;
}

/* ---- dates and sections -------------------------------------------------------------------------- */

static bool is_date_char(unsigned char c)
{
	return c == '-' || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	       (c >= 'a' && c <= 'z');
}

int64_t token_date(struct scan *s)
{
	bool quoted = scan_skip(s, '"');
	struct span text = scan_while(s, is_date_char);
	int64_t day = 0;

	if (quoted)
		scan_expect(s, '"');
	if (!s->bad && !datetime_parse_imap_date(text, &day))
		scan_fail(s);
	return s->bad ? 0 : day;
}

struct datetime token_date_time(struct scan *s)
{
	struct datetime when = {0, 0};
	struct span text;

	scan_expect(s, '"');
	text = scan_until(s, '"');
	scan_expect(s, '"');
	if (!s->bad && !datetime_parse_imap(text, &when))
		scan_fail(s);
	return when;
}

static bool digit_follows_dot(const struct scan *s)
{
	return s->at + 1 < s->text.len && s->text.ptr[s->at] == '.' &&
	       s->text.ptr[s->at + 1] >= '0' && s->text.ptr[s->at + 1] <= '9';
}

struct token_part token_section_part(struct scan *s, struct pool *pool)
{
	uint32_t *number = NULL;
	size_t n = 0;

	for (;;) {
		uint32_t one = token_nz_number(s);

		number = grow(pool, number, n, sizeof(number[0]));
		number[n++] = one;
		if (s->bad || !digit_follows_dot(s))
			break;
		(void)scan_skip(s, '.');
	}
	return s->bad ? (struct token_part){NULL, 0} : (struct token_part){number, n};
}
