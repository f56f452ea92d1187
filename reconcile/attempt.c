/* attempt.c - see attempt.h. Rules T1 to T4 of doc/RECONCILE.md. */
#include "reconcile/attempt.h"

#include "server/base/err.h"

struct attempt attempt_begin(bool force)
{
	return (struct attempt){.step = ATTEMPT_FIRST, .force = force};
}

static enum attempt_step after_first(const struct attempt *a, int result)
{
	if (result == US_ECHECKSUM || result == US_ECHANGED)
		return ATTEMPT_REPEAT;
	return result == ATTEMPT_NEEDS_FULL && !a->force ? ATTEMPT_FULL : ATTEMPT_DONE;
}

static enum attempt_step after(const struct attempt *a, int result)
{
	switch (a->step) {
	case ATTEMPT_FIRST:
		return after_first(a, result);
	case ATTEMPT_REPEAT:
		return result == US_ECHECKSUM && !a->force ? ATTEMPT_FULL : ATTEMPT_DONE;
	case ATTEMPT_FULL:
		return result == 0 ? ATTEMPT_LAST : ATTEMPT_DONE;
	default:
		return ATTEMPT_DONE;
	}
}

enum attempt_step attempt_next(struct attempt *a, int result)
{
	a->step = after(a, result);
	if (a->step == ATTEMPT_DONE)
		a->result = result == ATTEMPT_NEEDS_FULL ? US_ECHECKSUM : result;
	return a->step;
}
