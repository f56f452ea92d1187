/* fuzz_uidset.c - any bytes as a set of UIDs, such as a peer's seen state: what is taken is in order, holds what the text names, and
 * is written so that it is read the same. */
#include <stdint.h>

#include "server/base/err.h"
#include "server/imap/uidset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_order(const struct uidset *set)
{
	for (size_t i = 0; i < set->n; i++) {
		us_assert(set->range[i].low && set->range[i].low <= set->range[i].high);
		us_assert(!i || set->range[i - 1].high + UINT64_C(1) < set->range[i].low);
		us_assert(uidset_has(set, set->range[i].low));
		us_assert(uidset_next(set, set->range[i].low) == set->range[i].low);
	}
}

/* Every number that stands in the text, and none that stands beside the ranges. */
static void check_numbers(const struct uidset *set, struct span text)
{
	uint64_t n = 0;

	for (size_t i = 0; i <= text.len; i++) {
		char c = i < text.len ? text.ptr[i] : ',';
		if (c >= '0' && c <= '9') {
			n = n * 10 + (uint64_t)(c - '0');
			continue;
		}
		us_assert(!text.len || uidset_has(set, (uint32_t)n));
		n = 0;
	}
	for (size_t i = 0; i < set->n; i++)
		us_assert(set->range[i].high == UINT32_MAX ||
			  !uidset_has(set, set->range[i].high + 1));
}

static void check_round(const struct uidset *set)
{
	struct uidset again = UIDSET_INIT;
	struct buf text = BUF_INIT;

	uidset_format(set, &text);
	us_assert(uidset_parse(buf_span(&text), &again));
	us_assert(again.n == set->n && uidset_count(&again) == uidset_count(set));
	for (size_t i = 0; i < set->n; i++)
		us_assert(again.range[i].low == set->range[i].low &&
			  again.range[i].high == set->range[i].high);
	uidset_free(&again);
	buf_free(&text);
}

/* What is taken away is gone, and nothing else. */
static void check_removal(struct uidset *set)
{
	uint64_t count = uidset_count(set);
	uint32_t middle;

	if (!set->n)
		return;
	middle = set->range[set->n / 2].low +
		 (set->range[set->n / 2].high - set->range[set->n / 2].low) / 2;
	uidset_remove(set, middle, middle);
	us_assert(!uidset_has(set, middle) && uidset_count(set) == count - 1);
	check_order(set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct uidset set = UIDSET_INIT;

	if (uidset_parse(span_make(data, size), &set)) {
		check_order(&set);
		check_numbers(&set, span_make(data, size));
		check_round(&set);
		check_removal(&set);
	}
	uidset_free(&set);
	return 0;
}
