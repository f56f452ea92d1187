/* hdr.h - mbox.hdr: the text copy of what would recreate a mailbox's metadata row (doc/FORMATS.md 6). */
#ifndef US_STORE_HDR_H
#define US_STORE_HDR_H

#include "server/base/err.h"
#include "server/base/pool.h"
#include "server/store/record.h"
#include "server/store/rows.h"
#include "server/store/store.h"

struct hdr {
	struct span name;
	struct mailbox_row row;
	uint64_t row_version;
	uint64_t row_serial; /* META ops up to this one are in the row */
	uint32_t options;
	/* Of the records, as of when this was written: at the last compaction at the latest. */
	uint32_t last_uid;
	uint64_t highestmodseq;
	struct span flags[USER_FLAGS]; /* by bit; empty: not in use */
	size_t n_flags;
	const struct state_annotation *annotations;
	size_t n_annotations;
	bool has_quota; /* the mailbox is a quota root */
	struct state_quota quota;
};

void hdr_encode(const struct hdr *h, struct buf *out);
/* Spans live in pool. US_ECORRUPT. */
int hdr_decode(struct span text, struct pool *pool, struct hdr *out, struct us_err *err);

int hdr_read(int dir, struct pool *pool, struct hdr *out, struct us_err *err);
/* Write it for the row that `name` has now, gathering the rest from metadata. `names`: the keywords in use, may be
 * NULL. */
int hdr_write(struct store *store, int dir, struct span name, const struct flag_names *names,
	      const struct counters *counters, struct us_err *err);

#endif
