/* channelmark.h - the durable mark of each replication channel: does it owe a full comparison, and why.
 *
 * A channel that has a mark without a reason has heard of every change since its last full comparison. One without any mark
 * is new, and owes one; so does one that was marked because its log may have missed something: after a stop that was no
 * orderly one (sync logs are not synced to the disk), or while it was switched off.
 */
#ifndef US_STORE_CHANNELMARK_H
#define US_STORE_CHANNELMARK_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/base/span.h"
#include "server/store/store.h"

struct meta;

struct channelmark {
	bool owes;         /* a full comparison */
	struct buf reason; /* "new", "unclean", "off", "backlog" */
	uint64_t version;  /* of the row; 0: there is none */
};

/* What is known of that channel ("": the nameless one). *out to be given to channelmark_free(). */
int channelmark_get(struct store *store, const char *channel, struct channelmark *out,
		    struct us_err *err);
void channelmark_free(struct channelmark *mark);

/* From now on it owes one. */
int channelmark_owe(struct store *store, const char *channel, const char *reason,
		    struct us_err *err);
/* The same for every channel that has a mark (one without owes one anyway); how many there are. For metad, before anybody
 * else can ask: marks that change meanwhile would be overwritten. */
int channelmark_owe_all(struct meta *meta, const char *reason, struct us_err *err);
/* All was compared after the mark was read. US_ECHANGED: it was marked again meanwhile. */
int channelmark_settle(struct store *store, const char *channel, const struct channelmark *mark,
		       struct us_err *err);

/* Every channel that has a mark: fn may not change marks. */
int channelmark_each(struct store *store,
		     int (*fn)(void *ctx, const char *channel, struct us_err *err), void *ctx,
		     struct us_err *err);

#endif
