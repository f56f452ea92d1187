/* datetime.c - see datetime.h.
 *
 * A Date: field is read word by word instead of by one grammar, since what stands there varies more than
 * any grammar: every word says by its form what it is.
 *
 *	month name	"Nov", "November"; a day name, "T" of ISO 8601 and unknown words are passed over
 *	a:b[:c[.f]]	the time; once, also with points between ("22.07.33"); AM or PM may follow
 *	+hhmm -hhmm	the zone, only after the time; also +hh:mm, +h, and after GMT or UTC
 *	zone name	after the time: RFC 5322 section 4.3 and the usual European and other ones
 *	number		a year if it has more than two digits, else the day, and the year if the day is known
 *	a-b-c		ISO 8601 if a has four digits; otherwise day, month name, year as in IMAP
 *	(...)		a comment, passed over
 *
 * Years of two digits are 2000 to 2049 or 1950 to 1999, of three 1900 plus that (section 4.3). A zone that
 * is missing, unknown, military or absurd counts as UTC. Day, month, year must be there; the time need not
 * be (midnight).
 */
#include "server/base/datetime.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "server/base/mem.h"
#include "server/base/scan.h"

#define DAY 86400

static const char month_names[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					"Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char day_names[7][4] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};

/* Obsolete zones of RFC 5322 first; the rest are those met in mail that mean one thing only. */
static const struct {
	char name[5];
	int16_t minutes;
} zones[] = {{"UT", 0},      {"GMT", 0},    {"EST", -300}, {"EDT", -240}, {"CST", -360},
	     {"CDT", -300},  {"MST", -420}, {"MDT", -360}, {"PST", -480}, {"PDT", -420},
	     {"UTC", 0},     {"Z", 0},      {"WET", 0},    {"WEST", 60},  {"BST", 60},
	     {"CET", 60},    {"MET", 60},   {"MEZ", 60},   {"CEST", 120}, {"MEST", 120},
	     {"MESZ", 120},  {"EET", 120},  {"EEST", 180}, {"MSK", 180},  {"MSD", 240},
	     {"SAST", 120},  {"SGT", 480},  {"HKT", 480},  {"JST", 540},  {"KST", 540},
	     {"AEST", 600},  {"AEDT", 660}, {"NZST", 720}, {"NZDT", 780}, {"HST", -600},
	     {"AKST", -540}, {"AKDT", -480}};

/* What has been found so far; -1: nothing. */
struct found {
	int64_t year;
	int month, day; /* from 1 */
	int hour, minute, second;
	int32_t zone_s;
	bool has_zone;
};

/* ---- the calendar ------------------------------------------------------------------------------ */

static bool is_leap(int64_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int days_in_month(int64_t year, int month)
{
	static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* Days from 1970-01-01. Years are taken to begin in March, so that the leap day is a year's last. */
static int64_t days_of(int64_t year, int month, int day)
{
	int64_t y = year - (month <= 2);
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t year_of_era = y - era * 400;
	int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

	return era * 146097 + day_of_era - 719468;
}

static void date_of(int64_t days, int64_t *year, int *month, int *day)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t day_of_era = z - era * 146097;
	int64_t year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year =
		day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t m = (5 * day_of_year + 2) / 153;

	*day = (int)(day_of_year - (153 * m + 2) / 5 + 1);
	*month = (int)(m < 10 ? m + 3 : m - 9);
	*year = year_of_era + era * 400 + (*month <= 2);
}

static int64_t floor_days(int64_t seconds)
{
	return seconds / DAY - (seconds % DAY < 0);
}

/* All fields in their ranges give the moment; a leap second counts as the second after it. */
static bool compose(const struct found *f, struct datetime *out)
{
	if (f->year < 0 || f->year > 9999 || f->month < 1 || f->month > 12 || f->day < 1 ||
	    f->day > days_in_month(f->year, f->month))
		return false;
	if (f->hour > 23 || f->minute > 59 || f->second > 60)
		return false;
	out->time = days_of(f->year, f->month, f->day) * DAY + f->hour * 3600 + f->minute * 60 +
		    f->second - f->zone_s;
	out->zone_s = f->zone_s;
	return true;
}

/* ---- words ------------------------------------------------------------------------------------- */

static bool is_letter(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

/* 1 to 12; 0: no month. The name may be written out. */
static int month_of(struct span word)
{
	static const char *const full[12] = {"January",   "February", "March",    "April",
					     "May",       "June",     "July",     "August",
					     "September", "October",  "November", "December"};

	for (int i = 0; i < 12 && word.len >= 3; i++)
		if (word.len <= strlen(full[i]) &&
		    span_eq_nocase(word, span_make(full[i], word.len)))
			return i + 1;
	return span_is_nocase(word, "Sept") ? 9 : 0;
}

static bool find_zone(struct span word, int32_t *zone_s)
{
	for (size_t i = 0; i < ARRAY_SIZE(zones); i++) {
		if (!span_is_nocase(word, zones[i].name))
			continue;
		*zone_s = zones[i].minutes * 60;
		return true;
	}
	return false;
}

/* A run of digits that fits an int; its length tells 5 from 0005. */
static bool take_number(struct scan *s, int *value, size_t *digits)
{
	struct scan before = *s;
	struct span run = scan_while(s, is_digit);
	uint64_t n;

	if (!span_u64(run, 99999999, &n)) {
		*s = before;
		return false;
	}
	*value = (int)n;
	*digits = run.len;
	return true;
}

/* At "+0100", "-700", "+01:00", "+1", the sign not taken yet. Absurd zones count as UTC. */
static void take_zone(struct scan *s, struct found *f)
{
	int sign = scan_byte(s) == '-' ? -1 : 1, hours, minutes = 0;
	size_t digits, more;

	if (!take_number(s, &hours, &digits))
		return;
	if (digits > 2) {
		minutes = hours % 100;
		hours /= 100;
	} else if (scan_skip(s, ':') && !take_number(s, &minutes, &more)) {
		return;
	}
	f->has_zone = true;
	f->zone_s = hours < 24 && minutes < 60 ? sign * (hours * 3600 + minutes * 60) : 0;
}

static void skip_comment(struct scan *s)
{
	size_t depth = 0;
	int c;

	do {
		c = scan_peek(s);
		if (c < 0)
			return;
		s->at++;
		if (c == '\\' && !scan_end(s))
			s->at++;
		depth += c == '(';
		depth -= c == ')';
	} while (depth);
}

static void apply_half_day(struct found *f, bool afternoon)
{
	if (f->hour >= 1 && f->hour <= 12)
		f->hour = f->hour % 12 + (afternoon ? 12 : 0);
}

static void take_word(struct scan *s, struct found *f)
{
	struct span word = scan_while(s, is_letter);
	int month = f->month < 0 ? month_of(word) : 0;

	if (month)
		f->month = month;
	else if (f->hour >= 0 && (span_is_nocase(word, "AM") || span_is_nocase(word, "PM")))
		apply_half_day(f, us_upper((unsigned char)word.ptr[0]) == 'P');
	else if (f->hour >= 0 && !f->has_zone)
		f->has_zone = find_zone(word, &f->zone_s) && f->zone_s != 0;
}

/* Behind "hh" and its separator. */
static bool take_time(struct scan *s, struct found *f, int hour, char separator)
{
	size_t digits;
	int ignored;

	f->hour = hour;
	if (!take_number(s, &f->minute, &digits))
		return false;
	if (scan_skip(s, separator) && !take_number(s, &f->second, &digits))
		return false;
	if (scan_skip(s, '.') || scan_skip(s, ','))
		(void)take_number(s, &ignored, &digits); /* parts of a second, if any */
	return true;
}

/* Behind "yyyy-". */
static bool take_iso_rest(struct scan *s, struct found *f, int year)
{
	size_t digits;

	f->year = year;
	return take_number(s, &f->month, &digits) && scan_skip(s, '-') &&
	       take_number(s, &f->day, &digits);
}

static int64_t full_year(int year, size_t digits)
{
	if (digits == 2)
		return year < 50 ? 2000 + year : 1900 + year;
	return digits == 3 ? 1900 + year : year;
}

static bool take_numeric(struct scan *s, struct found *f)
{
	size_t digits;
	int n;

	if (!take_number(s, &n, &digits))
		return false;
	if (f->hour < 0 && scan_skip(s, ':'))
		return take_time(s, f, n, ':');
	if (f->hour < 0 && f->day >= 0 && f->year >= 0 && scan_skip(s, '.'))
		return take_time(s, f, n, '.');
	if (digits == 4 && f->year < 0 && f->month < 0 && scan_skip(s, '-'))
		return take_iso_rest(s, f, n);
	if (f->day < 0 && digits <= 2)
		f->day = n;
	else if (f->year < 0 && digits >= 2)
		f->year = full_year(n, digits);
	return true;
}

bool datetime_parse_mail(struct span text, struct datetime *out)
{
	struct scan s = scan_init(text);
	struct found f = {-1, -1, -1, -1, 0, 0, 0, false};

	while (!scan_end(&s)) {
		int c = scan_peek(&s);
		if (is_digit((unsigned char)c)) {
			if (!take_numeric(&s, &f))
				return false;
		} else if (is_letter((unsigned char)c)) {
			take_word(&s, &f);
		} else if ((c == '+' || c == '-') && f.hour >= 0 && !f.has_zone) {
			take_zone(&s, &f);
		} else if (c == '(') {
			skip_comment(&s);
		} else {
			s.at++;
		}
	}
	if (f.hour < 0)
		f.hour = 0;
	return compose(&f, out);
}

/* ---- IMAP -------------------------------------------------------------------------------------- */

/* Exactly n digits. */
static bool take_digits(struct scan *s, size_t n, int *value)
{
	uint64_t u;

	if (!span_u64(scan_take(s, n), 9999, &u))
		scan_fail(s);
	*value = s->bad ? 0 : (int)u;
	return !s->bad;
}

/* ["-"] month "-" year, of both date forms */
static void take_month_and_year(struct scan *s, struct found *f)
{
	int year;

	scan_expect(s, '-');
	f->month = month_of(scan_take(s, 3));
	scan_expect(s, '-');
	take_digits(s, 4, &year);
	f->year = year;
}

bool datetime_parse_imap(struct span text, struct datetime *out)
{
	struct scan s = scan_init(text);
	struct found f = {-1, -1, -1, 0, 0, 0, 0, false};
	int hours, minutes, sign;

	take_digits(&s, scan_skip(&s, ' ') ? 1 : 2, &f.day);
	take_month_and_year(&s, &f);
	scan_expect(&s, ' ');
	take_digits(&s, 2, &f.hour);
	scan_expect(&s, ':');
	take_digits(&s, 2, &f.minute);
	scan_expect(&s, ':');
	take_digits(&s, 2, &f.second);
	scan_expect(&s, ' ');
	sign = scan_byte(&s);
	take_digits(&s, 2, &hours);
	take_digits(&s, 2, &minutes);
	if (!scan_ok_at_end(&s) || (sign != '+' && sign != '-') || hours > 23 || minutes > 59)
		return false;
	f.zone_s = (sign == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
	return compose(&f, out);
}

bool datetime_parse_imap_date(struct span text, int64_t *out)
{
	struct scan s = scan_init(text);
	struct found f = {-1, -1, -1, 0, 0, 0, 0, false};
	struct datetime when;
	size_t digits = 0;

	(void)scan_skip(&s, ' ');
	if (!take_number(&s, &f.day, &digits) || digits > 2)
		return false;
	take_month_and_year(&s, &f);
	if (!scan_ok_at_end(&s) || !compose(&f, &when))
		return false;
	*out = when.time;
	return true;
}

/* ---- writing ----------------------------------------------------------------------------------- */

struct broken_down {
	int year, month, day, hour, minute, second,
		weekday; /* weekday 0: a Thursday, as 1970-01-01 was */
	char zone_sign;
	int zone_hours, zone_minutes;
};

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
	return value < low ? low : value > high ? high : value;
}

static struct broken_down break_down(struct datetime when)
{
	static const int64_t year_0 = -62167219200, year_10000 = 253402300800;
	int64_t zone = clamp(when.zone_s, -86340, 86340) / 60 * 60;
	int64_t local = clamp(clamp(when.time, year_0, year_10000) + zone, year_0, year_10000 - 1);
	int64_t days = floor_days(local), seconds = local - days * DAY, year;
	struct broken_down b = {.weekday = (int)(((days % 7) + 7) % 7),
				.hour = (int)(seconds / 3600),
				.minute = (int)(seconds / 60 % 60),
				.second = (int)(seconds % 60),
				.zone_sign = zone < 0 ? '-' : '+'};

	date_of(days, &year, &b.month, &b.day);
	b.year = (int)year;
	b.zone_hours = (int)((zone < 0 ? -zone : zone) / 3600);
	b.zone_minutes = (int)((zone < 0 ? -zone : zone) / 60 % 60);
	return b;
}

void datetime_format_imap(struct datetime when, char out[DATETIME_IMAP])
{
	struct broken_down b = break_down(when);
	char text[96];

	snprintf(text, sizeof(text), "%2d-%s-%04d %02d:%02d:%02d %c%02d%02d", b.day,
		 month_names[b.month - 1], b.year, b.hour, b.minute, b.second, b.zone_sign,
		 b.zone_hours, b.zone_minutes);
	memcpy(out, text, DATETIME_IMAP);
}

void datetime_format_date(struct datetime when, char out[DATETIME_DATE])
{
	char text[DATETIME_IMAP];

	datetime_format_imap(when, text);
	memcpy(out, text, DATETIME_DATE - 1);
	out[DATETIME_DATE - 1] = '\0';
}

void datetime_format_mail(struct datetime when, char out[DATETIME_MAIL])
{
	struct broken_down b = break_down(when);
	char text[112];

	snprintf(text, sizeof(text), "%s, %02d %s %04d %02d:%02d:%02d %c%02d%02d",
		 day_names[b.weekday], b.day, month_names[b.month - 1], b.year, b.hour, b.minute,
		 b.second, b.zone_sign, b.zone_hours, b.zone_minutes);
	memcpy(out, text, DATETIME_MAIL);
}

int64_t datetime_midnight(struct datetime when)
{
	int64_t local = clamp(when.time, INT64_MIN / 2, INT64_MAX / 2) + when.zone_s;

	return floor_days(local) * DAY;
}

int32_t datetime_local_zone(int64_t time)
{
	time_t t = (time_t)time;
	struct tm tm;

	return localtime_r(&t, &tm) ? (int32_t)tm.tm_gmtoff : 0;
}
