/* reconstruct.c - see reconstruct.h. The flow, what is no message's, and the writing; files in reconstruct_files.c.
 *
 *	message files are read, without a lock (check_guids)
 *	locks: the owner's namespace, shared; the mailbox
 *	salvage		every good record
 *	META ops that metad lacks are given to it, as the next holder of the lock would have to
 *	match		records and files; what is to be done to files is planned
 *	count		all sums anew
 *	if anything differs: announce, take the steps, write a new generation and mbox.hdr
 */
#include "server/store/reconstruct.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/store/compact.h"
#include "server/store/folder_private.h"
#include "server/store/lock.h"
#include "server/store/mailbox.h"
#include "server/store/mboxname.h"
#include "server/store/meta/meta.h"
#include "server/store/reconstruct_private.h"

/* What may have been committed behind the newest counters that can be read. A journal is folded into a new base, and
 * mbox.hdr written, when it holds more than 1,000 ops and a tenth of the records, or what a few large commits made of it; a commit
 * gives at most one UID an op and raises the modseq by one. Where not even mbox.hdr tells, the guess is far out. */
#define MARGIN_UIDS    100000u
#define MARGIN_MODSEQS 1000000u
#define FAR_UIDS       1000000u

void reconstruct_tell(const struct work *w, const char *fmt, ...)
{
	struct buf line = BUF_INIT;
	va_list ap;

	buf_add_span(&line, w->name);
	va_start(ap, fmt);
	buf_vprintf(&line, fmt, ap);
	va_end(ap);
	log_event(LOG_NOTICE, "store.reconstruct.found", LF_TEXT(line.data));
	if (w->options->tell)
		w->options->tell(w->options->ctx, line.data);
	buf_free(&line);
}

/* ---- modseqs and UIDs ---------------------------------------------------------------------------- */

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t highest_seen(const struct work *w)
{
	uint64_t highest = most(w->row.lastmodseq, w->s.counters.highestmodseq);

	for (size_t i = 0; i < w->s.n; i++)
		highest = most(highest, w->s.records[i].modseq);
	if (!w->s.counters_are_newest)
		highest = most(highest, w->hdr.highestmodseq) + MARGIN_MODSEQS;
	return highest;
}

uint64_t reconstruct_modseq(struct work *w)
{
	if (!w->modseq)
		w->modseq = highest_seen(w) + 1;
	w->report->changed = true;
	return w->modseq;
}

static void find_last_uid(struct work *w)
{
	uint64_t last = w->s.counters.last_uid, margin = 0;

	if (w->s.n)
		last = most(last, w->s.records[w->s.n - 1].uid);
	if (!w->s.counters_are_newest) {
		last = most(last, w->hdr.last_uid);
		margin = w->s.has_counters || w->has_hdr ? MARGIN_UIDS + w->s.n / 5 : FAR_UIDS;
	}
	w->known_last = (uint32_t)last;
	w->last_uid = last + margin < UINT32_MAX ? (uint32_t)(last + margin) : UINT32_MAX;
}

/* ---- keywords ------------------------------------------------------------------------------------ */

/* Where the index cannot tell the keywords, mbox.hdr does, as of its last writing; later ones are in the journal. */
static void borrow_names(struct work *w)
{
	for (size_t bit = 0; w->has_hdr && bit < w->hdr.n_flags; bit++)
		if (w->hdr.flags[bit].len && w->s.name_source[bit] != NAME_CERTAIN)
			flag_names_set(&w->s.names, (unsigned)bit, w->hdr.flags[bit]);
}

/* A keyword that lost its name must not come back as the next one that gets its bit. */
static void clear_nameless(struct work *w)
{
	uint64_t named[2] = {0, 0};

	for (unsigned bit = 0; bit < USER_FLAGS; bit++)
		if (w->s.names.bit[bit].name.ptr)
			named[bit / 64] |= (uint64_t)1 << (bit % 64);
	for (size_t i = 0; i < w->s.n; i++) {
		w->s.records[i].user_flags[0] &= named[0];
		w->s.records[i].user_flags[1] &= named[1];
	}
}

/* ---- annotations --------------------------------------------------------------------------------- */

static void sum_annotations(struct work *w, struct record *r)
{
	const struct state_annotation *items;
	uint32_t crc = 0, bytes = 0;
	size_t n;

	items = annots_of(&w->s.annots, r->uid, &n);
	for (size_t i = 0; i < n; i++) {
		crc ^= annotation_crc(r->uid, items[i].entry, items[i].userid, items[i].value);
		bytes += (uint32_t)items[i].value.len;
	}
	if (crc == r->annot_crc && bytes == r->annot_bytes)
		return;
	r->annot_crc = crc;
	r->annot_bytes = bytes;
	r->modseq = reconstruct_modseq(w);
}

