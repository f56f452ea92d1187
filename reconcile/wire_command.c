/* wire_command.c - commands, read and written by one table; see wire_command.h.
 *
 * A row says what word a kind has and how its value looks: a string, a list of names, or a kvlist with these fields, of which
 * those in `required` must be there.
 */
#include "reconcile/wire_command.h"

#include "reconcile/wire_private.h"
#include "server/base/mem.h"

/* ---- kvlists ----------------------------------------------------------------------------------- */

#define AT(member) offsetof(struct wire_command, u.member)

static const struct wire_field_row fetch_fields[] = {
	{"MBOXNAME", wire_field_str, AT(fetch.mboxname)},
	{"PARTITION", wire_field_partition, AT(fetch.partition)},
	{"UNIQUEID", wire_field_str, AT(fetch.uniqueid)},
	{"GUID", wire_field_guid, AT(fetch.guid)},
	{"UID", wire_field_u32, AT(fetch.uid)},
};

static const struct wire_field_row reserve_fields[] = {
	{"PARTITION", wire_field_partition, AT(reserve.partition)},
	{"MBOXNAME", wire_field_names, AT(reserve.mboxnames)},
	{"GUID", wire_field_guids, AT(reserve.guids)},
};

static const struct wire_field_row rename_fields[] = {
	{"OLDMBOXNAME", wire_field_str, AT(rename.oldname)},
	{"NEWMBOXNAME", wire_field_str, AT(rename.newname)},
	{"PARTITION", wire_field_partition, AT(rename.partition)},
	{"UIDVALIDITY", wire_field_u32, AT(rename.uidvalidity)}, /* may be missing */
};

static const struct wire_field_row expunge_fields[] = {
	{"MBOXNAME", wire_field_str, AT(expunge.mboxname)},
	{"UNIQUEID", wire_field_str, AT(expunge.uniqueid)},
	{"UID", wire_field_uids, AT(expunge.uids)},
};

static const struct wire_field_row sub_fields[] = {
	{"USERID", wire_field_str, AT(sub.userid)},
	{"MBOXNAME", wire_field_str, AT(sub.mboxname)},
};

static const struct wire_field_row seen_fields[] = {
	{"USERID", wire_field_str, AT(seen.userid)},
	{"UNIQUEID", wire_field_str, AT(seen.seen.uniqueid)},
	{"LASTREAD", wire_field_time, AT(seen.seen.lastread)},
	{"LASTUID", wire_field_u32, AT(seen.seen.lastuid)},
	{"LASTCHANGE", wire_field_time, AT(seen.seen.lastchange)},
	{"SEENUIDS", wire_field_str, AT(seen.seen.seenuids)},
};

static const struct wire_field_row annotation_fields[] = {
	{"MBOXNAME", wire_field_str, AT(annotation.mboxname)},
	{"ENTRY", wire_field_str, AT(annotation.annotation.entry)},
	{"USERID", wire_field_str, AT(annotation.annotation.userid)},
	{"VALUE", wire_field_value, AT(annotation.annotation.value)}, /* not in UNANNOTATION */
};

/* USERID alone, with FILENAME, or all. */
static const struct wire_field_row sieve_fields[] = {
	{"USERID", wire_field_str, AT(sieve.userid)},
	{"FILENAME", wire_field_str, AT(sieve.script.filename)},
	{"LAST_UPDATE", wire_field_time, AT(sieve.script.last_update)},
	{"CONTENT", wire_field_value, AT(sieve.content)},
};

/* ---- kinds ------------------------------------------------------------------------------------- */

enum value { VALUE_ANY, VALUE_NAME, VALUE_NAMES, VALUE_KV, VALUE_QUOTA, VALUE_STREAM };

struct row {
	const char *word;
	enum wire_verb verb;
	enum value value;
	const struct wire_field_row *fields;
	size_t n_required, n_fields; /* the first n_required must be there */
};

#define KV(fields, required) VALUE_KV, fields, required, ARRAY_SIZE(fields)
#define PLAIN(value)         VALUE_##value, NULL, 0, 0
#define GET                  WIRE_VERB_GET
#define APPLY                WIRE_VERB_APPLY

