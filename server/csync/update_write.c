/* update_write.c - an APPLY MAILBOX that was found good, as one commit; see update.h.
 *
 *	bodies durable (many at once; few with the commit)
 *	records: appended, changed, or only their modseq
 *	counters as the command has them
 *	row and mailbox annotations, riding in the frame
 */
#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"
#include "server/csync/csync_private.h"
#include "server/csync/spool.h"
#include "server/store/annotations.h"
#include "server/store/compact.h"
#include "server/store/meta/meta.h"
#include "server/store/partition.h"

/* From this many new messages on, the bodies are made durable together before the first is linked. */
#define MANY_MESSAGES 8

/* ---- one record ----------------------------------------------------------------------------------- */

static int set_keywords(struct commit *c, const struct state_record *theirs, struct record *r,
			struct us_err *err)
{
	int rc = 0;

	r->user_flags[0] = r->user_flags[1] = 0;
	for (size_t i = 0; rc == 0 && i < theirs->n_keywords; i++) {
		unsigned bit;
		rc = commit_flag_bit(c, theirs->keywords[i], &bit, err);
		if (rc == 0)
			record_set_user_flag(r, bit, true);
	}
	return rc;
}

/* Seconds are what the wire has; what we know of the fraction stays if the second does. */
static int64_t with_fraction(int64_t ours_ns, int64_t theirs_s)
{
	return ours_ns / 1000000000 == theirs_s ? ours_ns : theirs_s * 1000000000;
}

static void copy_fields(const struct state_record *theirs, struct record *r)
{
	r->modseq = theirs->modseq;
	r->last_updated = theirs->last_updated;
	r->internaldate_ns = with_fraction(r->internaldate_ns, theirs->internaldate);
	r->savedate = theirs->savedate;
	r->createdmodseq = theirs->createdmodseq;
	r->cid = theirs->thrid;
	r->system_flags = theirs->system_flags;
	if (theirs->expunged)
		r->internal_flags |= RECORD_EXPUNGED;
}

/* Put *r unless it is what is there. */
static int put(struct csync_update *u, const struct record *r, struct us_err *err)
{
	const struct record *old = view_find(&u->m->view, r->uid);

	return memcmp(old, r, sizeof(*r)) == 0 ? 0 : commit_put(u->commit, r, err);
}

/* ---- annotations of a message: both sides sorted ---------------------------------------------------- */

static int compare_places(const struct state_annotation *a, const struct state_annotation *b)
{
	int rc = span_cmp(a->entry, b->entry);

	return rc ? rc : span_cmp(a->userid, b->userid);
}

static int annotate(struct csync_update *u, uint32_t uid, const struct state_annotation *a,
		    struct us_err *err)
{
	return commit_annotate(u->commit, uid, a->entry, a->userid, a->value, a->modseq, err);
}

/* Remove what they have not. From the end: the array shrinks under us, and moves. */
static int drop_others(struct csync_update *u, const struct state_record *theirs,
		       struct us_err *err)
{
	size_t n, left, k = theirs->n_annotations;
	const struct state_annotation *ours = annots_of(&u->m->view.annots, theirs->uid, &n);
	int rc = 0;

	while (rc == 0 && n > 0) {
		struct state_annotation gone = ours[n - 1];
		while (k > 0 && compare_places(&theirs->annotations[k - 1], &gone) > 0)
			k--;
		gone.value = SPAN_NULL;
		gone.modseq = 0;
		if (k == 0 || compare_places(&theirs->annotations[k - 1], &gone) != 0)
			rc = annotate(u, theirs->uid, &gone, err);
		ours = annots_of(&u->m->view.annots, theirs->uid, &left);
		n--;
	}
	return rc;
}

static int replace_annotations(struct csync_update *u, const struct state_record *theirs,
			       struct us_err *err)
{
	int rc = drop_others(u, theirs, err);

	for (size_t i = 0; rc == 0 && i < theirs->n_annotations; i++) {
		const struct state_annotation *a = &theirs->annotations[i];
		const struct state_annotation *old =
			annots_find(&u->m->view.annots, theirs->uid, a->entry, a->userid);
		if (!old || !span_eq(old->value, a->value) || old->modseq != a->modseq)
			rc = annotate(u, theirs->uid, a, err);
	}
	return rc;
}

/* ---- what a step does -------------------------------------------------------------------------------- */

static int raise_modseq(struct csync_update *u, const struct state_record *theirs,
			struct us_err *err)
{
	struct record r = *view_find(&u->m->view, theirs->uid);

	r.modseq = theirs->modseq;
	r.last_updated = theirs->last_updated;
	return commit_put(u->commit, &r, err);
}

static int change_message(struct csync_update *u, const struct state_record *theirs,
			  struct us_err *err)
{
	struct record r = *view_find(&u->m->view, theirs->uid);
	int rc;

