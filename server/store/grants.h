/* grants.h - which users' mailboxes are open to somebody else: what LIST of a user reads instead of every mailbox there is.
 *
 * For each mailbox of a user, and each identifier that its ACL gives the right `l` and that is not its owner, there is a row
 * (doc/FORMATS.md 9.2, `grants`). A row is written with the mailbox's, in one batch, so none is ever missing. One too many is
 * harmless: the reader looks at the mailbox's own row, and forgets a grant that is none any more.
 */
#ifndef US_STORE_GRANTS_H
#define US_STORE_GRANTS_H

#include <stdbool.h>

#include "server/base/err.h"
#include "server/base/pool.h"
#include "server/base/span.h"
#include "server/store/store.h"

struct meta_batch;

/* Add to the batch what the ACL of mailbox `name` (internal) grants to others. */
void grants_put(struct meta_batch *batch, struct span name, struct span acl);

/* Does this ACL let `identifier`, by that name, look the mailbox up? */
bool grants_lookup(struct span acl, struct span identifier);

/* Names of users' mailboxes that begin with `prefix` and that `identifier` may be let look up, in list order; in pool. */
int grants_list(struct store *store, struct span identifier, struct span prefix, struct pool *pool,
		struct span **out, size_t *n_out, struct us_err *err);

/* That grant is none (the mailbox is gone, or grants_lookup() says no): forget it, unless the mailbox was
 * changed since its row was read (`version`; 0: there was none). */
int grants_forget(struct store *store, struct span identifier, struct span name, uint64_t version,
		  struct us_err *err);

#endif