/* The annotations there are and the records' sums of them must agree, and each must have a record. */
static void settle_annotations(struct work *w)
{
	for (size_t i = 0; i < w->s.n; i++)
		sum_annotations(w, &w->s.records[i]);
	for (size_t i = w->s.annots.n; i-- > 0;)
		if (i < w->s.annots.n && !salvage_find(&w->s, w->s.annots.uids[i]))
			annots_drop(&w->s.annots, w->s.annots.uids[i], w->s.annots.uids[i]);
}

/* ---- counters ------------------------------------------------------------------------------------ */

static void first_unseen(struct counters *c, const struct salvage *s)
{
	uint32_t seq = 0;

	for (size_t i = 0; i < s->n && !c->first_unseen_uid; i++) {
		if (!record_is_live(&s->records[i]))
			continue;
		seq++;
		if (s->records[i].system_flags & FLAG_SEEN)
			continue;
		c->first_unseen_uid = s->records[i].uid;
		c->first_unseen_seq = seq;
	}
}

/* All sums anew; what is no sum is kept from the newest counters there are, or taken from row and header. */
static void count_again(struct work *w, struct counters *c)
{
	const struct counters *old = &w->s.counters;

	*c = (struct counters){.uidvalidity =
				       old->uidvalidity ? old->uidvalidity : w->row.uidvalidity,
			       .last_uid = w->last_uid,
			       .highestmodseq = most(old->highestmodseq, w->modseq),
			       .createdmodseq = old->createdmodseq ? old->createdmodseq
								   : w->row.createdmodseq,
			       .deletedmodseq = old->deletedmodseq,
			       .xconvmodseq = old->xconvmodseq,
			       .raclmodseq = most(old->raclmodseq, w->row.raclmodseq),
			       .options = w->s.has_counters ? old->options : w->hdr.options,
			       .last_append = old->last_append,
			       .first_expunged = old->first_expunged,
			       .last_repack = old->last_repack,
			       .pop3_last_login = old->pop3_last_login,
			       .pop3_show_after = old->pop3_show_after,
			       .recentuid = old->recentuid,
			       .recenttime = old->recenttime,
			       .sync_crc_annot = SYNC_CRC_ANNOT_EMPTY};
	for (size_t i = 0; i < w->s.n; i++) {
		const struct record *r = &w->s.records[i];
		counters_replace(c, NULL, r, &w->s.names);
		c->highestmodseq = most(c->highestmodseq, r->modseq);
		if (!record_is_live(r) &&
		    (!c->first_expunged || r->last_updated < c->first_expunged))
			c->first_expunged = r->last_updated;
	}
	/* Records that are gone without a trace: whoever knows an older state must compare everything. */
	if (w->s.lost.n)
		c->deletedmodseq = c->highestmodseq;
	first_unseen(c, &w->s);
}

static bool sums_differ(const struct counters *a, const struct counters *b)
{
	return a->exists != b->exists || a->unseen != b->unseen || a->answered != b->answered ||
	       a->flagged != b->flagged || a->deleted != b->deleted ||
	       a->bytes_live != b->bytes_live || a->bytes_deleted != b->bytes_deleted ||
	       a->bytes_expunged != b->bytes_expunged || a->annot_bytes != b->annot_bytes ||
	       a->records != b->records || a->sync_crc != b->sync_crc ||
	       a->sync_crc_annot != b->sync_crc_annot ||
	       a->first_unseen_uid != b->first_unseen_uid ||
	       a->first_unseen_seq != b->first_unseen_seq;
}

/* ---- writing ------------------------------------------------------------------------------------- */

struct array_walk {
	const struct salvage *s;
	size_t at;
	struct record r;
};

static const struct record *next_of_array(void *ctx)
{
	struct array_walk *a = ctx;

	if (a->at == a->s->n)
		return NULL;
	a->r = a->s->records[a->at++];
	if (!a->s->cache_generation || !a->r.cache_version) {
		a->r.cache_version = a->r.cache_length = a->r.cache_crc = 0;
		a->r.cache_offset = 0;
	}
	return &a->r;
}

static int write_generation(struct work *w, const struct counters *counters, struct us_err *err)
{
	struct array_walk walk = {.s = &w->s};
	uint32_t number = w->s.generation + 1;
	struct generation g = {.storeid = w->row.storeid,
			       .uniqueid = w->row.uniqueid,
			       .number = number,
			       .cache_number =
				       w->s.cache_generation ? w->s.cache_generation : number,
			       /* META ops to come must be newer than any that metad has */
			       .serial = most(most(w->s.serial, w->row_serial), w->hdr.row_serial) +
					 1,
			       .counters = *counters,
			       .names = &w->s.names,
			       .annots = &w->s.annots,
			       .n_records = w->s.n,
			       .records = {next_of_array, &walk},
			       .history = &w->s.history.ops,
			       .n_history = w->s.history.n};

	return generation_write(w->dir, &g, store_boot_tag(w->store), w->partition, err);
}

