/* resync.h - what a client missed since it was last here (RFC 7162, 3.2): QRESYNC.
 *
 *	qresync	= "QRESYNC" SP "(" uidvalidity SP modseq [SP known-uids] [SP "(" known-numbers SP their-uids ")"] ")"
 *
 * What changed has a record with a higher modseq. So has what was expunged, for as long as the record is kept; counters.deletedmodseq
 * says up to which modseq records may be gone. A client that is older than that is told of every UID that is no message's,
 * as far as its numbers do not show that it knows: telling too much costs a line, telling too little a ghost.
 *
 * A client that claims a modseq from the future talked to a server that knew more than we: it is told everything.
 */
#ifndef US_IMAP_RESYNC_H
#define US_IMAP_RESYNC_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/stream.h"
#include "server/imap/token.h"

struct selected;
struct uidset;

struct resync_args {
	uint32_t uidvalidity;
	uint64_t modseq;
	bool has_uids, has_match;
	struct token_set uids;                      /* of the messages the client knows */
	struct token_set match_numbers, match_uids; /* some of them, with the numbers they had */
};

/* Behind "QRESYNC". Marks the scan bad. */
struct resync_args resync_parse(struct scan *s, struct pool *pool);

/* Behind what SELECT says: VANISHED (EARLIER) and a FETCH for all that changed. Nothing if the UIDs the client knows are of
 * another mailbox (uidvalidity). */
void resync_tell(struct selected *sel, const struct resync_args *args, struct stream *out);
/* VANISHED (EARLIER) for those of `uids` that were expunged above `modseq` and have no number any more. */
void resync_tell_vanished(struct selected *sel, const struct uidset *uids, uint64_t modseq,
			  struct stream *out);

/* "* VANISHED (EARLIER) 1:5,7"; nothing for none. */
void resync_put_vanished(struct stream *out, const struct uidset *uids, bool earlier);

#endif
