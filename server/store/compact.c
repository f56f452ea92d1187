/* compact.c - see compact.h.
 *
 * The rename of mbox.idx is the one switch: the new index names its journal, annotations and cache, all of which are
 * durable before it. Readers keep the old files mapped until they look again. Flag changes of the last day are carried
 * over as FLAGHIST ops, so that two copies that were both changed can still be merged flag by flag.
 *
 * Behind it comes mbox.hdr anew: with the keywords, the last UID and the highest modseq of this base in it, a mailbox that loses
 * index and journal loses no more than what a journal can hold (reconstruct.c).
 */
#include "server/store/compact.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/store/cache.h"
#include "server/store/folder_private.h"
#include "server/store/history.h"
#include "server/store/mailbox_private.h"
#include "server/store/meta/meta.h"
#include "server/store/partition.h"

#define LEAST_OPS  1000
#define SMALL_PART 8 /* of the journal is this one of a small commit */

/* ---- writing a generation ------------------------------------------------------------------------ */

static int write_history(int dir, const struct generation *g, struct us_err *err)
{
	struct op_counters op = {.op = {OP_COUNTERS, 0, sizeof(op)}, .counters = g->counters};
	struct journal_position at;
	struct journal j;
	struct buf ops = BUF_INIT;
	int rc;

	if (!g->history || !g->n_history)
		return 0;
	rc = journal_open(dir, g->number, &g->storeid, true, &j, err);
	if (rc < 0)
		return rc;
	at = journal_start(&j);
	buf_add(&ops, g->history->data, g->history->len);
	buf_add(&ops, &op, sizeof(op));
	rc = journal_write(&j, &at, &ops, g->n_history + 1, FRAME_FIRST | FRAME_COMMIT,
			   g->counters.highestmodseq, err);
	if (rc == 0)
		rc = journal_sync(&j, err);
	if (rc == 0)
		journal_publish(&j, at.offset);
	journal_close(&j);
	buf_free(&ops);
	return rc;
}

/* Everything the new index will name. */
static int write_beside(int dir, const struct generation *g, uint64_t boot_tag, uint64_t epoch,
			struct us_err *err)
{
	int rc = journal_create(dir, g->number, &g->storeid, g->serial, boot_tag, epoch, err);

	if (rc == 0)
		rc = write_history(dir, g, err);
	if (rc == 0 && g->annots && g->annots->n)
		rc = annots_write(g->annots, dir, g->number, &g->storeid, err);
	if (rc == 0 && g->cache_number == g->number)
		rc = cache_create(dir, g->cache_number, &g->storeid, err);
	return rc;
}

static int write_index(int dir, const struct generation *g, struct us_err *err)
{
	struct index_header *h = us_calloc(1, sizeof(*h));
	static const struct flag_names none;
	int rc;

	h->storeid = g->storeid;
	h->generation = g->number;
	h->annot_generation = g->annots && g->annots->n ? g->number : 0;
	h->cache_generation = g->cache_number;
	h->serial = g->serial;
	h->counters = g->counters;
	us_assert(g->uniqueid.len <= UNIQUEID_MAX);
	h->uniqueid[0] = (char)g->uniqueid.len;
	memcpy(h->uniqueid + 1, g->uniqueid.ptr, g->uniqueid.len);
	rc = index_write_new(dir, h, g->names ? g->names : &none, g->n_records, &g->records, err);
	free(h);
	return rc;
}

/* Number behind the prefix, or -1. */
static long number_of(const char *name, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(name, prefix, len) == 0 ? strtol(name + len, NULL, 10) : -1;
}

struct removal {
	int dir;
	const struct generation *g;
};

/* Files of generations the new index does not name. */
static int remove_old(void *ctx, const struct dirent *entry)
{
	const struct removal *r = ctx;
	long number = r->g->number, cache_number = r->g->cache_number;
	long jnl = number_of(entry->d_name, "mbox.jnl."),
	     ann = number_of(entry->d_name, "mbox.ann."),
	     cache = number_of(entry->d_name, "mbox.cache.");

	if ((jnl >= 0 && jnl != number) || (ann >= 0 && ann != number) ||
	    (cache >= 0 && cache != cache_number))
		(void)io_unlink(FP("store.compact.unlink"), r->dir, entry->d_name,
				NULL); /* the next one tries again */
	return 0;
}

/* If the switch was made and could not be made durable, neither generation may be written to: the old one has no name any
 * more, and the new one may not outlive the machine. */
int generation_write(int dir, const struct generation *g, uint64_t boot_tag, struct partition *p,
		     struct us_err *err)
{
	struct removal old = {dir, g};
	int rc = write_beside(dir, g, boot_tag, partition_epoch(p), err);

	if (rc == 0)
		rc = write_index(dir, g, err);
	if (rc == 0)
		rc = partition_synced(p, io_fsync(FP("store.compact.sync_names"), dir, err), err);
	if (rc == 0)
		rc = io_rename(FP("store.compact.switch"), dir, INDEX_FILE ".new", dir, INDEX_FILE,
			       err);
	if (rc == 0)
		rc = partition_synced(p, io_fsync(FP("store.compact.sync_switch"), dir, err), err);
	if (rc == 0)
		(void)io_each_name(NULL, dir, ".", remove_old, &old,
				   NULL); /* or the next one does */
	return rc;
}

static const struct record *no_record(void *ctx UNUSED)
{
	return NULL;
}

