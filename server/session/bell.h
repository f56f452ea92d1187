/* bell.h - hear when somebody publishes a change of a mailbox.
 *
 * Each publication writes the mailbox's mbox.lk. Who hears that is idled, for everybody, with one instance of inotify(7): of those
 * the system has few (fs.inotify.max_user_instances, 128 for all processes of a user). Where idled does not run, or has just gone,
 * or does not answer, a session takes an instance of its own, for as long as that lasts; if there is none left it looks every
 * imapidlepoll seconds.
 *
 *	   WATCH sent	       HUNG
 *	NONE -------> ASKED ----------> HUNG		a connection of idled's
 *	  ^ ^-- FELL ---'---------------' |
 *	  '---- EOF, REFUSED ------------'		closed; asked again later, at once after an EOF
 *
 * Nothing is missed from one to the other: the mailbox is to be looked at after every call of bell_tend(), before waiting, and
 * after whatever bell_fds() brings; and HUNG is brought. An instance of our own is given up when HUNG has come, not before.
 */
#ifndef US_SESSION_BELL_H
#define US_SESSION_BELL_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/err.h"

struct mailbox;

#define BELL_FDS 2

/* Embedded by who selects a mailbox; its members are bell.c's. */
struct bell {
	int fds[BELL_FDS]; /* of idled; an instance of our own. -1: not had */
	enum bell_state { BELL_NONE, BELL_ASKED, BELL_HEARS } state; /* with idled */
	bool own_hung;
	int64_t asked_ms, retry_ms;
	int pause_ms; /* before idled is tried again, when it is next found not to run */
};

void bell_init(struct bell *bell);
void bell_fini(struct bell *bell);

/* See to it that somebody rings for this mailbox, which is always the same. To be called before each wait; look at the mailbox
 * between the two. idlesocket: idled's path; NULL: there is none.
 * Returns  0, or an error if nobody does: then it has to be looked at from time to time.
 * Blocks   not. */
int bell_tend(struct bell *bell, const char *idlesocket, struct mailbox *m, struct us_err *err);
/* How long one may wait before bell_tend() has something to do again; -1: no limit. */
int bell_wait_ms(const struct bell *bell);
/* One of fds was readable: take in what it says, all of it. */
void bell_take(struct bell *bell);

#endif
