/* account.h - all of a user here, as the plain data that is compared with what a peer has. */
#ifndef US_CSYNC_ACCOUNT_H
#define US_CSYNC_ACCOUNT_H

#include "server/base/err.h"
#include "server/base/pool.h"
#include "server/store/state.h"
#include "server/store/store.h"

/* Headers of his mailboxes, quota roots, subscriptions, seen; scripts only without sieve_mailbox. *exists: he has an INBOX. It lives
 * in pool. No mailbox is opened that need not be: damage that the headers do not show is found by who reads the records. */
int account_read(struct store *store, struct span userid, bool sieve_mailbox, struct pool *pool,
		 struct state_user *out, bool *exists, struct us_err *err);
/* Those of the names that are mailboxes here, as headers: out->mailboxes. */
int account_mailboxes(struct store *store, const struct span *names, size_t n, struct pool *pool,
		      struct state_user *out, struct us_err *err);

/* Many users, who come in the order of their ids, for a fraction of the questions: rows are read ahead, so what
 * accounts_read() gives was so at some time since accounts_begin(). `n` is how many there will be, about. Between two reads the store
 * shows nothing of that. */
struct accounts; /* opaque */
int accounts_begin(struct store *store, bool sieve_mailbox, size_t n, struct accounts **out,
		   struct us_err *err);
void accounts_end(struct accounts **accounts);
/* As account_read(); it also lives in *accounts. */
int accounts_read(struct accounts *accounts, struct span userid, struct pool *pool,
		  struct state_user *out, bool *exists, struct us_err *err);

#endif
