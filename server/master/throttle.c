/* throttle.c - see throttle.h. */
#include "server/master/throttle.h"

#define FREE_OF_CHARGE 2
#define FIRST_PAUSE_MS 50
#define MOST_PAUSE_MS  1000

static int64_t pause_after(unsigned row)
{
	int64_t pause = FIRST_PAUSE_MS;

	if (row <= FREE_OF_CHARGE)
		return 0;
	for (unsigned i = FREE_OF_CHARGE + 1; i < row && pause < MOST_PAUSE_MS; i++)
		pause *= 2;
	return pause < MOST_PAUSE_MS ? pause : MOST_PAUSE_MS;
}

unsigned throttle_note(struct throttle *t, int64_t now_ms)
{
	if (t->row == 0 || now_ms - t->last_ms >= THROTTLE_ROW_MS)
		t->row = 0;
	t->row++;
	t->last_ms = now_ms;
	t->not_before_ms = now_ms + pause_after(t->row);
	return t->row;
}
