/* test_wire_captures.c - every command and every answer a real Cyrus sent becomes a struct, and the same octets again; and
 * every pair of checksums in them is the one we count from those structs.
 *
 * Commands typed by hand (24-errors, and a few elsewhere) need not come out the same: they have fields in other orders.
 */
#include "tests/unit/captures.h"

#include "reconcile/wire.h"

struct totals {
	unsigned commands, items, finals, by_hand;
	unsigned counted;  /* mailboxes whose records are all there, and whose sums were compared */
	unsigned followed; /* orders that leave a mailbox we know every record of */
};

/* A mailbox of the replica, as the orders leave it. */
struct model {
	struct pool *pool;
	char uniqueid[64];
	struct state_record records[256];
	size_t n;
	bool known; /* all its records are here */
};

struct reader {
	struct totals totals;
	const char *file;
	struct dlist_lexer lx;
	struct span rest;
	struct pool *pool;
	struct model models[128];
	size_t n_models;
	struct model *touched;       /* by the last order */
	struct wire_mailbox ordered; /* what the last APPLY MAILBOX said it will be */
};

/* ---- a model of the replica -------------------------------------------------------------------------- */

static struct model *find_model(struct reader *r, struct span uniqueid)
{
	struct model *m;

	for (size_t i = 0; i < r->n_models; i++)
		if (span_is(uniqueid, r->models[i].uniqueid))
			return &r->models[i];
	assert_true(r->n_models < ARRAY_SIZE(r->models));
	m = &r->models[r->n_models++];
	m->pool = pool_new();
	snprintf(m->uniqueid, sizeof(m->uniqueid), "%.*s", SPAN_ARG(uniqueid));
	m->known = false;
	m->n = 0;
	return m;
}

static void forget_models(struct reader *r)
{
	for (size_t i = 0; i < r->n_models; i++)
		pool_free(&r->models[i].pool);
}

/* The record table of csync-protocol 7.5, as far as it writes. */
static void model_put(struct model *m, const struct state_record *r)
{
	size_t i = 0;

	while (i < m->n && m->records[i].uid != r->uid)
		i++;
	if (i < m->n && m->records[i].expunged && r->expunged)
		return;
	assert_true(i < ARRAY_SIZE(m->records));
	wire_copy_record(m->pool, r, &m->records[i]);
	m->n += i == m->n;
}

static struct sums sums_of(const struct state_record *records, size_t n)
{
	struct sums s = SUMS_EMPTY;

	for (size_t i = 0; i < n; i++)
		sums_add(&s, &records[i]);
	return s;
}

static void check_sums(struct reader *r, const struct state_mailbox *m, struct sums counted)
{
	struct sums said = sums_said(m);

	/* Zero says nothing: the peer has not looked either. */
	if (!sums_agree(said, counted))
		fail_msg("%s: %.*s says %u %u, counted %u %u", r->file, SPAN_ARG(m->name),
			 said.basic, said.annot, counted.basic, counted.annot);
}

/* ---- comparing octets ------------------------------------------------------------------------------- */

static void check_same(struct reader *r, struct span read, struct buf *wrote, bool by_hand)
{
	r->totals.by_hand += by_hand;
	if (!by_hand && !span_eq(read, buf_span(wrote)))
		fail_msg("%s\nread:  %.*s\nwrote: %s", r->file, SPAN_ARG(read), wrote->data);
	buf_free(wrote);
}

/* Begin a line at r->rest; what was used up is known when it ended. */
static struct span line_read(struct reader *r, struct span from)
{
	return span_make(from.ptr, from.len - r->rest.len);
}

/* ---- bodies, written as they are read ---------------------------------------------------------------- */

static int begin_file(void *ctx, const struct wire_file *file, struct us_err *err UNUSED)
{
	struct dlist_writer *w = ctx;

	if (file->present)
		dlist_put_file(w, file->partition, &file->guid, file->size);
	else
		dlist_put_str(w, SPAN_NULL);
	return 0;
}

