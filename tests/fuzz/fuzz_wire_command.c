/* fuzz_wire_command.c - any bytes as the commands of a client: read in bounds, in step after errors, and what was understood is
 * written so that it is understood the same. */
#include <stdint.h>

#include "reconcile/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct dlist_limits limits = {64, 4096, 1u << 16, 8};

/* One command, as it will be written. */
struct command {
	struct pool *pool;
	struct wire_command c;
	struct wire_mailbox mailbox;
	struct wire_collector records;
	struct buf out;
	struct dlist_writer w;
	uint64_t wanted, got; /* octets of the body at hand */
};

static int begin_file(void *ctx, const struct wire_file *file, struct us_err *err)
{
	struct command *k = ctx;

	(void)err;
	dlist_put_file(&k->w, file->partition, &file->guid, file->size);
	k->wanted = file->size;
	k->got = 0;
	return 0;
}

static int file_data(void *ctx, const void *data, size_t len, struct us_err *err)
{
	struct command *k = ctx;

	(void)err;
	buf_add(&k->out, data, len);
	k->got += len;
	return 0;
}

static int end_file(void *ctx, struct us_err *err)
{
	struct command *k = ctx;

	(void)err;
	us_assert(k->got == k->wanted);
	return 0;
}

static int read_messages(struct command *k, struct dlist_lexer *lx)
{
	struct wire_file_sink sink = {begin_file, file_data, end_file, k};
	int rc;

	wire_begin_command(&k->w, SPAN_NULL, k->c.kind, k->c.local);
	dlist_put_list(&k->w);
	rc = wire_read_messages(lx, &sink, NULL);
	dlist_put_close(&k->w);
	wire_end_command(&k->w);
	return rc;
}

static int read_apply(struct command *k, struct dlist_lexer *lx)
{
	struct wire_record_sink sink = wire_collect(&k->records);
	int rc = wire_read_apply(lx, k->pool, &sink, &k->mailbox, NULL);

	if (rc < 0)
		return rc;
	k->mailbox.state.records = k->records.records;
	k->mailbox.state.n_records = k->records.n;
	wire_begin_command(&k->w, SPAN_NULL, k->c.kind, k->c.local);
	wire_put_mailbox(&k->w, &k->mailbox.state, WIRE_APPLY);
	wire_end_command(&k->w);
	return 0;
}

/* Read one line and write what it says to k->out. 1: it says nothing that could be written. */
static int read_line(struct command *k, struct dlist_lexer *lx)
{
	int token = dlist_next(lx, NULL), verb = WIRE_VERB_GET, rc;

	if (token != DLIST_TOKEN_TEXT)
		return token < 0 ? token : US_EPROTO;
	while (verb < WIRE_VERB_RESTORE &&
	       !span_is_nocase(buf_span(&lx->text), wire_verb_name((enum wire_verb)verb)))
		verb++;
	rc = wire_read_kind(lx, (enum wire_verb)verb, &k->c, NULL);
	if (rc < 0)
		return rc;
	if (k->c.kind == WIRE_APPLY_MESSAGE)
		return read_messages(k, lx);
	if (k->c.kind == WIRE_APPLY_MAILBOX)
		return read_apply(k, lx);
	rc = wire_read_command(lx, k->pool, &k->c, NULL);
	us_assert(rc != US_EINVAL || lx->ended);
	if (rc < 0 || k->c.kind == WIRE_KIND_UNKNOWN)
		return rc < 0 ? rc : 1;
	wire_put_command(&k->w, SPAN_NULL, &k->c);
	return 0;
}

static void command_init(struct command *k, struct pool *pool)
{
	*k = (struct command){.pool = pool, .records = {.pool = pool}};
	buf_init(&k->out, 0);
	k->w = dlist_writer(&k->out, true);
}

/* What was written must be read, and written again to the same. */
static void read_again(const struct command *first, struct pool *pool)
{
	struct span rest = buf_span(&first->out);
	struct dlist_lexer lx;
	struct command again;

	command_init(&again, pool);
	dlist_lexer_init(&lx, dlist_source_span(&rest), NULL);
	us_assert(read_line(&again, &lx) == 0 && lx.ended);
	us_assert(span_eq(buf_span(&first->out), buf_span(&again.out)));
	dlist_lexer_fini(&lx);
	buf_free(&again.out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = span_make(data, size);
	struct pool *pool = pool_new();
	struct dlist_lexer lx;

	dlist_lexer_init(&lx, dlist_source_span(&rest), &limits);
	while (rest.len) {
		size_t before = rest.len;
		struct command k;
		int rc;

		command_init(&k, pool);
		rc = read_line(&k, &lx);
		us_assert(pool_size(pool) < 4 * limits.tree);
		if (rc == 0)
			read_again(&k, pool);
		buf_free(&k.out);
		if (rc < 0 && dlist_skip_line(&lx, NULL) < 0)
			break;
		dlist_lexer_restart(&lx);
		pool_clear(pool);
		us_assert(rest.len < before);
	}
	dlist_lexer_fini(&lx);
	pool_free(&pool);
	return 0;
}
