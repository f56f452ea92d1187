/* apply_mailbox.c - APPLY MAILBOX: make this mailbox equal to what the client says (csync-protocol 7.5).
 *
 *	read the command, records into a spool
 *	   |
 *	find or make the mailbox; lock it
 *	   |
 *	SINCE, type, HIGHESTMODSEQ, UIDVALIDITY, LAST_UID judged against ours
 *	   |
 *	dry run over the records: anything that cannot be done ends here, with nothing written
 *	   |
 *	one commit: records, counters, and the row (ACL, annotations, modseqs) riding in it
 *	   |
 *	our sums against the client's: a difference is answered, what was written stays
 *
 * A record never gets a modseq of our making, and HIGHESTMODSEQ becomes what the command says.
 */
#include <stdlib.h>
#include <string.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/csync/csync_private.h"
#include "server/csync/spool.h"
#include "server/store/annotations.h"
#include "server/store/mboxname.h"
#include "server/store/meta/meta.h"
#include "server/store/partition.h"
#include "server/store/snapshot.h"

/* From this many new messages on, the bodies are made durable together before the first is linked. */
#define MANY_MESSAGES 8

struct update {
	struct csync_answer *a;
	struct csync *cs;
	struct wire_mailbox said; /* the command's header */
	struct spool *spool;
	struct pool *scratch; /* one record's */
	struct mailbox *m;
	struct stage *stage;
	bool made; /* just created: its highestmodseq counts as 0 */
	bool row_changed;
	uint64_t appends;
	struct staged *staged; /* bodies of this commit that must stay open until it is finished */
	size_t n_staged, cap_staged;
};

/* ---- finding the mailbox ------------------------------------------------------------------------- */

static int make_mailbox(struct update *u, struct us_err *err)
{
	const struct state_mailbox *s = &u->said.state;
	struct folder_create options = {.type = s->mboxtype,
					.uniqueid = s->uniqueid,
					.partition = s->partition,
					.acl = s->acl,
					.uidvalidity = s->uidvalidity,
					.options = s->options,
					.createdmodseq = s->createdmodseq,
					.foldermodseq = s->foldermodseq,
					.highestmodseq = 1};
	int rc = folder_create(u->cs->store, s->name, &options, err);

	u->made = rc == 0;
	return rc;
}

/* Another mailbox has the name. An empty one gives way, and so does any under FORCE. */
static int replace_mailbox(struct update *u, struct us_err *err)
{
	const struct state_mailbox *s = &u->said.state;
	bool may_go = u->cs->force || u->m->view.counters.last_uid == 0;
	int rc;

	if (!may_go) {
		log_event(LOG_ERR, "csync.mailbox.moved",
			  LF_TEXT("SYNCERROR: mailbox uniqueid changed - retry"),
			  LF_SPAN("mailbox", s->name));
		return us_fail(err, US_EMOVED, "%.*s has another uniqueid here", SPAN_ARG(s->name));
	}
	mailbox_close(&u->m);
	rc = folder_delete(u->cs->store, s->name, FOLDER_DELETE_TRASH, err);
	if (rc == 0 || rc == US_ENOENT)
		rc = make_mailbox(u, err);
	return rc;
}

static int find_mailbox(struct update *u, struct us_err *err)
{
	const struct state_mailbox *s = &u->said.state;
	int rc = mailbox_open(u->cs->store, s->name, &u->m, err);

	if (rc == US_ENOENT)
		rc = make_mailbox(u, err);
	else if (rc == 0 && !span_eq(u->m->row.uniqueid, s->uniqueid))
		rc = replace_mailbox(u, err);
	if (rc == US_EMOVED && !u->m)
		log_event(LOG_NOTICE, "csync.mailbox.clash",
			  LF_TEXT("SYNCNOTICE: failed to create mailbox: uniqueid already in use"),
			  LF_SPAN("mailbox", s->name));
	if (rc == 0 && !u->m)
		rc = mailbox_open(u->cs->store, s->name, &u->m, err);
	if (rc == 0)
		rc = mailbox_lock(u->m, err);
	if (rc == 0 && !span_eq(u->m->row.uniqueid, s->uniqueid))
		rc = us_fail(err, US_EBUSY, "%.*s was replaced meanwhile", SPAN_ARG(s->name));
	return rc;
}

