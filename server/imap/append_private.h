/* append_private.h - what append.c and cmd_append.c share: an APPEND's words and its message on the way in. */
#ifndef US_IMAP_APPEND_PRIVATE_H
#define US_IMAP_APPEND_PRIVATE_H

#include <stdbool.h>

#include "server/base/datetime.h"
#include "server/imap/commands.h"
#include "server/imap/target.h"
#include "server/store/stage.h"

/* What stands before the message. */
struct args_append {
	struct span mailbox; /* as the client wrote it */
	uint32_t system;     /* FLAG_* */
	const struct span *keyword;
	size_t n_keywords;
	bool has_date;
	struct datetime date;
};

/* SP mailbox [SP flag-list] [SP date-time] SP: 1; 0 if the text ends behind "SP", where the name of the mailbox is to
 * come, as a literal; or US_EPROTO with a text for BAD. */
int append_parse_words(struct scan *s, struct pool *pool, struct args_append *out,
		       struct us_err *err);

/* One of a session, as long as it lives. */
struct append {
	struct stage *stage; /* on the partition of the last mailbox appended to; NULL: none yet */
	struct staged staged;
	bool is_staged;       /* `staged` is being written or was */
	struct access access; /* to what; in the pool of the command */
};

#endif
