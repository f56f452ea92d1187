/* append_private.h - what append.c, cmd_append.c and append_settle.c share: an APPEND's words, its messages on the way in, and
 * the commands that are held back. */
#ifndef US_IMAP_APPEND_PRIVATE_H
#define US_IMAP_APPEND_PRIVATE_H

#include <stdbool.h>

#include "server/base/datetime.h"
#include "server/imap/annotate.h"
#include "server/imap/commands.h"
#include "server/imap/session.h"
#include "server/imap/target.h"
#include "server/imap/uidset.h"
#include "server/store/stage.h"

/* What stands before a message. */
struct append_message {
	uint32_t system; /* FLAG_* */
	const struct span *keyword;
	size_t n_keywords;
	bool has_date;
	struct datetime date;
	struct annotate_values annotations;
};

struct args_append {
	struct span mailbox; /* as the client wrote it */
	const struct append_message *message;
	size_t n;
};

/* SP mailbox SP: 1; 0 if the text ends behind the first SP, where the name of the mailbox is to come, as a literal; or
 * US_EPROTO with a text for BAD. */
int append_parse_mailbox(struct scan *s, struct pool *pool, struct span *out, struct us_err *err);
/* [flag-list SP] [date-time SP] ["ANNOTATION" SP annotations SP]: 1; 0 if the text ends within the annotations, where a string is to
 * come, as a literal that is no message; or US_EPROTO. */
int append_parse_message(struct scan *s, struct pool *pool, struct append_message *out,
			 struct us_err *err);

struct append_body {
	struct staged staged;
	int64_t internaldate_ns; /* once it is whole */
};

/* An APPEND as it comes, and then as it waits. */
struct append_command {
	struct append_body *body;
	size_t n, cap;
	uint64_t bytes;       /* announced of them */
	struct access access; /* to what; in the pool of the command */

	/* Once it is held. */
	struct imap_held held;
	const struct args_append *args; /* in its pool */
	struct uidset uids;             /* that its messages got */
};

/* One of a session, as long as it lives. */
struct append {
	struct stage *stage; /* on the partition of the last mailbox appended to; NULL: none yet */
	struct append_command now;   /* the command that is coming */
	struct append_command *held; /* those before it, all to one mailbox, in order */
	size_t n_held, cap_held;
	size_t held_messages;
	uint64_t held_bytes; /* of messages, and of what was said of them */
};

void append_command_fini(struct append_command *c); /* its bodies go, and nothing is left in it */
/* For append_stream: commit and answer those held. */
void append_settle(struct imap_session *s);

#endif
