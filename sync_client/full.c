/* full.c - a mailbox that went different ways on the two sides: all records of both compared, ours brought to where an
 * ordinary update can carry everything over (reconcile/decide_full.h has the rules).
 *
 *	GET FULLMAILBOX
 *	our records, under the mailbox lock: nothing may change between the decision and what follows from it
 *	messages that only the replica has: GET FETCH, staged here
 *	one commit: rewrites, expunges, copies, appends
 *	what got a new UID goes over
 *	APPLY EXPUNGE for UIDs that must go there: what replaces them is durable on both sides
 */
#include <stdlib.h>
#include <string.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/store/annotations.h"
#include "server/store/commit.h"
#include "server/store/meta/meta.h"
#include "server/store/message.h"
#include "server/store/partition.h"
#include "server/store/snapshot.h"
#include "sync_client/sync_private.h"

struct full {
	struct update *u;
	struct pool *pool;
	struct state_mailbox local, replica;
	struct full_plan plan;
	struct stage *stage;
	struct staged *fetched; /* one for each FULL_APPEND, in the order of the actions */
	size_t n_fetched;
};

/* ---- both sides --------------------------------------------------------------------------------- */

struct asked {
	struct state_mailbox mailbox;
	bool there;
};

static int take_mailbox(void *ctx, const struct wire_item *item, struct us_err *err UNUSED)
{
	struct asked *a = ctx;

	if (item->kind == WIRE_ITEM_MAILBOX) {
		a->mailbox = item->u.mailbox.state;
		a->there = true;
	}
	return 0;
}

static int ask_replica(struct full *f, struct us_err *err)
{
	struct wire_command c = {.kind = WIRE_GET_FULLMAILBOX, .u.name = f->u->name};
	struct wire_collector collector = {.pool = f->pool};
	struct wire_record_sink sink = wire_collect(&collector);
	struct asked asked = {.there = false};
	struct link_reader reader = {.pool = f->pool,
				     .item = take_mailbox,
				     .ctx = &asked,
				     .records = &sink};
	int rc = link_call(f->u->s->link, &c, &reader, err);

	if (rc == 0 && !asked.there)
		rc = us_fail(err, US_ECHANGED, "%.*s is gone there", SPAN_ARG(f->u->name));
	f->replica = asked.mailbox;
	f->replica.records = collector.records;
	f->replica.n_records = collector.n;
	return rc;
}

/* The mailbox is locked: this is what it will be when the commit begins. */
static int read_local(struct full *f, struct us_err *err)
{
	struct mailbox *m = f->u->m;
	struct view_walk walk = view_walk(&m->view, 1);
	struct state_record *records;
	const struct record *r;
	size_t n = 0;
	int rc = snapshot_mailbox(m, f->pool, &f->local, err);

	records = pool_alloc(f->pool, us_mul_size(m->view.counters.records + 1, sizeof(*records)));
	while (rc == 0 && (r = view_next(&m->view, &walk))) {
		struct state_record record;
		snapshot_record(m, r, f->pool, &record);
		wire_copy_record(f->pool, &record,
				 &records[n++]); /* the commit moves what the view points to */
	}
	f->local.records = records;
	f->local.n_records = n;
	return rc;
}

/* ---- messages that only the replica has ----------------------------------------------------------- */

struct fetching {
	struct full *f;
	struct staged *staged;
	bool present;
};

static int begin_file(void *ctx, const struct wire_file *file, struct us_err *err)
{
	struct fetching *g = ctx;

	g->present = file->present;
	return file->present ? staged_begin(g->f->stage, NULL, g->staged, err) : 0;
}

static int file_data(void *ctx, const void *data, size_t len, struct us_err *err)
{
	return staged_write(((struct fetching *)ctx)->staged, data, len, err);
}

static int end_file(void *ctx, struct us_err *err)
{
	struct fetching *g = ctx;

	return g->present ? staged_end(g->staged, 0, err) : 0;
}

static int fetch_one(struct full *f, const struct state_record *r, struct us_err *err)
{
	struct wire_command c = {.kind = WIRE_GET_FETCH,
				 .u.fetch = {f->u->name, f->replica.partition, f->replica.uniqueid,
					     r->guid, r->uid}};
	struct fetching g = {f, &f->fetched[f->n_fetched], false};
	struct wire_file_sink sink = {begin_file, file_data, end_file, &g};
	struct link_reader reader = {.pool = f->pool, .files = &sink};
	int rc = link_call(f->u->s->link, &c, &reader, err);

	f->n_fetched += g.present;
	if (rc == 0 && (!g.present || !guid_eq(&g.staged->guid, &r->guid)))
		rc = us_fail(err, US_ECORRUPT,
			     "%.*s uid %u: the replica cannot give the message it lists",
			     SPAN_ARG(f->u->name), r->uid);
	return rc;
}

