/* wire_item.h - what a server says before the last line of an answer: "* KEY value" CRLF. */
#ifndef US_RECONCILE_WIRE_ITEM_H
#define US_RECONCILE_WIRE_ITEM_H

#include "reconcile/wire_command.h"
#include "reconcile/wire_files.h"
#include "reconcile/wire_mailbox.h"
#include "reconcile/wire_types.h"

/* The member of the union that a kind fills stands behind it. */
enum wire_item_kind {
	WIRE_ITEM_MAILBOX,       /* mailbox */
	WIRE_ITEM_QUOTA,         /* quota */
	WIRE_ITEM_SEEN,          /* seen */
	WIRE_ITEM_LSUB,          /* names */
	WIRE_ITEM_SIEVE,         /* sieve.script */
	WIRE_ITEM_SIEVE_CONTENT, /* sieve: userid, script.filename, content; called SIEVE too */
	WIRE_ITEM_MESSAGE,       /* file; its octets went to the sink */
	WIRE_ITEM_ANNOTATION,    /* annotation */
	WIRE_ITEM_MISSING,       /* guids */
	WIRE_ITEM_ENABLED,       /* names */
	WIRE_ITEM_DIGESTS,       /* names: one SHA-256 in hex for each range */
	WIRE_ITEM_KINDS
};

struct wire_item {
	enum wire_item_kind kind;
	union {
		struct wire_mailbox mailbox;
		struct state_quota quota;
		struct state_seen seen;
		struct wire_names names;
		struct wire_guids guids;
		struct wire_sieve sieve;
		struct state_server_annotation annotation;
		struct wire_file file; /* without its partition */
	} u;
};

/* Read one line, "* " and CRLF included. Records and bodies go to the sinks (NULL: they are passed over); all else lives in
 * `pool`. An item of another name, and one that lacks a field, is US_EPROTO; lexer.ended tells whether the line was read. */
int wire_read_item(struct dlist_lexer *lx, struct pool *pool,
		   const struct wire_record_sink *records, const struct wire_file_sink *files,
		   struct wire_item *out, struct us_err *err);

/* Any but MAILBOX and MESSAGE, which are put in pieces: begin, the value, end. */
void wire_put_item(struct dlist_writer *w, const struct wire_item *item);
void wire_begin_item(struct dlist_writer *w, enum wire_item_kind kind);
void wire_end_item(struct dlist_writer *w);

#endif
