/* keywords.h - a mailbox has room for 128 keywords; those that no message has can make room again. */
#ifndef US_STORE_KEYWORDS_H
#define US_STORE_KEYWORDS_H

#include "server/base/err.h"
#include "server/base/span.h"
#include "server/store/mailbox.h"

/* Free the bits of all keywords that no message of the mailbox has, expunged ones included: what comes back has its keywords. The
 * mailbox is open and not locked; it is locked for as long as a compaction takes, and only if there is such a keyword. fn (may be
 * NULL) is told of each, before it goes. Gives how many went. */
int keywords_prune(struct mailbox *m, void (*fn)(void *ctx, unsigned bit, struct span name),
		   void *ctx, struct us_err *err);

#endif
