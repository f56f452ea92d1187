/* sync.h - make objects of the replica equal to ours: users, mailboxes, and what belongs to them.
 *
 * Decisions are reconcile's; this folder carries them out. What one pass needs hangs on struct sync.
 *
 *	folders.c   a user's or a set of mailboxes: states of both sides, the plan, its order
 *	update.c    one mailbox: which records and bodies, in steps; attempts until it fits
 *	bodies.c    RESERVE and MESSAGE
 *	full.c	    one mailbox, all records compared
 *	meta.c	    quota roots, subscriptions, seen, annotations, scripts
 *	known.c	    how the replica's mailboxes were when we last left them
 */
#ifndef US_SYNC_CLIENT_SYNC_H
#define US_SYNC_CLIENT_SYNC_H

#include <stdbool.h>
#include <stdio.h>

#include "reconcile/decide.h"
#include "reconcile/reserve.h"
#include "server/base/err.h"
#include "server/base/pool.h"
#include "server/session/host.h"
#include "sync_client/known.h"
#include "sync_client/link.h"

struct sync {
	struct host *host;
	struct store *store;
	struct link *link; /* the caller's */
	struct decide_options options;
	struct reserve *reserve;
	struct known *known;   /* the caller's; NULL: the replica is asked every time */
	const char *lock_host; /* part of the names of sync locks; "" until it is set */
	bool no_wait;          /* -N: a locked user is US_EBUSY at once */
	bool verbose;          /* -v: actions on standard output */
	bool log_actions;      /* -l: and in the log */
	bool local_only;       /* -L: the replica tells nobody else (LOCAL_ forms) */
};

/* All of *s but what a command line says: that is the caller's to set. */
void sync_init(struct sync *s, struct host *host);
void sync_fini(struct sync *s);
/* The link to work over, which has staged nothing yet; NULL: there is none. */
void sync_attach(struct sync *s, struct link *link);

/* Results: 0; US_E codes of the object; those of link_is_lost() when the link is of no more use. */

/* All of a user. *exists (may be NULL): he has an INBOX here; if not, only the mailboxes that he has left here are compared, and
 * none is removed. */
int sync_user(struct sync *s, struct span userid, bool *exists, struct us_err *err);
/* These mailboxes, of any owner; none is removed. */
int sync_mailboxes(struct sync *s, const struct span *names, size_t n, struct us_err *err);
/* Seen state, subscriptions, scripts of a user; exists as above. */
int sync_meta(struct sync *s, struct span userid, bool *exists, struct us_err *err);

/* What the replica staged for us it may forget; so do we. */
int sync_restart(struct sync *s, struct us_err *err);

/* One object each, as the lines of a log name them. */
int sync_quota(struct sync *s, struct span root, struct us_err *err);
int sync_server_annotations(struct sync *s, struct us_err *err);
int sync_seen(struct sync *s, struct span userid, struct span uniqueid, struct us_err *err);
int sync_subscription(struct sync *s, struct span userid, struct span name, struct us_err *err);
int sync_removed_mailbox(struct sync *s, struct span name, struct us_err *err);
/* only_if_there: not if the replica seems to have nothing of him; a log line says it in any case. */
int sync_removed_user(struct sync *s, struct span userid, bool only_if_there, struct us_err *err);

/* A walk over everything. */
struct sync_walk {
	struct span
		prefix; /* only users whose id begins so; empty: all, and all that is nobody's */
	/* That object could not be made equal; the walk goes on. The line is a sync log's, without its end. */
	void (*failed)(void *ctx, struct span line, const struct us_err *why);
	/* The link was lost: attach another one, then the object is tried again; or fail, and the walk ends. */
	int (*reconnect)(void *ctx, struct us_err *err);
	/* Between two objects. May be NULL. */
	int (*between)(void *ctx, struct us_err *err);
	void *ctx;
};

/* Everything: users, shared mailboxes, quota roots, server annotations, removals. 0 even if objects failed. */
int sync_everything(struct sync *s, const struct sync_walk *walk, struct us_err *err);

/* Say what is done: "MAILBOX user.bob". */
void sync_say(const struct sync *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