int compact_create(int dir, const struct storeid *storeid, struct span uniqueid,
		   const struct counters *counters, uint64_t boot_tag, struct partition *p,
		   struct us_err *err)
{
	struct generation g = {.storeid = *storeid,
			       .uniqueid = uniqueid,
			       .number = 1,
			       .cache_number = 1,
			       .counters = *counters,
			       .records = {no_record, NULL}};

	return generation_write(dir, &g, boot_tag, p, err);
}

/* ---- flag history -------------------------------------------------------------------------------- */

/* The record as it is before. */
static const struct record *changed_by(struct view *v, const struct journal_op *op)
{
	if (op->kind == OP_FLAGS)
		return view_find(v, ((const struct op_flags *)op)->uid);
	return op->kind == OP_RECORD ? view_find(v, ((const struct op_record *)op)->record.uid)
				     : NULL;
}

/* Replay the journal over the base once more, this time to see the steps. */
static int collect_history(struct mailbox *m, struct history *h, struct us_err *err)
{
	struct journal_position at;
	const struct journal_frame *frame;
	uint64_t end = journal_publish_end(&m->view.journal);
	struct view past;
	int rc;

	history_init(h);
	rc = view_open_base(&past, m->dir, &m->row.storeid, false, err);
	if (rc < 0)
		return rc;
	at = past.at;
	while ((rc = journal_next(&past.journal, &at, end, &frame, err)) > 0) {
		const struct journal_op *op = NULL;
		bool bad;
		while (rc > 0 && (op = journal_op_next(frame, op, &bad))) {
			history_note(h, changed_by(&past, op), op);
			if (view_apply(&past, op, frame->serial, err) < 0)
				rc = US_ECORRUPT;
		}
		if (rc < 0)
			break;
	}
	view_close(&past);
	return rc;
}

/* ---- compaction ----------------------------------------------------------------------------------- */

struct walker {
	struct view *view;
	struct view_walk walk;
};

static const struct record *next_record(void *ctx)
{
	struct walker *w = ctx;

	return view_next(w->view, &w->walk);
}

/* A META op may only be forgotten when metad has it on disk: what the row shows behind a barrier is. What it does not show
 * (a lazy batch died with metad, or could not be given to it) is done again now. */
static int settle_meta(struct mailbox *m, struct us_err *err)
{
	int rc = meta_barrier(store_meta(m->store), err);

	if (rc == 0)
		rc = mailbox_refresh_row(m, err);
	return rc == 0 ? mailbox_repair(m, err) : rc;
}

static void names_without(const struct flag_names *names, const uint64_t bits[2],
			  struct flag_names *out)
{
	*out = *names;
	for (unsigned bit = 0; bit < USER_FLAGS; bit++)
		if (bits[bit / 64] >> bit % 64 & 1)
			flag_names_set(out, bit, SPAN_NULL);
}

int compact(struct mailbox *m, struct us_err *err)
{
	return compact_freeing(m, (const uint64_t[2]){0, 0}, err);
}

int compact_freeing(struct mailbox *m, const uint64_t bits[2], struct us_err *err)
{
	struct view *v = &m->view;
	struct flag_names names;
	struct walker walker = {v, view_walk(v, 1)};
	struct history history = {.ops = BUF_INIT};
	struct generation g = {.storeid = m->row.storeid,
			       .number = v->base.header->generation + 1,
			       .cache_number = v->base.header->cache_generation,
			       .serial = v->at.serial,
			       .counters = v->counters,
			       .names = &names,
			       .annots = &v->annots,
			       .n_records = v->counters.records,
			       .records = {next_record, &walker}};
	int rc;

	us_assert(m->locked);
	if (!view_is_sound(v))
		return us_fail(err, US_ECORRUPT, "a record's checksum is wrong");
	rc = settle_meta(m, err);
	if (rc == 0)
		rc = mailbox_remove_left(
			m, err); /* the journal knows what left; the new one will not */
	if (rc == 0)
		rc = collect_history(m, &history, err);
	if (rc == 0) {
		names_without(&v->names, bits, &names);
		history_forget(&history, bits);
		g.uniqueid = m->row.uniqueid; /* the row was read anew */
		g.history = &history.ops;
		g.n_history = history.n;
		g.counters.last_repack = store_now();
		rc = generation_write(m->dir, &g, store_boot_tag(m->store), m->partition, err);
	}
	history_fini(&history);
	if (rc == 0)
		rc = mailbox_reopen_view(m, err);
	if (rc == 0)
		folder_copy_row(m);
	return rc;
}

bool compact_is_due(const struct mailbox *m)
{
	const struct view *v = &m->view;

	return v->tail_ops > LEAST_OPS && v->tail_ops > v->base.n_records / 10 && !v->corrupt;
}

static void compact_due(struct mailbox *m)
{
	struct us_err err;

	if (compact_is_due(m) && compact(m, &err) < 0)
		log_event(LOG_WARNING, "store.compact.failed", LF_STR("mailbox", m->name.data),
			  LF_ERR(&err));
}

void compact_after_commit(struct mailbox *m, uint64_t ops)
{
	if (ops * SMALL_PART <= m->view.tail_ops)
		compact_due(m);
}

void compact_when_idle(struct mailbox *m)
{
	unsigned wait_ms = m->lock_wait_ms;

	if (!compact_is_due(m) || !store_is_writable(m->store))
		return;
	m->lock_wait_ms = 0;
	if (mailbox_lock(m, NULL) == 0) {
		compact_due(m);
		mailbox_unlock(m);
	}
	m->lock_wait_ms = wait_ms;
}
