/* wire_item.c - the lines of an answer; see wire_item.h. */
#include "reconcile/wire_item.h"

#include "reconcile/wire_private.h"
#include "server/base/mem.h"

#define AT(member) offsetof(struct wire_item, u.member)

static const struct wire_field_row seen_fields[] = {
	{"UNIQUEID", wire_field_str, AT(seen.uniqueid)},
	{"LASTREAD", wire_field_time, AT(seen.lastread)},
	{"LASTUID", wire_field_u32, AT(seen.lastuid)},
	{"LASTCHANGE", wire_field_time, AT(seen.lastchange)},
	{"SEENUIDS", wire_field_str, AT(seen.seenuids)},
};

static const struct wire_field_row annotation_fields[] = {
	{"MBOXNAME", wire_field_str, AT(annotation.mboxname)},
	{"ENTRY", wire_field_str, AT(annotation.annotation.entry)},
	{"USERID", wire_field_str, AT(annotation.annotation.userid)},
	{"VALUE", wire_field_value, AT(annotation.annotation.value)},
};

/* Two lines have this name: what there is, and one script. */
enum { F_FILENAME, F_LAST_UPDATE, F_GUID, F_ISACTIVE, F_USERID, F_CONTENT };
static const struct wire_field_row sieve_fields[] = {
	[F_FILENAME] = {"FILENAME", wire_field_str, AT(sieve.script.filename)},
	[F_LAST_UPDATE] = {"LAST_UPDATE", wire_field_time, AT(sieve.script.last_update)},
	[F_GUID] = {"GUID", wire_field_guid, AT(sieve.script.guid)},
	[F_ISACTIVE] = {"ISACTIVE", wire_field_bool, AT(sieve.script.active)},
	[F_USERID] = {"USERID", wire_field_str, AT(sieve.userid)},
	[F_CONTENT] = {"CONTENT", wire_field_value, AT(sieve.content)},
};

static const char *const names[WIRE_ITEM_KINDS] = {
	[WIRE_ITEM_MAILBOX] = "MAILBOX", [WIRE_ITEM_QUOTA] = "QUOTA",
	[WIRE_ITEM_SEEN] = "SEEN",       [WIRE_ITEM_LSUB] = "LSUB",
	[WIRE_ITEM_SIEVE] = "SIEVE",     [WIRE_ITEM_SIEVE_CONTENT] = "SIEVE",
	[WIRE_ITEM_MESSAGE] = "MESSAGE", [WIRE_ITEM_ANNOTATION] = "ANNOTATION",
	[WIRE_ITEM_MISSING] = "MISSING", [WIRE_ITEM_ENABLED] = "ENABLED",
	[WIRE_ITEM_DIGESTS] = "DIGESTS",
};

/* ---- reading: each gives 1 if the item is whole, 0 if not ------------------------------------------- */

static int read_kv(struct wire_reader *r, int token, const struct wire_field_row *fields, size_t n,
		   struct wire_item *item, struct us_err *err)
{
	uint64_t seen;
	int rc;

	if (token != DLIST_TOKEN_KVLIST)
		return wire_pass(r->lx, token, err);
	rc = wire_read_fields(r, fields, n, item, &seen, err);
	return rc < 0 ? rc : seen == WIRE_BIT(n) - 1;
}

static int read_sieve(struct wire_reader *r, int token, struct wire_item *item, struct us_err *err)
{
	const uint64_t listed = WIRE_BIT(F_FILENAME) | WIRE_BIT(F_LAST_UPDATE) | WIRE_BIT(F_GUID) |
				WIRE_BIT(F_ISACTIVE);
	const uint64_t content = WIRE_BIT(F_USERID) | WIRE_BIT(F_FILENAME) | WIRE_BIT(F_CONTENT);
	uint64_t seen;
	int rc;

	if (token != DLIST_TOKEN_KVLIST)
		return wire_pass(r->lx, token, err);
	rc = wire_read_fields(r, sieve_fields, ARRAY_SIZE(sieve_fields), item, &seen, err);
	if (rc < 0)
		return rc;
	if (seen & WIRE_BIT(F_CONTENT))
		item->kind = WIRE_ITEM_SIEVE_CONTENT;
	return (seen & listed) == listed || (seen & content) == content;
}

static int read_quota(struct wire_reader *r, int token, struct wire_item *item, struct us_err *err)
{
	bool whole;
	int rc;

	if (token != DLIST_TOKEN_KVLIST)
		return wire_pass(r->lx, token, err);
	rc = wire_read_quota(r, &item->u.quota, &whole, err);
	return rc < 0 ? rc : whole;
}

static int read_mailbox(struct wire_reader *r, int token, struct wire_item *item,
			struct us_err *err)
{
	int rc = wire_read_mailbox(r, token, &item->u.mailbox, err);

	if (rc <= 0)
		return rc;
	return wire_mailbox_is_whole(&item->u.mailbox, /* apply */ false) &&
	       !item->u.mailbox.bad_record;
}

static int read_message(struct wire_reader *r, int token, struct wire_item *item,
			struct us_err *err)
{
	int rc;

	if (token == DLIST_TOKEN_NIL) {
		wire_tell_no_file(r);
		return 1;
	}
	if (token != DLIST_TOKEN_FILE)
		return wire_pass(r->lx, token, err);
	rc = wire_take_file(r, &item->u.file, err);
	return rc < 0 ? rc : 1;
}

