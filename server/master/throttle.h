/* throttle.h - how fast to start again what keeps dying. No clock in here: the caller says what time it is.
 *
 * Deaths with less than ten seconds between them make a row. The first two of a row cost no time; from the
 * third on starting again waits, twice as long each time, up to a second. A process that was killed (SIGKILL:
 * by an administrator, or for want of memory) after it had lived a while is no reason to wait.
 */
#ifndef US_MASTER_THROTTLE_H
#define US_MASTER_THROTTLE_H

#include <stdint.h>

#define THROTTLE_ROW_MS   10000
#define THROTTLE_WHILE_MS 1000
#define THROTTLE_TOO_MANY 5 /* deaths in a row at which a service is switched off */

struct throttle {
	unsigned row;
	int64_t last_ms;
	int64_t not_before_ms; /* start it no earlier */
};

/* Note a death; returns how many are in the row, this one included. */
unsigned throttle_note(struct throttle *t, int64_t now_ms);

#endif