static const struct row rows[WIRE_KIND_UNKNOWN] = {
	[WIRE_GET_USER] = {"USER", GET, PLAIN(NAME)},
	[WIRE_GET_META] = {"META", GET, PLAIN(NAME)},
	[WIRE_GET_MAILBOXES] = {"MAILBOXES", GET, PLAIN(NAMES)},
	[WIRE_GET_UNIQUEIDS] = {"UNIQUEIDS", GET, PLAIN(NAMES)},
	[WIRE_GET_FULLMAILBOX] = {"FULLMAILBOX", GET, PLAIN(NAME)},
	[WIRE_GET_QUOTA] = {"QUOTA", GET, PLAIN(NAME)},
	[WIRE_GET_ANNOTATION] = {"ANNOTATION", GET, PLAIN(NAME)},
	[WIRE_GET_FETCH] = {"FETCH", GET, KV(fetch_fields, 5)},
	[WIRE_GET_FETCH_SIEVE] = {"FETCH_SIEVE", GET, KV(sieve_fields, 2)},
	[WIRE_GET_DIGESTS] = {"DIGESTS", GET, PLAIN(NAMES)},
	[WIRE_APPLY_CAPABILITIES] = {"CAPABILITIES", APPLY, PLAIN(NAMES)},
	[WIRE_APPLY_FORCE] = {"FORCE", APPLY, PLAIN(ANY)},
	[WIRE_APPLY_RESERVE] = {"RESERVE", APPLY, KV(reserve_fields, 3)},
	[WIRE_APPLY_MESSAGE] = {"MESSAGE", APPLY, PLAIN(STREAM)},
	[WIRE_APPLY_MAILBOX] = {"MAILBOX", APPLY, PLAIN(STREAM)},
	[WIRE_APPLY_RENAME] = {"RENAME", APPLY, KV(rename_fields, 3)},
	[WIRE_APPLY_UNMAILBOX] = {"UNMAILBOX", APPLY, PLAIN(NAME)},
	[WIRE_APPLY_EXPUNGE] = {"EXPUNGE", APPLY, KV(expunge_fields, 3)},
	[WIRE_APPLY_QUOTA] = {"QUOTA", APPLY, PLAIN(QUOTA)},
	[WIRE_APPLY_UNQUOTA] = {"UNQUOTA", APPLY, PLAIN(NAME)},
	[WIRE_APPLY_SUB] = {"SUB", APPLY, KV(sub_fields, 2)},
	[WIRE_APPLY_UNSUB] = {"UNSUB", APPLY, KV(sub_fields, 2)},
	[WIRE_APPLY_SEEN] = {"SEEN", APPLY, KV(seen_fields, 6)},
	[WIRE_APPLY_ANNOTATION] = {"ANNOTATION", APPLY, KV(annotation_fields, 4)},
	[WIRE_APPLY_UNANNOTATION] = {"UNANNOTATION", APPLY, KV(annotation_fields, 3)},
	[WIRE_APPLY_SIEVE] = {"SIEVE", APPLY, KV(sieve_fields, 4)},
	[WIRE_APPLY_UNSIEVE] = {"UNSIEVE", APPLY, KV(sieve_fields, 2)},
	[WIRE_APPLY_ACTIVATE_SIEVE] = {"ACTIVATE_SIEVE", APPLY, KV(sieve_fields, 2)},
	[WIRE_APPLY_UNACTIVATE_SIEVE] = {"UNACTIVATE_SIEVE", APPLY, KV(sieve_fields, 1)},
	[WIRE_APPLY_UNUSER] = {"UNUSER", APPLY, PLAIN(NAME)},
};

const char *wire_verb_name(enum wire_verb verb)
{
	static const char *const names[] = {
		[WIRE_VERB_GET] = "GET",
		[WIRE_VERB_APPLY] = "APPLY",
		[WIRE_VERB_RESTORE] = "RESTORE",
	};

	return names[verb];
}

