/* reading.h - read one line of text as a command, or as a line of an answer. */
#ifndef US_TESTS_UNIT_RECONCILE_READING_H
#define US_TESTS_UNIT_RECONCILE_READING_H

#include "tests/unit/test.h"

#include "reconcile/wire.h"

struct reading {
	struct pool *pool;
	struct dlist_lexer lx;
	struct dlist_limits limits;
	struct span rest;
	struct wire_command command;
	struct wire_mailbox mailbox;
	struct wire_item item;
	struct wire_collector records;
	struct buf bodies; /* "<partition>|<octets>|" each */
	int refuse;        /* what sinks answer */
	unsigned refused;
	bool ended; /* the line was read to its end */
	struct us_err err;
};

static inline void reading_new(struct reading *r)
{
	static const struct dlist_limits usual = DLIST_LIMITS_DEFAULT;

	memset(r, 0, sizeof(*r));
	r->pool = pool_new();
	r->limits = usual;
	buf_init(&r->bodies, 0);
}

static inline void reading_free(struct reading *r)
{
	buf_free(&r->bodies);
	pool_free(&r->pool);
}

static inline int reading_record(void *ctx, const struct state_record *record, struct us_err *err)
{
	struct reading *r = ctx;
	struct wire_record_sink keep = wire_collect(&r->records);

	if (r->refuse) {
		r->refused++;
		return us_fail(err, r->refuse, "the test says no");
	}
	return keep.record(keep.ctx, record, err);
}

static inline int reading_begin(void *ctx, const struct wire_file *file, struct us_err *err)
{
	struct reading *r = ctx;

	r->refused += r->refuse != 0;
	if (r->refuse)
		return us_fail(err, r->refuse, "the test says no");
	if (file->present)
		buf_printf(&r->bodies, "%.*s|", SPAN_ARG(file->partition));
	else
		buf_add_str(&r->bodies, "NIL");
	return 0;
}

static inline int reading_data(void *ctx, const void *data, size_t len, struct us_err *err UNUSED)
{
	buf_add(&((struct reading *)ctx)->bodies, data, len);
	return 0;
}

static inline int reading_end(void *ctx, struct us_err *err UNUSED)
{
	buf_add_char(&((struct reading *)ctx)->bodies, '|');
	return 0;
}

static inline void reading_begin_text(struct reading *r, struct span text)
{
	r->rest = text;
	pool_clear(r->pool);
	r->records = (struct wire_collector){.pool = r->pool};
	r->refused = 0;
	buf_clear(&r->bodies);
	dlist_lexer_init(&r->lx, dlist_source_span(&r->rest), &r->limits);
}

static inline int reading_finish(struct reading *r, int rc)
{
	r->ended = r->lx.ended;
	dlist_lexer_fini(&r->lx);
	return rc;
}

/* "GET USER bob": verb, word and value; without CRLF is fine. */
static inline int reading_command_span(struct reading *r, struct span text)
{
	struct wire_record_sink records = {reading_record, r};
	struct wire_file_sink files = {reading_begin, reading_data, reading_end, r};
	int rc = dlist_next((reading_begin_text(r, text), &r->lx), &r->err);
	int verb = WIRE_VERB_RESTORE;

	while (verb > 0 && !span_is(buf_span(&r->lx.text), wire_verb_name((enum wire_verb)verb)))
		verb--;
	if (rc >= 0)
		rc = wire_read_kind(&r->lx, (enum wire_verb)verb, &r->command, &r->err);
	if (rc < 0)
		return reading_finish(r, rc);
	if (r->command.kind == WIRE_APPLY_MESSAGE)
		rc = wire_read_messages(&r->lx, &files, &r->err);
	else if (r->command.kind == WIRE_APPLY_MAILBOX)
		rc = wire_read_apply(&r->lx, r->pool, &records, &r->mailbox, &r->err);
	else
		rc = wire_read_command(&r->lx, r->pool, &r->command, &r->err);
	return reading_finish(r, rc);
}

static inline int reading_command(struct reading *r, const char *text)
{
	return reading_command_span(r, span_of(text));
}

static inline int reading_item(struct reading *r, const char *text)
{
	struct wire_record_sink records = {reading_record, r};
	struct wire_file_sink files = {reading_begin, reading_data, reading_end, r};

	reading_begin_text(r, span_of(text));
	return reading_finish(r,
			      wire_read_item(&r->lx, r->pool, &records, &files, &r->item, &r->err));
}

#endif
