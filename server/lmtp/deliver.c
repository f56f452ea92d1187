/* deliver.c - see deliver.h.
 *
 *	recipients --route_place()--> targets, one a mailbox --> up to 32 at a time:
 *
 *	open --> may it grow? --> lock all --> was it here before? --> append --> finish all --> unlock
 *
 * A first round takes only locks that are free: nobody waits for a mailbox while he holds others. What was locked, and what
 * was renamed meanwhile, comes again in rounds that wait; before that the body is synced, so that those who wait for
 * one mailbox do this much side by side. Recipients are independent; those of one group share
 * their syncs, and one body is linked into all mailboxes of a partition.
 */
#include "server/lmtp/deliver.h"

#include <stdlib.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/lmtp/route.h"
#include "server/lmtp/session_private.h"
#include "server/session/audit.h"
#include "server/store/commit.h"
#include "server/store/duplicate.h"
#include "server/store/mailbox.h"
#include "server/store/meta/meta.h"
#include "server/store/partition.h"

#define MOST_LOCKED 32 /* mailboxes at once: each has a handful of descriptors open */
#define MOST_ROUNDS 6

struct target {
	struct buf name;
	unsigned copies;            /* recipients that mean it */
	bool ignore_quota, allowed; /* allowed: the quota was asked */
	struct mailbox *m;
	bool kept; /* m was open already: it may be gone, and another of its name there */
	struct commit *c;
	struct meta_batch marks;
	uint32_t uid; /* of the last copy */
	uint64_t modseq;
	unsigned duplicates; /* copies that were left out */
	bool settled;        /* rc is the last word */
	int rc;
	struct us_err err;
};

struct delivery {
	struct lmtp_session *s;
	struct lmtp_message *message;
	struct staged *copies; /* of the body, on further partitions; room for one a recipient */
	size_t n_copies;
	struct target *targets;
	size_t n, cap;
};

/* ---- targets ---------------------------------------------------------------------------------------- */

static struct target *target_named(struct delivery *d, struct span name)
{
	for (size_t i = 0; i < d->n; i++)
		if (span_eq(buf_span(&d->targets[i].name), name))
			return &d->targets[i];
	us_grow(&d->targets, d->n, &d->cap, sizeof(d->targets[0]));
	d->targets[d->n] = (struct target){.name = BUF_INIT, .rc = US_EBUSY};
	meta_batch_init(&d->targets[d->n].marks);
	buf_add_span(&d->targets[d->n].name, name);
	return &d->targets[d->n++];
}

static void settle(struct target *t, int rc)
{
	t->rc = rc;
	t->settled = true;
}

static void log_failure(const struct target *t)
{
	log_event(LOG_ERR, "lmtp.delivery.failed", LF_TEXT("IOERROR: delivery failed"),
		  LF_STR("mailbox", t->name.data), LF_ERR(&t->err));
}

/* Which of them each recipient means: places[i] is an index, or negative with what went wrong. */
static void place_recipients(struct delivery *d, int *places)
{
	const struct router router = lmtp_router(d->s);
	struct envelope *e = &d->s->envelope;
	struct buf name = BUF_INIT;

	for (size_t i = 0; i < e->n_recipients; i++) {
		struct target *t;
		struct us_err err;
		int rc;

		buf_clear(&name);
		rc = route_place(&router, &e->recipients[i].name, &name, &err);
		places[i] = rc;
		if (rc < 0) {
			log_event(LOG_ERR, "lmtp.lookup.failed", LF_ERR(&err));
			continue;
		}
		t = target_named(d, buf_span(&name));
		t->copies++;
		t->ignore_quota |= e->recipients[i].ignore_quota;
		places[i] = (int)(t - d->targets);
	}
	buf_free(&name);
}

static void free_targets(struct delivery *d)
{
	for (size_t i = 0; i < d->n; i++) {
		mailbox_close(&d->targets[i].m);
		meta_batch_fini(&d->targets[i].marks);
		buf_free(&d->targets[i].name);
	}
	for (size_t i = 0; i < d->n_copies; i++)
		staged_drop(&d->copies[i], /* remove */ true);
	free(d->copies);
	free(d->targets);
}