/* These four have a LOCAL_ form. */
static bool may_be_local(enum wire_kind kind)
{
	return kind == WIRE_APPLY_MAILBOX || kind == WIRE_APPLY_RENAME ||
	       kind == WIRE_APPLY_UNMAILBOX || kind == WIRE_APPLY_UNUSER;
}

static enum wire_kind find_kind(enum wire_verb verb, struct span word)
{
	int i = 0;

	while (i < WIRE_KIND_UNKNOWN &&
	       (rows[i].verb != verb || !span_is_nocase(word, rows[i].word)))
		i++;
	return (enum wire_kind)i;
}

/* ---- reading ----------------------------------------------------------------------------------- */

int wire_read_kind(struct dlist_lexer *lx, enum wire_verb verb, struct wire_command *c,
		   struct us_err *err)
{
	int token = dlist_next(lx, err);
	struct span word = buf_span(&lx->text);

	if (token < 0)
		return token;
	if (token != DLIST_TOKEN_TEXT)
		return us_fail(err, US_EPROTO, "no word follows %s", wire_verb_name(verb));
	*c = (struct wire_command){.kind = find_kind(verb, word)};
	if (c->kind == WIRE_KIND_UNKNOWN && span_starts_nocase(word, "LOCAL_")) {
		c->kind = find_kind(verb, span_from(word, 6));
		c->local = may_be_local(c->kind);
		c->kind = c->local ? c->kind : WIRE_KIND_UNKNOWN;
	}
	return 0;
}

/* 1: the value has what its row wants. Strings and names of another form are none, as Cyrus takes them. */
static int read_value(struct wire_reader *r, int token, struct wire_command *c, struct us_err *err)
{
	const struct row *row = &rows[c->kind];
	bool whole = false;
	uint64_t seen;
	int rc;

	switch (c->kind == WIRE_KIND_UNKNOWN ? VALUE_ANY : row->value) {
	case VALUE_NAME:
		rc = wire_field_str(r, token, &c->u.name, err);
		return rc < 0 ? rc : 1;
	case VALUE_NAMES:
		rc = wire_field_names(r, token, &c->u.names, err);
		return rc < 0 ? rc : 1;
	case VALUE_KV:
	case VALUE_QUOTA:
		if (token != DLIST_TOKEN_KVLIST)
			return wire_pass(r->lx, token, err);
		if (row->value == VALUE_QUOTA) {
			rc = wire_read_quota(r, &c->u.quota, &whole, err);
			return rc < 0 ? rc : whole;
		}
		rc = wire_read_fields(r, row->fields, row->n_fields, c, &seen, err);
		return rc < 0 ? rc : !(~seen & (WIRE_BIT(row->n_required) - 1));
	case VALUE_ANY:
	case VALUE_STREAM:
		break;
	}
	rc = wire_pass(r->lx, token, err);
	return rc < 0 ? rc : 1;
}

int wire_read_command(struct dlist_lexer *lx, struct pool *pool, struct wire_command *c,
		      struct us_err *err)
{
	struct wire_reader r = {.lx = lx, .pool = pool};
	int token = dlist_next(lx, err);
	int whole = token < 0 ? token : read_value(&r, token, c, err);
	int rc = whole < 0 ? whole : wire_read_end(lx, err);

	if (rc < 0 || whole)
		return rc;
	return us_fail(err, US_EINVAL, "%s lacks a field, or one has a wrong form",
		       rows[c->kind].word);
}

/* ---- writing ----------------------------------------------------------------------------------- */

void wire_begin_command(struct dlist_writer *w, struct span prefix, enum wire_kind kind, bool local)
{
	const struct row *row = &rows[kind];

	buf_add_span(w->out, prefix);
	buf_printf(w->out, "%s %s%s", wire_verb_name(row->verb), local ? "LOCAL_" : "", row->word);
	w->opened = false;
}

void wire_end_command(struct dlist_writer *w)
{
	buf_add_str(w->out, "\r\n");
	w->opened = true;
}

static void put_fetch(struct dlist_writer *w, const struct wire_fetch *f)
{
	dlist_put_kstr(w, "MBOXNAME", f->mboxname);
	dlist_put_kstr(w, "PARTITION", f->partition);
	dlist_put_kstr(w, "UNIQUEID", f->uniqueid);
	dlist_put_key(w, "GUID");
	dlist_put_guid(w, &f->guid);
	dlist_put_ku64(w, "UID", f->uid);
}

