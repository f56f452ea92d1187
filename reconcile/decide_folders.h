/* decide_folders.h - a set of mailboxes on both sides: which is which, what is renamed, brought over, removed.
 *
 *	match by uniqueid --> removals by tombstone --> renames, in an order that works --> updates
 *
 * A mailbox is the one with its uniqueid, whatever its name. What only the replica has is removed if we know that very mailbox
 * to be removed (a tombstone with its uniqueid), and else left alone. After renames the replica is asked again, so a plan with
 * renames has no updates and no deletes that anybody should carry out.
 *
 * Renames wait for the name they need. Two cases cannot be solved by waiting, and both are solved by moving a mailbox aside
 * to where a delayed delete would put it (DELETED.name.time): a cycle of renames, and a name held by a mailbox that is to be
 * removed. A removal is thus never before what replaces it, and a crash in between leaves everything there.
 */
#ifndef US_RECONCILE_DECIDE_FOLDERS_H
#define US_RECONCILE_DECIDE_FOLDERS_H

#include <stdint.h>

#include "reconcile/decide.h"
#include "reconcile/wire_types.h"
#include "server/base/pool.h"

#define FOLDERS_MOST_ROUNDS 3

struct folders_rename {
	struct span oldname, newname, partition;
	uint32_t uidvalidity;
};

struct folders_update {
	const struct state_mailbox *local;
	const struct state_mailbox *replica; /* NULL: not there */
	bool entry;                          /* a name without records */
};

enum folders_why {
	FOLDERS_ONLY_THERE, /* and no tombstone: left alone */
	FOLDERS_SAME_ID,    /* a second one there with that uniqueid: left alone */
	FOLDERS_OTHER_ID, /* that name is another mailbox there, with messages: ours cannot go there */
	FOLDERS_NAME_TAKEN, /* a rename has no place to go */
	FOLDERS_CYCLE,      /* renames wait for each other: one goes aside first */
};

struct folders_trouble {
	enum folders_why why;
	const struct state_mailbox *local, *replica; /* either may be NULL */
};

struct folders_plan {
	struct wire_names reserve_names; /* every real mailbox there: where bodies may be found */
	uint32_t *
		reserve_from; /* for each mailbox here: bodies above that UID may be needed; UINT32_MAX: none */
	struct folders_rename *renames;
	size_t n_renames;
	struct folders_update *updates; /* in the order of the mailbox list */
	size_t n_updates;
	struct wire_names deletes; /* children before parents */
	struct folders_trouble *troubles;
	size_t n_troubles, failed; /* failed: mailboxes here that cannot be brought over */
};

/* here->tombstones: those of mailboxes the replica has and we have not (decide_only_there()). */
void decide_folders(const struct state_user *here, const struct state_user *there,
		    const struct decide_options *options, struct pool *pool,
		    struct folders_plan *out);

/* What to ask for: these names, and every name that a mailbox here had before. */
struct wire_names decide_names(const struct wire_names *asked, const struct state_mailbox *here,
			       size_t n, struct pool *pool);
/* Uniqueids of mailboxes here that the answer does not have: they may be there under a name nobody asked for. */
struct wire_names decide_unseen(const struct state_user *here, const struct state_user *there,
				const struct decide_options *options, struct pool *pool);
/* Uniqueids of mailboxes the replica has and we have not. */
struct wire_names decide_only_there(const struct state_user *here, const struct state_user *there,
				    struct pool *pool);

/* May that mailbox be removed there? here: mailboxes of ours with its uniqueid; tombstones of it. */
bool decide_may_unmailbox(const struct state_user *here, const struct state_mailbox *replica);
/* May all of a user be removed there, who is not here? here as above, for all his mailboxes there. */
bool decide_may_unuser(const struct state_user *here, const struct state_user *there,
		       struct span deletedprefix);

#endif
