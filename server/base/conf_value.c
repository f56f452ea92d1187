/* conf_value.c - see conf_value.h.
 *
 * switch   = one of these at its start: 0 n f of 1 y t on	lower case
 * int      = ["+" / "-"] ("0x" 1*hex / "0" *octal / 1*digit)
 * size     = int [*blank ("k" / "m" / "g") ["i"]] ["b"]		any case; without a letter the row's unit
 * duration = ["-"] 1*(1*digit ("d" / "h" / "m" / "s"))	the last letter may be missing: the row's unit
 * enum     = word / "0" "no" "f" "false" for "off" / "1" "yes" "t" "true" for "on"
 * bits     = word *(1*blank word)
 *
 * What Cyrus 3.6.1 takes is taken, with the same meaning; letters behind a size are of later versions.
 */
#include "server/base/conf_value.h"

#include <inttypes.h>
#include <limits.h>

#include "server/base/mem.h"
#include "server/base/pool.h"
#include "server/base/scan.h"

static int64_t mul_max(int64_t a, int64_t b)
{
	int64_t out;

	return __builtin_mul_overflow(a, b, &out) ? INT64_MAX : out;
}

static int64_t add_max(int64_t a, int64_t b)
{
	int64_t out;

	return __builtin_add_overflow(a, b, &out) ? INT64_MAX : out;
}

static int digit_value(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = us_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : INT_MAX;
}

/* At least one digit; a number that is too large is INT64_MAX. */
static int64_t scan_digits(struct scan *s, int base)
{
	int64_t n = 0;

	if (digit_value(scan_peek(s)) >= base)
		scan_fail(s);
	while (digit_value(scan_peek(s)) < base)
		n = add_max(mul_max(n, base), digit_value(scan_byte(s)));
	return n;
}

static int64_t scan_c_int(struct scan *s)
{
	bool minus = scan_skip(s, '-');
	int64_t n;

	if (!minus)
		(void)scan_skip(s, '+'); /* it says nothing */
	if (scan_skip_str(s, "0x"))
		n = scan_digits(s, 16);
	else
		n = scan_digits(s, scan_peek(s) == '0' ? 8 : 10);
	return minus ? -n : n;
}

static int parse_int(struct span text, int64_t *out, struct us_err *err)
{
	struct scan s = scan_init(text);

	*out = scan_c_int(&s);
	if (!scan_ok_at_end(&s))
		return us_fail(err, US_ECONFIG, "\"%.*s\" is not a number", SPAN_ARG(text));
	return 0;
}

static int64_t scan_size_unit(struct scan *s, uint32_t bare)
{
	int64_t unit = bare;

	scan_blanks(s);
	if (scan_end(s))
		return unit;
	if (scan_skip_str(s, "g"))
		unit = 1 << 30;
	else if (scan_skip_str(s, "m"))
		unit = 1 << 20;
	else if (scan_skip_str(s, "k"))
		unit = 1 << 10;
	else
		unit = 1;
	if (unit == 1 || scan_skip_str(s, "i")) {
		if (!scan_skip_str(s, "b"))
			scan_fail(s);
	} else {
		(void)scan_skip_str(s, "b"); /* K and KB are one */
	}
	return unit;
}

static int parse_size(struct span text, uint32_t bare, int64_t *out, struct us_err *err)
{
	struct scan s = scan_init(text);
	int64_t n = scan_c_int(&s), unit = scan_size_unit(&s, bare);

	if (!scan_ok_at_end(&s))
		return us_fail(err, US_ECONFIG, "\"%.*s\" is not a size such as 64 or 10M",
			       SPAN_ARG(text));
	*out = n < 0 ? -mul_max(-n, unit) : mul_max(n, unit);
	return 0;
}

static int64_t scan_time_unit(struct scan *s, uint32_t bare)
{
	if (scan_end(s))
		return bare;
	switch (scan_byte(s)) {
	case 'd':
		return 86400;
	case 'h':
		return 3600;
	case 'm':
		return 60;
	case 's':
		return 1;
	default:
		scan_fail(s);
		return 0;
	}
}

static int parse_duration(struct span text, uint32_t bare, int64_t *out, struct us_err *err)
{
	struct scan s = scan_init(text);
	bool minus = scan_skip(&s, '-');
	int64_t sum = 0;

	do {
		int64_t n = scan_digits(&s, 10);
		sum = add_max(sum, mul_max(n, scan_time_unit(&s, bare)));
	} while (!scan_end(&s));
	if (!scan_ok_at_end(&s))
		return us_fail(err, US_ECONFIG, "\"%.*s\" is not a duration such as 1h30m",
			       SPAN_ARG(text));
	*out = minus ? -sum : sum;
	return 0;
}

static int parse_switch(struct span text, int64_t *out, struct us_err *err)
{
	static const char *const yes[] = {"1", "y", "t", "on"}, *const no[] = {"0", "n", "f", "of"};

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		*out = span_starts(text, yes[i]);
		if (*out || span_starts(text, no[i]))
			return 0;
	}
	return us_fail(err, US_ECONFIG, "\"%.*s\" is neither yes nor no", SPAN_ARG(text));
}

/* The word an ENUM may have been meant by. */
static struct span switch_word(struct span text)
{
	static const char *const on[] = {"1", "yes", "t", "true"}, *const off[] = {"0", "no", "f",
										   "false"};