static void put_reserve(struct dlist_writer *w, const struct wire_reserve *r)
{
	dlist_put_kstr(w, "PARTITION", r->partition);
	dlist_put_key(w, "MBOXNAME");
	wire_put_names(w, &r->mboxnames);
	dlist_put_key(w, "GUID");
	wire_put_guids(w, &r->guids);
}

static void put_rename(struct dlist_writer *w, const struct wire_rename *r)
{
	dlist_put_kstr(w, "OLDMBOXNAME", r->oldname);
	dlist_put_kstr(w, "NEWMBOXNAME", r->newname);
	dlist_put_kstr(w, "PARTITION", r->partition);
	if (r->uidvalidity)
		dlist_put_ku64(w, "UIDVALIDITY", r->uidvalidity);
}

static void put_expunge(struct dlist_writer *w, const struct wire_expunge *e)
{
	dlist_put_kstr(w, "MBOXNAME", e->mboxname);
	dlist_put_kstr(w, "UNIQUEID", e->uniqueid);
	dlist_put_key(w, "UID");
	dlist_put_list(w);
	for (size_t i = 0; i < e->uids.n; i++)
		dlist_put_u64(w, e->uids.uids[i]);
	dlist_put_close(w);
}

static void put_sieve(struct dlist_writer *w, enum wire_kind kind, const struct wire_sieve *s)
{
	dlist_put_kstr(w, "USERID", s->userid);
	if (kind == WIRE_APPLY_UNACTIVATE_SIEVE)
		return;
	dlist_put_kstr(w, "FILENAME", s->script.filename);
	if (kind != WIRE_APPLY_SIEVE)
		return;
	wire_put_time(w, "LAST_UPDATE", s->script.last_update);
	dlist_put_kstr(w, "CONTENT", s->content);
}

static void put_kv(struct dlist_writer *w, const struct wire_command *c)
{
	const struct wire_field_row *fields = rows[c->kind].fields;

	dlist_put_kvlist(w);
	if (fields == fetch_fields) {
		put_fetch(w, &c->u.fetch);
	} else if (fields == reserve_fields) {
		put_reserve(w, &c->u.reserve);
	} else if (fields == rename_fields) {
		put_rename(w, &c->u.rename);
	} else if (fields == expunge_fields) {
		put_expunge(w, &c->u.expunge);
	} else if (fields == sub_fields) {
		dlist_put_kstr(w, "USERID", c->u.sub.userid);
		dlist_put_kstr(w, "MBOXNAME", c->u.sub.mboxname);
	} else if (fields == seen_fields) {
		dlist_put_kstr(w, "USERID", c->u.seen.userid);
		wire_put_seen_fields(w, &c->u.seen.seen);
	} else if (fields == annotation_fields) {
		wire_put_annotation_fields(w, &c->u.annotation, c->kind == WIRE_APPLY_ANNOTATION);
	} else if (fields == sieve_fields) {
		put_sieve(w, c->kind, &c->u.sieve);
	}
	dlist_put_close(w);
}

static void put_value(struct dlist_writer *w, const struct wire_command *c)
{
	switch (rows[c->kind].value) {
	case VALUE_NAME:
		dlist_put_str(w, c->u.name);
		break;
	case VALUE_NAMES:
		wire_put_names(w, &c->u.names);
		break;
	case VALUE_QUOTA:
		wire_put_quota(w, &c->u.quota);
		break;
	case VALUE_ANY:
	case VALUE_KV:
		put_kv(w, c);
		break;
	case VALUE_STREAM:
		us_panic("%s is put in pieces", rows[c->kind].word);
	}
}

void wire_put_command(struct dlist_writer *w, struct span prefix, const struct wire_command *c)
{
	us_assert(c->kind < WIRE_KIND_UNKNOWN);
	wire_begin_command(w, prefix, c->kind, c->local);
	put_value(w, c);
	wire_end_command(w);
}