/* ---- is the command about the state we have? ------------------------------------------------------ */

static struct sums our_sums(const struct mailbox *m)
{
	return (struct sums){m->view.counters.sync_crc, m->view.counters.sync_crc_annot};
}

static uint64_t our_highest(const struct update *u)
{
	return u->made ? 0 : mailbox_highestmodseq(u->m);
}

/* A difference is believed only after the sums were counted from the records. */
static bool sums_fit(struct update *u, struct sums theirs)
{
	struct sums ours = our_sums(u->m);

	if (sums_agree(ours, theirs))
		return true;
	snapshot_recount(u->m, &ours.basic, &ours.annot);
	return sums_agree(ours, theirs);
}

static int judge_since(struct update *u, struct us_err *err)
{
	const struct state_mailbox *s = &u->said.state;
	struct sums theirs = {s->since_crc, s->since_crc_annot};

	if (!s->since_modseq || (s->since_modseq == our_highest(u) && sums_fit(u, theirs)))
		return 0;
	return us_fail(err, US_ECHANGED, "%s is not as it was at modseq %llu", u->m->name.data,
		       (unsigned long long)s->since_modseq);
}

static struct span plain_type(struct span type)
{
	return type.len ? type : SPAN_LIT("e");
}

static int judge_header(struct update *u, struct us_err *err)
{
	const struct state_mailbox *s = &u->said.state;
	const struct counters *c = &u->m->view.counters;
	int rc = judge_since(u, err);

	if (rc < 0)
		return rc;
	if (!span_eq(plain_type(s->mboxtype), plain_type(u->m->row.type)))
		return us_fail(err, US_EREMOTE, "%s has the type %.*s here", u->m->name.data,
			       SPAN_ARG(u->m->row.type));
	if (u->cs->force)
		return 0;
	if (s->highestmodseq < our_highest(u))
		return us_fail(err, US_ECHECKSUM, "%s is ahead: modseq %llu", u->m->name.data,
			       (unsigned long long)our_highest(u));
	if (s->uidvalidity < c->uidvalidity)
		return us_fail(err, US_ECHECKSUM, "%s has a higher uidvalidity", u->m->name.data);
	if (s->last_uid < c->last_uid)
		return us_fail(err, US_ECHECKSUM, "%s is ahead: uid %u", u->m->name.data,
			       c->last_uid);
	return 0;
}

/* ---- dry run ------------------------------------------------------------------------------------- */

enum step { STEP_SKIP, STEP_CHANGE, STEP_APPEND };

static int differ(struct us_err *err, struct update *u, uint32_t uid, const char *why)
{
	return us_fail(err, US_ECHECKSUM, "%s uid %u: %s", u->m->name.data, uid, why);
}

/* The table of csync-protocol 7.5. */
static int judge_record(struct update *u, const struct state_record *theirs, enum step *step,
			struct us_err *err)
{
	const struct record *ours = view_find(&u->m->view, theirs->uid);

	*step = STEP_SKIP;
	if (!ours) {
		if (theirs->uid > u->m->view.counters.last_uid)
			*step = STEP_APPEND;
		else if (!theirs->expunged)
			return differ(err, u, theirs->uid, "it was expunged here");
		return 0;
	}
	if (!record_is_live(ours) && theirs->expunged)
		return 0;
	if (!guid_eq(&ours->guid, &theirs->guid))
		return differ(err, u, theirs->uid, "it is another message here");
	if (ours->modseq > theirs->modseq && !u->cs->force)
		return differ(err, u, theirs->uid, "it was changed here");
	if (!record_is_live(ours))
		return differ(err, u, theirs->uid, "it was expunged here");
	*step = STEP_CHANGE;
	return 0;
}

static int check_body(struct update *u, const struct state_record *theirs, struct us_err *err)
{
	char hex[GUID_HEX];

	u->appends++;
	if (theirs->expunged || stage_has(u->stage, &theirs->guid))
		return 0;
	guid_format(&theirs->guid, hex);
	return us_fail(err, US_EREMOTE, "%s uid %u: its body %s was not sent", u->m->name.data,
		       theirs->uid, hex);
}

