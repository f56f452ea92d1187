/* decide_meta.h - what belongs to a user or to the server rather than to a mailbox: commands that make the replica's equal to ours.
 *
 * Ours always wins. Seen state that only the replica has stays; all else that only the replica has goes.
 */
#ifndef US_RECONCILE_DECIDE_META_H
#define US_RECONCILE_DECIDE_META_H

#include "reconcile/wire_command.h"
#include "server/base/pool.h"
#include "server/store/state.h"

struct meta_plan {
	struct wire_command *commands; /* what they point to lives where the states do */
	size_t n;
};

/* Quota roots: limits that differ or are absent there, then roots that only the replica has. Only roots of the user's own
 * tree are removed: what governs more than him is not known from one user's state. */
void decide_quotas(const struct state_user *local, const struct state_user *replica,
		   struct pool *pool, struct meta_plan *out);
void decide_subscriptions(const struct state_user *local, const struct state_user *replica,
			  struct pool *pool, struct meta_plan *out);
void decide_seen(const struct state_user *local, const struct state_user *replica,
		 struct pool *pool, struct meta_plan *out);
/* Scripts, for a replica without SIEVE-MAILBOX. A SIEVE command comes without its content. */
void decide_sieve(const struct state_user *local, const struct state_user *replica,
		  struct pool *pool, struct meta_plan *out);
/* Server annotations. */
void decide_annotations(const struct state_server_annotation *local, size_t n_local,
			const struct state_server_annotation *replica, size_t n_replica,
			struct pool *pool, struct meta_plan *out);

#endif
