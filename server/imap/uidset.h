/* uidset.h - a set of UIDs (or sequence numbers) as sorted ranges that neither touch nor overlap.
 *
 * Pure. A set of 100,000 messages in a row is one range: all operations cost by the number of ranges, most by
 * its logarithm; adding behind the last one is constant. The text form is that of the wire and of the seen
 * state: "1:4,7".
 */
#ifndef US_IMAP_UIDSET_H
#define US_IMAP_UIDSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/buf.h"
#include "server/base/span.h"

struct uidset_range {
	uint32_t low, high;
};

struct uidset {
	struct uidset_range *range;
	size_t n, cap;
};
#define UIDSET_INIT        \
	{                  \
		NULL, 0, 0 \
	}

void uidset_free(struct uidset *set); /* leaves it empty and usable */
void uidset_clear(struct uidset *set);
void uidset_add(struct uidset *set, uint32_t low, uint32_t high); /* 1 <= low <= high */
void uidset_remove(struct uidset *set, uint32_t low, uint32_t high);
bool uidset_has(const struct uidset *set, uint32_t uid);
bool uidset_is_empty(const struct uidset *set);
uint64_t uidset_count(const struct uidset *set);
/* The lowest member that is at least `from`; 0: none. Walk with from = found + 1 (stop at UINT32_MAX). */
uint32_t uidset_next(const struct uidset *set, uint32_t from);

/* Of "1:4,7", in any order; "" is empty. False for anything else ("*" and 0 too), *out is then undefined. */
bool uidset_parse(struct span text, struct uidset *out);
void uidset_format(const struct uidset *set, struct buf *out); /* appended */

#endif
