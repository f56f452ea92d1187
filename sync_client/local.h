/* local.h - this side's state, as the plain data that is compared.
 *
 * Before a state is read, local_settle() lets everything that was announced before come to its end: whoever announced a
 * change held locks from before the announcement until it was committed or given up.
 */
#ifndef US_SYNC_CLIENT_LOCAL_H
#define US_SYNC_CLIENT_LOCAL_H

#include "server/base/err.h"
#include "server/base/pool.h"
#include "server/store/state.h"
#include "server/store/store.h"

/* Wait for changes of these mailboxes that are under way. */
int local_settle_mailboxes(struct store *store, const struct span *names, size_t n,
			   struct us_err *err);
/* The same for all of a user's (empty: of nobody's). */
int local_settle_user(struct store *store, struct span userid, struct us_err *err);

/* Those of the uniqueids that are mailboxes here, under whatever name, as headers. */
int local_by_uniqueid(struct store *store, const struct span *ids, size_t n, struct pool *pool,
		      struct state_user *out, struct us_err *err);
/* Tombstones of those uniqueids, for state_user.tombstones; not of a mailbox that is here again. */
int local_tombstones(struct store *store, const struct span *ids, size_t n, struct pool *pool,
		     struct state_user *out, struct us_err *err);

#endif
