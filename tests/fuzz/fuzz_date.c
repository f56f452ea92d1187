/* fuzz_date.c - any bytes as a date: what is understood is written in the three forms and read again as
 * the same moment. */
#include <stdint.h>

#include "server/base/datetime.h"
#include "server/base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Zones are written in whole minutes; a year before 0 or after 9999 is not written at all. */
static void check_round(struct datetime when)
{
	char imap[DATETIME_IMAP], mail[DATETIME_MAIL], date[DATETIME_DATE];
	struct datetime again;
	int64_t day, local = when.time + when.zone_s;

	datetime_format_imap(when, imap);
	datetime_format_mail(when, mail);
	datetime_format_date(when, date);
	us_assert(datetime_parse_imap(span_of(imap), &again));
	us_assert(again.zone_s == when.zone_s);
	if (local >= -62167219200 && local < 253402300800 && when.time >= -62167219200 &&
	    when.time <= 253402300800)
		us_assert(again.time == when.time);
	us_assert(datetime_parse_mail(span_of(mail), &again));
	us_assert(datetime_parse_imap_date(span_of(date), &day));
	us_assert(day == datetime_midnight(again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = span_make(data, size);
	struct datetime when;
	int64_t day;

	if (datetime_parse_mail(text, &when))
		check_round(when);
	if (datetime_parse_imap(text, &when))
		check_round(when);
	if (datetime_parse_imap_date(text, &day))
		us_assert(day % 86400 == 0);
	return 0;
}
