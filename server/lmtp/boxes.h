/* boxes.h - mailboxes that a connection keeps open between messages: a list's mail comes to the same people again.
 *
 * What is kept is only the work of opening: whoever takes a mailbox from here locks it, and finds it brought up to date, renamed
 * or gone then.
 */
#ifndef US_LMTP_BOXES_H
#define US_LMTP_BOXES_H

#include <stddef.h>

#include "server/base/span.h"

struct mailbox;

#define BOXES_MOST 16 /* each has a handful of descriptors */

struct boxes {
	struct mailbox *kept[BOXES_MOST]; /* the last used first */
	size_t n;
};

/* The mailbox that had this name when it was kept, not kept any longer; NULL: none. */
struct mailbox *boxes_take(struct boxes *b, struct span name);
/* Keep it, unlocked; the one used longest ago may be closed. NULL is well. */
void boxes_give(struct boxes *b, struct mailbox *m);
void boxes_close(struct boxes *b);

#endif
