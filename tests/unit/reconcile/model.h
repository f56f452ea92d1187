/* model.h - a server in memory that applies csync commands by the written rules, and random lives for it to lead.
 *
 * It is as small as the rules allow: mailboxes with records, no bodies, no users. What APPLY refuses and what it keeps after a
 * refusal is what a Cyrus 3.6.1 does, step by step (dry run, write, sums); so what the plans achieve against this model they
 * achieve there.
 */
#ifndef US_TESTS_UNIT_RECONCILE_MODEL_H
#define US_TESTS_UNIT_RECONCILE_MODEL_H

#include "tests/unit/reconcile/states.h"

#include "reconcile/sums.h"
#include "reconcile/wire_types.h"
#include "server/base/err.h"

#define MODEL_BOXES   24
#define MODEL_RECORDS 160

struct model_box {
	char id[16], name[80];
	uint32_t last_uid, uidvalidity;
	uint64_t modseq, foldermodseq, deletedmodseq;
	char acl[16];
	struct state_record records[MODEL_RECORDS];
	size_t n;
};

struct model {
	struct model_box *boxes[MODEL_BOXES];
	size_t n;
	struct state_tombstone stones[64];
	char stone_text[64][2][80];
	size_t n_stones;
	/* Called before and after each change that a peer orders; may be NULL. */
	void (*changed)(struct model *m);
	void *ctx;
	unsigned orders; /* APPLYs that came, well or not */
	bool raises; /* HIGHESTMODSEQ rises with the records of an update, as it does in our own server */
};

/* ---- looking --------------------------------------------------------------------------------------- */

static inline struct model_box *model_by_name(struct model *m, struct span name)
{
	for (size_t i = 0; i < m->n; i++)
		if (span_is(name, m->boxes[i]->name))
			return m->boxes[i];
	return NULL;
}

static inline struct model_box *model_by_id(struct model *m, struct span id)
{
	for (size_t i = 0; i < m->n; i++)
		if (span_is(id, m->boxes[i]->id))
			return m->boxes[i];
	return NULL;
}

static inline struct state_record *model_record(struct model_box *b, uint32_t uid)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->records[i].uid == uid)
			return &b->records[i];
	return NULL;
}

static inline struct sums model_sums(const struct model_box *b)
{
	struct sums s = SUMS_EMPTY;

	for (size_t i = 0; i < b->n; i++)
		if (!b->records[i].expunged)
			sums_add(&s, &b->records[i]);
	return s;
}

static inline bool model_has_live(const struct model *m, const struct guid *guid)
{
	for (size_t i = 0; i < m->n; i++)
		for (size_t k = 0; k < m->boxes[i]->n; k++)
			if (!m->boxes[i]->records[k].expunged &&
			    guid_eq(&m->boxes[i]->records[k].guid, guid))
				return true;
	return false;
}

/* Its state, with all records; points into the box. */
static inline struct state_mailbox model_state(const struct model_box *b)
{
	struct state_mailbox s = mailbox(b->id, b->name);
	struct sums sums = model_sums(b);

	s.sync_crc = sums.basic;
	s.sync_crc_annot = sums.annot;
	s.last_uid = b->last_uid;
	s.highestmodseq = b->modseq;
	s.uidvalidity = b->uidvalidity;
	s.foldermodseq = b->foldermodseq;
	s.deletedmodseq = b->deletedmodseq;
	s.acl = span_of(b->acl);
	s.records = b->records;
	s.n_records = b->n;
	return s;
}

static inline struct state_user model_user(const struct model *m, struct pool *pool)
{
	struct state_mailbox *list = pool_alloc(pool, (m->n + 1) * sizeof(*list));

	for (size_t i = 0; i < m->n; i++)
		list[i] = model_state(m->boxes[i]);
	return (struct state_user){.userid = SPAN_LIT("bob"),
				   .mailboxes = list,
				   .n_mailboxes = m->n};
}

/* ---- changing -------------------------------------------------------------------------------------- */

static inline struct model_box *model_add(struct model *m, struct span id, struct span name)
{
	struct model_box *b = calloc(1, sizeof(*b));

	assert_true(m->n < MODEL_BOXES);
	snprintf(b->id, sizeof(b->id), "%.*s", SPAN_ARG(id));
	snprintf(b->name, sizeof(b->name), "%.*s", SPAN_ARG(name));
	snprintf(b->acl, sizeof(b->acl), "bob\tlrs\t");
	b->uidvalidity = 1000;
	b->modseq = b->foldermodseq = 1;
	m->boxes[m->n++] = b;
	return b;
}

static inline void model_remove(struct model *m, struct model_box *b)
{
	for (size_t i = 0; i < m->n; i++) {
		if (m->boxes[i] != b)
			continue;
		memmove(&m->boxes[i], &m->boxes[i + 1], (m->n - i - 1) * sizeof(m->boxes[0]));
		m->n--;
		break;
	}
	free(b);
}

static inline void model_append(struct model_box *b, struct state_record r)
{
	assert_true(b->n < MODEL_RECORDS);
	assert_true(!b->n || b->records[b->n - 1].uid < r.uid);
	b->records[b->n++] = r;
	b->last_uid = r.uid > b->last_uid ? r.uid : b->last_uid;
}

