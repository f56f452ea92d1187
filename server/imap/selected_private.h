/* selected_private.h - between selected.c and selected_news.c. */
#ifndef US_IMAP_SELECTED_PRIVATE_H
#define US_IMAP_SELECTED_PRIVATE_H

#include "server/imap/selected.h"

/* Note what changed in the view since `known`. */
void selected_note_changes(struct selected *sel);
/* Claim messages that nobody has seen as \Recent. What goes wrong is logged: then they are recent to somebody else. */
void selected_claim_recent(struct selected *sel);
/* Read this user's seen state again; messages whose \Seen changed become news. */
int selected_read_seen(struct selected *sel, struct us_err *err);

#endif