/* The index knows it better: clients have seen that one. */
static int correct_row(struct work *w, const struct counters *counters, struct us_err *err)
{
	struct mailbox_row row = w->row;
	struct meta_batch batch;
	int rc;

	if (row.uidvalidity == counters->uidvalidity)
		return 0;
	row.uidvalidity = counters->uidvalidity;
	row.mtime = store_now();
	meta_batch_init(&batch);
	folder_expect(&batch, w->name, w->row_version);
	folder_put_row(&batch, w->name, &row);
	rc = meta_commit(store_meta(w->store), &batch, META_DURABLE, err);
	meta_batch_fini(&batch);
	return rc;
}

static int write_mailbox(struct work *w, const struct counters *counters, struct us_err *err)
{
	struct store_change change = {CHANGE_MAILBOX, w->name, SPAN_NULL};
	int rc = store_announce(w->store, &change, 1, err);

	if (rc == 0)
		rc = reconstruct_take_steps(w, err);
	if (rc == 0)
		rc = write_generation(w, counters, err);
	if (rc == 0)
		rc = correct_row(w, counters, err);
	if (rc == 0)
		folder_write_hdr(w->store, w->dir, w->name, &w->s.names, counters);
	return rc;
}

/* ---- metad's half -------------------------------------------------------------------------------- */

static int read_row(struct work *w, struct us_err *err)
{
	int rc;

	mailbox_row_forget(w->store, w->name);
	rc = mailbox_row_get(w->store, w->name, w->pool, &w->row, &w->row_version, &w->row_serial,
			     err);

	if (rc == 0 || (rc > 0 && !mailbox_row_is_real(&w->row)))
		return us_fail(err, US_ENOENT, "Mailbox does not exist");
	return rc < 0 ? rc : 0;
}

static int apply_meta(struct work *w, const struct salvage_meta *meta, struct us_err *err)
{
	struct meta_batch batch;
	struct buf key = BUF_INIT;
	int rc = meta_batch_decode(meta->batch, &batch, err);

	if (rc < 0)
		return rc;
	mboxname_to_key(w->name, &key);
	meta_batch_op(&batch, META_MAILBOXES, buf_span(&key), meta->serial);
	rc = meta_commit(store_meta(w->store), &batch, META_DURABLE, err);
	meta_batch_fini(&batch);
	buf_free(&key);
	return rc;
}

/* A new generation forgets them: then all must be in metad, and on the disk. */
static int apply_metas(struct work *w, struct us_err *err)
{
	int rc = meta_barrier(store_meta(w->store), err);

	for (size_t i = 0; rc == 0 && i < w->s.n_metas; i++)
		rc = apply_meta(w, &w->s.metas[i], err);
	if (rc == 0 && w->s.n_metas)
		rc = read_row(w, err);
	return rc;
}

/* ---- one mailbox --------------------------------------------------------------------------------- */

static void tell_damage(struct work *w)
{
	const struct salvage *s = &w->s;

	w->report->damaged = s->damaged;
	w->report->changed |= s->damaged;
	if (s->base_lost)
		reconstruct_tell(w, ": failed to read index header");
	if (s->bad_records)
		reconstruct_tell(w, ": %u damaged records in the index", s->bad_records);
	if (s->bad_frames)
		reconstruct_tell(w, ": journal damaged in %u places", s->bad_frames);
	else if (s->damaged && !s->counters_are_newest && !s->base_lost)
		reconstruct_tell(w, ": the end of the journal is lost");
	if (s->bad_annots)
		reconstruct_tell(w, ": annotations of %u messages are lost", s->bad_annots);
	if (s->mended)
		reconstruct_tell(w, ": %u flipped bits put right", s->mended);
	else if (s->damaged && !s->base_lost && !s->bad_records && !s->bad_frames && !s->bad_annots)
		reconstruct_tell(w, ": damaged");
}

static void tell_counters(struct work *w, const struct counters *counters)
{
	if (w->s.has_counters && w->s.counters.uidvalidity != w->row.uidvalidity) {
		reconstruct_tell(w, ": wrong uidvalidity in its row, fixing (%u -> %u)",
				 w->row.uidvalidity, counters->uidvalidity);
		w->report->changed = true;
	}
	if (w->report->changed ||
	    (!sums_differ(counters, &w->s.counters) && w->known_last == w->s.counters.last_uid))
		return;
	reconstruct_tell(w, ": wrong sums over its messages");
	w->report->changed = true;
}

/* A copy that is old is made new without a word: it is written behind the row's commit, and may be missed. */
static void renew_hdr(struct work *w, const struct counters *counters)
{
	if (!w->has_hdr)
		reconstruct_tell(w, ": mbox.hdr is missing or damaged");
	if (!w->options->dry_run && (!w->has_hdr || w->hdr.row_version != w->row_version))
		folder_write_hdr(w->store, w->dir, w->name, &w->s.names, counters);
}

