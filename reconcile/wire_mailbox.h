/* wire_mailbox.h - MAILBOX, the kvlist both sides compare, and the RECORDs in it.
 *
 *	MAILBOX	= %(UNIQUEID u MBOXNAME n ... [SINCE_MODSEQ ...] [RECORD (record ...)])
 *	record	= %(UID n MODSEQ n LAST_UPDATED t FLAGS (...) INTERNALDATE t SIZE n GUID g [ANNOTATIONS (...)])
 *
 * Fields are written in Cyrus's order and read in any. thrid, savedate and createdmodseq travel as "virtual" annotations
 * behind a record's real ones and are fields of struct state_record; one that has not the form its field can give back is
 * kept as the annotation it is.
 */
#ifndef US_RECONCILE_WIRE_MAILBOX_H
#define US_RECONCILE_WIRE_MAILBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/dlist_lexer.h"
#include "server/base/err.h"
#include "server/base/pool.h"
#include "server/store/state.h"

/* Most keywords one record may have: what a mailbox has bits for. */
#define WIRE_MAX_KEYWORDS 128

/* Fields of the header, in the order they are written in. */
enum wire_field {
	WIRE_UNIQUEID,
	WIRE_MBOXNAME,
	WIRE_MBOXTYPE,
	WIRE_SYNC_CRC,
	WIRE_SYNC_CRC_ANNOT,
	WIRE_LAST_UID,
	WIRE_HIGHESTMODSEQ,
	WIRE_RECENTUID,
	WIRE_RECENTTIME,
	WIRE_LAST_APPENDDATE,
	WIRE_POP3_LAST_LOGIN,
	WIRE_POP3_SHOW_AFTER,
	WIRE_XCONVMODSEQ,
	WIRE_RACLMODSEQ,
	WIRE_UIDVALIDITY,
	WIRE_PARTITION,
	WIRE_ACL,
	WIRE_OPTIONS,
	WIRE_QUOTAROOT,
	WIRE_CREATEDMODSEQ,
	WIRE_FOLDERMODSEQ,
	WIRE_ANNOTATIONS,
	WIRE_SINCE_MODSEQ,
	WIRE_SINCE_CRC,
	WIRE_SINCE_CRC_ANNOT,
	WIRE_RECORD,
	WIRE_FIELDS
};
#define WIRE_BIT(field) ((uint64_t)1 << (field))

struct wire_mailbox {
	struct state_mailbox state; /* without records; fields that did not come are zero */
	uint64_t seen;              /* WIRE_BIT() of the fields that came */
	/* A record lacked a field, was malformed, or had a UID that is not above the one before it: it and those behind it
	 * did not go to the sink. */
	bool bad_record;
	bool bad_annotations; /* the mailbox's own were malformed: US_EINVAL */
};

/* Is this type, "" or "e" being plain e-mail, of that base letter or with that flag letter? */
bool wire_type_has(struct span type, char letter);
/* A name without records: intermediate or deleted. */
bool wire_is_entry(const struct state_mailbox *m);
/* May a peer see it? Script mailboxes are shown to those who enabled SIEVE-MAILBOX. */
bool wire_is_visible(const struct state_mailbox *m, bool sieve_mailbox);

/* ---- reading ----------------------------------------------------------------------------------- */

/* Takes records one by one; what r points to lives until it returns. After a negative code it is called no more. */
struct wire_record_sink {
	int (*record)(void *ctx, const struct state_record *r, struct us_err *err);
	void *ctx;
};

/* The value of APPLY MAILBOX and the line end; records go to the sink as they come. Header fields live in `pool`. Codes as
 * in wire.h; what the sink gave goes before US_EINVAL. A bad record is only noted in *out: whether it matters depends on what
 * is found before it is reached. */
int wire_read_apply(struct dlist_lexer *lx, struct pool *pool, const struct wire_record_sink *sink,
		    struct wire_mailbox *out, struct us_err *err);

/* Deep copy into a pool. */
void wire_copy_record(struct pool *pool, const struct state_record *from, struct state_record *to);

/* A sink that keeps all records, in the pool; US_ELIMIT when that takes more than `most` bytes (0: no limit). */
struct wire_collector {
	struct pool *pool;
	size_t most;
	struct state_record *records;
	size_t n, cap;
};
struct wire_record_sink wire_collect(struct wire_collector *collector);

/* ---- writing ----------------------------------------------------------------------------------- */

enum wire_form {
	WIRE_REPLY,         /* to GET USER, MAILBOXES, UNIQUEIDS: no records */
	WIRE_REPLY_FULL,    /* to GET FULLMAILBOX */
	WIRE_APPLY,         /* an order; a short one if it is an entry */
	WIRE_APPLY_PARTIAL, /* an order that leaves the mailbox on its way: without sums */
};

/* All of it; records, where the form has them, are m->records. */
void wire_put_mailbox(struct dlist_writer *w, const struct state_mailbox *m, enum wire_form form);
/* Or in pieces: begin, each record, end. */
void wire_begin_mailbox(struct dlist_writer *w, const struct state_mailbox *m, enum wire_form form);
void wire_put_record(struct dlist_writer *w, const struct state_record *r);
void wire_end_mailbox(struct dlist_writer *w, const struct state_mailbox *m, enum wire_form form);

#endif
