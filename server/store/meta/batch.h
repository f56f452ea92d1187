/* batch.h - the items of a batch, as the engine goes through them. */
#ifndef US_STORE_META_BATCH_H
#define US_STORE_META_BATCH_H

#include "server/store/meta/meta.h"

enum batch_what {
	BATCH_EXPECT = 1,
	BATCH_PUT = 2,
	BATCH_DEL = 3,
	BATCH_SERIAL = 4,
	BATCH_OP = 5,
};

#define BATCH_FLAG_LAZY 1u

struct batch_item {
	enum batch_what what;
	enum meta_table table;
	struct span key, payload;
	uint64_t number; /* version or serial */
};

/* The next item, *at being 0 at first; false behind the last. Only for a batch that was made by meta_batch_*() or
 * came through meta_batch_decode(). */
bool batch_next(const struct meta_batch *batch, size_t *at, struct batch_item *out);

/* The same as meta_batch_encode(), with flags. */
void batch_encode(const struct meta_batch *batch, uint32_t flags, struct buf *out);
int batch_decode(struct span text, struct meta_batch *out, uint32_t *flags, struct us_err *err);

#endif
