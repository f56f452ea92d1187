/* fuzz_aside.c - any bytes as the list of what a channel set aside: lines are read or passed over, and what was read is written so
 * that it is read the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "channels/aside.h"
#include "server/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_list(struct aside *a, struct span text)
{
	*a = (struct aside){.path = us_strdup("set-aside"),
			    .retry = {.first_ms = 5000, .most_ms = 900000}};
	aside_parse(a, text);
}

static void check_same(const struct aside *a, const struct aside *b)
{
	us_assert(a->n == b->n);
	for (size_t i = 0; i < a->n; i++) {
		const struct aside_entry *x = &a->entries[i], *y = &b->entries[i];
		us_assert(x->due == y->due && x->attempts == y->attempts);
		us_assert(strcmp(x->line, y->line) == 0 && strcmp(x->reason, y->reason) == 0);
	}
}

/* Whatever a line is, it can be tried, fail, and be done with. */
static void work_through(struct aside *a)
{
	for (size_t left = a->n; left; left--) {
		const struct aside_entry *e = aside_due(a, INT64_MAX);
		char *line = us_strdup(e->line);

		us_assert(aside_next(a) >= 0 && e->due >= 0);
		aside_put(a, span_of(line), "again", 100);
		us_assert(aside_is_waiting(a, span_of(line), 100));
		us_assert(aside_remove(a, span_of(line)) == 1 && a->n == left - 1);
		free(line);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct aside a, again;
	struct buf text = BUF_INIT;

	read_list(&a, span_make(data, size));
	aside_format(&a, &text);
	read_list(&again, buf_span(&text));
	check_same(&a, &again);
	work_through(&again);
	aside_close(&again);
	aside_close(&a);
	buf_free(&text);
	return 0;
}
