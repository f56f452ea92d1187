/* wire_mailbox.c - the header of MAILBOX; see wire_mailbox.h. */
#include <string.h>

#include "reconcile/wire_private.h"
#include "server/base/mem.h"

bool wire_type_has(struct span type, char letter)
{
	return span_find(type.len ? type : SPAN_LIT("e"), letter) != NULL;
}

bool wire_is_entry(const struct state_mailbox *m)
{
	return wire_type_has(m->mboxtype, 'i') || wire_type_has(m->mboxtype, 'd');
}

bool wire_is_visible(const struct state_mailbox *m, bool sieve_mailbox)
{
	return sieve_mailbox || !wire_type_has(m->mboxtype, 'f');
}

/* ---- fields ------------------------------------------------------------------------------------ */

static const struct {
	char letter;
	uint32_t option;
} options[] = {
	/* in the order they are written in */
	{'P', MAILBOX_OPTION_POP3_NEW_UIDL},
	{'S', MAILBOX_OPTION_SHARED_SEEN},
	{'D', MAILBOX_OPTION_DUP_DELIVER},
	{'A', MAILBOX_OPTION_HAS_ALARMS},
};

/* Letters nobody knows are passed over, as Cyrus does. */
static int field_options(struct wire_reader *r, int token, void *at, struct us_err *err)
{
	uint32_t *out = at;

	if (token != DLIST_TOKEN_TEXT)
		return wire_pass(r->lx, token, err);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (span_find(buf_span(&r->lx->text), options[i].letter))
			*out |= options[i].option;
	return 1;
}

static int field_annotations(struct wire_reader *r, int token, void *at, struct us_err *err)
{
	struct wire_mailbox *m = at;
	struct wire_annotation_list list;
	int rc = wire_read_annotations(r, token, NULL, &list, err);

	m->bad_annotations |= rc == 0;
	if (rc > 0) {
		m->state.annotations = list.items;
		m->state.n_annotations = list.n;
	}
	return rc;
}

#define AT(member) offsetof(struct wire_mailbox, state.member)

static const struct wire_field_row fields[WIRE_FIELDS] = {
	[WIRE_UNIQUEID] = {"UNIQUEID", wire_field_str, AT(uniqueid)},
	[WIRE_MBOXNAME] = {"MBOXNAME", wire_field_str, AT(name)},
	[WIRE_MBOXTYPE] = {"MBOXTYPE", wire_field_str, AT(mboxtype)},
	[WIRE_SYNC_CRC] = {"SYNC_CRC", wire_field_u32, AT(sync_crc)},
	[WIRE_SYNC_CRC_ANNOT] = {"SYNC_CRC_ANNOT", wire_field_u32, AT(sync_crc_annot)},
	[WIRE_LAST_UID] = {"LAST_UID", wire_field_u32, AT(last_uid)},
	[WIRE_HIGHESTMODSEQ] = {"HIGHESTMODSEQ", wire_field_u64, AT(highestmodseq)},
	[WIRE_RECENTUID] = {"RECENTUID", wire_field_u32, AT(recentuid)},
	[WIRE_RECENTTIME] = {"RECENTTIME", wire_field_time, AT(recenttime)},
	[WIRE_LAST_APPENDDATE] = {"LAST_APPENDDATE", wire_field_time, AT(last_appenddate)},
	[WIRE_POP3_LAST_LOGIN] = {"POP3_LAST_LOGIN", wire_field_time, AT(pop3_last_login)},
	[WIRE_POP3_SHOW_AFTER] = {"POP3_SHOW_AFTER", wire_field_time, AT(pop3_show_after)},
	[WIRE_XCONVMODSEQ] = {"XCONVMODSEQ", wire_field_u64, AT(xconvmodseq)},
	[WIRE_RACLMODSEQ] = {"RACLMODSEQ", wire_field_u64, AT(raclmodseq)},
	[WIRE_UIDVALIDITY] = {"UIDVALIDITY", wire_field_u32, AT(uidvalidity)},
	[WIRE_PARTITION] = {"PARTITION", wire_field_partition, AT(partition)},
	[WIRE_ACL] = {"ACL", wire_field_str, AT(acl)},
	[WIRE_OPTIONS] = {"OPTIONS", field_options, AT(options)},
	[WIRE_QUOTAROOT] = {"QUOTAROOT", wire_field_nullable, AT(quotaroot)},
	[WIRE_CREATEDMODSEQ] = {"CREATEDMODSEQ", wire_field_u64, AT(createdmodseq)},
	[WIRE_FOLDERMODSEQ] = {"FOLDERMODSEQ", wire_field_u64, AT(foldermodseq)},
	[WIRE_ANNOTATIONS] = {"ANNOTATIONS", field_annotations, 0},
	[WIRE_SINCE_MODSEQ] = {"SINCE_MODSEQ", wire_field_u64, AT(since_modseq)},
	[WIRE_SINCE_CRC] = {"SINCE_CRC", wire_field_u32, AT(since_crc)},
	[WIRE_SINCE_CRC_ANNOT] = {"SINCE_CRC_ANNOT", wire_field_u32, AT(since_crc_annot)},
	[WIRE_RECORD] = {"RECORD", wire_field_records, 0},
};

