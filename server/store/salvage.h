/* salvage.h - every good record of a mailbox directory, whatever state its index and journal are in. */
#ifndef US_STORE_SALVAGE_H
#define US_STORE_SALVAGE_H

#include "server/base/err.h"
#include "server/store/annots.h"
#include "server/store/record.h"
#include "server/store/storeid.h"

struct salvage {
	struct record *records; /* UIDs ascending; gone ones left out */
	size_t n, cap;
	struct flag_names names;
	struct annots annots;
	struct pool *pool;        /* of names */
	struct counters counters; /* newest that was readable; zero if none was */
	bool has_counters;
	uint64_t serial;     /* highest seen */
	uint32_t generation; /* highest seen */
	unsigned bad_records;
	bool index_was_bad;
};

void salvage_directory(int dir, const struct storeid *id, struct salvage *out);
void salvage_fini(struct salvage *s);
struct record *salvage_find(struct salvage *s, uint32_t uid);
/* Insert in UID order, or replace. */
void salvage_put(struct salvage *s, const struct record *r);

#endif