/* ---- one mailbox ------------------------------------------------------------------------------------ */

static bool suppresses(const struct delivery *d, const struct mailbox *m)
{
	return d->s->options->suppress_duplicates && d->message->id.len &&
	       !(m->view.counters.options & MAILBOX_OPTION_DUP_DELIVER);
}

static int get_mailbox(struct lmtp_session *s, struct target *t)
{
	/* A second look goes to the store: what was kept has just been of no use. */
	if (!t->allowed)
		t->m = boxes_take(&s->boxes, buf_span(&t->name));
	t->kept = t->m != NULL;
	return t->m ? 0 : mailbox_open(s->host->store, buf_span(&t->name), &t->m, &t->err);
}

static void open_target(struct delivery *d, struct target *t)
{
	struct lmtp_session *s = d->s;
	uint64_t size = d->message->staged.size;
	int rc = 0;

	if (!t->m)
		rc = get_mailbox(s, t);
	for (unsigned i = 0; rc == 0 && !t->allowed && i < t->copies; i++)
		rc = allowance_take(&s->envelope.allowances, s->host->store, buf_span(&t->name),
				    size, s->options->strict_quota, t->ignore_quota, &t->err);
	t->allowed = true;
	/* Asked now, the mark need not be asked for again with the lock held, unless somebody sets it meanwhile. */
	if (rc == 0 && suppresses(d, t->m))
		rc = duplicate_foresee(t->m, buf_span(&d->message->id), buf_span(&d->message->date),
				       &t->err);
	if (rc < 0)
		settle(t, rc);
}

/* The body on that partition: the staged one, or a copy of it made once. */
static int body_on(struct delivery *d, struct partition *p, struct staged **out, struct us_err *err)
{
	struct stage *stage;
	int rc;

	*out = &d->message->staged;
	if (stage_partition((*out)->stage) == p)
		return 0;
	for (size_t i = 0; i < d->n_copies; i++)
		if (stage_partition(d->copies[i].stage) == p) {
			*out = &d->copies[i];
			return 0;
		}
	rc = lmtp_stage_on(d->s, p, &stage, err);
	if (rc < 0)
		return rc;
	*out = &d->copies[d->n_copies];
	rc = staged_copy(stage, &d->message->staged, *out, err);
	if (rc == 0)
		d->n_copies++;
	return rc;
}

static int append_copy(struct delivery *d, struct target *t, struct us_err *err)
{
	struct commit_source source = {0};
	int rc = body_on(d, t->m->partition, &source.staged, err);

	return rc < 0 ? rc
		      : commit_append(t->c, &d->message->record, &source,
				      buf_span(&d->message->cache), &t->uid, err);
}

static void mark(struct delivery *d, struct target *t)
{
	struct lmtp_message *m = d->message;

	duplicate_mark(&t->marks, t->m, buf_span(&m->id), buf_span(&m->date), t->uid);
	if (!meta_batch_is_empty(&t->marks))
		commit_meta(t->c, &t->marks, /* lazy */ true);
}

/* The mailbox is locked: append what is not in it yet. With nothing to append there is no commit. */
static int fill_target(struct delivery *d, struct target *t)
{
	bool once = suppresses(d, t->m);
	unsigned wanted = once ? 1 : t->copies;
	int rc = 0, known = 0;

	if (once)
		known = duplicate_known(t->m, buf_span(&d->message->id),
					buf_span(&d->message->date), &t->err);
	if (known < 0)
		return known;
	t->duplicates = t->copies - (known ? 0 : wanted);
	if (known)
		return 0;
	rc = commit_begin(t->m, &t->c, &t->err);
	for (unsigned i = 0; rc == 0 && i < wanted; i++)
		rc = append_copy(d, t, &t->err);
	if (rc == 0 && once)
		mark(d, t);
	if (rc == 0)
		t->modseq = commit_modseq(t->c);
	if (rc < 0)
		commit_abort(&t->c);
	return rc;
}

/* ---- what is told ----------------------------------------------------------------------------------- */

