/* user_rename.h - what a user has beside his mailboxes goes to another id: limits, subscriptions, seen state, his place in ACLs. */
#ifndef US_STORE_USER_RENAME_H
#define US_STORE_USER_RENAME_H

#include "server/base/err.h"
#include "server/base/span.h"
#include "server/store/store.h"

/* Put `to` in the place of `from` in the ACL of that mailbox (internal name), as folder_set_acl() does. */
int user_rename_acl(struct store *store, struct span name, struct span from, struct span to,
		    struct us_err *err);

/* Copy limits of quota roots, subscriptions and seen state of user `from` to user `to`, with names below his INBOX
 * changed accordingly. Done before the mailboxes are renamed, so that a crash in between loses nothing; user_remove() of
 * `from` afterwards takes the old ones away. Both ids are external. */
int user_copy_data(struct store *store, struct span from, struct span to, struct us_err *err);

#endif
