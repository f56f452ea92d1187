/* update.h - APPLY MAILBOX: make a mailbox equal to what the client says (csync-protocol 7.5).
 *
 *	update_read.c	the command: header into the pool, records into a spool
 *	update_find.c	the mailbox, found or made; locked
 *	update_judge.c	is the command about the state we have? dry run over the records
 *	update_write.c	one commit: records, counters, and the row (ACL, annotations, modseqs) riding in it
 *	update.c	the order of these; at last our sums against the client's
 *
 * Whatever cannot be done is found before anything is written: for a mailbox that must first be made too. Only a sum
 * that is wrong at the end leaves what was written, as in Cyrus. A record never gets a modseq of our making, and HIGHESTMODSEQ becomes what
 * the command says (but not less than a record's).
 */
#ifndef US_CSYNC_UPDATE_H
#define US_CSYNC_UPDATE_H

#include <stdbool.h>
#include <stdint.h>

#include "reconcile/wire.h"
#include "server/base/dlist_lexer.h"
#include "server/base/err.h"

struct commit;
struct csync;
struct csync_answer;
struct mailbox;
struct spool;
struct stage;
struct staged;

struct csync_update {
	struct csync *cs;
	struct pool *pool;        /* the command's */
	struct pool *scratch;     /* one record's */
	struct wire_mailbox said; /* the command's header */
	struct spool *spool;
	struct mailbox *m;   /* NULL: there is none yet, or it is to be replaced */
	struct stage *stage; /* where the bodies are; NULL: not looked yet */
	bool made;           /* just created: its highestmodseq counts as 0 */
	/* What the dry run found. */
	uint64_t appends;
	uint64_t highest_record; /* highest modseq of a record sent */
	/* While it is written. */
	struct commit *commit;
	bool row_changed;
	struct staged *staged; /* bodies that stay open until the commit is finished */
	size_t n_staged, cap_staged;
};

/* Read the value and the line end; codes as wire_read_apply()'s. csync_update_end() in any case. */
int csync_update_read(struct csync_update *u, struct csync_answer *a, struct dlist_lexer *lx,
		      struct us_err *err);
int csync_update_apply(struct csync_update *u, struct us_err *err);
void csync_update_end(struct csync_update *u);

/* ---- among the files named above ------------------------------------------------------------------ */

/* The mailbox under that name with that uniqueid, open and locked in u->m. Makes it, or replaces an empty one, after the dry run
 * found that the command can be carried out. US_EMOVED, US_EBUSY. */
int csync_update_find(struct csync_update *u, struct us_err *err);
/* The header against ours, then the dry run: US_ECHANGED, US_ECHECKSUM, US_EREMOTE (another type; a body that was not sent),
 * US_EPROTO (a bad record). With u->m NULL: against a mailbox that is new. */
int csync_update_judge(struct csync_update *u, struct us_err *err);
int csync_update_write(struct csync_update *u, struct us_err *err);

enum csync_step {
	CSYNC_STEP_SKIP,
	CSYNC_STEP_APPEND,
	CSYNC_STEP_CHANGE,
	CSYNC_STEP_MODSEQ, /* expunged on both sides: only the modseq */
};
/* The record table: what is to be done with one. */
int csync_update_step(struct csync_update *u, const struct state_record *theirs,
		      enum csync_step *step, struct us_err *err);
/* A difference is believed only after our sums were counted from the records. */
bool csync_update_sums_fit(struct csync_update *u, struct sums theirs);

#endif