static inline void model_bury(struct model *m, const struct model_box *b)
{
	size_t i = m->n_stones++;

	assert_true(i < ARRAY_SIZE(m->stones));
	snprintf(m->stone_text[i][0], 80, "%s", b->id);
	snprintf(m->stone_text[i][1], 80, "%s", b->name);
	m->stones[i] = (struct state_tombstone){.uniqueid = span_of(m->stone_text[i][0]),
						.name = span_of(m->stone_text[i][1]),
						.time = 0x1000 + (int64_t)i};
}

static inline void model_free(struct model *m)
{
	while (m->n)
		model_remove(m, m->boxes[0]);
}

static inline void model_copy(struct model *to, const struct model *from)
{
	*to = (struct model){.n = from->n};
	for (size_t i = 0; i < from->n; i++) {
		to->boxes[i] = malloc(sizeof(*to->boxes[i]));
		memcpy(to->boxes[i], from->boxes[i], sizeof(*to->boxes[i]));
	}
}

/* ---- what a peer orders ---------------------------------------------------------------------------- */

static inline int model_rename(struct model *m, struct span from, struct span to,
			       uint32_t uidvalidity)
{
	struct model_box *b = model_by_name(m, from);

	m->orders++;
	if (!b)
		return US_ENOENT;
	if (model_by_name(m, to) && !span_eq(from, to))
		return US_EREMOTE;
	snprintf(b->name, sizeof(b->name), "%.*s", SPAN_ARG(to));
	b->uidvalidity = uidvalidity ? uidvalidity : b->uidvalidity;
	b->foldermodseq = ++b->modseq; /* its own guess */
	return 0;
}

static inline int model_unmailbox(struct model *m, struct span name)
{
	struct model_box *b = model_by_name(m, name);

	m->orders++;
	if (!b)
		return US_ENOENT;
	model_remove(m, b);
	if (m->changed)
		m->changed(m);
	return 0;
}

static inline int model_expunge(struct model *m, struct span name, const struct wire_uids *uids)
{
	struct model_box *b = model_by_name(m, name);

	m->orders++;
	for (size_t i = 0; b && i < uids->n; i++) {
		struct state_record *r = model_record(b, uids->uids[i]);
		if (r)
			r->expunged = true;
	}
	if (m->changed)
		m->changed(m);
	return b ? 0 : US_ENOENT;
}

static inline int model_dry_run(struct model_box *b, const struct state_record *r)
{
	struct state_record *have = model_record(b, r->uid);

	if (have && have->expunged && r->expunged)
		return 0;
	if (have)
		return !guid_eq(&have->guid, &r->guid) || have->modseq > r->modseq || have->expunged
			       ? US_ECHECKSUM
			       : 0;
	return r->uid <= b->last_uid && !r->expunged ? US_ECHECKSUM : 0;
}

static inline void model_write(struct model_box *b, const struct state_record *r,
			       uint32_t old_last_uid)
{
	struct state_record *have = model_record(b, r->uid);

	if (have && !(have->expunged && r->expunged))
		*have = *r;
	else if (!have && r->uid > old_last_uid)
		model_append(b, *r);
}

/* Is the mailbox the one the command means? Makes it if there is none. */
static inline int model_find(struct model *m, const struct state_mailbox *h, struct model_box **out,
			     uint64_t *modseq)
{
	struct model_box *b = model_by_name(m, h->name);

	if (b && !span_is(h->uniqueid, b->id)) {
		if (b->last_uid)
			return US_EMOVED;
		model_remove(m, b);
		b = NULL;
	}
	*modseq = b ? b->modseq : 0;
	if (!b && model_by_id(m, h->uniqueid))
		return US_EMOVED;
	*out = b ? b : model_add(m, h->uniqueid, h->name);
	return 0;
}

static inline int model_refuses(struct model_box *b, uint64_t modseq, const struct state_mailbox *h,
				const struct state_record *records, size_t n)
{
	int rc = 0;

	if (h->has_since && h->since_modseq &&
	    (h->since_modseq != modseq ||
	     !sums_agree(model_sums(b), (struct sums){h->since_crc, h->since_crc_annot})))
		return US_ECHANGED;
	if (h->highestmodseq < modseq || h->last_uid < b->last_uid ||
	    h->uidvalidity < (modseq ? b->uidvalidity : 0))
		return US_ECHECKSUM;
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = model_dry_run(b, &records[i]);
	return rc;
}

static inline int model_apply(struct model *m, const struct state_mailbox *h,
			      const struct state_record *records, size_t n)
{
	struct model_box *b = NULL;
	uint64_t modseq;
	uint32_t last_uid;
	int rc = model_find(m, h, &b, &modseq);

	m->orders++;
	if (rc == 0)
		rc = model_refuses(b, modseq, h, records, n);
	if (rc < 0)
		return rc;
	last_uid = b->last_uid;
	for (size_t i = 0; i < n; i++)
		model_write(b, &records[i], last_uid);
	if (h->last_uid > b->last_uid)
		b->last_uid = h->last_uid;
	b->modseq = h->highestmodseq;
	for (size_t i = 0; m->raises && i < n; i++)
		if (records[i].modseq > b->modseq)
			b->modseq = records[i].modseq;
	b->uidvalidity = h->uidvalidity;
	b->foldermodseq = h->foldermodseq;
	snprintf(b->acl, sizeof(b->acl), "%.*s", SPAN_ARG(h->acl));
	if (m->changed)
		m->changed(m);
	return sums_agree(model_sums(b), sums_said(h)) ? 0 : US_ECHECKSUM;
}

#endif
