/* append.h - APPEND's messages between the connection and a stage (server/store/stage.h).
 *
 * The framer asks about each literal of a command before it is read. For a message of APPEND the answer is to stream it
 * into a staged body of the partition the mailbox is on, or to refuse at once what would be refused later: no such mailbox, no
 * right, over the size limit or quota. run_append() finds the staged bodies in s->append, sees whether they are messages, and holds
 * the command back: append_settle.c commits it, together with those that came right behind it.
 */
#ifndef US_IMAP_APPEND_H
#define US_IMAP_APPEND_H

#include "server/imap/commands.h"

/* For APPEND's row in the table of commands. A refusal sets the tagged line by imap_no() before it returns. */
extern const struct command_stream append_stream;

#endif
