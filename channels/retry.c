/* retry.c - see retry.h. */
#include "channels/retry.h"

uint32_t retry_pause(const struct retry *r, unsigned failures)
{
	uint64_t pause = r->first_ms;

	for (unsigned i = 1; i < failures && pause < r->most_ms; i++)
		pause *= 2;
	return pause < r->most_ms ? (uint32_t)pause : r->most_ms;
}

uint32_t retry_failed(struct retry *r)
{
	if (r->failures < 64)
		r->failures++;
	return retry_pause(r, r->failures);
}

void retry_succeeded(struct retry *r)
{
	r->failures = 0;
}
