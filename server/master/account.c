/* account.c - see account.h. */
#include "server/master/account.h"

#include "server/base/child.h"

#define RATE_LOOK_MS \
	400 /* how long to wait when too many were started: it has fallen by a quarter then */

static unsigned least_ready(const struct account_rules *r)
{
	return r->babysit && r->prefork == 0 ? 1 : r->prefork;
}

static bool is_held_back(const struct account *a, const struct account_rules *r, int64_t now_ms)
{
	return a->off || now_ms < a->rest_until_ms || now_ms < a->pace.not_before_ms ||
	       forkrate_exceeds(&a->rate, r->maxforkrate, now_ms);
}

static bool is_one_enough(const struct account *a, int64_t now_ms)
{
	if (a->kind == ACCOUNT_UNKNOWN)
		return a->active == 0 || now_ms - a->first_fork_ms < ACCOUNT_UNKNOWN_MS;
	return a->kind == ACCOUNT_FORKING;
}

static unsigned classic_shortfall(const struct account *a, const struct account_rules *r,
				  bool knocking)
{
	unsigned want = least_ready(r), lack;

	if (knocking && want == 0)
		want = 1;
	lack = a->ready < want ? want - a->ready : 0;
	if (r->maxchild >= 0 && a->active + lack > (unsigned)r->maxchild)
		lack = a->active < (unsigned)r->maxchild ? (unsigned)r->maxchild - a->active : 0;
	return lack;
}

unsigned account_shortfall(const struct account *a, const struct account_rules *r, bool knocking,
			   int64_t now_ms)
{
	if (is_held_back(a, r, now_ms) || r->maxchild == 0)
		return 0;
	if (is_one_enough(a, now_ms))
		return a->active == 0 && (knocking || least_ready(r) > 0);
	return classic_shortfall(a, r, knocking);
}

bool account_watches(const struct account *a, const struct account_rules *r, int64_t now_ms)
{
	return !is_held_back(a, r, now_ms) && a->ready == 0 &&
	       account_shortfall(a, r, /* knocking */ true, now_ms) > 0;
}

static int64_t sooner(int64_t wait, int64_t until_ms, int64_t now_ms)
{
	int64_t left = until_ms - now_ms;

	return left > 0 && (wait < 0 || left < wait) ? left : wait;
}

int64_t account_wait_ms(const struct account *a, const struct account_rules *r, int64_t now_ms)
{
	int64_t wait = -1;

	if (a->off)
		return -1;
	wait = sooner(wait, a->rest_until_ms, now_ms);
	wait = sooner(wait, a->pace.not_before_ms, now_ms);
	if (forkrate_exceeds(&a->rate, r->maxforkrate, now_ms))
		wait = sooner(wait, now_ms + RATE_LOOK_MS, now_ms);
	if (a->kind == ACCOUNT_UNKNOWN && a->active)
		wait = sooner(wait, a->first_fork_ms + ACCOUNT_UNKNOWN_MS, now_ms);
	return wait;
}

void account_forked(struct account *a, int64_t now_ms)
{
	if (a->active == 0)
		a->first_fork_ms = now_ms;
	else if (a->kind == ACCOUNT_UNKNOWN)
		a->kind = ACCOUNT_CLASSIC;
	a->active++;
	a->ready++; /* until it says otherwise */
	a->forks++;
	a->lost_all = false;
	forkrate_note(&a->rate, now_ms);
}

static enum account_state become(struct account *a, enum account_state from, enum account_state to)
{
	if (from == ACCOUNT_READY && to == ACCOUNT_BUSY)
		a->ready--;
	else if (from == ACCOUNT_BUSY && to == ACCOUNT_READY)
		a->ready++;
	return to;
}

enum account_state account_heard(struct account *a, enum account_state state, int message,
				 bool *known)
{
	*known = message >= CHILD_AVAILABLE && message <= CHILD_FORKING;
	if (!*known)
		return state;
	a->kind = message == CHILD_FORKING ? ACCOUNT_FORKING : ACCOUNT_CLASSIC;
	if (message == CHILD_CONNECTION || message == CHILD_CONNECTION_MULTI)
		a->connections++;
	if (message == CHILD_AVAILABLE || message == CHILD_CONNECTION_MULTI ||
	    message == CHILD_FORKING)
		return become(a, state, ACCOUNT_READY);
	return become(a, state, ACCOUNT_BUSY);
}

static enum account_verdict judge_fault(struct account *a, const struct account_rules *r,
					int64_t now_ms)
{
	if (throttle_note(&a->faults, now_ms) < THROTTLE_TOO_MANY)
		return ACCOUNT_GOES_ON;
	a->faults = (struct throttle){0, 0, 0};
	if (r->babysit) {
		a->rest_until_ms = now_ms + ACCOUNT_PAUSE_MS;
		return ACCOUNT_RESTS;
	}
	a->off = true;
	return ACCOUNT_SWITCHED_OFF;
}

enum account_verdict account_buried(struct account *a, const struct account_rules *r,
				    const struct account_death *death, int64_t now_ms)
{
	a->active--;
	if (death->state == ACCOUNT_READY)
		a->ready--;
	a->lost_all = death->failed && a->active == 0;
	if (!death->failed || (death->by_kill && death->age_ms >= THROTTLE_WHILE_MS))
		return ACCOUNT_GOES_ON;
	throttle_note(&a->pace, now_ms);
	if (death->by_kill || death->state == ACCOUNT_BUSY)
		return ACCOUNT_GOES_ON;
	return judge_fault(a, r, now_ms);
}

void account_renew(struct account *a, bool other_program, int64_t now_ms)
{
	if (other_program) {
		a->kind = ACCOUNT_UNKNOWN;
		a->first_fork_ms = now_ms;
	}
	a->off = false;
	a->rest_until_ms = 0;
	a->pace = a->faults = (struct throttle){0, 0, 0};
}
