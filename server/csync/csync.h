/* csync.h - carry out what a replication client asks, whatever carries the protocol.
 *
 * sync_server speaks csync by itself; imapd lends an administrator the same commands as SYNCGET, SYNCAPPLY and
 * so on. Both hand a command here once its verb was read: the value is read, carried out and answered, final
 * line included. What a connection has of its own lives in struct csync: staged bodies, FORCE, capabilities.
 *
 * Parsing is reconcile/wire.h's, changing is the store's. Here are the rules of csync-protocol sections 6 and 7: in which
 * order things are checked, and which answer each outcome has. Deviations from 3.6.1, all for safety: FORCE is the connection's, a missing staged body is found
 * before anything is written, an unknown partition is one of ours, malformed input never ends the process.
 */
#ifndef US_CSYNC_CSYNC_H
#define US_CSYNC_CSYNC_H

#include "reconcile/wire.h"
#include "server/base/dlist_lexer.h"
#include "server/base/err.h"
#include "server/base/stream.h"
#include "server/session/host.h"

struct csync; /* one connection's; opaque */

/* host is borrowed and has a store open for writing. `spool_max`: most bytes the records of one APPLY MAILBOX may take
 * in the spool. */
struct csync *csync_new(struct host *host, uint64_t spool_max);
void csync_free(struct csync **cs); /* removes what was staged */

/* How much of a command is kept in memory while it is read: for the lexer that is handed to csync_execute(). */
void csync_limits(const struct conf *conf, struct dlist_limits *out);

/* Throw away staged bodies (RESTART). */
void csync_restart(struct csync *cs);

/* As if APPLY FORCE had been given. */
void csync_set_force(struct csync *cs);

/* Read the rest of a command from lx, carry it out, write the answer to `out` (not flushed). `tag` is empty for csync, else
 * goes before the final line.
 * Returns 0 whatever was answered; a negative code only if the connection cannot go on. A command that the connection's end cut
 * off is not carried out. */
int csync_execute(struct csync *cs, enum wire_verb verb, struct dlist_lexer *lx, struct stream *out,
		  struct span tag, struct us_err *err);

#endif