static int file_data(void *ctx, const void *data, size_t len, struct us_err *err UNUSED)
{
	buf_add(((struct dlist_writer *)ctx)->out, data, len);
	return 0;
}

static int end_file(void *ctx UNUSED, struct us_err *err UNUSED)
{
	return 0;
}

/* ---- commands --------------------------------------------------------------------------------------- */

static int read_messages(struct reader *r, struct dlist_writer *w, struct us_err *err)
{
	struct wire_file_sink sink = {begin_file, file_data, end_file, w};
	int rc;

	dlist_put_list(w);
	rc = wire_read_messages(&r->lx, &sink, err);
	dlist_put_close(w);
	wire_end_command(w);
	return rc;
}

static void follow_order(struct reader *r, const struct wire_mailbox *said,
			 const struct wire_collector *all)
{
	struct model *m;

	if (wire_is_entry(&said->state))
		return;
	m = find_model(r, said->state.uniqueid);
	if (!m->known && all->n == said->state.last_uid && !said->state.has_since)
		m->known = true; /* every UID there ever was is in it */
	for (size_t i = 0; i < all->n; i++)
		model_put(m, &all->records[i]);
	r->touched = m;
	r->ordered = *said;
}

static int read_apply(struct reader *r, struct dlist_writer *w, struct us_err *err)
{
	struct wire_collector all = {.pool = r->pool};
	struct wire_record_sink sink = wire_collect(&all);
	struct wire_mailbox said;
	bool partial;
	int rc = wire_read_apply(&r->lx, r->pool, &sink, &said, err);

	if (rc < 0)
		return rc;
	said.state.records = all.records;
	said.state.n_records = all.n;
	partial = !wire_is_entry(&said.state) && !said.state.has_sync_crc_annot;
	wire_put_mailbox(w, &said.state, partial ? WIRE_APPLY_PARTIAL : WIRE_APPLY);
	wire_end_command(w);
	follow_order(r, &said, &all);
	return 0;
}

static void follow_expunge(struct reader *r, const struct wire_expunge *e)
{
	struct model *m = find_model(r, e->uniqueid);

	for (size_t i = 0; i < e->uids.n; i++)
		for (size_t k = 0; k < m->n; k++)
			if (m->records[k].uid == e->uids.uids[i])
				m->records[k].expunged = true;
}

static int read_value(struct reader *r, struct span prefix, struct wire_command *c,
		      struct dlist_writer *w, struct us_err *err)
{
	int rc;

	if (c->kind == WIRE_APPLY_MESSAGE || c->kind == WIRE_APPLY_MAILBOX) {
		wire_begin_command(w, prefix, c->kind, c->local);
		return c->kind == WIRE_APPLY_MESSAGE ? read_messages(r, w, err)
						     : read_apply(r, w, err);
	}
	rc = wire_read_command(&r->lx, r->pool, c, err);
	if (rc < 0)
		return rc;
	if (c->kind == WIRE_KIND_UNKNOWN)
		return us_fail(err, US_EPROTO, "nobody knows it");
	if (c->kind == WIRE_APPLY_EXPUNGE)
		follow_expunge(r, &c->u.expunge);
	wire_put_command(w, prefix, c);
	return 0;
}

/* GET, APPLY, RESTORE, or as SYNCGET behind a tag. -1: none of them. */
static int read_verb(struct reader *r, struct buf *prefix)
{
	struct span word;
	struct us_err err;

	assert_true(dlist_next(&r->lx, &err) >= 0);
	word = buf_span(&r->lx.text);
	if (word.len > 1 && word.ptr[0] == 'S' && word.ptr[1] >= '0' && word.ptr[1] <= '9') {
		buf_add_span(prefix, word);
		buf_add_str(prefix, " SYNC");
		assert_int_equal(dlist_next(&r->lx, &err), DLIST_TOKEN_TEXT);
		word = buf_span(&r->lx.text);
		if (!span_starts(word, "SYNC"))
			return -1;
		word = span_from(word, 4);
	}
	for (int v = WIRE_VERB_GET; v <= WIRE_VERB_RESTORE; v++)
		if (span_is(word, wire_verb_name((enum wire_verb)v)))
			return v;
	return -1;
}

