/* ahead.h - rows that were read before they were asked for: who walks over all users asks for a few rows of each, one after the other,
 * and a question to metad costs more than a row.
 *
 * A page that answers one range goes on behind its end, and ranges that follow are served from it. How far it goes on is learnt: a
 * page of which most was wanted is followed by one twice as long, else by a shorter one. A few pages are kept, for walks that
 * go through different parts of the tables side by side.
 */
#ifndef US_STORE_META_AHEAD_H
#define US_STORE_META_AHEAD_H

#include "server/store/meta/meta_private.h"

/* There is one, and nobody is walking over it. */
bool ahead_may_be_asked(const struct meta *meta);
/* meta_range() with payloads, from meta->ahead. A range that is asked for by the function of another goes to metad. */
int ahead_range(struct meta *meta, enum meta_table table, struct span first, struct span end,
		meta_row_fn *fn, void *ctx, struct us_err *err);

#endif
