/* selected.h - the selected mailbox as this session sees it.
 *
 * Two things move: the mailbox, whenever anybody commits, and what this client was told of it, only when we tell
 * him. A struct selected is the second over a view of the first:
 *
 *	view	  uids 3 5 (7 expunged) 9 11 12		mailbox_refresh(), mailbox_lock()
 *	told	  1=3 2=5 3=7 4=9 5=11			EXISTS 5; 12 is news, and so is 3 EXPUNGE
 *
 * selected_update() makes told follow view, and writes what changed. It runs where the protocol lets it (the session
 * loop, IDLE). In between numbers do not move, whatever others do.
 *
 * Invariants
 *  (1) No FETCH or EXPUNGE is written for a number above the last EXISTS.
 *  (2) No EXPUNGE is written while a command that keeps numbers runs.
 *  (3) A message is \Recent in exactly one session, that of whoever claimed it first; not in a read-only one,
 *	which shows it without claiming.
 *  (4) Nothing costs by the number of messages but what looks at them: the map of numbers is made when first asked
 *	for, with QRESYNC at once, and kept as runs of consecutive UIDs (seqmap.h); news come from the records that
 *	changed.
 *  (5) Whenever the view has moved, what moved was noted as news (`known` is the view's modseq): what moves it is
 *	selected_update(), selected_lock(), selected_lock_with(), and the claim of \Recent within the first.
 *
 * \Seen is the owner's in the record; another user's is his own, in metad (userdata.h), unless the mailbox has the
 * option sharedseen. selected_flags() and selected_set_seen() hide the difference.
 */
#ifndef US_IMAP_SELECTED_H
#define US_IMAP_SELECTED_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/err.h"
#include "server/base/span.h"
#include "server/base/stream.h"
#include "server/imap/seqmap.h"
#include "server/imap/token.h"
#include "server/imap/uidset.h"
#include "server/session/bell.h"
#include "server/store/mailbox.h"

struct access;
struct imap_session;

/* Any of these makes a mailbox read-write. */
#define SELECTED_WRITE_RIGHTS \
	(ACL_INSERT | ACL_SETSEEN | ACL_WRITE | ACL_EXPUNGE | ACL_DELETEMSG | ACL_ANNOTATEMSG)

struct selected {
	struct imap_session *session;
	struct mailbox
		*mailbox; /* ours; locked only between selected_lock() and selected_unlock() */
	bool read_only;   /* EXAMINE, no rights to write, or a read-only server */
	bool examined;    /* it was opened read-only: more rights do not change that */
	bool own_seen;    /* \Seen is in the record: owner, or sharedseen */
	bool tells_annotations; /* SELECT (ANNOTATE): changes of them are told */
	bool was_deleted;       /* opened by its name below DELETED */
	uint32_t rights;
	uint64_t row_version; /* that the rights were read from */

	/* What the client was told. */
	uint32_t exists, recent;
	uint32_t last_uid; /* messages up to this one have numbers */
	bool mapped;       /* `map` is made */
	struct seqmap map;
	uint64_t told_modseq;    /* HIGHESTMODSEQ, when he last knew all */
	struct flag_names names; /* in use when FLAGS was last written: the lengths only */

	/* News, found and not told yet. */
	uint64_t known;                  /* what changed up to this modseq is told or below */
	struct uidset changed, expunged; /* UIDs with a number */
	uint32_t
		phantoms; /* at the end of the numbers: messages gone without a trace before there was a map */

	struct uidset recents; /* \Recent here */
	struct uidset saved;   /* "$": what the last SEARCH with SAVE found (RFC 5182) */
	struct uidset seen;    /* of this user, unless own_seen */
	struct buf seen_text;  /* as it was read */
	uint32_t seen_last_uid;
	struct bell bell; /* IDLE waits for it */
};

/* Open `name` (internal) and claim its recent messages. Tells nothing: SELECT does. */
int selected_open(struct imap_session *s, struct span name, uint32_t rights, bool examine,
		  struct selected **out, struct us_err *err);
void selected_close(struct selected **sel);
/* Is it the mailbox that was found? No, if nothing is selected. */
bool selected_is(const struct imap_session *s, const struct access *found);

