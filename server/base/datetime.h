/* datetime.h - the dates of mail and of IMAP, read and written without the machine's time zone.
 *
 * A moment is seconds since 1970 UTC together with the zone it was written in: IMAP compares sent dates
 * "disregarding time and timezone" (RFC 3501, section 6.4.4), which needs the zone of the writer.
 *
 * All calendar work is proleptic Gregorian arithmetic on 64 bits: no tm, no TZ, no locale, no allocation.
 */
#ifndef US_BASE_DATETIME_H
#define US_BASE_DATETIME_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/span.h"

struct datetime {
	int64_t time;   /* seconds since 1970-01-01 00:00:00 UTC */
	int32_t zone_s; /* seconds east of UTC of the clock that showed it */
};

#define DATETIME_IMAP 27 /* "23-Nov-2026 22:07:33 +0000" and a NUL */
#define DATETIME_DATE 12 /* "23-Nov-2026" and a NUL */
#define DATETIME_MAIL 32 /* "Mon, 23 Nov 2026 22:07:33 +0000" and a NUL */

/* The value of a Date: field: RFC 5322 date-time with the obsolete forms of its section 4.3, and what
 * programs write instead (see datetime.c). False, *out untouched, when no date can be made of it. */
bool datetime_parse_mail(struct span text, struct datetime *out);

/* date-time of RFC 3501 without its quotes: "23-Nov-2026 22:07:33 +0000", " 1-Feb-2026 ...". Strict. */
bool datetime_parse_imap(struct span text, struct datetime *out);
/* date of RFC 3501 without quotes: "1-Feb-2026", "01-Feb-2026"; a leading blank is well too. *out is
 * that day's midnight, as if in UTC: compare it with datetime_midnight(). */
bool datetime_parse_imap_date(struct span text, int64_t *out);

/* Written with the day's two places ("_1-Feb-2026", the underscore a blank) as RFC 3501 wants. Times
 * outside the years 0 to 9999 are written as the nearest that can be. */
void datetime_format_imap(struct datetime when, char out[DATETIME_IMAP]);
void datetime_format_date(struct datetime when, char out[DATETIME_DATE]);
void datetime_format_mail(struct datetime when, char out[DATETIME_MAIL]);

/* Midnight, as if in UTC, of the day the writer's calendar showed. */
int64_t datetime_midnight(struct datetime when);

/* The zone this machine's clock shows at that moment (TZ, /etc/localtime). */
int32_t datetime_local_zone(int64_t time);

#endif
