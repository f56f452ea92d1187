/* digest.h - a sum of all of a user that two servers compare, so that the users who are equal need not be looked at one by one.
 *
 * Covers what the decisions compare (decide_folders.h, decide_mailbox.h, decide_meta.h) and what the headers of mailboxes say:
 * names, uniqueids, partitions, types, ACLs, annotations, counters, modseqs and both sums of each mailbox; limits, subscriptions,
 * seen state, scripts. So equal digests mean that a comparison would find nothing to do; different ones mean that it may.
 *
 * The order is that of the lists in the state, but for those that have none of their own: both sides read them from tables with the
 * same keys.
 */
#ifndef US_CSYNC_DIGEST_H
#define US_CSYNC_DIGEST_H

#include <stdbool.h>

#include "server/base/buf.h"
#include "server/base/checksum.h"
#include "server/store/state.h"

/* sieve_mailbox: scripts travel as mailboxes (decide.h). */
struct sha256 digest_of_user(const struct state_user *u, bool sieve_mailbox);

/* Add one user to the text whose sum stands for several, in the byte order of their ids: sha256_of() it. */
void digest_add(struct buf *range, struct span userid, const struct sha256 *user);

#endif
