/* salvage_private.h - what the files of salvage.h share. */
#ifndef US_STORE_SALVAGE_PRIVATE_H
#define US_STORE_SALVAGE_PRIVATE_H

#include "server/store/salvage.h"

void salvage_name_flag(struct salvage *s, unsigned bit, struct span name,
		       enum salvage_name_source source);
void salvage_add_range(struct salvage_ranges *ranges, uint32_t low, uint32_t high, int64_t time_ns);
void salvage_remove(struct salvage *s, uint32_t low, uint32_t high);
/* A copy of the record, mended if it can be: false if it is beyond that. */
bool salvage_read_record(struct salvage *s, const void *bytes, struct record *out);

/* A file in private memory, to be mended there. NULL: there is none, it is empty, or (s->unread) it cannot be had. */
char *salvage_map(struct salvage *s, int dir, const char *name, size_t *size);
/* Something that is there could not be had; the first one is remembered. */
void salvage_note_unread(struct salvage *s, const struct us_err *err);
void salvage_unmap(char *map, size_t size);

/* Take in mbox.jnl.<generation>. base_last_uid: records above it that are lost were in this journal. */
void salvage_journal(struct salvage *s, const struct salvage_place *place, uint32_t generation,
		     uint32_t base_last_uid);
/* What no checksum vouches for (annotations of a damaged file) is held against the records' own sums of them. */
void salvage_annotations(struct salvage *s, const struct salvage_place *place, uint32_t generation);
void salvage_check_annotations(struct salvage *s);

#endif
