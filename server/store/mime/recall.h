/* recall.h - the tree of a message again, from the table of its parts that was kept (cache.h).
 *
 * What stands in the bodies is not looked at, so a message is searched at the cost of its texts, whatever is attached
 * to them. The tree is what matcher.h and section.h ask about: places, kinds, encodings, and of text
 * its subtype and parameters. Lines are not counted, envelopes not read.
 */
#ifndef US_STORE_MIME_RECALL_H
#define US_STORE_MIME_RECALL_H

#include "server/base/pool.h"
#include "server/base/span.h"
#include "server/store/mime/section.h"
#include "server/store/mime/structure.h"

/* `message` is the one the table was made of, or at least as long as its ranges reach. */
struct mime_tree *mime_recall(struct span message, const struct mime_table *table,
			      struct pool *pool);

#endif