static int fetch_all(struct full *f, struct us_err *err)
{
	int rc = 0;

	f->fetched = us_calloc(f->plan.n_fetches, sizeof(f->fetched[0]));
	if (f->plan.n_fetches)
		rc = stage_open(f->u->m->partition, &f->stage, err);
	for (size_t i = 0; rc == 0 && i < f->plan.n_actions; i++)
		if (f->plan.actions[i].kind == FULL_APPEND)
			rc = fetch_one(f, f->plan.actions[i].replica, err);
	return rc;
}

/* ---- changing ours -------------------------------------------------------------------------------- */

static int set_keywords(struct commit *c, const struct state_record *from, struct record *r,
			struct us_err *err)
{
	int rc = 0;

	r->user_flags[0] = r->user_flags[1] = 0;
	for (size_t i = 0; rc == 0 && i < from->n_keywords; i++) {
		unsigned bit;
		rc = commit_flag_bit(c, from->keywords[i], &bit, err);
		if (rc == 0)
			record_set_user_flag(r, bit, true);
	}
	return rc;
}

static int add_annotations(struct commit *c, uint32_t uid, const struct state_record *from,
			   struct us_err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < from->n_annotations; i++)
		rc = commit_annotate(c, uid, from->annotations[i].entry,
				     from->annotations[i].userid, from->annotations[i].value,
				     from->annotations[i].modseq, err);
	return rc;
}

static int drop_annotations(struct full *f, struct commit *c, uint32_t uid, struct us_err *err)
{
	size_t n;
	int rc = 0;

	while (rc == 0) {
		const struct state_annotation *a = annots_of(&f->u->m->view.annots, uid, &n);
		if (!n)
			break;
		rc = commit_annotate(c, uid, a[0].entry, a[0].userid, SPAN_NULL, 0, err);
	}
	return rc;
}

/* Change the record of our own message: it gets this commit's modseq. */
static int touch(struct full *f, struct commit *c, uint32_t uid, const struct state_record *take,
		 bool expunge, struct us_err *err)
{
	struct record r = *view_find(&f->u->m->view, uid);
	int rc = 0;

	r.modseq = commit_modseq(c);
	r.last_updated = store_now();
	if (expunge)
		r.internal_flags |= RECORD_EXPUNGED;
	if (take) {
		r.system_flags = take->system_flags;
		rc = set_keywords(c, take, &r, err);
	}
	if (rc == 0)
		rc = commit_put(c, &r, err);
	if (rc == 0 && take)
		rc = drop_annotations(f, c, uid, err);
	return rc == 0 && take ? add_annotations(c, uid, take, err) : rc;
}

static int append_fetched(struct commit *c, struct staged *staged, const struct full_action *a,
			  struct us_err *err)
{
	const struct state_record *from = a->replica;
	struct record r = {.uid = a->new_uid,
			   .system_flags = from->system_flags,
			   .internaldate_ns = from->internaldate * 1000000000,
			   .savedate = from->savedate,
			   .cid = from->thrid};
	int rc = set_keywords(c, from, &r, err);

	if (rc == 0)
		rc = message_append(c, staged, &r, NULL, err);
	return rc == 0 ? add_annotations(c, a->new_uid, from, err) : rc;
}

static int copy_own(struct full *f, struct commit *c, const struct full_action *a,
		    struct us_err *err)
{
	struct mailbox *m = f->u->m;
	struct commit_source source = {.mailbox = m, .uid = a->local->uid};
	struct record r = *view_find(&m->view, a->local->uid);
	struct buf made = BUF_INIT;
	struct span cache;
	int rc;

	r.uid = a->new_uid;
	r.modseq = r.createdmodseq = 0;
	r.last_updated = 0;
	r.annot_crc = r.annot_bytes = 0;
	rc = message_payload(m, view_find(&m->view, a->local->uid), &made, &cache, err);
	if (rc >= 0)
		rc = commit_append(c, &r, &source, cache, NULL, err);
	if (rc == 0)
		rc = add_annotations(c, a->new_uid, a->local, err);
	buf_free(&made);
	return rc == 0 ? touch(f, c, a->local->uid, NULL, true, err) : rc;
}

static int act(struct full *f, struct commit *c, const struct full_action *a, size_t *fetched,
	       struct us_err *err)
{
	switch (a->kind) {
	case FULL_REWRITE:
		return touch(f, c, a->local->uid, NULL, false, err);
	case FULL_EXPUNGE:
		return touch(f, c, a->local->uid, NULL, true, err);
	case FULL_TAKE:
		return touch(f, c, a->local->uid, a->replica, false, err);
	case FULL_APPEND:
		return append_fetched(c, &f->fetched[(*fetched)++], a, err);
	case FULL_COPY:
		return copy_own(f, c, a, err);
	}
	return 0;
}

