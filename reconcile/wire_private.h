/* wire_private.h - how kvlists and lists are read: a table of fields, each with the function that reads its value.
 *
 * A field's function gets the first token of the value and must use up the whole value. It says 1: stored at `at`; 0: the
 * value had another form, and the field counts as missing; or a negative code: the line makes no sense any more.
 */
#ifndef US_RECONCILE_WIRE_PRIVATE_H
#define US_RECONCILE_WIRE_PRIVATE_H

#include <stdbool.h>

#include "reconcile/wire.h"

struct wire_reader {
	struct dlist_lexer *lx;
	struct pool *pool; /* where what is read is kept, at most lx->limits.tree bytes */
	bool in_record;    /* one record may take a quarter of that */
	const struct wire_record_sink *records;
	const struct wire_file_sink *files;
	bool bad_record;
	int sink_rc; /* what a sink gave, with its sentence */
	struct us_err sink_err;
};

typedef int wire_field_fn(struct wire_reader *r, int token, void *at, struct us_err *err);

struct wire_field_row {
	const char *key;
	wire_field_fn *read;
	size_t at; /* offset in the struct that is filled */
};

/* Read the kvlist whose "%(" was just taken; bit i of *seen: row i had a value. Of a key that comes twice the first counts; keys
 * nobody asked for are passed over. */
int wire_read_fields(struct wire_reader *r, const struct wire_field_row *rows, size_t n, void *out,
		     uint64_t *seen, struct us_err *err);

/* Pass over a value whose first token was just read. 0, or a negative code. */
int wire_pass(struct dlist_lexer *lx, int token, struct us_err *err);
/* The end of the line must be next. */
int wire_read_end(struct dlist_lexer *lx, struct us_err *err);
/* Give *at a copy of the token's text in the pool. */
int wire_keep(struct wire_reader *r, struct span *at, struct us_err *err);
/* Call fn for each element of the list whose "(" was just taken. *all: every one gave 1. */
int wire_read_list(struct wire_reader *r, wire_field_fn *fn, void *ctx, bool *all,
		   struct us_err *err);
/* Room for one more element in an array that grows in a pool; returns its first element. US_ELIMIT is the caller's business. */
void *wire_grow(struct pool *pool, void *items, size_t n, size_t *cap, size_t size);
/* Could it be written raw: printable, nothing of the syntax's own in it, not empty, not long? */
bool wire_is_atom(struct span s);
int wire_check_limit(struct wire_reader *r, size_t more, struct us_err *err);

/* Values; what `at` points to stands behind. */
wire_field_fn wire_field_str;      /* struct span: a string without NULs */
wire_field_fn wire_field_nullable; /* struct span: the same; NIL is SPAN_NULL and well */
wire_field_fn
	wire_field_partition; /* struct span: printable, for it is written raw in front of bodies; NIL is SPAN_NULL and well */
wire_field_fn wire_field_value; /* struct span: any octets; NIL is SPAN_NULL and well */
wire_field_fn wire_field_u32;   /* uint32_t */
wire_field_fn wire_field_u64;   /* uint64_t */
wire_field_fn wire_field_time;  /* int64_t */
wire_field_fn wire_field_bool;  /* bool */
wire_field_fn wire_field_guid;  /* struct guid */
wire_field_fn wire_field_names; /* struct wire_names */
wire_field_fn wire_field_guids; /* struct wire_guids */
wire_field_fn wire_field_uids;  /* struct wire_uids */

/* wire_annotation.c: of a mailbox or a record; virtual ones (into a record's fields) where `record` is not NULL. */
struct wire_annotation_list {
	const struct state_annotation *items;
	size_t n;
};
int wire_read_annotations(struct wire_reader *r, int token, struct state_record *record,
			  struct wire_annotation_list *out, struct us_err *err);
void wire_put_annotations(struct dlist_writer *w, const struct state_annotation *items, size_t n,
			  const struct state_record *record);

/* wire_record.c: the value of RECORD, into r->records. */
wire_field_fn wire_field_records;
/* wire_mailbox.c: what both APPLY MAILBOX and "* MAILBOX" have; `token` begins the value. 1: it was a kvlist. */
int wire_read_mailbox(struct wire_reader *r, int token, struct wire_mailbox *out,
		      struct us_err *err);
/* Does it have what every MAILBOX (with `apply`: every order) must have? */
bool wire_mailbox_is_whole(const struct wire_mailbox *m, bool apply);
/* wire_files.c: a file token was read: give its octets to the sink. */
int wire_take_file(struct wire_reader *r, struct wire_file *out, struct us_err *err);
void wire_tell_no_file(struct wire_reader *r);

/* wire_shared.c: what commands and items share. Reading begins after the "%("; *whole: it had a root. */
int wire_read_quota(struct wire_reader *r, struct state_quota *out, bool *whole,
		    struct us_err *err);
void wire_put_quota(struct dlist_writer *w, const struct state_quota *q);
void wire_put_seen_fields(struct dlist_writer *w, const struct state_seen *s);
void wire_put_annotation_fields(struct dlist_writer *w, const struct state_server_annotation *a,
				bool with_value);
void wire_put_time(struct dlist_writer *w, const char *key, int64_t t);
void wire_put_names(struct dlist_writer *w, const struct wire_names *names);
void wire_put_guids(struct dlist_writer *w, const struct wire_guids *guids);

#endif
