/* account.h - all of a user here, as the plain data that is compared with what a peer has. */
#ifndef US_CSYNC_ACCOUNT_H
#define US_CSYNC_ACCOUNT_H

#include "server/base/err.h"
#include "server/base/pool.h"
#include "server/store/state.h"
#include "server/store/store.h"

/* Headers of his mailboxes, quota roots, subscriptions, seen; scripts only without sieve_mailbox. *exists: he has an INBOX. It lives
 * in pool. */
int account_read(struct store *store, struct span userid, bool sieve_mailbox, struct pool *pool,
		 struct state_user *out, bool *exists, struct us_err *err);
/* Those of the names that are mailboxes here, as headers: out->mailboxes. */
int account_mailboxes(struct store *store, const struct span *names, size_t n, struct pool *pool,
		      struct state_user *out, struct us_err *err);

#endif
