/* retry.h - how long to wait before trying again: doubling from a first pause up to a ceiling. Pure. */
#ifndef US_CHANNELS_RETRY_H
#define US_CHANNELS_RETRY_H

#include <stdint.h>

struct retry {
	uint32_t first_ms, most_ms;
	unsigned failures;
};

/* The pause after one more failure: first_ms, 2 first_ms, 4 first_ms, ... most_ms. */
uint32_t retry_failed(struct retry *r);
void retry_succeeded(struct retry *r);
/* What it would be after that many failures. */
uint32_t retry_pause(const struct retry *r, unsigned failures);

#endif
