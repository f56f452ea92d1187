/* uidset.c - see uidset.h. */
#include "server/imap/uidset.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"
#include "server/base/scan.h"

void uidset_free(struct uidset *set)
{
	free(set->range);
	*set = (struct uidset)UIDSET_INIT;
}

void uidset_clear(struct uidset *set)
{
	set->n = 0;
}

bool uidset_is_empty(const struct uidset *set)
{
	return set->n == 0;
}

/* Index of the first range that ends at or behind uid; n: none. */
static size_t find(const struct uidset *set, uint32_t uid)
{
	size_t low = 0, high = set->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (set->range[middle].high < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Put one range in the place of those from..to (to not included). */
static void replace(struct uidset *set, size_t from, size_t to, struct uidset_range range)
{
	if (from == to) {
		us_grow(&set->range, set->n, &set->cap, sizeof(set->range[0]));
		memmove(set->range + from + 1, set->range + from,
			(set->n - from) * sizeof(set->range[0]));
		set->n++;
	} else {
		memmove(set->range + from + 1, set->range + to,
			(set->n - to) * sizeof(set->range[0]));
		set->n -= to - from - 1;
	}
	set->range[from] = range;
}

void uidset_add(struct uidset *set, uint32_t low, uint32_t high)
{
	size_t from = find(set, low > 1 ? low - 1 : low), to = from;

	while (to < set->n && (high == UINT32_MAX || set->range[to].low <= high + 1)) {
		if (set->range[to].low < low)
			low = set->range[to].low;
		if (set->range[to].high > high)
			high = set->range[to].high;
		to++;
	}
	replace(set, from, to, (struct uidset_range){low, high});
}

void uidset_remove(struct uidset *set, uint32_t low, uint32_t high)
{
	size_t at = find(set, low);

	while (at < set->n && set->range[at].low <= high) {
		struct uidset_range r = set->range[at];

		if (r.low < low && r.high > high) {
			set->range[at].high = low - 1;
			replace(set, at + 1, at + 1, (struct uidset_range){high + 1, r.high});
			return;
		}
		if (r.low < low) {
			set->range[at++].high = low - 1;
		} else if (r.high > high) {
			set->range[at].low = high + 1;
			return;
		} else {
			memmove(set->range + at, set->range + at + 1,
				(set->n - at - 1) * sizeof(set->range[0]));
			set->n--;
		}
	}
}

bool uidset_has(const struct uidset *set, uint32_t uid)
{
	size_t at = find(set, uid);

	return at < set->n && set->range[at].low <= uid;
}

uint64_t uidset_count(const struct uidset *set)
{
	uint64_t n = 0;

	for (size_t i = 0; i < set->n; i++)
		n += (uint64_t)set->range[i].high - set->range[i].low + 1;
	return n;
}

uint32_t uidset_next(const struct uidset *set, uint32_t from)
{
	size_t at = find(set, from);

	if (at == set->n)
		return 0;
	return set->range[at].low > from ? set->range[at].low : from;
}

bool uidset_parse(struct span text, struct uidset *out)
{
	struct scan s = scan_init(text);

	if (!text.len)
		return true;
	do {
		uint32_t a = scan_u32(&s), b = scan_skip(&s, ':') ? scan_u32(&s) : a;

		if (s.bad || !a || !b)
			return false;
		uidset_add(out, a < b ? a : b, a < b ? b : a);
	} while (scan_skip(&s, ','));
	return scan_ok_at_end(&s);
}

void uidset_format(const struct uidset *set, struct buf *out)
{
	for (size_t i = 0; i < set->n; i++) {
		if (i)
			buf_add_char(out, ',');
		buf_add_u64(out, set->range[i].low);
		if (set->range[i].high != set->range[i].low) {
			buf_add_char(out, ':');
			buf_add_u64(out, set->range[i].high);
		}
	}
}
