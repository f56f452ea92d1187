/* record.h - one message's index record and a mailbox's counters, as they lie on disk, and their sums.
 *
 * The structs are the bytes of doc/FORMATS.md 2.1 and 2.2: the base index is used where it is mapped. Hence
 * little-endian machines only, which the assertions below say at compile time.
 */
#ifndef US_STORE_RECORD_H
#define US_STORE_RECORD_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/base/checksum.h"
#include "server/base/span.h"
#include "server/store/state.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the formats are used in place");

enum record_internal_flag {
	RECORD_EXPUNGED = 1u << 0,
	RECORD_UNLINKED = 1u << 1, /* its file is gone */
	RECORD_GONE = 1u << 31,    /* in memory only: an UNLINK op took it out of the mailbox */
};

#define USER_FLAGS 128

struct record {
	uint32_t uid;
	uint32_t system_flags; /* FLAG_* of state.h */
	uint32_t internal_flags;
	uint32_t header_size;
	uint64_t modseq;
	uint64_t createdmodseq;
	int64_t internaldate_ns;
	int64_t sentdate;
	int64_t gmtime;
	int64_t savedate;
	int64_t last_updated;
	uint64_t size;
	uint64_t user_flags
		[2]; /* bit b is bit b % 64 of word b / 64: byte b / 8, bit b % 8 on disk */
	uint64_t cid;
	uint64_t basecid;
	struct guid guid;
	uint32_t body_crc;
	uint64_t cache_offset;
	uint32_t cache_length;
	uint32_t cache_crc;
	uint32_t cache_version; /* 0: not cached */
	uint32_t annot_crc;     /* XOR of its real annotations' contributions to SYNC_CRC_ANNOT */
	uint32_t annot_bytes;
	uint32_t reserved1;
	uint64_t body_lsn;
	uint32_t reserved2[3];
	uint32_t crc;
};
static_assert(sizeof(struct record) == 192, "doc/FORMATS.md 2.2");

struct counters {
	uint32_t uidvalidity;
	uint32_t last_uid;
	uint64_t highestmodseq;
	uint64_t createdmodseq;
	uint64_t deletedmodseq;
	uint64_t xconvmodseq;
	uint64_t raclmodseq;
	uint32_t exists;
	uint32_t unseen;
	uint32_t answered;
	uint32_t flagged;
	uint32_t deleted;
	uint32_t options;
	uint64_t bytes_live;
	uint64_t bytes_deleted;
	uint64_t bytes_expunged;
	uint64_t annot_bytes;
	uint64_t records;
	int64_t last_append;
	int64_t first_expunged;
	int64_t last_repack;
	int64_t pop3_last_login;
	int64_t pop3_show_after;
	uint32_t recentuid;
	uint32_t first_unseen_uid;
	int64_t recenttime;
	uint32_t sync_crc;
	uint32_t sync_crc_annot;
	uint64_t reserved1[2];
	uint32_t first_unseen_seq;
	uint32_t reserved2[15];
};
static_assert(sizeof(struct counters) == 256, "doc/FORMATS.md 2.1");

/* SYNC_CRC_ANNOT of an empty mailbox (csync-protocol 9.2). */
#define SYNC_CRC_ANNOT_EMPTY 12345678u

static inline bool record_is_live(const struct record *r)
{
	return !(r->internal_flags & (RECORD_EXPUNGED | RECORD_GONE));
}

static inline bool record_has_user_flag(const struct record *r, unsigned bit)
{
	return r->user_flags[bit / 64] >> (bit % 64) & 1;
}

static inline void record_set_user_flag(struct record *r, unsigned bit, bool on)
{
	uint64_t mask = (uint64_t)1 << (bit % 64);

	r->user_flags[bit / 64] =
		on ? r->user_flags[bit / 64] | mask : r->user_flags[bit / 64] & ~mask;
}

static inline int64_t record_internaldate(const struct record *r)
{
	return r->internaldate_ns / 1000000000;
}

/* EMAILID and THREADID (RFC 8474) as a Cyrus makes them, so that a client finds the same ones behind a failover: of the
 * guid, and of the conversation. False: it is in none. */
#define RECORD_OBJECTID 28
void record_emailid(const struct record *r, char out[RECORD_OBJECTID]);
bool record_threadid(const struct record *r, char out[RECORD_OBJECTID]);

uint32_t record_crc(const struct record *r); /* what `crc` has to be */
bool record_is_sound(const struct record *r);

/* The names of user flags, with what the sums need of them. A bit without a name has name.ptr NULL. */
struct flag_names {
	struct {
		struct span name;
		uint32_t lower_crc; /* crc32 of the lower-case name */
	} bit[USER_FLAGS];
};
/* Bit of that name without ASCII case, or -1. */
int flag_names_find(const struct flag_names *names, struct span name);
int flag_names_free_bit(const struct flag_names *names); /* lowest bit without a name, or -1 */
/* `name` is borrowed. */
void flag_names_set(struct flag_names *names, unsigned bit, struct span name);

/* Contributions of one record to the mailbox's sums; an expunged record contributes nothing. */
uint32_t record_sync_crc(const struct record *r, const struct flag_names *names);
uint32_t record_sync_crc_annot(const struct record *r);
/* Of one real annotation, to record.annot_crc. */
uint32_t annotation_crc(uint32_t uid, struct span entry, struct span userid, struct span value);
/* Replace `before` (NULL: none) by `after` (NULL: it leaves the mailbox) in every counter that is a sum over
 * records. The first unseen message is view.c's work. */
void counters_replace(struct counters *c, const struct record *before, const struct record *after,
		      const struct flag_names *names);

#endif