/* Commands that the recorder's author typed. */
static bool is_by_hand(const struct reader *r)
{
	return strstr(r->file, "24-errors") != NULL;
}

static void take_command(struct reader *r)
{
	struct span before = r->rest;
	struct us_err err = US_ERR_INIT;
	struct buf prefix = BUF_INIT, out = BUF_INIT;
	struct dlist_writer w = dlist_writer(&out, true);
	struct wire_command c;
	int verb, rc = -1;

	dlist_lexer_restart(&r->lx);
	r->touched = NULL;
	verb = read_verb(r, &prefix);
	if (verb >= 0) {
		rc = wire_read_kind(&r->lx, (enum wire_verb)verb, &c, &err);
		if (rc == 0)
			rc = read_value(r, buf_span(&prefix), &c, &w, &err);
		if (rc < 0 && !is_by_hand(r))
			fail_msg("%s: %s: %.*s", r->file, err.text, SPAN_ARG(before));
	}
	assert_ok(dlist_skip_line(&r->lx, &err), &err);
	r->totals.commands += verb >= 0;
	if (rc == 0)
		check_same(r, line_read(r, before), &out, is_by_hand(r));
	buf_free(&out);
	buf_free(&prefix);
}

/* ---- answers ---------------------------------------------------------------------------------------- */

