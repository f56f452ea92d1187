/* byhand.h - what an operator names on the command line, replicated once: users, mailboxes, everything. */
#ifndef US_SYNC_CLIENT_BYHAND_H
#define US_SYNC_CLIENT_BYHAND_H

#include "server/base/err.h"
#include "sync_client/dial.h"
#include "sync_client/options.h"
#include "sync_client/sync.h"

/* Go on after an object that fails, and say so on standard error. *failures: how many did. An error is the end of all: the replica
 * cannot be had. */
int byhand_run(struct sync *s, struct dial *dial, const struct options *options, unsigned *failures,
	       struct us_err *err);

#endif
