/* index.h - the base index mbox.idx: fixed records sorted by UID, mapped, never written in place.
 *
 * doc/FORMATS.md 2 has the bytes. A base is made whole under another name and renamed; whoever has it mapped keeps
 * what he sees. Header and names are checked when it is opened, records block by block when first touched.
 */
#ifndef US_STORE_INDEX_H
#define US_STORE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/store/record.h"
#include "server/store/storeid.h"

#define INDEX_FILE    "mbox.idx"
#define INDEX_MAGIC   "USIDX1\r\n"
#define INDEX_VERSION 1
#define INDEX_BLOCK   4096u /* records that one maximum stands for */

struct index_header {
	char magic[8];
	uint32_t version;
	uint32_t record_size;
	struct storeid storeid;
	uint32_t generation;
	uint32_t annot_generation; /* 0: there is no such file */
	uint32_t cache_generation;
	uint32_t reserved1;
	uint64_t n_records;
	uint64_t serial;
	uint64_t names_offset, names_length, maxima_offset, records_offset;
	uint32_t sections_crc;
	uint32_t reserved2;
	int64_t written_ns;
	char reserved3[144];
	struct counters counters;
	char uniqueid[256]; /* length, then the bytes */
	char reserved4[3324];
	uint32_t crc;
};
static_assert(sizeof(struct index_header) == 4096, "doc/FORMATS.md 2");

struct index_base {
	const struct index_header *header; /* NULL: not open */
	size_t length;                     /* of the mapping */
	const uint64_t *maxima;
	const struct record *records;
	uint64_t n_records;
	uint8_t *checked; /* a bit a block; the records' crcs were looked at */
	bool first_is_sound;
};

/* Map the index in directory `dir`. US_ENOENT: there is none. US_ECORRUPT: it is not what it says. */
int index_open(int dir, struct index_base *out, struct us_err *err);
void index_close(struct index_base *base);
struct span index_uniqueid(const struct index_base *base);
/* Name every user flag of the base; the spans point into the mapping. */
void index_flag_names(const struct index_base *base, struct flag_names *names);
/* The same from the bytes of that section; the spans point into them. */
void index_names_of(struct span section, struct flag_names *names);

/* Record number i, checked; NULL if its crc is wrong. */
const struct record *index_record(struct index_base *base, uint64_t i);
/* Number of the first record with a UID of at least `uid`; n_records if there is none. Records whose crc is wrong lead nobody
 * astray: the number may be that of one, if its neighbours do not say that it has another UID. */
uint64_t index_lower_bound(const struct index_base *base, uint32_t uid);
/* Highest modseq of the block record i is in. */
uint64_t index_block_modseq(const struct index_base *base, uint64_t i);

/* What a new base is made of; `header` needs storeid, generations, serial, counters and uniqueid, the rest is
 * filled. next() gives the records in UID order, NULL at the end; their crc fields are set on the way. Makes
 * mbox.idx.new and fsyncs it; naming it mbox.idx is the caller's step. */
struct index_source {
	const struct record *(*next)(void *ctx);
	void *ctx;
};
int index_write_new(int dir, struct index_header *header, const struct flag_names *names,
		    uint64_t n_records, const struct index_source *source, struct us_err *err);

#endif
