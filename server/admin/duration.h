/* duration.h - how long: "3", "1.5d", "36h", as tools and annotations have it. */
#ifndef US_ADMIN_DURATION_H
#define US_ADMIN_DURATION_H

#include <stdbool.h>
#include <stdint.h>

#define DURATION_DAY 86400

/* A number, which may have a fraction, and a unit: s, m, h, d or w; without one it counts `unit` seconds. Gives whole seconds,
 * rounded down, at most 10,000 years. False, and *out untouched: it is none; less than nothing is none either. */
bool duration_parse(const char *word, int64_t unit, int64_t *out);

#endif