static int dry_run(struct update *u, struct us_err *err)
{
	struct state_record r;
	enum step step;
	int rc = spool_rewind(u->spool, err);

	while (rc == 0 && spool_next(u->spool, u->scratch, &r) > 0) {
		rc = judge_record(u, &r, &step, err);
		if (rc == 0 && step == STEP_APPEND)
			rc = check_body(u, &r, err);
		pool_clear(u->scratch);
	}
	return rc;
}

/* ---- writing ------------------------------------------------------------------------------------- */

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

static const struct state_annotation *find_annotation(const struct state_annotation *set, size_t n,
						      const struct state_annotation *a)
{
	for (size_t i = 0; i < n; i++)
		if (span_eq(set[i].entry, a->entry) && span_eq(set[i].userid, a->userid))
			return &set[i];
	return NULL;
}

/* Make the message's annotations exactly the client's. */
static int replace_annotations(struct update *u, struct commit *c,
			       const struct state_record *theirs, struct us_err *err)
{
	const struct state_annotation *ours, *all = theirs->annotations;
	size_t n;
	int rc = 0;

	ours = annots_of(&u->m->view.annots, theirs->uid, &n);
	for (size_t i = n; rc == 0 && i > 0; i--) { /* from the end: the array shrinks under us */
		struct state_annotation old = ours[i - 1];
		if (!find_annotation(all, theirs->n_annotations, &old))
			rc = commit_annotate(c, theirs->uid, old.entry, old.userid, SPAN_NULL, 0,
					     err);
		ours = annots_of(&u->m->view.annots, theirs->uid, &n);
	}
	for (size_t i = 0; rc == 0 && i < theirs->n_annotations; i++) {
		const struct state_annotation *old =
			annots_find(&u->m->view.annots, theirs->uid, all[i].entry, all[i].userid);
		if (!old || !span_eq(old->value, all[i].value) || old->modseq != all[i].modseq)
			rc = commit_annotate(c, theirs->uid, all[i].entry, all[i].userid,
					     all[i].value, all[i].modseq, err);
	}
	return rc;
}

static int change_message(struct update *u, struct commit *c, const struct state_record *theirs,
			  struct us_err *err)
{
	struct record r = *view_find(&u->m->view, theirs->uid);
	int rc;

	copy_fields(theirs, &r);
	rc = set_keywords(c, theirs, &r, err);
	if (rc == 0)
		rc = commit_put(c, &r, err);
	return rc == 0 ? replace_annotations(u, c, theirs, err) : rc;
}

/* Few bodies stay open until the commit syncs them; of many the sync is done already. */
static int append_with_body(struct update *u, struct commit *c, const struct guid *guid,
			    struct record *r, struct us_err *err)
{
	struct staged staged;
	int rc = stage_find(u->stage, guid, &staged, err);

	if (rc < 0)
		return rc;
	staged.synced = u->appends >= MANY_MESSAGES;
	if (staged.synced) {
		rc = message_append(c, &staged, r, NULL, err);
		staged_drop(&staged, false);
		return rc;
	}
	us_assert(u->n_staged < u->cap_staged);
	u->staged[u->n_staged] = staged;
	return message_append(c, &u->staged[u->n_staged++], r, NULL, err);
}

static int append_new(struct update *u, struct commit *c, const struct state_record *theirs,
		      struct us_err *err)
{
	struct record r = {.uid = theirs->uid, .size = theirs->size, .guid = theirs->guid};
	struct commit_source none = {.none = true};
	int rc;

	copy_fields(theirs, &r);
	rc = set_keywords(c, theirs, &r, err);
	if (rc < 0)
		return rc;
	if (theirs->expunged && !stage_has(u->stage, &theirs->guid))
		rc = commit_append(c, &r, &none, SPAN_NULL, NULL, err);
	else
		rc = append_with_body(u, c, &theirs->guid, &r, err);
	return rc == 0 ? replace_annotations(u, c, theirs, err) : rc;
}

static int write_records(struct update *u, struct commit *c, struct us_err *err)
{
	struct state_record r;
	enum step step;
	int rc = spool_rewind(u->spool, err);

	while (rc == 0 && spool_next(u->spool, u->scratch, &r) > 0) {
		rc = judge_record(u, &r, &step, err);
		if (rc == 0 && step == STEP_APPEND)
			rc = append_new(u, c, &r, err);
		else if (rc == 0 && step == STEP_CHANGE)
			rc = change_message(u, c, &r, err);
		pool_clear(u->scratch);
	}
	return rc;
}

