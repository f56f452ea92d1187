/* forkrate.c - see forkrate.h. */
#include "server/base/forkrate.h"

#include <math.h>

/* With the estimate halved a second, a fork every 1/n seconds adds up to gain / (1 - 2^(-1/n)), which for
 * the rates that matter is gain * n / ln 2: so the gain is ln 2. */
#define GAIN 0.693147180559945

double forkrate_get(const struct forkrate *rate, int64_t now_ms)
{
	double elapsed_s = (double)(now_ms - rate->as_of_ms) / 1000.0;

	return elapsed_s > 0 ? rate->per_second * exp2(-elapsed_s) : rate->per_second;
}

void forkrate_note(struct forkrate *rate, int64_t now_ms)
{
	rate->per_second = forkrate_get(rate, now_ms) + GAIN;
	rate->as_of_ms = now_ms;
}

bool forkrate_exceeds(const struct forkrate *rate, unsigned limit, int64_t now_ms)
{
	return limit && forkrate_get(rate, now_ms) >= limit;
}
