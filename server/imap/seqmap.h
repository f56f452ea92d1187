/* seqmap.h - sequence numbers and UIDs, mapped both ways.
 *
 * Kept as runs of consecutive UIDs: a mailbox nobody ever expunged from is one run, whatever its size; look-ups
 * cost by the logarithm of the runs, a bulk removal by their number. Pure.
 */
#ifndef US_IMAP_SEQMAP_H
#define US_IMAP_SEQMAP_H

#include <stddef.h>
#include <stdint.h>

struct uidset;

struct seqmap_run {
	uint32_t uid, seq; /* of its first message */
};

struct seqmap {
	struct seqmap_run *run;
	size_t n, cap;
	uint32_t count; /* messages in all */
};

void seqmap_free(struct seqmap *map);                        /* empty and usable after it */
void seqmap_append(struct seqmap *map, uint32_t uid);        /* above all that are in it */
uint32_t seqmap_uid(const struct seqmap *map, uint32_t seq); /* 0: no such number */
uint32_t seqmap_seq(const struct seqmap *map, uint32_t uid); /* 0: not in it */
/* How many UIDs at or below `uid` are in it. */
uint32_t seqmap_rank(const struct seqmap *map, uint32_t uid);
uint32_t seqmap_last_uid(const struct seqmap *map); /* 0: empty */
/* Take these out; all of them should be in it. */
void seqmap_remove(struct seqmap *map, const struct uidset *gone);
/* Length of run i. */
uint32_t seqmap_run_length(const struct seqmap *map, size_t i);

#endif