static void log_duplicates(const struct delivery *d, const struct target *t)
{
	const struct lmtp_message *m = d->message;

	for (unsigned i = 0; i < t->duplicates; i++) {
		char *text = us_asprintf("dupelim: eliminated duplicate message to %.*s id %s date "
					 "%s (delivery)",
					 SPAN_ARG(t->m->row.uniqueid), m->shown_id, m->date.data);
		log_event(LOG_INFO, "lmtp.duplicate", LF_TEXT(text),
			  LF_STR("mailbox", t->m->name.data));
		free(text);
	}
}

static void log_delivery(const struct delivery *d, const struct target *t)
{
	const struct lmtp_message *m = d->message;
	char *text = us_asprintf("Delivered: %s to mailbox: %s", m->shown_id, t->m->name.data);

	log_event(LOG_INFO, "lmtp.delivered", LF_TEXT(text), LF_NUM("uid", t->uid),
		  LF_NUM("bytes", m->staged.size));
	free(text);
	if (d->s->options->auditlog)
		audit_append(d->s->id, t->m, t->uid, t->modseq, &m->staged.guid, m->shown_id,
			     m->staged.size);
}

/* ---- a group ---------------------------------------------------------------------------------------- */

struct group {
	struct target *targets[MOST_LOCKED]; /* open */
	struct mailbox_locking locks[MOST_LOCKED];
	struct commit_end ends[MOST_LOCKED];
	struct target *ending[MOST_LOCKED];
	size_t n, n_ends;
};

/* Two names may turn out to be one mailbox when it is renamed while we look: the second waits for the next round. */
static bool is_in(const struct group *g, const struct mailbox *m)
{
	for (size_t i = 0; i < g->n; i++)
		if (storeid_cmp(&g->targets[i]->m->row.storeid, &m->row.storeid) == 0)
			return true;
	return false;
}

/* Who had no luck with a lock may have it in a later round. */
static void not_locked(struct target *t, const struct mailbox_locking *lock, bool waited)
{
	t->rc = lock->rc;
	t->err = lock->err;
	t->settled = t->rc != US_ECHANGED && (t->rc != US_EBUSY || waited) &&
		     (t->rc != US_ENOENT || !t->kept);
}

/* Locked, it may be found to have another name: it is not the one that is meant any more. */
static bool is_meant(struct target *t)
{
	if (span_eq(buf_span(&t->m->name), buf_span(&t->name)))
		return true;
	t->rc = us_fail(&t->err, US_ECHANGED, "%s was renamed", t->name.data);
	return false;
}

static void fill_group(struct delivery *d, struct group *g, bool waited)
{
	for (size_t i = 0; i < g->n; i++) {
		struct target *t = g->targets[i];

		if (g->locks[i].rc < 0)
			not_locked(t, &g->locks[i], waited);
		else if (is_meant(t))
			settle(t, fill_target(d, t));
		if (t->c) {
			g->ending[g->n_ends] = t;
			g->ends[g->n_ends++].commit = t->c;
		}
	}
}

static void finish_group(struct group *g)
{
	commit_finish_all(g->ends, g->n_ends);
	for (size_t i = 0; i < g->n_ends; i++) {
		struct target *t = g->ending[i];
		t->c = NULL;
		t->rc = g->ends[i].rc;
		t->err = g->ends[i].err;
	}
}

/* The lock is gone: the next one need not wait for what we write into the log. */
static void tell_group(struct delivery *d, struct group *g)
{
	for (size_t i = 0; i < g->n_ends; i++)
		if (g->ending[i]->rc == 0)
			log_delivery(d, g->ending[i]);
	for (size_t i = 0; i < g->n; i++)
		if (g->targets[i]->settled && g->targets[i]->rc == 0)
			log_duplicates(d, g->targets[i]);
}

/* With a mailbox that is busy the next round goes on. */
static void put_back(struct lmtp_session *s, struct target *t)
{
	if (t->rc == 0)
		boxes_give(&s->boxes, t->m);
	else if (t->rc != US_EBUSY)
		mailbox_close(&t->m);
	if (t->rc == 0)
		t->m = NULL;
}