/* ---- numbers -------------------------------------------------------------------------------------- */

/* Make the map now: what is told as UIDs (VANISHED) has to be known as such before it is gone. */
void selected_map(struct selected *sel);
uint32_t selected_seq(struct selected *sel,
		      uint32_t uid); /* 0: no number (unknown, or not told yet) */
uint32_t selected_uid(struct selected *sel,
		      uint32_t seq); /* 0: above EXISTS, or gone without a trace */

/* The UIDs a sequence set (by_uid: a UID set) stands for, added to *out as ranges between which may lie UIDs that are no
 * message's. 0; US_ENOENT if sequence numbers were given and none of them is a message's ("No matching messages"). "$" is
 * what was saved, which may be nothing. */
int selected_resolve(struct selected *sel, const struct token_set *set, bool by_uid,
		     struct uidset *out, struct us_err *err);

/* Walk the messages of a UID set that have a number, ascending:
 *
 *	struct selected_walk walk = selected_walk(sel, &uids);
 *	while ((r = selected_next(&walk, &seq)))
 *
 * Messages that are expunged, but not told to be, come too if their record is still there: check
 * record_is_live(). `uids` is borrowed; the mailbox must not be refreshed or locked meanwhile. */
struct selected_walk {
	struct selected *sel;
	const struct uidset *uids;
	struct view_walk walk;
	size_t range; /* of uids */
	bool positioned;
};
struct selected_walk selected_walk(struct selected *sel, const struct uidset *uids);
const struct record *selected_next(struct selected_walk *walk, uint32_t *seq);

/* ---- flags ---------------------------------------------------------------------------------------- */

bool selected_is_recent(const struct selected *sel, uint32_t uid);
/* FLAG_* as this user sees them. */
uint32_t selected_flags(const struct selected *sel, const struct record *r);
/* "(\Recent \Answered \Seen work)" */
void selected_put_flags(struct selected *sel, struct stream *out, const struct record *r);
/* "* 3 FETCH (FLAGS (\Seen))", with UID in the UID form and with QRESYNC, with MODSEQ if the client wants to know. */
void selected_put_change(struct selected *sel, struct stream *out, uint32_t seq,
			 const struct record *r);
/* FLAGS and PERMANENTFLAGS again if keywords came that this client has not heard of. */
void selected_tell_names(struct selected *sel, struct stream *out);
/* FLAGS, PERMANENTFLAGS. */
void selected_put_names(struct selected *sel, struct stream *out);
/* This user has (not) seen these messages; only where !own_seen, else \Seen is a flag of the record. Durable when it
 * returns. The mailbox may be locked (selected_lock) or not. */
int selected_set_seen(struct selected *sel, const struct uidset *uids, bool on, struct us_err *err);

/* ---- changing it ---------------------------------------------------------------------------------- */

/* mailbox_lock(), and what others changed before becomes news, this user's \Seen in other sessions too. Then
 * commit; then selected_unlock() with the modseq of our commit (0: there was none), up to which nothing is news to
 * this client: the handler tells him itself. An expunge is given 0, so that selected_update() tells it. */
int selected_lock(struct selected *sel, struct us_err *err);
/* The same with another mailbox, for what concerns both: both are locked, or none. */
int selected_lock_with(struct selected *sel, struct mailbox *other, struct us_err *err);
void selected_unlock(struct selected *sel, uint64_t told_modseq);

/* ---- news ----------------------------------------------------------------------------------------- */

enum selected_news {
	SELECTED_KEEP_NUMBERS, /* all but EXPUNGE */
	SELECTED_ALL,
};
/* Take in what was published and write it: EXPUNGE (with QRESYNC VANISHED), EXISTS, RECENT, FLAGS, FETCH. US_ENOENT: the mailbox is gone
 * (deleted, or no longer for this user). Does not flush. */
int selected_update(struct selected *sel, enum selected_news what, struct us_err *err);

/* ---- what SELECT and STATUS say ------------------------------------------------------------------- */

/* Number of the first message this user has not seen; 0: none. */
uint32_t selected_first_unseen(struct selected *sel);

/* Is \Seen in the records of that mailbox for this user? */
bool seen_is_own(const struct imap_session *s, struct span name, uint32_t options);

#endif