	for (size_t i = 0; i < ARRAY_SIZE(on); i++) {
		if (span_is(text, on[i]))
			return SPAN_LIT("on");
		if (span_is(text, off[i]))
			return SPAN_LIT("off");
	}
	return text;
}

static int parse_word(enum conf_key key, struct span text, int64_t *out, struct us_err *err)
{
	struct span word = conf_option(key)->type == CONF_ENUM ? switch_word(text) : text;

	*out = conf_word_find(key, word);
	if (*out == CONF_WORD_UNSET)
		return us_fail(err, US_ECONFIG, "\"%.*s\" is none of its words", SPAN_ARG(text));
	return 0;
}

static int parse_bits(enum conf_key key, struct span text, uint64_t *out, struct us_err *err)
{
	struct span word;

	*out = 0;
	while (span_word(&text, &word)) {
		int bit = conf_bit_find(key, word);
		if (bit < 0)
			return us_fail(err, US_ECONFIG, "\"%.*s\" is none of its words",
				       SPAN_ARG(word));
		*out |= UINT64_C(1) << bit;
	}
	return 0;
}

static int parse_number(enum conf_key key, struct span text, int64_t *out, struct us_err *err)
{
	const struct conf_option *o = conf_option(key);

	switch (o->type) {
	case CONF_SWITCH:
		return parse_switch(text, out, err);
	case CONF_INT:
		return parse_int(text, out, err);
	case CONF_SIZE:
		return parse_size(text, o->unit, out, err);
	case CONF_DURATION:
		return parse_duration(text, o->unit, out, err);
	default:
		return parse_word(key, text, out, err);
	}
}

static int64_t bound(enum conf_key key, const char *text, int64_t none)
{
	int64_t out;

	if (!text)
		return none;
	us_assert(parse_number(key, span_of(text), &out, NULL) == 0);
	return out;
}

static void clamp(enum conf_key key, struct conf_value *v)
{
	const struct conf_option *o = conf_option(key);
	int64_t least = bound(key, o->low, o->type == CONF_INT ? INT_MIN : INT64_MIN);
	int64_t most = bound(key, o->high, o->type == CONF_INT ? INT_MAX : INT64_MAX);
	int64_t n = v->number < least ? least : v->number > most ? most : v->number;

	v->clamped = n != v->number;
	v->number = n;
}

int conf_value_parse(enum conf_key key, struct span text, struct pool *pool, struct conf_value *out,
		     struct us_err *err)
{
	struct conf_value v = {.set = true};
	enum conf_type type = conf_option(key)->type;
	int rc = 0;

	if (type == CONF_STRING)
		v.text = pool_strndup(pool, text.ptr, text.len);
	else if (type == CONF_BITS)
		rc = parse_bits(key, text, &v.bits, err);
	else
		rc = parse_number(key, text, &v.number, err);
	if (rc < 0)
		return rc;
	if (type == CONF_INT || type == CONF_SIZE || type == CONF_DURATION)
		clamp(key, &v);
	*out = v;
	return 0;
}

void conf_value_default(enum conf_key key, struct pool *pool, struct conf_value *out)
{
	const struct conf_option *o = conf_option(key);

	*out = (struct conf_value){
		.number = o->type == CONF_ONEOF || o->type == CONF_ENUM ? CONF_WORD_UNSET : 0};
	if (o->fallback)
		us_assert(conf_value_parse(key, span_of(o->fallback), pool, out, NULL) == 0);
}

/* In the largest unit that leaves no rest. */
static void write_duration(int64_t n, struct buf *out)
{
	static const struct {
		int64_t seconds;
		char letter;
	} units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
	size_t i = 0;

	while (n % units[i].seconds || (!n && units[i].seconds > 1))
		i++;
	buf_printf(out, "%" PRId64 "%c", n / units[i].seconds, units[i].letter);
}

static void write_size(int64_t n, struct buf *out)
{
	static const struct {
		int64_t bytes;
		char letter;
	} units[] = {{1 << 30, 'G'}, {1 << 20, 'M'}, {1 << 10, 'K'}, {1, 'B'}};
	size_t i = 0;

	while (n % units[i].bytes || (!n && units[i].bytes > 1))
		i++;
	buf_printf(out, "%" PRId64 "%c", n / units[i].bytes, units[i].letter);
}

static void write_bits(enum conf_key key, uint64_t bits, struct buf *out)
{
	const char *space = "";

	for (unsigned i = 0; i < 64; i++) {
		if (!(bits >> i & 1))
			continue;
		buf_printf(out, "%s%s", space, conf_bit_text(key, i));
		space = " ";
	}
}

void conf_value_write(enum conf_key key, const struct conf_value *v, struct buf *out)
{
	if (!v->set)
		return;
	switch (conf_option(key)->type) {
	case CONF_SWITCH:
		buf_add_str(out, v->number ? "yes" : "no");
		break;
	case CONF_INT:
		buf_printf(out, "%" PRId64, v->number);
		break;
	case CONF_SIZE:
		write_size(v->number, out);
		break;
	case CONF_DURATION:
		write_duration(v->number, out);
		break;
	case CONF_STRING:
		buf_add_str(out, v->text);
		break;
	case CONF_ENUM:
	case CONF_ONEOF:
		buf_add_str(out, conf_word_text((int)v->number));
		break;
	case CONF_BITS:
		write_bits(key, v->bits, out);
		break;
	}
}
