/* append_private.h - what append.c and cmd_append.c share: an APPEND's words and its messages on the way in. */
#ifndef US_IMAP_APPEND_PRIVATE_H
#define US_IMAP_APPEND_PRIVATE_H

#include <stdbool.h>

#include "server/base/datetime.h"
#include "server/imap/annotate.h"
#include "server/imap/commands.h"
#include "server/imap/target.h"
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

/* One of a session, as long as it lives. */
struct append {
	struct stage *stage; /* on the partition of the last mailbox appended to; NULL: none yet */
	struct staged *staged; /* the messages of the command, as they come */
	size_t n, cap;
	uint64_t bytes;       /* of them */
	struct access access; /* to what; in the pool of the command */
};

#endif