/* UIDs up to LAST_UID that came without any record are gone for good: whoever asks for changes since an older modseq
 * must be told so. */
static void note_gaps(struct update *u, struct counters *c, uint32_t old_last_uid)
{
	const struct state_mailbox *s = &u->said.state;
	struct view_walk walk = view_walk(&u->m->view, old_last_uid + 1);
	const struct record *r;
	uint64_t present = 0;

	while ((r = view_next(&u->m->view, &walk)))
		present++;
	if (s->last_uid > old_last_uid && present < s->last_uid - old_last_uid &&
	    s->highestmodseq > c->deletedmodseq)
		c->deletedmodseq = s->highestmodseq;
}

/* FORCE may lower LAST_UID, but never below a record that is here: its UID would be given twice. */
static uint32_t highest_uid(struct mailbox *m)
{
	const struct view *v = &m->view;

	return v->n_appended ? v->appended[v->n_appended - 1].uid : v->base_max_uid;
}

static void write_counters(struct update *u, struct commit *commit, uint32_t old_last_uid)
{
	const struct state_mailbox *s = &u->said.state;
	struct counters *c = commit_counters(commit);

	note_gaps(u, c, old_last_uid);
	if (s->last_uid > c->last_uid || u->cs->force)
		c->last_uid = s->last_uid > highest_uid(u->m) ? s->last_uid : highest_uid(u->m);
	c->highestmodseq = s->highestmodseq;
	c->uidvalidity = s->uidvalidity;
	c->recentuid = s->recentuid;
	c->recenttime = s->recenttime;
	c->last_append = s->last_appenddate;
	c->pop3_last_login = s->pop3_last_login;
	if (u->said.seen & WIRE_BIT(WIRE_POP3_SHOW_AFTER))
		c->pop3_show_after = s->pop3_show_after;
	if (u->said.seen & WIRE_BIT(WIRE_XCONVMODSEQ))
		c->xconvmodseq = s->xconvmodseq;
	if (u->said.seen & WIRE_BIT(WIRE_RACLMODSEQ))
		c->raclmodseq = s->raclmodseq;
	if (u->said.seen & WIRE_BIT(WIRE_CREATEDMODSEQ))
		c->createdmodseq = s->createdmodseq;
	c->options = s->options;
}

static struct mailbox_row wanted_row(struct update *u)
{
	const struct state_mailbox *s = &u->said.state;
	struct mailbox_row row = u->m->row;

	row.acl = s->acl;
	row.uidvalidity = s->uidvalidity;
	row.lastmodseq = 0; /* what is said is what is true */
	if (u->said.seen & WIRE_BIT(WIRE_FOLDERMODSEQ))
		row.foldermodseq = s->foldermodseq;
	if (u->said.seen & WIRE_BIT(WIRE_CREATEDMODSEQ))
		row.createdmodseq = s->createdmodseq;
	if (u->said.seen & WIRE_BIT(WIRE_RACLMODSEQ))
		row.raclmodseq = s->raclmodseq;
	return row;
}

/* The metadata half, if there is any: it rides in the records' frame. */
static int fill_batch(struct update *u, struct meta_batch *batch, struct us_err *err)
{
	const struct state_mailbox *s = &u->said.state;
	const struct state_annotation *have;
	struct mailbox_row row = wanted_row(u);
	struct buf before = BUF_INIT, after = BUF_INIT;
	size_t n_have;
	int rc = annotations_list(u->cs->store, &row.storeid, u->a->pool, &have, &n_have, err);

	if (rc < 0)
		return rc;
	mailbox_row_encode(&u->m->row, &before);
	mailbox_row_encode(&row, &after);
	if (!span_eq(buf_span(&before), buf_span(&after))) {
		row.mtime = store_now();
		folder_put_row(batch, buf_span(&u->m->name), &row);
	}
	annotations_replace(batch, &row.storeid, have, n_have, s->annotations, s->n_annotations);
	u->row_changed = batch->n_items > 0;
	buf_free(&before);
	buf_free(&after);
	return 0;
}

static int write_all(struct update *u, struct commit *commit, struct meta_batch *batch,
		     struct us_err *err)
{
	uint32_t old_last_uid = u->m->view.counters.last_uid;
	int rc = write_records(u, commit, err);

