/* forkrate.h - how many processes a second something starts, smoothed, and whether that is too many.
 *
 * The estimate loses half of itself each second and gains, with each fork, what makes a steady rate of n
 * forks a second settle at n. No clock in here: the caller says what time it is.
 */
#ifndef US_BASE_FORKRATE_H
#define US_BASE_FORKRATE_H

#include <stdbool.h>
#include <stdint.h>

struct forkrate {
	double per_second;
	int64_t as_of_ms;
};

void forkrate_note(struct forkrate *rate, int64_t now_ms);
double forkrate_get(const struct forkrate *rate, int64_t now_ms);
/* limit 0: never too many. */
bool forkrate_exceeds(const struct forkrate *rate, unsigned limit, int64_t now_ms);

#endif
