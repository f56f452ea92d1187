/* rows.h - the payloads of metad's tables as structs (doc/FORMATS.md 9.2), and their keys.
 *
 * Pure: text in, struct out, and back. Spans of a decoded row point into the pool it was decoded into.
 */
#ifndef US_STORE_ROWS_H
#define US_STORE_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/base/pool.h"
#include "server/base/span.h"
#include "server/store/state.h"
#include "server/store/storeid.h"

#define FORMER_NAMES_MAX      8

/* Types as on the wire: a base letter, then flag letters. "" and "e" are plain e-mail. */
#define MBOXTYPE_INTERMEDIATE 'i'
#define MBOXTYPE_REMOTE       'r'
#define MBOXTYPE_DELETED      'd'

struct mailbox_row {
	struct span type; /* "e", "f", "ei", ... */
	struct span uniqueid;
	bool has_storeid; /* not for intermediate, remote and deleted entries */
	struct storeid storeid;
	struct span partition;       /* the peer's name of it */
	struct span local_partition; /* ours */
	struct span server;          /* remote entries */
	struct span acl;
	uint32_t uidvalidity;
	uint64_t createdmodseq, foldermodseq, lastmodseq, raclmodseq;
	int64_t mtime;
	struct span former[FORMER_NAMES_MAX]; /* newest last */
	size_t n_former;
};

bool mboxtype_has(struct span type, char flag);
bool mailbox_row_is_real(const struct mailbox_row *row); /* has a directory */
/* Remember `name` as a former name, the oldest falling out; a name already there moves to the end. */
void mailbox_row_add_former(struct mailbox_row *row, struct span name);

void mailbox_row_encode(const struct mailbox_row *row, struct buf *out);
int mailbox_row_decode(struct span payload, struct pool *pool, struct mailbox_row *out,
		       struct us_err *err);

struct tombstone_row {
	struct span name; /* last */
	struct span former[FORMER_NAMES_MAX];
	size_t n_former;
	uint32_t uidvalidity;
	uint64_t modseq;
	int64_t time;
};
void tombstone_row_encode(const struct tombstone_row *row, struct buf *out);
int tombstone_row_decode(struct span payload, struct pool *pool, struct tombstone_row *out,
			 struct us_err *err);

struct user_row {
	uint64_t modseq;
	uint32_t uidvalidity;
};
void user_row_encode(const struct user_row *row, struct buf *out);
int user_row_decode(struct span payload, struct user_row *out, struct us_err *err);

/* quota: the root is the key; state_quota without it. */
void quota_row_encode(const struct state_quota *row, struct buf *out);
int quota_row_decode(struct span payload, struct state_quota *out, struct us_err *err);

/* seen: the uniqueid is in the key. */
void seen_row_encode(const struct state_seen *row, struct buf *out);
int seen_row_decode(struct span payload, struct pool *pool, struct state_seen *out,
		    struct us_err *err);

/* annotation: entry and user are in the key. */
void annotation_row_encode(const struct state_annotation *row, struct buf *out);
int annotation_row_decode(struct span payload, struct pool *pool, struct state_annotation *out,
			  struct us_err *err);

struct duplicate_row {
	struct storeid storeid;
	uint32_t uid;
	int64_t time;
};
void duplicate_row_encode(const struct duplicate_row *row, struct buf *out);
int duplicate_row_decode(struct span payload, struct duplicate_row *out, struct us_err *err);

/* ---- keys; all append to *out ------------------------------------------------------------------- */

void tombstone_key(char kind, struct span id, struct buf *out); /* 'M', 'U' or 'Q' */
void tombstone_name_key(struct span name, struct span uniqueid,
			struct buf *out); /* uniqueid empty: the prefix */
void subscription_key(struct span userid, struct span name,
		      struct buf *out); /* name empty: the prefix */
void seen_key(struct span userid, struct span uniqueid, struct buf *out);
/* id NULL: of the server. entry empty: the prefix. */
void annotation_key(const struct storeid *id, struct span entry, struct span userid,
		    struct buf *out);
void duplicate_key(struct span id, struct span uniqueid, struct span date, struct buf *out);

/* What stands behind a prefix in a key, split at the NUL where there are two parts. */
bool annotation_key_split(struct span key, struct span *entry, struct span *userid);

#endif
