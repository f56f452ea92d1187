/* packet.h - what is said on metad's socket (doc/FORMATS.md 10): pure, both directions, both sides.
 *
 * A message (a request or an answer) is one packet, or several of which all but the last say MORE; its body is theirs
 * joined. packet_next() finds packets, message_add() joins them, request_parse() and answer_parse() read bodies. Everything
 * they give is borrowed from what they were given.
 */
#ifndef US_STORE_META_PACKET_H
#define US_STORE_META_PACKET_H

#include "server/store/meta/meta.h"

#define PACKET_MAX     (1u << 20)
#define PACKET_HEAD    16
#define PACKET_VERSION 1
#define PACKET_ANSWER  0x8000u /* added to the kind of the request */

enum packet_kind {
	PACKET_HELLO = 1,
	PACKET_GET = 2,
	PACKET_RANGE = 3,
	PACKET_BATCH = 4,
	PACKET_BARRIER = 5,
	PACKET_STAT = 6,
};

enum packet_flag { PACKET_MORE = 1 };

struct packet {
	uint16_t kind, flags;
	uint64_t number; /* of the request */
	struct span body;
};

/* The packet that begins `in`: 1 with its whole length in *used, 0 if more bytes are needed, US_EPROTO. */
int packet_next(struct span in, struct packet *out, size_t *used, struct us_err *err);

/* ---- messages ---------------------------------------------------------------------------------- */

struct message {
	uint16_t kind;
	uint64_t number;
	struct span body;
	bool open;         /* packets of it have come, but not the last */
	struct buf joined; /* their bodies */
};
#define MESSAGE_INIT               \
	{                          \
		.joined = BUF_INIT \
	}

/* Take one more packet: 1 if that makes the message whole (its body is good until the next call, and as long as the
 * packet), 0 if more are to come, US_EPROTO, US_ELIMIT if the body is above `most` bytes. */
int message_add(struct message *m, const struct packet *packet, size_t most, struct us_err *err);
void message_fini(struct message *m);
/* As many packets as it takes, appended. */
void message_put(struct buf *out, unsigned kind, uint64_t number, struct span body);

/* ---- requests ---------------------------------------------------------------------------------- */

enum range_flag { RANGE_KEYS_ONLY = 1 };

/* Entries a page ends with, however few they are: a page of fewer entries than were asked for, and fewer bytes
 * than this, is the end of the range. */
#define RANGE_PAGE_BYTES (256u << 10)

struct request {
	enum packet_kind kind;
	uint32_t version; /* HELLO */
	enum meta_table table;
	struct span key;        /* GET */
	struct span first, end; /* RANGE */
	uint8_t range_flags;
	uint32_t most;     /* RANGE: entries, at least 1 */
	struct span batch; /* BATCH: for batch_decode() */
};

int request_parse(unsigned kind, struct span body, struct request *out, struct us_err *err);
/* Bodies, appended. */
void request_hello(struct buf *out);
void request_get(struct buf *out, enum meta_table table, struct span key);
void request_range(struct buf *out, const struct request *range);

/* ---- answers ----------------------------------------------------------------------------------- */

/* An answer, appended. `text`: of the error, else empty. */
void answer_put(struct buf *out, unsigned request_kind, uint64_t number, int status,
		struct span text, struct span body);
/* The status, with its text in *err, or US_EPROTO; what the answer carries in *body. */
int answer_parse(struct span message_body, struct span *body, struct us_err *err);

/* The 24 bytes before each payload. */
#define VALUE_HEAD 24
void value_head_put(struct buf *out, const struct meta_stamp *stamp);
/* false: shorter than that, or a version that cannot be. */
bool value_split(struct span value, struct meta_stamp *stamp, struct span *payload);

void entry_put(struct buf *out, struct span key, struct span value);
/* Take an entry off *rest: 1, 0 at the end, US_EPROTO. */
int entry_next(struct span *rest, struct span *key, struct span *value, struct us_err *err);

#endif
