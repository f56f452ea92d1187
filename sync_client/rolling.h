/* rolling.h - a channel's client that never ends: whatever its log names is brought to the replica at once.
 *
 *	take a batch --> coalesce --> work --> done, or set aside --> remove it --> wait for the next (inotify)
 *
 * Nothing that an object or the network does ends it. An object that fails is set aside with its reason and tried again
 * after growing pauses while everybody else goes on; when the link is lost the batch stays in hand until there is another.
 *
 * A channel that owes a full comparison (channelmark.h) makes it first; what is logged meanwhile is done between its objects,
 * so that its lag stays low.
 */
#ifndef US_SYNC_CLIENT_ROLLING_H
#define US_SYNC_CLIENT_ROLLING_H

#include "server/base/err.h"
#include "sync_client/dial.h"
#include "sync_client/options.h"
#include "sync_client/sync.h"

/* Until a signal, the shutdown file, or with -1 or -f the end of the log. 0; the code of what stopped it before it began; with -1
 * or -f US_EREMOTE if something had to be set aside. */
int rolling_run(struct sync *s, struct dial *dial, const struct options *options,
		struct us_err *err);

#endif
