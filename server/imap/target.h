/* target.h - the mailbox that APPEND, COPY and MOVE add to: found by name, locked, perhaps the selected one itself.
 *
 *	target_find()	by the name the client wrote; [TRYCREATE] if there is none but he could make it
 *	target_open()	locked: then commit.h
 *	target_close()	unlocked; what came is news to the session if the mailbox is selected
 */
#ifndef US_IMAP_TARGET_H
#define US_IMAP_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/err.h"
#include "server/base/span.h"
#include "server/imap/access.h"

struct imap_session;
struct mailbox;
struct uidset;

struct target {
	struct imap_session *s;
	struct mailbox *mailbox;
	bool is_selected;
	bool holds_selected; /* the selected mailbox, another one, is locked too */
	bool own_seen;       /* \Seen is a flag of the record for this user */
	uint32_t rights;     /* his */
};

/* 1: *out is it, and he may add to it. 0: the tagged line is set. Or a code. */
int target_find(struct imap_session *s, struct span external, struct access *out,
		struct us_err *err);
/* US_ECHANGED: the name is another mailbox's since. */
int target_open(struct imap_session *s, const struct access *access, struct target *out,
		struct us_err *err);
/* With the selected mailbox locked as well, as MOVE takes from it. */
int target_open_beside(struct imap_session *s, const struct access *access, struct target *out,
		       struct us_err *err);
void target_close(struct target *t); /* nothing opened is well */

/* The system flags, of those given, that he may set there, and that are flags of the record. */
uint32_t target_flags(const struct target *t, uint32_t system_flags);
/* Where !own_seen: he has seen these as well. A change by itself, behind the commit: before it, UIDs that come to nothing
 * would be seen, and so whatever gets them. What goes wrong is logged: the messages are there, and a NO would bring them a
 * second time. */
void target_add_seen(struct target *t, const struct uidset *uids);

/* Words for codes that mean something else here; other codes are given back. */
int target_fail(struct imap_session *s, int rc);

#endif
