/* note.h - what somebody knew of the tables at some time: 64 bytes in a file of their own (doc/FORMATS.md 9.5).
 *
 * tables.note	the tables as the last checkpoint left them; they are never older than that, and seldom smaller
 * backup/note	the copy of them that is whole (backup.h)
 */
#ifndef US_STORE_META_NOTE_H
#define US_STORE_META_NOTE_H

#include <stdint.h>

#include "server/base/err.h"

struct note {
	uint32_t copy;      /* number of the copy; 0: the tables themselves */
	uint32_t first_log; /* the copy and the logs from this one on make the tables */
	uint64_t size;      /* bytes */
	uint64_t version;   /* the highest given until then */
	int64_t time_s;
};

/* 1, or 0 if there is none. US_ECORRUPT: it is none of ours, or damaged. */
int note_read(int dir, const char *name, struct note *out, struct us_err *err);
/* In place and without a sync: what is found after a crash may be old, or damaged. */
int note_write(int dir, const char *name, const struct note *note, struct us_err *err);
/* Durably, the old one or the new. */
int note_replace(int dir, const char *name, const struct note *note, struct us_err *err);

#endif
