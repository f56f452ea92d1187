/* sync_private.h - what the files of sync.h share. */
#ifndef US_SYNC_CLIENT_SYNC_PRIVATE_H
#define US_SYNC_CLIENT_SYNC_PRIVATE_H

#include "reconcile/attempt.h"
#include "reconcile/decide_folders.h"
#include "reconcile/decide_full.h"
#include "reconcile/decide_mailbox.h"
#include "reconcile/decide_steps.h"
#include "reconcile/order.h"
#include "server/store/folder.h"
#include "server/store/mailbox.h"
#include "sync_client/sync.h"

/* ---- sync.c ------------------------------------------------------------------------------------ */

/* Send a command; with -L in its LOCAL_ form, if it has one. */
int sync_order(struct sync *s, const struct wire_command *c, struct us_err *err);

/* ---- update.c ---------------------------------------------------------------------------------- */

/* One mailbox on its way. */
struct update {
	struct sync *s;
	struct pool *pool; /* of the pass */
	struct span name;
	struct span uniqueid;
	struct mailbox *m; /* open while it is worked on */
	struct state_mailbox local;
	struct state_mailbox replica; /* as known */
	bool there;                   /* it is on the replica */
	bool on_the_way;              /* it is between two steps there */
	uint64_t sure; /* changes above this modseq were not sent (decide_mailbox.h) */
	struct wire_names reserve_names; /* where the replica may find bodies */
	struct mailbox_decision d;
	struct steps_plan plan;
	size_t step; /* of the plan, the one in work */
	/* What the order that is out makes of the replica, and what reading the records for it came to. */
	struct state_mailbox sent;
	struct us_err walked;
};

void update_init(struct update *u, struct sync *s, const struct folders_update *f,
		 const struct wire_names *reserve_names, struct pool *pool);
/* Would it add, would it take away? */
int update_look_ahead(struct update *u, struct order_item *out, struct us_err *err);
/* Send it in one order, whose answer update_hear() gives, while others are on their way. 0: there is nothing to send; 1: it is out;
 * UPDATE_ALONE: it takes more than one order, or questions: update_run(). */
int update_send(struct update *u, struct us_err *err);
#define UPDATE_ALONE 2
/* UPDATE_ALONE: it was refused for what the replica is; update_run() finds out. */
int update_hear(struct update *u, struct us_err *err);
/* Send that part of it, with as many attempts as it takes. */
int update_run(struct update *u, enum order_part part, struct us_err *err);
/* Open the mailbox (again) and take its header as it is now. */
int update_refresh(struct update *u, struct us_err *err);
/* Send what is new here, and nothing else. */
int update_send_additions(struct update *u, struct us_err *err);

/* A record of the mailbox as the plain data of the wire, in a pool that the caller clears. */
typedef int update_record_fn(void *ctx, const struct state_record *r, struct us_err *err);
/* Every record that goes over, in UID order; step NULL: in any step. */
int update_each(struct update *u, const struct step *step, update_record_fn *fn, void *ctx,
		struct us_err *err);

/* ---- full.c ------------------------------------------------------------------------------------ */
int full_compare(struct update *u, struct us_err *err);

/* ---- bodies.c ---------------------------------------------------------------------------------- */

/* Ask for the bodies of this mailbox's records above `from`, so far unasked. */
int bodies_want(struct sync *s, struct mailbox *m, struct span partition, uint32_t from,
		const struct wire_names *names, struct us_err *err);
/* Send all questions that wait. */
int bodies_ask(struct sync *s, const struct wire_names *names, struct us_err *err);
/* Upload what the step of an update needs and the replica has not got. */
int bodies_upload(struct update *u, struct us_err *err);

/* ---- meta.c ------------------------------------------------------------------------------------ */
/* Scripts alone, of a user who is locked: for a replica that has no mailbox for them. */
int meta_scripts(struct sync *s, struct span userid, struct pool *pool, struct us_err *err);
int meta_send(struct sync *s, const struct state_user *local, const struct state_user *replica,
	      bool quotas, struct pool *pool, struct us_err *err);

/* ---- differ.c ---------------------------------------------------------------------------------- */

/* Set differs[i] where the replica may have something else of users[i] than we; they are sorted by their octets. Needs
 * link_has_digests(). */
int sync_differing(struct sync *s, const struct span *users, size_t n, const struct sync_walk *how,
		   bool *differs, struct us_err *err);

/* ---- lock.c ------------------------------------------------------------------------------------ */

/* The lock two clients of one replica exclude each other by, for one user (empty: shared mailboxes). */
int sync_lock(struct sync *s, struct span userid, int *out, struct us_err *err);
void sync_unlock(int *lock);

#endif
