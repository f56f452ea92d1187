/* userdata.h - what belongs to a user rather than to a mailbox: subscriptions, seen state of others' mailboxes, the user
 * as a whole. */
#ifndef US_STORE_USERDATA_H
#define US_STORE_USERDATA_H

#include <stdbool.h>

#include "server/base/err.h"
#include "server/base/pool.h"
#include "server/store/folder.h"
#include "server/store/state.h"
#include "server/store/store.h"

/* Subscribe or not; well if it was so already (nothing is announced then). Names are internal and need not exist. */
int subscription_set(struct store *store, struct span userid, struct span name, bool on,
		     struct us_err *err);
int subscription_get(struct store *store, struct span userid, struct span name,
		     struct us_err *err); /* 1, 0 */
/* Sorted by name in list order; they live in pool. */
int subscriptions_list(struct store *store, struct span userid, struct pool *pool,
		       const struct span **out, size_t *n_out, struct us_err *err);

/* Seen state of `userid` in a mailbox that is not his: 1 and filled (in pool), or 0. */
int seen_get(struct store *store, struct span userid, struct span uniqueid, struct pool *pool,
	     struct state_seen *out, struct us_err *err);
int seen_set(struct store *store, struct span userid, const struct state_seen *seen,
	     struct us_err *err);
int seen_list(struct store *store, struct span userid, struct pool *pool,
	      const struct state_seen **out, size_t *n_out, struct us_err *err);

/* Remove all of a user: mailboxes (not those already under DELETED), quota roots, subscriptions, seen. No such user is well. */
int user_remove(struct store *store, struct span userid, enum folder_delete_mode mode,
		struct us_err *err);
/* When was he removed? 1 and filled, or 0. */
int user_tombstone(struct store *store, struct span userid, struct tombstone_row *out,
		   struct us_err *err);

/* Every user ('U') or quota root ('Q') that a tombstone knows, even one that is here again. fn: 0 go on, else stop with
 * that. */
int userdata_list_removed(struct store *store, char kind,
			  int (*fn)(void *ctx, struct span id, struct us_err *err), void *ctx,
			  struct us_err *err);

/* Tell every user there is: fn gets the external user id. */
int users_list(struct store *store, int (*fn)(void *ctx, struct span userid, struct us_err *err),
	       void *ctx, struct us_err *err);
/* The same by names alone, for less: also those whose INBOX is remote or an entry without mail. */
int users_list_named(struct store *store,
		     int (*fn)(void *ctx, struct span userid, struct us_err *err), void *ctx,
		     struct us_err *err);

#endif