/* ---- reading ----------------------------------------------------------------------------------- */

int wire_read_mailbox(struct wire_reader *r, int token, struct wire_mailbox *out,
		      struct us_err *err)
{
	int rc;

	memset(out, 0, sizeof(*out));
	if (token != DLIST_TOKEN_KVLIST)
		return wire_pass(r->lx, token, err);
	rc = wire_read_fields(r, fields, WIRE_FIELDS, out, &out->seen, err);
	if (rc < 0)
		return rc;
	out->bad_record = r->bad_record;
	out->state.has_sync_crc_annot = (out->seen & WIRE_BIT(WIRE_SYNC_CRC_ANNOT)) != 0;
	out->state.has_since = (out->seen & WIRE_BIT(WIRE_SINCE_MODSEQ)) != 0;
	return 1;
}

/* What an order and an answer must have; of an entry only the first two. */
#define NAMED (WIRE_BIT(WIRE_UNIQUEID) | WIRE_BIT(WIRE_MBOXNAME))
#define WHOLE                                                                                    \
	(NAMED | WIRE_BIT(WIRE_LAST_UID) | WIRE_BIT(WIRE_HIGHESTMODSEQ) |                        \
	 WIRE_BIT(WIRE_RECENTUID) | WIRE_BIT(WIRE_RECENTTIME) | WIRE_BIT(WIRE_POP3_LAST_LOGIN) | \
	 WIRE_BIT(WIRE_UIDVALIDITY) | WIRE_BIT(WIRE_PARTITION) | WIRE_BIT(WIRE_ACL) |            \
	 WIRE_BIT(WIRE_OPTIONS))
#define WHOLE_ORDER (WHOLE | WIRE_BIT(WIRE_LAST_APPENDDATE) | WIRE_BIT(WIRE_RECORD))

bool wire_mailbox_is_whole(const struct wire_mailbox *m, bool apply)
{
	uint64_t wanted = wire_is_entry(&m->state) ? NAMED : apply ? WHOLE_ORDER : WHOLE;

	return (m->seen & wanted) == wanted && !m->bad_annotations;
}

int wire_read_apply(struct dlist_lexer *lx, struct pool *pool, const struct wire_record_sink *sink,
		    struct wire_mailbox *out, struct us_err *err)
{
	struct wire_reader r = {.lx = lx, .pool = pool, .records = sink};
	int token = dlist_next(lx, err);
	int rc = token < 0 ? token : wire_read_mailbox(&r, token, out, err);

	if (rc >= 0)
		rc = wire_read_end(lx, err);
	if (rc < 0)
		return rc;
	if (r.sink_rc < 0) {
		if (err)
			*err = r.sink_err;
		return r.sink_rc;
	}
	if (wire_mailbox_is_whole(out, /* apply */ true))
		return 0;
	return us_fail(err, US_EINVAL, "a mailbox without a field it must have");
}

/* ---- writing ----------------------------------------------------------------------------------- */

static bool has_records(const struct state_mailbox *m, enum wire_form form)
{
	return form != WIRE_REPLY && !wire_is_entry(m);
}

static void put_options(struct dlist_writer *w, uint32_t set)
{
	char letters[ARRAY_SIZE(options) + 1] = "";
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (set & options[i].option)
			letters[n++] = options[i].letter;
	dlist_put_kstr(w, "OPTIONS", span_of(letters));
}