static bool is_banner(struct span line)
{
	static const char *const words[] = {"* SASL",          "* STARTTLS",   "* COMPRESS",
					    "* SIEVE-MAILBOX", "* OK",         "* BYE",
					    "* Fatal",         "* CAPABILITY", "* ENABLED0"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (span_starts(line, words[i]))
			return true;
	return false;
}

static void put_item(struct dlist_writer *w, struct wire_item *item,
		     const struct wire_collector *all, bool streamed)
{
	enum wire_form form = WIRE_REPLY;

	if (streamed)
		return wire_end_item(w);
	if (item->kind != WIRE_ITEM_MAILBOX)
		return wire_put_item(w, item);
	if (item->u.mailbox.seen & WIRE_BIT(WIRE_RECORD))
		form = WIRE_REPLY_FULL;
	item->u.mailbox.state.records = all->records;
	item->u.mailbox.state.n_records = all->n;
	wire_begin_item(w, WIRE_ITEM_MAILBOX);
	wire_put_mailbox(w, &item->u.mailbox.state, form);
	wire_end_item(w);
}

/* A list of all records: count it, and learn it if it is the replica's. */
static void take_full(struct reader *r, const struct wire_mailbox *m,
		      const struct wire_collector *all, bool replica)
{
	struct model *model;

	if (!(m->seen & WIRE_BIT(WIRE_RECORD)))
		return;
	check_sums(r, &m->state, sums_of(all->records, all->n));
	r->totals.counted++;
	if (!replica)
		return;
	model = find_model(r, m->state.uniqueid);
	model->n = 0;
	model->known = true;
	for (size_t i = 0; i < all->n; i++)
		model_put(model, &all->records[i]);
}

static void take_item(struct reader *r, char who)
{
	struct span before = r->rest;
	struct us_err err = US_ERR_INIT;
	struct buf out = BUF_INIT;
	struct dlist_writer w = dlist_writer(&out, false);
	struct wire_collector all = {.pool = r->pool};
	struct wire_record_sink records = wire_collect(&all);
	struct wire_file_sink files = {begin_file, file_data, end_file, &w};
	bool streamed = span_starts(before, "* MESSAGE");
	struct wire_item item;

	dlist_lexer_restart(&r->lx);
	if (streamed)
		wire_begin_item(&w, WIRE_ITEM_MESSAGE);
	if (wire_read_item(&r->lx, r->pool, &records, &files, &item, &err) < 0)
		fail_msg("%s: %s: %.*s", r->file, err.text, SPAN_ARG(before));
	assert_int_equal(item.kind == WIRE_ITEM_MESSAGE, streamed);
	put_item(&w, &item, &all, streamed);
	check_same(r, line_read(r, before), &out, false);
	r->totals.items++;
	if (item.kind == WIRE_ITEM_MAILBOX)
		take_full(r, &item.u.mailbox, &all, who != 'a');
}

/* The order was carried out: the model must have the sums it said. Refused, nobody knows how far it went. */
static void settle_order(struct reader *r, int code)
{
	struct model *m = r->touched;

	r->touched = NULL;
	if (!m || !m->known)
		return;
	if (code < 0) {
		m->known = false;
	} else if (r->ordered.state.has_sync_crc_annot) {
		check_sums(r, &r->ordered.state, sums_of(m->records, m->n));
		r->totals.followed++;
	}
}

static void take_final(struct reader *r, struct span line, struct span tag)
{
	struct buf out = BUF_INIT;
	struct us_err err;
	struct span text;
	int rc = wire_parse_answer(line, tag, &text, &err);

	settle_order(r, rc);
	if (span_is(text, "success") || span_starts(text, "IMAP_SYNC") ||
	    span_starts(text, "IMAP_MAILBOX") ||
	    span_is(text, "IMAP_PROTOCOL_ERROR Protocol error") ||
	    span_starts(text, "IMAP_PROTOCOL_BAD") || span_is(text, "Unknown error")) {
		wire_put_answer(&out, tag, wire_answer_of(rc));
	} else if (span_is(text, "IMAP_PROTOCOL_ERROR Failed to parse GET line")) {
		wire_put_bad(&out, tag, "GET");
	} else if (span_is(text, "IMAP_PROTOCOL_ERROR Failed to parse APPLY line")) {
		wire_put_bad(&out, tag, "APPLY");
	} else {
		return; /* EXIT, AUTHENTICATE and the like are other files' work */
	}
	r->totals.finals++;
	assert_true(span_eq(line, span_make(out.data, out.len - 2)));
	buf_free(&out);
}

/* The tag over IMAP: one letter, digits. */
static struct span tag_of(struct span line)
{
	struct span word;

	if (!span_word(&line, &word) || word.len < 2 || word.ptr[1] < '0' || word.ptr[1] > '9')
		return SPAN_LIT("");
	return word;
}

static void take_other_line(struct reader *r)
{
	struct span line;

	assert_true(span_split(&r->rest, '\n', &line));
	if (line.len && line.ptr[line.len - 1] == '\r')
		line.len--;
	if (!span_starts(line, "* ") && !span_starts(line, "+ "))
		take_final(r, line, tag_of(line));
}

/* ---- turns ------------------------------------------------------------------------------------------ */

static void take_turn(void *ctx, const char *file, char who, struct span octets)
{
	struct reader *r = ctx;

	r->file = file;
	dlist_lexer_init(&r->lx, dlist_source_span(&r->rest), NULL);
	for (r->rest = octets; r->rest.len; pool_clear(r->pool)) {
		if (who == 'C')
			take_command(r);
		else if (span_starts(r->rest, "* ") && !is_banner(r->rest))
			take_item(r, who);
		else
			take_other_line(r);
	}
	dlist_lexer_fini(&r->lx);
}

static void captures_become_structs_and_come_out_the_same(void **state UNUSED)
{
	struct reader *r = us_calloc(1, sizeof(*r));
	const struct totals *t = &r->totals;

	r->pool = pool_new();
	assert_int_equal(captures_all(take_turn, r), 40);
	print_message("%u commands (%u by hand), %u items, %u last lines; sums of %u lists, %u "
		      "orders\n",
		      t->commands, t->by_hand, t->items, t->finals, t->counted, t->followed);
	assert_true(t->commands >= 514 && t->by_hand <= 60 && t->items >= 645 && t->finals >= 502);
	/* The other orders were refused, or are about mailboxes whose beginning was not recorded. */
	assert_true(t->counted >= 199 && t->followed >= 67);
	forget_models(r);
	pool_free(&r->pool);
	free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(captures_become_structs_and_come_out_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
