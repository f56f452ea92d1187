/* annots.h - the message annotations of one mailbox, in memory.
 *
 * Few messages have any, so all of a mailbox's are kept in one array sorted by uid, entry and user: what a base
 * file mbox.ann.<gen> held, changed by the ANNOT ops of the journal. Strings live in a pool of the set.
 */
#ifndef US_STORE_ANNOTS_H
#define US_STORE_ANNOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/err.h"
#include "server/base/pool.h"
#include "server/store/journal.h"
#include "server/store/state.h"
#include "server/store/storeid.h"

struct annots {
	struct pool *pool; /* NULL while empty */
	uint32_t *uids;    /* of items, parallel */
	struct state_annotation *items;
	size_t n, cap, cap_uids;
};

void annots_fini(struct annots *a);
/* All of a message's, sorted by entry and user: first and count. */
const struct state_annotation *annots_of(const struct annots *a, uint32_t uid, size_t *n_out);
const struct state_annotation *annots_find(const struct annots *a, uint32_t uid, struct span entry,
					   struct span userid);
/* Set, replace or (value.ptr NULL) remove. Strings are copied. */
void annots_put(struct annots *a, uint32_t uid, struct span entry, struct span userid,
		struct span value, uint64_t modseq);
void annots_drop(struct annots *a, uint32_t low, uint32_t high); /* all of these uids */

/* The ANNOT op that says the same, appended to `out`. */
void annots_encode(struct buf *out, uint32_t uid, struct span entry, struct span userid,
		   struct span value, uint64_t modseq);

/* The base file. */
int annots_load(struct annots *a, int dir, uint32_t generation, const struct storeid *storeid,
		struct us_err *err);
/* As much as can be made out of a damaged file: true if it was whole, or one bit of it was wrong. Else *a gets what looks
 * like an annotation, and nothing vouches for any of it. */
bool annots_load_damaged(struct annots *a, int dir, uint32_t generation,
			 const struct storeid *storeid);
int annots_write(const struct annots *a, int dir, uint32_t generation,
		 const struct storeid *storeid, struct us_err *err);
void annots_name(uint32_t generation, char out[32]);

#endif
