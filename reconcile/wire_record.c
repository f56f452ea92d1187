/* wire_record.c - RECORD: one message's fields; see wire_mailbox.h. */
#include <string.h>

#include "reconcile/wire_private.h"
#include "server/base/mem.h"

/* ---- flags --------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	uint32_t flag; /* 0: \Expunged, which is no flag of state.h */
} system_flags[] = {
	/* in the order they are written in */
	{"\\Deleted", FLAG_DELETED}, {"\\Answered", FLAG_ANSWERED},
	{"\\Flagged", FLAG_FLAGGED}, {"\\Draft", FLAG_DRAFT},
	{"\\Expunged", 0},           {"\\Seen", FLAG_SEEN},
};

static bool has_keyword(const struct state_record *record, struct span name)
{
	for (size_t i = 0; i < record->n_keywords; i++)
		if (span_eq_nocase(record->keywords[i], name))
			return true;
	return false;
}

/* An unknown one is passed over, as Cyrus does: no sum has it. */
static void set_system_flag(struct state_record *record, struct span name)
{
	for (size_t i = 0; i < ARRAY_SIZE(system_flags); i++)
		if (span_is_nocase(name, system_flags[i].name)) {
			record->system_flags |= system_flags[i].flag;
			record->expunged |= !system_flags[i].flag;
		}
}

struct reading_flags {
	struct state_record *record;
	struct span *keywords;
	size_t cap;
};

static int read_flag(struct wire_reader *r, int token, void *ctx, struct us_err *err)
{
	struct reading_flags *g = ctx;
	struct state_record *record = g->record;
	struct span name;
	int rc;

	if (token != DLIST_TOKEN_FLAG && token != DLIST_TOKEN_TEXT && token != DLIST_TOKEN_NIL)
		return wire_pass(r->lx, token, err);
	name = buf_span(&r->lx->text);
	if (name.len && name.ptr[0] == '\\') {
		set_system_flag(record, name);
		return 1;
	}
	/* A keyword is an atom in IMAP, and written raw here and there. */
	if (!wire_is_atom(name) || record->n_keywords == WIRE_MAX_KEYWORDS)
		return 0;
	if (has_keyword(record, name))
		return 1;
	g->keywords =
		wire_grow(r->pool, g->keywords, record->n_keywords, &g->cap, sizeof(struct span));
	record->keywords = g->keywords;
	rc = wire_keep(r, &g->keywords[record->n_keywords], err);
	if (rc < 0)
		return rc;
	record->n_keywords++;
	return 1;
}

static int field_flags(struct wire_reader *r, int token, void *at, struct us_err *err)
{
	struct reading_flags g = {.record = at};
	bool all;
	int rc;

	if (token != DLIST_TOKEN_LIST)
		return wire_pass(r->lx, token, err);
	rc = wire_read_list(r, read_flag, &g, &all, err);
	return rc < 0 ? rc : all;
}

static void put_flags(struct dlist_writer *w, const struct state_record *r)
{
	dlist_put_key(w, "FLAGS");
	dlist_put_list(w);
	for (size_t i = 0; i < ARRAY_SIZE(system_flags); i++)
		if (system_flags[i].flag ? r->system_flags & system_flags[i].flag : r->expunged)
			dlist_put_flag(w, span_of(system_flags[i].name));
	for (size_t i = 0; i < r->n_keywords; i++)
		dlist_put_flag(w, r->keywords[i]);
	dlist_put_close(w);
}

/* ---- a record -------------------------------------------------------------------------------------- */

static int field_annotations(struct wire_reader *r, int token, void *at, struct us_err *err)
{
	struct state_record *record = at;
	struct wire_annotation_list list;
	int rc = wire_read_annotations(r, token, record, &list, err);

	/* Half a set must not pass for a whole one, nor none. */
	r->bad_record |= rc == 0;
	if (rc > 0) {
		record->annotations = list.items;
		record->n_annotations = list.n;
	}
	return rc;
}

enum { F_UID, F_MODSEQ, F_UPDATED, F_FLAGS, F_DATE, F_SIZE, F_GUID, F_ANNOTATIONS, F_ALL };

static const struct wire_field_row fields[F_ALL] = {
	[F_UID] = {"UID", wire_field_u32, offsetof(struct state_record, uid)},
	[F_MODSEQ] = {"MODSEQ", wire_field_u64, offsetof(struct state_record, modseq)},
	[F_UPDATED] = {"LAST_UPDATED", wire_field_time,
		       offsetof(struct state_record, last_updated)},
	[F_FLAGS] = {"FLAGS", field_flags, 0},
	[F_DATE] = {"INTERNALDATE", wire_field_time, offsetof(struct state_record, internaldate)},
	[F_SIZE] = {"SIZE", wire_field_u64, offsetof(struct state_record, size)},
	[F_GUID] = {"GUID", wire_field_guid, offsetof(struct state_record, guid)},
	[F_ANNOTATIONS] = {"ANNOTATIONS", field_annotations, 0},
};
#define REQUIRED (WIRE_BIT(F_ANNOTATIONS) - 1)