static void put_nonzero(struct dlist_writer *w, const char *key, uint64_t n)
{
	if (n)
		dlist_put_ku64(w, key, n);
}

static void put_identity(struct dlist_writer *w, const struct state_mailbox *m)
{
	dlist_put_kstr(w, "UNIQUEID", m->uniqueid);
	dlist_put_kstr(w, "MBOXNAME", m->name);
	if (m->mboxtype.len && !span_is(m->mboxtype, "e"))
		dlist_put_kstr(w, "MBOXTYPE", m->mboxtype);
}

static void put_counters(struct dlist_writer *w, const struct state_mailbox *m, bool partial)
{
	dlist_put_ku64(w, "SYNC_CRC", partial ? 0 : m->sync_crc);
	if (m->has_sync_crc_annot && !partial)
		dlist_put_ku64(w, "SYNC_CRC_ANNOT", m->sync_crc_annot);
	dlist_put_ku64(w, "LAST_UID", m->last_uid);
	dlist_put_ku64(w, "HIGHESTMODSEQ", m->highestmodseq);
	dlist_put_ku64(w, "RECENTUID", m->recentuid);
	wire_put_time(w, "RECENTTIME", m->recenttime);
	wire_put_time(w, "LAST_APPENDDATE", m->last_appenddate);
	wire_put_time(w, "POP3_LAST_LOGIN", m->pop3_last_login);
	wire_put_time(w, "POP3_SHOW_AFTER", m->pop3_show_after);
	put_nonzero(w, "XCONVMODSEQ", m->xconvmodseq);
	put_nonzero(w, "RACLMODSEQ", m->raclmodseq);
	dlist_put_ku64(w, "UIDVALIDITY", m->uidvalidity);
}

static void put_folder(struct dlist_writer *w, const struct state_mailbox *m)
{
	dlist_put_kstr(w, "PARTITION", m->partition);
	dlist_put_kstr(w, "ACL", m->acl.ptr ? m->acl : SPAN_LIT(""));
	put_options(w, m->options);
	if (m->quotaroot.ptr)
		dlist_put_kstr(w, "QUOTAROOT", m->quotaroot);
}

/* An entry's order: what it is, and when it became so. */
static void put_entry(struct dlist_writer *w, const struct state_mailbox *m)
{
	dlist_put_ku64(w, "HIGHESTMODSEQ", m->highestmodseq);
	put_nonzero(w, "CREATEDMODSEQ", m->createdmodseq);
	put_nonzero(w, "FOLDERMODSEQ", m->foldermodseq);
}

void wire_begin_mailbox(struct dlist_writer *w, const struct state_mailbox *m, enum wire_form form)
{
	bool order = form == WIRE_APPLY || form == WIRE_APPLY_PARTIAL;

	dlist_put_kvlist(w);
	put_identity(w, m);
	if (order && wire_is_entry(m)) {
		put_entry(w, m);
		return;
	}
	put_counters(w, m, form == WIRE_APPLY_PARTIAL);
	put_folder(w, m);
	put_nonzero(w, "CREATEDMODSEQ", m->createdmodseq);
	put_nonzero(w, "FOLDERMODSEQ", m->foldermodseq);
	wire_put_annotations(w, m->annotations, m->n_annotations, NULL);
	if (order && m->has_since) {
		dlist_put_ku64(w, "SINCE_MODSEQ", m->since_modseq);
		dlist_put_ku64(w, "SINCE_CRC", m->since_crc);
		dlist_put_ku64(w, "SINCE_CRC_ANNOT", m->since_crc_annot);
	}
	if (has_records(m, form)) {
		dlist_put_key(w, "RECORD");
		dlist_put_list(w);
	}
}

void wire_end_mailbox(struct dlist_writer *w, const struct state_mailbox *m, enum wire_form form)
{
	if (has_records(m, form))
		dlist_put_close(w);
	dlist_put_close(w);
}

void wire_put_mailbox(struct dlist_writer *w, const struct state_mailbox *m, enum wire_form form)
{
	wire_begin_mailbox(w, m, form);
	for (size_t i = 0; has_records(m, form) && i < m->n_records; i++)
		wire_put_record(w, &m->records[i]);
	wire_end_mailbox(w, m, form);
}
