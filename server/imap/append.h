/* append.h - APPEND's message between the connection and a stage (server/store/stage.h).
 *
 * The framer asks about each literal of a command before it is read. For APPEND's message the answer is to stream it
 * into a staged body of the partition the mailbox is on, or to refuse at once what would be refused later: no such mailbox, no
 * right, over the size limit or quota. run_append() finds the staged body in s->append.
 */
#ifndef US_IMAP_APPEND_H
#define US_IMAP_APPEND_H

#include "server/imap/framer.h"

struct imap_session;

/* The framer's hook for commands that begin with "tag APPEND ". FRAMER_REFUSE after imap_no(): the tagged line is set. */
enum framer_verdict append_literal(struct imap_session *s, const struct framer_literal *literal,
				   struct us_err *err);
int append_put(struct imap_session *s, const void *data, size_t len, struct us_err *err);
/* The command is over, whatever became of it: what was staged and not used is dropped. */
void append_end(struct imap_session *s);
/* The session is over. */
void append_free(struct imap_session *s);

#endif