static int read_everything(struct work *w, struct us_err *err)
{
	struct salvage_place place = {w->dir, &w->row.storeid, store_boot_tag(w->store),
				      partition_epoch(w->partition), w->row_serial};

	salvage_directory(&place, &w->s);
	if (w->s.unread.code)
		return us_fail(err, w->s.unread.code, "%s", w->s.unread.text);
	w->has_hdr = hdr_read(w->dir, w->pool, &w->hdr, NULL) == 0 &&
		     storeid_cmp(&w->hdr.row.storeid, &w->row.storeid) == 0;
	if (!w->has_hdr)
		memset(&w->hdr, 0, sizeof(w->hdr));
	return w->options->dry_run ? 0 : apply_metas(w, err);
}

static int work_on(struct work *w, struct us_err *err)
{
	struct counters counters;
	int rc = read_everything(w, err);

	if (rc < 0)
		return rc;
	tell_damage(w);
	if (w->s.names_lost) {
		borrow_names(w);
		clear_nameless(w);
	}
	find_last_uid(w);
	rc = reconstruct_match(w, err);
	if (rc < 0)
		return rc;
	if (w->s.damaged)
		settle_annotations(w);
	if (w->s.lost.n || !w->s.counters_are_newest)
		(void)reconstruct_modseq(w);
	count_again(w, &counters);
	tell_counters(w, &counters);
	w->report->records = (unsigned)w->s.n;
	if (w->report->changed && !w->options->dry_run)
		return write_mailbox(w, &counters, err);
	renew_hdr(w, &counters);
	return 0;
}

/* A name without a directory gets one, empty: whoever has a replica has the rest. */
static int open_directory(struct work *w, struct us_err *err)
{
	int rc = read_row(w, err);

	if (rc < 0)
		return rc;
	w->partition = store_partition(w->store, w->row.local_partition);
	if (!w->partition)
		return us_fail(err, US_ECONFIG, "no partition-%.*s is configured",
			       SPAN_ARG(w->row.local_partition));
	if (partition_is_poisoned(w->partition))
		return us_fail(err, US_EIO, "partition %s is poisoned after a failed sync",
			       w->partition->name);
	rc = partition_open_mailbox(w->partition, &w->row.storeid, &w->dir, err);
	if (rc == US_ENOENT && !w->options->dry_run)
		rc = partition_make_mailbox(w->partition, &w->row.storeid, &w->dir, err);
	return rc;
}

static int lock_mailbox(struct work *w, struct us_err *err)
{
	int rc = io_open(NULL, w->dir, "mbox.lk", O_RDWR | O_CREAT, 0600, &w->lock, err);

	return rc < 0 ? rc
		      : lock_take(w->lock, LOCK_EXCLUSIVE, store_config(w->store)->lock_wait_ms,
				  err);
}

/* Reading all messages can take minutes: the mailbox is not locked for it. */
static void read_ahead(struct work *w)
{
	if (!w->options->check_guids || open_directory(w, NULL) < 0)
		return;
	reconstruct_read_messages(w);
	io_close(&w->dir);
}

/* What a dead holder of the lock left is finished by those who know how, as far as it can be. */
static void finish_what_can_be(struct work *w)
{
	struct mailbox *m;
	struct us_err err;

	if (mailbox_open(w->store, w->name, &m, &err) < 0)
		return; /* that is why we are here */
	(void)mailbox_lock_in_namespace(m, &err);
	mailbox_close(&m);
}

int reconstruct_mailbox(struct store *store, struct span name,
			const struct reconstruct_options *options,
			struct reconstruct_report *report, struct us_err *err)
{
	struct work w = {.store = store,
			 .name = name,
			 .options = options,
			 .report = report,
			 .dir = -1,
			 .lock = -1};
	int namespace_lock = -1, rc;

	memset(report, 0, sizeof(*report));
	w.pool = pool_new();
	read_ahead(&w);
	rc = store_lock_namespace(store, name, STORE_SHARED, &namespace_lock, err);
	if (rc == 0 && !options->dry_run)
		finish_what_can_be(&w);
	if (rc == 0)
		rc = open_directory(&w, err);
	if (rc == 0)
		rc = lock_mailbox(&w, err);
	if (rc == 0)
		rc = work_on(&w, err);
	salvage_fini(&w.s);
	free(w.sums.items);
	free(w.steps);
	io_close(&w.lock);
	io_close(&w.dir);
	store_unlock_namespace(&namespace_lock);
	pool_free(&w.pool);
	return rc < 0 ? us_err_prefix(err, "%.*s", SPAN_ARG(name)) : 0;
}