	copy_fields(theirs, &r);
	rc = set_keywords(u->commit, theirs, &r, err);
	if (rc == 0)
		rc = put(u, &r, err);
	return rc == 0 ? replace_annotations(u, theirs, err) : rc;
}

/* Few bodies stay open until the commit syncs them; of many the sync is done already. */
static int append_with_body(struct csync_update *u, const struct guid *guid, struct record *r,
			    struct us_err *err)
{
	struct staged staged;
	int rc = stage_find(u->stage, guid, &staged, err);

	if (rc < 0)
		return rc;
	rc = staged_date(&staged, r->internaldate_ns, err);
	if (rc < 0) {
		staged_drop(&staged, false);
		return rc;
	}
	staged.synced = u->appends >= MANY_MESSAGES;
	if (staged.synced) {
		rc = message_append(u->commit, &staged, r, NULL, err);
		staged_drop(&staged, false);
		return rc;
	}
	us_assert(u->n_staged < u->cap_staged);
	u->staged[u->n_staged] = staged;
	return message_append(u->commit, &u->staged[u->n_staged++], r, NULL, err);
}

/* An append fills fields that are zero; here zero is what the peer has. */
static int put_zeros(struct csync_update *u, const struct state_record *theirs, struct us_err *err)
{
	struct record r = *view_find(&u->m->view, theirs->uid);

	copy_fields(theirs, &r);
	return put(u, &r, err);
}

static int append_new(struct csync_update *u, const struct state_record *theirs, struct us_err *err)
{
	struct record r = {.uid = theirs->uid, .size = theirs->size, .guid = theirs->guid};
	struct commit_source none = {.none = true};
	int rc;

	copy_fields(theirs, &r);
	rc = set_keywords(u->commit, theirs, &r, err);
	if (rc < 0)
		return rc;
	if (theirs->expunged && !stage_has(u->stage, &theirs->guid))
		rc = commit_append(u->commit, &r, &none, SPAN_NULL, NULL, err);
	else
		rc = append_with_body(u, &theirs->guid, &r, err);
	if (rc == 0)
		rc = put_zeros(u, theirs, err);
	return rc == 0 ? replace_annotations(u, theirs, err) : rc;
}

static int write_record(void *ctx, const struct state_record *theirs, struct us_err *err)
{
	struct csync_update *u = ctx;
	enum csync_step step;
	int rc = csync_update_step(u, theirs, &step, err);

	if (rc < 0 || step == CSYNC_STEP_SKIP)
		return rc;
	if (step == CSYNC_STEP_APPEND)
		return append_new(u, theirs, err);
	if (step == CSYNC_STEP_CHANGE)
		return change_message(u, theirs, err);
	return raise_modseq(u, theirs, err);
}

/* ---- counters ----------------------------------------------------------------------------------------- */

static bool said(const struct csync_update *u, enum wire_field field)
{
	return (u->said.seen & WIRE_BIT(field)) != 0;
}

/* UIDs up to LAST_UID that came without any record are gone for good: whoever asks for changes since an older modseq
 * must be told so. */
static void note_gaps(const struct csync_update *u, struct counters *c, uint32_t old_last_uid)
{
	const struct state_mailbox *s = &u->said.state;
	struct view_walk walk = view_walk(&u->m->view, old_last_uid + 1);
	uint64_t present = 0;

	while (view_next(&u->m->view, &walk))
		present++;
	if (s->last_uid > old_last_uid && present < s->last_uid - old_last_uid &&
	    s->highestmodseq > c->deletedmodseq)
		c->deletedmodseq = s->highestmodseq;
}

/* FORCE may lower LAST_UID, but never below a record that is here: its UID would be given twice. */
static uint32_t highest_uid(const struct mailbox *m)
{
	const struct view *v = &m->view;

	return v->n_appended ? v->appended[v->n_appended - 1].uid : v->base_max_uid;
}

static uint32_t wanted_last_uid(const struct csync_update *u, uint32_t ours)
{
	uint32_t theirs = u->said.state.last_uid;

	if (theirs > ours)
		return theirs;
	if (!u->cs->force)
		return ours;
	return theirs > highest_uid(u->m) ? theirs : highest_uid(u->m);
}

