/* allowance.h - what quota roots still allow, as one transaction finds them.
 *
 * Cyrus's rule: the message that crosses the limit is let in, the next is refused; with lmtp_strict_quota none is let
 * in that would cross. What a root uses is looked up once a transaction, and what the transaction adds is added to it: of
 * two recipients under one full-to-the-brim root the second is refused. Other transactions at the same moment do
 * not count; limits are not that exact.
 */
#ifndef US_LMTP_ALLOWANCE_H
#define US_LMTP_ALLOWANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/err.h"
#include "server/base/span.h"
#include "server/store/quota.h"

struct allowance {
	char *root;
	struct state_quota limits;
	struct quota_usage used;
};

struct allowances {
	struct allowance *list;
	size_t n, cap;
};

void allowances_free(struct allowances *a);

/* May a message of so many bytes (0: not known) go into mailbox `name`? 0, US_EQUOTA, or what looking it up gave. */
int allowance_check(struct allowances *a, struct store *store, struct span name, uint64_t bytes,
		    bool strict, struct us_err *err);
/* The same, and count it as gone in. ignore: it may, whatever the limit. */
int allowance_take(struct allowances *a, struct store *store, struct span name, uint64_t bytes,
		   bool strict, bool ignore, struct us_err *err);

#endif
