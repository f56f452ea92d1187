/* duration.c - see duration.h. */
#include "server/admin/duration.h"

#include <stdlib.h>
#include <string.h>

#define MOST_SECONDS (10000.0 * 365 * DURATION_DAY)

static bool is_plain_number(const char *word, size_t len)
{
	return len && len == strspn(word, "0123456789.") && strspn(word, ".") != len &&
	       memchr(word, '.', len) == memrchr(word, '.', len);
}

static int64_t unit_of(char letter)
{
	switch (letter) {
	case 's':
		return 1;
	case 'm':
		return 60;
	case 'h':
		return 3600;
	case 'd':
		return DURATION_DAY;
	case 'w':
		return INT64_C(7) * DURATION_DAY;
	default:
		return 0;
	}
}

bool duration_parse(const char *word, int64_t unit, int64_t *out)
{
	size_t len = strlen(word);
	double seconds;

	if (len && unit_of(word[len - 1]))
		unit = unit_of(word[--len]);
	if (!is_plain_number(word, len))
		return false;
	seconds = strtod(word, NULL) * (double)unit;
	if (seconds > MOST_SECONDS)
		return false;
	*out = (int64_t)seconds;
	return true;
}