static void deliver_group(struct delivery *d, struct group *g, bool wait)
{
	for (size_t i = 0; i < g->n; i++)
		g->locks[i].m = g->targets[i]->m;
	mailbox_lock_many(g->locks, g->n, wait);
	fill_group(d, g, wait);
	finish_group(g);
	for (size_t i = 0; i < g->n; i++)
		mailbox_unlock(g->targets[i]->m);
	tell_group(d, g);
	for (size_t i = 0; i < g->n; i++)
		put_back(d->s, g->targets[i]);
	g->n = g->n_ends = 0;
}

/* One round over all that are not settled. */
static void deliver_round(struct delivery *d, bool wait)
{
	struct group *g = us_calloc(1, sizeof(*g));

	for (size_t i = 0; i < d->n; i++) {
		struct target *t = &d->targets[i];

		if (t->settled)
			continue;
		open_target(d, t);
		if (!t->settled && is_in(g, t->m))
			mailbox_close(&t->m);
		else if (!t->settled)
			g->targets[g->n++] = t;
		if (g->n == MOST_LOCKED)
			deliver_group(d, g, wait);
	}
	deliver_group(d, g, wait);
	free(g);
}

static bool all_settled(const struct delivery *d)
{
	for (size_t i = 0; i < d->n; i++)
		if (!d->targets[i].settled)
			return false;
	return true;
}

/* ---- the message ------------------------------------------------------------------------------------ */

struct partition *deliver_first_partition(struct lmtp_session *s)
{
	const struct recipient_name *name = &s->envelope.recipients[0].name;
	struct store *store = s->host->store;
	struct partition *p = NULL;
	struct pool *pool = pool_new();
	struct mailbox_row row;

	/* Where it is staged changes only what it costs: any failure here comes again, and to better use. */
	if (mailbox_row_get(store, name->inbox.ptr ? name->inbox : name->folder, pool, &row, NULL,
			    NULL, NULL) > 0)
		p = store_partition(store, row.local_partition);
	pool_free(&pool);
	if (!p)
		p = store_default_partition(store);
	return p ? p : store_partition_at(store, 0);
}

static enum lmtp_reply outcome_of(const struct delivery *d, struct target *t)
{
	if (t->rc == 0)
		return LMTP_DELIVERED;
	if (t->rc == US_ENOENT) {
		/* Gone since RCPT, or is something missing in it? The first is his answer, the second our trouble. */
		struct pool *pool = pool_new();
		struct mailbox_row row;
		int rc = mailbox_row_get(d->s->host->store, buf_span(&t->name), pool, &row, NULL,
					 NULL, NULL);
		bool gone = rc == 0 || (rc > 0 && !mailbox_row_is_real(&row));
		pool_free(&pool);
		if (gone)
			return LMTP_UNKNOWN_USER;
	}
	if (t->rc != US_EQUOTA)
		log_failure(t);
	return t->rc == US_ENOENT ? LMTP_BAD_FORMAT
				  : lmtp_reply_of_error(t->rc, d->s->options->over_quota_for_good);
}

/* Where it fails the partition is poisoned: then each target learns it by itself. */
static void sync_body(struct delivery *d)
{
	struct us_err err;

	if (staged_sync(&d->message->staged, &err) < 0)
		log_event(LOG_ERR, "lmtp.message.failed", LF_TEXT("IOERROR: storing a message"),
			  LF_ERR(&err));
}

void deliver_message(struct lmtp_session *s, struct lmtp_message *message)
{
	struct delivery d = {.s = s, .message = message};
	struct envelope *e = &s->envelope;
	int *places = us_calloc(e->n_recipients, sizeof(*places));

	d.copies = us_calloc(e->n_recipients, sizeof(*d.copies));
	place_recipients(&d, places);
	for (int i = 0; i < MOST_ROUNDS && !all_settled(&d); i++) {
		if (i > 0)
			sync_body(&d);
		deliver_round(&d, /* wait */ i > 0);
	}
	for (size_t i = 0; i < e->n_recipients; i++)
		e->recipients[i].outcome =
			places[i] < 0
				? lmtp_reply_of_error(places[i], s->options->over_quota_for_good)
				: outcome_of(&d, &d.targets[places[i]]);
	free_targets(&d);
	free(places);
}