static void write_counters(struct csync_update *u, uint32_t old_last_uid)
{
	const struct state_mailbox *s = &u->said.state;
	struct counters *c = commit_counters(u->commit);

	note_gaps(u, c, old_last_uid);
	c->last_uid = wanted_last_uid(u, c->last_uid);
	/* A record above HIGHESTMODSEQ is the peer's mistake; here it must not be one. */
	c->highestmodseq =
		s->highestmodseq > u->highest_record ? s->highestmodseq : u->highest_record;
	if (c->deletedmodseq > c->highestmodseq)
		c->deletedmodseq = c->highestmodseq;
	c->uidvalidity = s->uidvalidity;
	c->recentuid = s->recentuid;
	c->recenttime = s->recenttime;
	c->last_append = s->last_appenddate;
	c->pop3_last_login = s->pop3_last_login;
	if (said(u, WIRE_POP3_SHOW_AFTER))
		c->pop3_show_after = s->pop3_show_after;
	if (said(u, WIRE_XCONVMODSEQ))
		c->xconvmodseq = s->xconvmodseq;
	if (said(u, WIRE_RACLMODSEQ))
		c->raclmodseq = s->raclmodseq;
	if (said(u, WIRE_CREATEDMODSEQ))
		c->createdmodseq = s->createdmodseq;
	c->options = s->options;
}

/* ---- the row --------------------------------------------------------------------------------------------- */

static struct mailbox_row wanted_row(const struct csync_update *u)
{
	const struct state_mailbox *s = &u->said.state;
	struct mailbox_row row = u->m->row;

	row.acl = s->acl;
	row.uidvalidity = s->uidvalidity;
	row.lastmodseq = 0; /* what is said is what is true */
	if (said(u, WIRE_FOLDERMODSEQ))
		row.foldermodseq = s->foldermodseq;
	if (said(u, WIRE_CREATEDMODSEQ))
		row.createdmodseq = s->createdmodseq;
	if (said(u, WIRE_RACLMODSEQ))
		row.raclmodseq = s->raclmodseq;
	return row;
}

static bool same_row(const struct mailbox_row *a, const struct mailbox_row *b)
{
	struct buf left = BUF_INIT, right = BUF_INIT;
	bool same;

	mailbox_row_encode(a, &left);
	mailbox_row_encode(b, &right);
	same = span_eq(buf_span(&left), buf_span(&right));
	buf_free(&left);
	buf_free(&right);
	return same;
}

/* The metadata half, if there is any: it rides in the records' frame. */
static int fill_batch(struct csync_update *u, struct meta_batch *batch, struct us_err *err)
{
	const struct state_mailbox *s = &u->said.state;
	const struct state_annotation *have;
	struct mailbox_row row = wanted_row(u);
	size_t n_have;
	int rc = annotations_list(u->cs->store, &row.storeid, u->pool, &have, &n_have, err);

	if (rc < 0)
		return rc;
	if (!same_row(&u->m->row, &row)) {
		row.mtime = store_now();
		folder_put_row(batch, buf_span(&u->m->name), &row);
	}
	annotations_replace(batch, &row.storeid, have, n_have, s->annotations, s->n_annotations);
	u->row_changed = batch->n_items > 0;
	return 0;
}

/* ---- all of it -------------------------------------------------------------------------------------------- */

static int fill_commit(struct csync_update *u, struct meta_batch *batch, struct us_err *err)
{
	uint32_t old_last_uid = u->m->view.counters.last_uid;
	int rc = spool_each(u->spool, u->scratch, write_record, u, err);

	if (rc == 0)
		rc = fill_batch(u, batch, err);
	if (rc < 0)
		return rc;
	write_counters(u, old_last_uid);
	if (u->row_changed)
		commit_meta(u->commit, batch, /* lazy */ false);
	return 0;
}

static int commit_it(struct csync_update *u, struct us_err *err)
{
	struct meta_batch batch;
	int rc;

	meta_batch_init(&batch);
	rc = commit_begin(u->m, &u->commit, err);
	if (rc == 0)
		rc = fill_commit(u, &batch, err);
	if (rc == 0)
		rc = commit_finish(&u->commit, err);
	commit_abort(&u->commit);
	meta_batch_fini(&batch);
	return rc;
}

/* What fell by FORCE must not be known to anybody any more: a new generation, which readers open anew. */
static int after_commit(struct csync_update *u, const struct counters *before, struct us_err *err)
{
	const struct counters *c = &u->m->view.counters;

	if (u->row_changed)
		folder_copy_row(u->m);
	if (c->highestmodseq >= before->highestmodseq && c->last_uid >= before->last_uid &&
	    c->uidvalidity >= before->uidvalidity)
		return 0;
	return compact(u->m, err);
}

int csync_update_write(struct csync_update *u, struct us_err *err)
{
	struct counters before = u->m->view.counters;
	int rc = u->appends >= MANY_MESSAGES ? stage_sync(u->stage, err) : 0;

	if (rc < 0)
		return partition_poison(stage_partition(u->stage), err);
	u->cap_staged = u->appends < MANY_MESSAGES ? (size_t)u->appends : 0;
	u->staged = us_calloc(u->cap_staged, sizeof(u->staged[0]));
	rc = commit_it(u, err);
	return rc == 0 ? after_commit(u, &before, err) : rc;
}
