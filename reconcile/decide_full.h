/* decide_full.h - a mailbox that went different ways on the two sides: all records of both compared.
 *
 * What comes out changes our own mailbox, so that an ordinary update afterwards makes the replica equal, and names the UIDs the
 * replica has to expunge because their messages get new ones. The rules are Cyrus's, record by record, so that it does not matter
 * which of the two programs compares; doc/RECONCILE.md has them as R1 to R17, and each action tells its rule.
 */
#ifndef US_RECONCILE_DECIDE_FULL_H
#define US_RECONCILE_DECIDE_FULL_H

#include <stdbool.h>
#include <stdint.h>

#include "reconcile/wire_types.h"
#include "server/base/pool.h"
#include "server/store/state.h"

enum full_kind {
	FULL_REWRITE, /* ours gets a new modseq */
	FULL_EXPUNGE, /* ours becomes expunged */
	FULL_TAKE,    /* ours takes flags and annotations of the replica's */
	FULL_APPEND,  /* the replica's message is fetched and appended here under new_uid */
	FULL_COPY,    /* ours is copied to new_uid, its old UID expunged */
};

struct full_action {
	enum full_kind kind;
	unsigned rule;
	const struct state_record *local, *replica; /* as the kind needs */
	uint32_t new_uid;
};

struct full_plan {
	struct full_action *actions; /* in this order: new_uid ascends among those that have one */
	size_t n_actions, n_fetches; /* n_fetches: how many FULL_APPEND there are */
	struct wire_uids expunge;    /* there, once what replaces them is here */
	uint32_t uidvalidity;        /* 0: ours is right; else take this */
	uint64_t
		highestmodseq; /* 0: likewise; else ours becomes at least this before anything gets a modseq */
	uint64_t foldermodseq; /* 0: likewise */
	uint32_t last_uid;     /* ours becomes at least this */
	bool take_annotations; /* the mailbox's own: the replica's win */
	bool no_room;          /* there are not enough UIDs left: nothing can be done */
};

/* Both with all their records, UIDs ascending, which must stay as they are while the plan is used. */
void decide_full(const struct state_mailbox *local, const struct state_mailbox *replica,
		 struct pool *pool, struct full_plan *out);

#endif
