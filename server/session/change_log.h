/* change_log.h - the change observer every program plugs into the store: it writes the sync logs.
 *
 * A store cannot be opened for writing without an observer (store.h); this is the one there is. Before a change is committed its
 * lines are in the log of every channel that applies. If a line cannot be written the change fails.
 */
#ifndef US_SESSION_CHANGE_LOG_H
#define US_SESSION_CHANGE_LOG_H

#include "channels/channels.h"
#include "server/base/err.h"
#include "server/store/store.h"

struct change_log; /* opaque */

int change_log_open(const struct channels_config *config, struct change_log **out,
		    struct us_err *err);
void change_log_close(struct change_log **log);
/* Borrowed; valid until change_log_close(). */
const struct store_observer *change_log_observer(struct change_log *log);

/* From now on changes come from a client (CHANNELS_LOCAL, at first) or are applied for a peer. */
void change_log_set_origin(struct change_log *log, enum channels_origin origin);

/* The sync-log lines of these changes, appended to *out: US_EINVAL for a name no log can carry. */
int change_log_lines(const struct store_change *changes, size_t n, struct buf *out,
		     struct us_err *err);

#endif
