/* sums.h - the two checksums of a mailbox, and when two sides' agree (csync's rules; doc/FORMATS.md has our own digests).
 *
 *	basic	XOR over live records of crc32("UID MODSEQ LAST_UPDATED (F) INTERNALDATE GUID"),
 *		F being the XOR of crc32 of each flag's lower-case name
 *	annot	12345678 XOR, for each annotation of a live record, crc32("UID ENTRY USERID VALUE"); thrid, savedate
 *		and createdmodseq count as annotations too
 *
 * The store keeps them in its counters (server/store/record.h). Here they are counted from plain data, whoever it came from.
 */
#ifndef US_RECONCILE_SUMS_H
#define US_RECONCILE_SUMS_H

#include <stdbool.h>
#include <stdint.h>

#include "server/store/state.h"

struct sums {
	uint32_t basic, annot; /* 0: do not care */
};

#define SUMS_ANNOT_EMPTY 12345678u
/* Of an empty mailbox: what sums_add() begins with. */
#define SUMS_EMPTY       ((struct sums){0, SUMS_ANNOT_EMPTY})

/* Add (or take away again) one record's share. */
void sums_add(struct sums *s, const struct state_record *r);
/* What a header says; a sum it leaves out is 0. */
struct sums sums_said(const struct state_mailbox *m);
/* Is no component non-zero on both sides and different? */
bool sums_agree(struct sums a, struct sums b);

#endif