static void log_action(const struct full *f, const struct full_action *a)
{
	static const char *const kinds[] = {"rewrite", "expunge", "take", "append", "copy"};

	log_event(LOG_NOTICE, "sync.record.conflict", LF_SPAN("mailbox", f->u->name),
		  LF_STR("action", kinds[a->kind]), LF_NUM("rule", a->rule),
		  LF_NUM("uid", a->local ? a->local->uid : a->replica->uid),
		  LF_NUM("new_uid", a->new_uid));
}

/* Header values and the row that goes with them. */
static int fill_header(struct full *f, struct commit *c, struct meta_batch *batch,
		       struct us_err *err)
{
	const struct full_plan *p = &f->plan;
	struct counters *n = commit_counters(c);
	struct mailbox_row row = f->u->m->row;
	const struct state_annotation *have;
	size_t n_have;
	int rc = 0;

	if (p->uidvalidity)
		row.uidvalidity = n->uidvalidity = p->uidvalidity;
	if (p->highestmodseq)
		n->highestmodseq = p->highestmodseq;
	if (p->foldermodseq)
		row.foldermodseq = p->foldermodseq;
	folder_put_row(batch, buf_span(&f->u->m->name), &row);
	if (p->take_annotations) {
		rc = annotations_list(f->u->s->store, &row.storeid, f->pool, &have, &n_have, err);
		if (rc == 0)
			annotations_replace(batch, &row.storeid, have, n_have,
					    f->replica.annotations, f->replica.n_annotations);
	}
	return rc;
}

static int carry_out(struct full *f, struct commit *c, struct meta_batch *batch, struct us_err *err)
{
	size_t fetched = 0;
	int rc = fill_header(f, c, batch, err);

	for (size_t i = 0; rc == 0 && i < f->plan.n_actions; i++) {
		log_action(f, &f->plan.actions[i]);
		rc = act(f, c, &f->plan.actions[i], &fetched, err);
	}
	if (rc == 0 && f->plan.last_uid > commit_counters(c)->last_uid)
		commit_counters(c)->last_uid = f->plan.last_uid;
	commit_meta(c, batch, /* lazy */ false);
	return rc;
}

static int change_ours(struct full *f, struct us_err *err)
{
	struct meta_batch batch;
	struct commit *c = NULL;
	int rc = commit_begin(f->u->m, &c, err);

	meta_batch_init(&batch);
	if (rc == 0)
		rc = carry_out(f, c, &batch, err);
	if (rc == 0)
		rc = commit_finish(&c, err);
	commit_abort(&c);
	meta_batch_fini(&batch);
	if (rc == 0)
		rc = mailbox_refresh_row(f->u->m, err);
	if (rc == 0)
		folder_copy_row(f->u->m);
	return rc;
}

static int expunge_there(struct full *f, struct us_err *err)
{
	struct wire_command c = {.kind = WIRE_APPLY_EXPUNGE,
				 .u.expunge = {f->u->name, f->replica.uniqueid, f->plan.expunge}};

	return f->plan.expunge.n ? link_call(f->u->s->link, &c, NULL, err) : 0;
}

static int compare_locked(struct full *f, struct us_err *err)
{
	int rc = read_local(f, err);

	if (rc < 0)
		return rc;
	decide_full(&f->local, &f->replica, f->pool, &f->plan);
	if (f->plan.no_room)
		return us_fail(err, US_ELIMIT, "there are no UIDs left");
	rc = fetch_all(f, err);
	return rc == 0 ? change_ours(f, err) : rc;
}

static int compare(struct full *f, struct us_err *err)
{
	struct update *u = f->u;
	int rc = ask_replica(f, err);

	if (rc == 0)
		rc = update_refresh(u, err);
	if (rc == 0)
		rc = mailbox_lock(u->m, err);
	if (rc == 0) {
		rc = compare_locked(f, err);
		mailbox_unlock(u->m);
	}
	if (rc == 0)
		rc = update_refresh(u, err);
	if (rc < 0)
		return rc;
	u->replica = f->replica;
	u->there = true;
	u->on_the_way = false;
	u->sure = MAILBOX_ALL_SURE;
	rc = update_send_additions(u, err);
	return rc == 0 ? expunge_there(f, err) : rc;
}

int full_compare(struct update *u, struct us_err *err)
{
	struct full f = {.u = u, .pool = pool_new()};
	int rc;

	log_event(LOG_NOTICE, "sync.mailbox.full", LF_SPAN("mailbox", u->name));
	sync_say(u->s, "FULLMAILBOX %.*s", SPAN_ARG(u->name));
	rc = compare(&f, err);
	for (size_t i = 0; i < f.n_fetched; i++)
		staged_drop(&f.fetched[i], true);
	free(f.fetched);
	stage_close(&f.stage);
	pool_free(&f.pool);
	return rc;
}
