/* known.h - how the replica's mailboxes were when we last left them, so that a small change is one order and not a question first.
 *
 * Nothing here need be true: an order says on which state it is based, and a replica that was changed behind our back refuses
 * it; then it is asked. Entries are headers without records, by uniqueid. The oldest half goes when there are too many.
 */
#ifndef US_SYNC_CLIENT_KNOWN_H
#define US_SYNC_CLIENT_KNOWN_H

#include <stdbool.h>

#include "server/base/pool.h"
#include "server/store/state.h"

struct known; /* opaque */

struct known *known_new(size_t most);
void known_free(struct known **k);

/* This is what it is there now, sums included. Copied. */
void known_note(struct known *k, const struct state_mailbox *m);
void known_forget(struct known *k, struct span uniqueid);
/* Fill *out, which lives in pool; false: not known. */
bool known_find(const struct known *k, struct span uniqueid, struct pool *pool,
		struct state_mailbox *out);

#endif