static int read_value(struct wire_reader *r, int token, struct wire_item *item, struct us_err *err)
{
	switch (item->kind) {
	case WIRE_ITEM_MAILBOX:
		return read_mailbox(r, token, item, err);
	case WIRE_ITEM_QUOTA:
		return read_quota(r, token, item, err);
	case WIRE_ITEM_SEEN:
		return read_kv(r, token, seen_fields, ARRAY_SIZE(seen_fields), item, err);
	case WIRE_ITEM_ANNOTATION:
		return read_kv(r, token, annotation_fields, ARRAY_SIZE(annotation_fields), item,
			       err);
	case WIRE_ITEM_SIEVE:
	case WIRE_ITEM_SIEVE_CONTENT:
		return read_sieve(r, token, item, err);
	case WIRE_ITEM_MESSAGE:
		return read_message(r, token, item, err);
	case WIRE_ITEM_MISSING:
		return wire_field_guids(r, token, &item->u.guids, err);
	case WIRE_ITEM_LSUB:
	case WIRE_ITEM_ENABLED:
	case WIRE_ITEM_DIGESTS:
		return wire_field_names(r, token, &item->u.names, err);
	case WIRE_ITEM_KINDS:
		break;
	}
	return wire_pass(r->lx, token, err);
}

static enum wire_item_kind find_kind(struct span name)
{
	int i = 0;

	while (i < WIRE_ITEM_KINDS && !span_is(name, names[i]))
		i++;
	return (enum wire_item_kind)i;
}

/* "*" and the name. */
static int read_name(struct dlist_lexer *lx, struct wire_item *item, struct us_err *err)
{
	int token = dlist_next(lx, err);

	if (token < 0)
		return token;
	if (token != DLIST_TOKEN_TEXT || !span_is(buf_span(&lx->text), "*"))
		return us_fail(err, US_EPROTO, "a line of an answer without *");
	token = dlist_next(lx, err);
	if (token < 0)
		return token;
	if (token != DLIST_TOKEN_TEXT)
		return us_fail(err, US_EPROTO, "a line of an answer without a name");
	*item = (struct wire_item){.kind = find_kind(buf_span(&lx->text))};
	return 0;
}

static int read_line(struct wire_reader *r, struct wire_item *item, struct us_err *err)
{
	int whole, token, rc = read_name(r->lx, item, err);

	if (rc < 0)
		return rc;
	token = dlist_next(r->lx, err);
	whole = token < 0 ? token : read_value(r, token, item, err);
	rc = whole < 0 ? whole : wire_read_end(r->lx, err);
	if (rc == 0 && item->kind == WIRE_ITEM_KINDS)
		rc = us_fail(err, US_EPROTO, "an answer has a line nobody knows");
	else if (rc == 0 && !whole)
		rc = us_fail(err, US_EPROTO, "%s in an answer lacks something", names[item->kind]);
	return rc;
}

int wire_read_item(struct dlist_lexer *lx, struct pool *pool,
		   const struct wire_record_sink *records, const struct wire_file_sink *files,
		   struct wire_item *out, struct us_err *err)
{
	struct wire_reader r = {.lx = lx, .pool = pool, .records = records, .files = files};
	struct wire_item item;
	int rc = read_line(&r, &item, err);

	if (lx->ended && r.sink_rc < 0) {
		if (err)
			*err = r.sink_err;
		rc = r.sink_rc;
	}
	if (rc == 0)
		*out = item;
	return rc;
}

/* ---- writing ----------------------------------------------------------------------------------- */

void wire_begin_item(struct dlist_writer *w, enum wire_item_kind kind)
{
	buf_printf(w->out, "* %s", names[kind]);
	w->opened = false;
}

void wire_end_item(struct dlist_writer *w)
{
	buf_add_str(w->out, "\r\n");
	w->opened = true;
}

static void put_script(struct dlist_writer *w, const struct state_sieve *s)
{
	dlist_put_kstr(w, "FILENAME", s->filename);
	wire_put_time(w, "LAST_UPDATE", s->last_update);
	dlist_put_key(w, "GUID");
	dlist_put_guid(w, &s->guid);
	dlist_put_ku64(w, "ISACTIVE", s->active);
}

static void put_content(struct dlist_writer *w, const struct wire_sieve *s)
{
	dlist_put_kstr(w, "USERID", s->userid);
	dlist_put_kstr(w, "FILENAME", s->script.filename);
	dlist_put_kstr(w, "CONTENT", s->content);
}

static void put_kv(struct dlist_writer *w, const struct wire_item *item)
{
	dlist_put_kvlist(w);
	if (item->kind == WIRE_ITEM_SEEN)
		wire_put_seen_fields(w, &item->u.seen);
	else if (item->kind == WIRE_ITEM_ANNOTATION)
		wire_put_annotation_fields(w, &item->u.annotation, /* with value */ true);
	else if (item->kind == WIRE_ITEM_SIEVE)
		put_script(w, &item->u.sieve.script);
	else if (item->kind == WIRE_ITEM_SIEVE_CONTENT)
		put_content(w, &item->u.sieve);
	dlist_put_close(w);
}

void wire_put_item(struct dlist_writer *w, const struct wire_item *item)
{
	wire_begin_item(w, item->kind);
	switch (item->kind) {
	case WIRE_ITEM_QUOTA:
		wire_put_quota(w, &item->u.quota);
		break;
	case WIRE_ITEM_MISSING:
		wire_put_guids(w, &item->u.guids);
		break;
	case WIRE_ITEM_LSUB:
	case WIRE_ITEM_ENABLED:
	case WIRE_ITEM_DIGESTS:
		wire_put_names(w, &item->u.names);
		break;
	case WIRE_ITEM_SEEN:
	case WIRE_ITEM_ANNOTATION:
	case WIRE_ITEM_SIEVE:
	case WIRE_ITEM_SIEVE_CONTENT:
		put_kv(w, item);
		break;
	case WIRE_ITEM_MAILBOX:
	case WIRE_ITEM_MESSAGE:
	case WIRE_ITEM_KINDS:
		us_panic("an item that is put in pieces");
	}
	wire_end_item(w);
}
