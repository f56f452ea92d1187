/* csync_private.h - a connection's state, and the handlers of commands. */
#ifndef US_CSYNC_CSYNC_PRIVATE_H
#define US_CSYNC_CSYNC_PRIVATE_H

#include <stdbool.h>

#include "server/csync/csync.h"
#include "server/csync/update.h"
#include "server/store/commit.h"
#include "server/store/folder.h"
#include "server/store/message.h"
#include "server/store/stage.h"

struct csync {
	struct host *host;
	struct store *store;
	struct stage **stages; /* by number of the partition; NULL: none yet */
	size_t n_stages;
	uint64_t spool_max;
	bool force;         /* APPLY FORCE was given */
	bool sieve_mailbox; /* that capability was enabled */
};

/* One command being answered. */
struct csync_answer {
	struct csync *cs;
	struct stream *out;
	struct pool *pool; /* the command's own */
	struct buf text;   /* lines not yet written to the stream */
	struct dlist_writer writer;
};

/* Hand what was put into the writer to the stream; handlers that write much do it now and then. */
void csync_push(struct csync_answer *a);
void csync_push_much(struct csync_answer *a); /* only if it has become much */

/* get.c: the MAILBOX line of that name, if there is one and the peer may see it: 1 and *out filled, 0: no such mailbox. */
int csync_put_mailbox(struct csync_answer *a, struct span name, struct pool *pool,
		      struct state_mailbox *out, struct us_err *err);

/* The stage for what a peer calls that partition. */
int csync_stage(struct csync *cs, struct span partition, struct stage **out, struct us_err *err);

/* Can that be a user id? US_EINVAL: empty, too long, with control characters. */
int csync_check_user(struct span userid, struct us_err *err);

/* get.c, get_user.c, get_digests.c, fetch.c */
int csync_get_user(struct csync_answer *a, const struct wire_command *c, struct us_err *err);
int csync_get_meta(struct csync_answer *a, const struct wire_command *c, struct us_err *err);
int csync_get_digests(struct csync_answer *a, const struct wire_command *c, struct us_err *err);
int csync_get_mailboxes(struct csync_answer *a, const struct wire_command *c, struct us_err *err);
int csync_get_uniqueids(struct csync_answer *a, const struct wire_command *c, struct us_err *err);
int csync_get_fullmailbox(struct csync_answer *a, const struct wire_command *c, struct us_err *err);
int csync_get_quota(struct csync_answer *a, const struct wire_command *c, struct us_err *err);
int csync_get_annotation(struct csync_answer *a, const struct wire_command *c, struct us_err *err);
int csync_get_fetch(struct csync_answer *a, const struct wire_command *c, struct us_err *err);
/* apply.c */
int csync_apply_capabilities(struct csync_answer *a, const struct wire_command *c,
			     struct us_err *err);
int csync_apply_force(struct csync_answer *a, const struct wire_command *c, struct us_err *err);
int csync_apply_rename(struct csync_answer *a, const struct wire_command *c, struct us_err *err);
int csync_apply_unmailbox(struct csync_answer *a, const struct wire_command *c, struct us_err *err);
int csync_apply_expunge(struct csync_answer *a, const struct wire_command *c, struct us_err *err);
int csync_apply_quota(struct csync_answer *a, const struct wire_command *c, struct us_err *err);
int csync_apply_unquota(struct csync_answer *a, const struct wire_command *c, struct us_err *err);
int csync_apply_sub(struct csync_answer *a, const struct wire_command *c, struct us_err *err);
int csync_apply_seen(struct csync_answer *a, const struct wire_command *c, struct us_err *err);
int csync_apply_annotation(struct csync_answer *a, const struct wire_command *c,
			   struct us_err *err);
int csync_apply_unuser(struct csync_answer *a, const struct wire_command *c, struct us_err *err);
/* reserve.c */
int csync_apply_reserve(struct csync_answer *a, const struct wire_command *c, struct us_err *err);
/* sieve.c: scripts, for peers that do not send them as a mailbox */
int csync_get_fetch_sieve(struct csync_answer *a, const struct wire_command *c, struct us_err *err);
int csync_apply_sieve(struct csync_answer *a, const struct wire_command *c, struct us_err *err);
int csync_apply_unsieve(struct csync_answer *a, const struct wire_command *c, struct us_err *err);
int csync_apply_activate_sieve(struct csync_answer *a, const struct wire_command *c,
			       struct us_err *err);

/* messages.c reads its own value. */
int csync_read_messages(struct csync_answer *a, struct dlist_lexer *lx, struct us_err *err);

#endif