	if (rc == 0)
		rc = fill_batch(u, batch, err);
	if (rc < 0)
		return rc;
	write_counters(u, commit, old_last_uid);
	if (u->row_changed)
		commit_meta(commit, batch, /* lazy */ false);
	return 0;
}

static int write_update(struct update *u, struct us_err *err)
{
	struct commit *commit = NULL;
	struct meta_batch batch;
	int rc = u->appends >= MANY_MESSAGES ? stage_sync(u->stage, err) : 0;

	if (rc < 0)
		return partition_poison(stage_partition(u->stage), err);
	u->cap_staged = u->appends < MANY_MESSAGES ? (size_t)u->appends : 0;
	u->staged = us_calloc(u->cap_staged, sizeof(u->staged[0]));
	meta_batch_init(&batch);
	rc = commit_begin(u->m, &commit, err);
	if (rc == 0)
		rc = write_all(u, commit, &batch, err);
	if (rc == 0)
		rc = commit_finish(&commit, err);
	commit_abort(&commit);
	meta_batch_fini(&batch);
	return rc;
}

/* ---- the whole command --------------------------------------------------------------------------- */

static int check_result(struct update *u, struct us_err *err)
{
	struct sums theirs = sums_said(&u->said.state);
	struct sums ours = our_sums(u->m);

	if (sums_fit(u, theirs))
		return 0;
	return us_fail(err, US_ECHECKSUM, "%s: sums are %u %u here, %u %u there", u->m->name.data,
		       ours.basic, ours.annot, theirs.basic, theirs.annot);
}

static int apply_records(struct update *u, struct us_err *err)
{
	int rc = csync_stage(u->cs, u->said.state.partition, &u->stage, err);

	if (rc == 0)
		rc = find_mailbox(u, err);
	if (rc == 0)
		rc = judge_header(u, err);
	if (rc == 0)
		rc = dry_run(u, err);
	if (rc == 0)
		rc = write_update(u, err);
	if (rc == 0 && u->row_changed)
		folder_copy_row(u->m);
	return rc == 0 ? check_result(u, err) : rc;
}

/* A name that exists only for its children, or only as a memory. */
static int apply_entry(struct update *u, struct us_err *err)
{
	const struct state_mailbox *s = &u->said.state;
	struct mailbox_row row = {.type = s->mboxtype,
				  .uniqueid = s->uniqueid,
				  .acl = s->acl,
				  .createdmodseq = s->createdmodseq,
				  .foldermodseq = s->foldermodseq,
				  .lastmodseq = s->highestmodseq,
				  .mtime = store_now()};

	return folder_put_entry(u->cs->store, s->name, &row, err);
}

static int to_spool(void *ctx, const struct state_record *r, struct us_err *err)
{
	return spool_put(ctx, r, err);
}

static int apply_read(struct update *u, struct us_err *err)
{
	struct span type = u->said.state.mboxtype;

	if (wire_type_has(type, 'f') && !u->cs->sieve_mailbox)
		return us_fail(err, US_EINVAL, "a sieve mailbox, but SIEVE-MAILBOX is not enabled");
	if (wire_type_has(type, 'i') || wire_type_has(type, 'd'))
		return apply_entry(u, err);
	return apply_records(u, err);
}

int csync_read_mailbox(struct csync_answer *a, struct dlist_lexer *lx, struct us_err *err)
{
	struct partition *p = store_default_partition(a->cs->store);
	struct update u = {.a = a, .cs = a->cs, .scratch = pool_new()};
	struct wire_record_sink sink;
	int rc;

	u.spool = spool_new(p->dir, a->cs->spool_max);
	sink = (struct wire_record_sink){to_spool, u.spool};
	rc = wire_read_apply(lx, a->pool, &sink, &u.said, err);
	if (rc == US_EINVAL && u.said.fault == WIRE_FAULT_RECORD)
		rc = US_EPROTO;
	if (rc == 0)
		rc = apply_read(&u, err);
	for (size_t i = 0; i < u.n_staged; i++)
		staged_drop(&u.staged[i], false);
	free(u.staged);
	mailbox_close(&u.m);
	spool_free(&u.spool);
	pool_free(&u.scratch);
	return rc;
}