void wire_put_record(struct dlist_writer *w, const struct state_record *r)
{
	dlist_put_kvlist(w);
	dlist_put_ku64(w, "UID", r->uid);
	dlist_put_ku64(w, "MODSEQ", r->modseq);
	wire_put_time(w, "LAST_UPDATED", r->last_updated);
	put_flags(w, r);
	wire_put_time(w, "INTERNALDATE", r->internaldate);
	dlist_put_ku64(w, "SIZE", r->size);
	dlist_put_key(w, "GUID");
	dlist_put_guid(w, &r->guid);
	wire_put_annotations(w, r->annotations, r->n_annotations, r);
	dlist_put_close(w);
}

/* ---- all of them ------------------------------------------------------------------------------------ */

struct reading_records {
	struct pool *pool; /* one record's */
	uint32_t last_uid;
};

static void hand_on(struct wire_reader *r, const struct state_record *record)
{
	r->sink_rc = r->records->record(r->records->ctx, record, &r->sink_err);
}

/* 1 or 0; once one was bad, or the sink had enough, the rest is passed over. */
static int read_record(struct wire_reader *r, int token, void *ctx, struct us_err *err)
{
	struct reading_records *g = ctx;
	struct pool *outer = r->pool;
	struct state_record record = {.uid = 0};
	uint64_t seen = 0;
	int rc = 0;

	if (r->bad_record || r->sink_rc < 0)
		return wire_pass(r->lx, token, err);
	if (token != DLIST_TOKEN_KVLIST) {
		r->bad_record = true;
		return wire_pass(r->lx, token, err);
	}
	pool_clear(g->pool);
	r->pool = g->pool;
	r->in_record = true;
	rc = wire_read_fields(r, fields, ARRAY_SIZE(fields), &record, &seen, err);
	r->in_record = false;
	r->pool = outer;
	if (rc < 0)
		return rc;
	r->bad_record |= (seen & REQUIRED) != REQUIRED || record.uid <= g->last_uid ||
			 record.uid == UINT32_MAX;
	g->last_uid = record.uid;
	if (!r->bad_record)
		hand_on(r, &record);
	return 1;
}

int wire_field_records(struct wire_reader *r, int token, void *at UNUSED, struct us_err *err)
{
	struct reading_records g = {.last_uid = 0};
	bool all;
	int rc;

	if (token != DLIST_TOKEN_LIST)
		return wire_pass(r->lx, token, err);
	if (!r->records) {
		rc = wire_pass(r->lx, token, err);
		return rc < 0 ? rc : 1;
	}
	g.pool = pool_new();
	rc = wire_read_list(r, read_record, &g, &all, err);
	pool_free(&g.pool);
	return rc < 0 ? rc : 1;
}

/* ---- keeping them ----------------------------------------------------------------------------------- */

void wire_copy_record(struct pool *pool, const struct state_record *from, struct state_record *to)
{
	struct span *keywords = pool_alloc(pool, us_mul_size(from->n_keywords, sizeof(*keywords)));
	struct state_annotation *annotations =
		pool_alloc(pool, us_mul_size(from->n_annotations, sizeof(*annotations)));

	for (size_t i = 0; i < from->n_keywords; i++)
		keywords[i] = pool_span(pool, from->keywords[i]);
	for (size_t i = 0; i < from->n_annotations; i++) {
		const struct state_annotation *a = &from->annotations[i];
		annotations[i] = (struct state_annotation){pool_span(pool, a->entry),
							   pool_span(pool, a->userid),
							   pool_span(pool, a->value), a->modseq};
	}
	*to = *from;
	to->keywords = keywords;
	to->annotations = annotations;
}

static int keep_record(void *ctx, const struct state_record *r, struct us_err *err)
{
	struct wire_collector *c = ctx;

	if (c->most && pool_size(c->pool) > c->most)
		return us_fail(err, US_ELIMIT, "the records take more than %zu bytes", c->most);
	c->records = wire_grow(c->pool, c->records, c->n, &c->cap, sizeof(c->records[0]));
	wire_copy_record(c->pool, r, &c->records[c->n++]);
	return 0;
}

struct wire_record_sink wire_collect(struct wire_collector *collector)
{
	return (struct wire_record_sink){keep_record, collector};
}
