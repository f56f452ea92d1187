/* journal_private.h - what a frame must look like, for journal.c and for who salvages a damaged journal. */
#ifndef US_STORE_JOURNAL_PRIVATE_H
#define US_STORE_JOURNAL_PRIVATE_H

#include "server/store/journal.h"

#define JOURNAL_MAGIC       "USJNL1\r\n"
#define JOURNAL_VERSION     1
#define JOURNAL_FRAME_MAGIC 0x52465355u
#define JOURNAL_LONGEST \
	(JOURNAL_FRAME_MAX + (1u << 20)) /* one op may overshoot: an annotation's value, a batch */

/* The sum of a frame that is `length` bytes long, whatever it says itself. */
uint32_t journal_frame_crc(const struct journal_frame *frame, uint32_t length, uint32_t before);
/* Is it a frame at all, one that ends within `room` bytes? */
bool journal_frame_is_sane(const struct journal_frame *frame, uint64_t room);

#endif
