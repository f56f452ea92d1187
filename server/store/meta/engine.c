/* engine.c - see engine.h; versions, nonces and serials are told of in doc/FORMATS.md 9.1 and 10.3. */
#include "server/store/meta/engine.h"

#include <fcntl.h>
#include <stdlib.h>

#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/wait.h"
#include "server/store/lock.h"
#include "server/store/meta/bdb.h"
#include "server/store/meta/generations.h"
#include "server/store/meta/rescue.h"

#define OWNER_LOCK     "owner.lk"
#define LAZY_MS        900 /* a second, less what a turn may take */
#define LOOK_MS        1000
#define BACKUP_LOOK_MS 500

struct engine {
	struct bdb *db;
	struct generations *generations;
	struct backup *backup;
	int64_t backup_look_ms; /* when it was last asked whether a copy is due */
	int dir, owner;
	uint64_t version; /* the highest given */
	bool unflushed;   /* something was committed since the last flush */
	bool wants_flush; /* ... and somebody waits for it */
	int64_t lazy_by;  /* when the oldest lazy batch is to be on the disk; 0: none is waiting */
	int64_t look_at; /* when to see again if a checkpoint is due, flushes or not: it reads the log's files */
	uint64_t looked; /* how many flushes there were when we last did */
	bool failed, marked;
	struct {
		uint64_t gets, pages, batches, changed, repeated, stale, flushes;
	} count;
};

/* ---- opening ----------------------------------------------------------------------------------- */

static int own(struct engine *e, const char *directory, unsigned wait_ms, struct us_err *err)
{
	int rc = io_mkdirs(FP("meta.mkdir"), directory, err);

	if (rc == 0)
		rc = io_open(NULL, AT_FDCWD, directory, O_RDONLY | O_DIRECTORY, 0, &e->dir, err);
	if (rc == 0)
		rc = io_open(FP("meta.owner.open"), e->dir, OWNER_LOCK, O_RDWR | O_CREAT, 0600,
			     &e->owner, err);
	if (rc == 0)
		rc = lock_take(e->owner, LOCK_EXCLUSIVE, wait_ms, err);
	return rc < 0 ? us_err_prefix(err, "metadata in %s", directory) : 0;
}

/* Logs are kept for the copy there is, whoever opens the tables. */
static int open_tables(struct engine *e, const struct engine_config *config, struct us_err *err)
{
	size_t cache = config->cache_bytes ? config->cache_bytes : ENGINE_CACHE_BYTES;
	struct us_err ignored; /* without a note less is noticed */
	struct rescued tables;
	int rc = bdb_refresh(e->dir, err);

	if (rc == 0)
		rc = rescue_open(e->dir, config->directory, cache, config->no_rescue, &tables, err);
	if (rc < 0)
		return rc;
	e->db = tables.db;
	e->version = tables.version;
	(void)rescue_note(e->dir, e->db, e->version, &ignored);
	e->backup = backup_new(e->dir, &config->backup, tables.verified);
	bdb_keep_logs(e->db, backup_first_log(e->backup));
	return 0;
}

int engine_open(const struct engine_config *config, struct engine **out, struct us_err *err)
{
	struct engine *e = us_calloc(1, sizeof(*e));
	struct us_err ignored;
	int rc;

	e->dir = e->owner = -1;
	rc = own(e, config->directory, config->wait_ms, err);
	if (rc == 0)
		rc = open_tables(e, config, err);
	if (rc == 0)
		rc = generations_own(e->dir, &e->generations, err);
	if (rc < 0 && bdb_hooks_sync_failed())
		(void)bdb_mark_unsynced(e->dir, &ignored); /* best effort: *err tells already */
	if (rc < 0)
		(void)engine_close(&e, &ignored);
	else
		*out = e;
	return rc;
}

static int checkpoint(struct engine *e, bool force, struct us_err *err)
{
	struct us_err ignored; /* as above */
	int rc = bdb_checkpoint(e->db, force, err);

	if (rc > 0)
		(void)rescue_note(e->dir, e->db, e->version, &ignored);
	return rc;
}

int engine_close(struct engine **e, struct us_err *err)
{
	struct engine *it = *e;
	int rc = 0;

	if (!it)
		return 0;
	if (it->db && it->unflushed && !it->failed)
		rc = engine_flush(it, err);
	if (it->db && it->backup && !it->failed && rc == 0) /* was open */
		rc = checkpoint(it, true, err);
	if (it->db) {
		int closed = bdb_close(&it->db, err);
		rc = rc < 0 ? rc : closed;
	}
	backup_free(&it->backup); /* NULL is well */
	generations_close(&it->generations);
	io_close(&it->owner); /* last: the next owner finds everything written */
	io_close(&it->dir);
	free(it);
	*e = NULL;
	return rc < 0 ? rc : 0;
}

void engine_forget(struct engine **e)
{
	if (!*e)
		return;
	bdb_forget(&(*e)->db);
	backup_free(&(*e)->backup);
	generations_close(&(*e)->generations);
	io_close(&(*e)->owner);
	io_close(&(*e)->dir);
	free(*e);
	*e = NULL;
}

/* ---- failing ----------------------------------------------------------------------------------- */

bool engine_failed(const struct engine *e)
{
	return e->failed;
}

/* Where a sync failed the next owner must know of it. */
static void leave_mark(struct engine *e)
{
	struct us_err err;

	if (!bdb_hooks_sync_failed() || e->marked)
		return;
	e->marked = bdb_mark_unsynced(e->dir, &err) == 0;
	if (!e->marked)
		log_event(LOG_ERR, "meta.mark.failed", LF_ERR(&err));
}

bool engine_may_be_left(const struct engine *e)
{
	return !bdb_hooks_sync_failed() || e->marked;
}

/* Should this fail, the damage is found when it is met again. */
static void suspect(struct engine *e)
{
	struct us_err err;

	if (rescue_suspect(e->dir, &err) < 0)
		log_event(LOG_ERR, "meta.mark.failed", LF_ERR(&err));
}

/* From here on nothing is answered with success. */
static int give_up(struct engine *e, const struct us_err *err)
{
	if (!e->failed)
		log_event(LOG_ERR, "meta.failed",
			  LF_TEXT("IOERROR: metadata cannot be used any more"), LF_ERR(err));
	if (!e->failed && err->code == US_ECORRUPT)
		suspect(e);
	e->failed = true;
	leave_mark(e);
	return err->code;
}

static int refuse(struct us_err *err)
{
	return us_fail(err, US_EIO, "the metadata failed and awaits recovery");
}

/* A read that fails has found a page or the environment broken; no more room is no such thing. */
static int check(struct engine *e, int rc, struct us_err *err)
{
	return rc < 0 && rc != US_ENOSPC ? give_up(e, err) : rc;
}

/* ---- reading ----------------------------------------------------------------------------------- */

static int check_head(struct engine *e, enum meta_table table, struct span value,
		      struct us_err *err)
{
	struct meta_stamp stamp;
	struct span payload;

	if (value_split(value, &stamp, &payload) && stamp.version && stamp.version <= e->version)
		return 1;
	return us_fail(err, US_ECORRUPT, "metadata: a row of %s has no version",
		       meta_table_name(table));
}

int engine_get(struct engine *e, enum meta_table table, struct span key, struct buf *value,
	       struct us_err *err)
{
	size_t before = value->len;
	int rc;

	e->count.gets++;
	if (e->failed)
		return refuse(err);
	rc = bdb_get(e->db, table, key, SIZE_MAX, value, err);
	if (rc > 0)
		rc = check_head(e, table, span_from(buf_span(value), before), err);
	return check(e, rc, err);
}

struct page {
	struct span end;
	uint32_t left; /* entries */
	size_t most;   /* bytes of *out */
	struct buf *out;
};

static int add_entry(void *ctx, struct span key, struct span value)
{
	struct page *p = ctx;

	if (p->end.len && span_cmp(key, p->end) >= 0)
		return 1;
	entry_put(p->out, key, value);
	return --p->left == 0 || p->out->len >= p->most;
}

int engine_page(struct engine *e, const struct request *range, struct buf *out, struct us_err *err)
{
	struct page p = {range->end, range->most, out->len + RANGE_PAGE_BYTES, out};
	size_t most = range->range_flags & RANGE_KEYS_ONLY ? VALUE_HEAD : SIZE_MAX;

	e->count.pages++;
	if (e->failed)
		return refuse(err);
	return check(e, bdb_walk(e->db, range->table, range->first, most, add_entry, &p, err), err);
}

/* ---- batches ----------------------------------------------------------------------------------- */

/* The stamp of a row: 1, 0 if there is none. */
static int stamp_of(struct engine *e, const struct batch_item *item, struct meta_stamp *stamp,
		    struct us_err *err)
{
	struct buf head = BUF_INIT;
	struct span rest;
	int rc = bdb_get(e->db, item->table, item->key, VALUE_HEAD, &head, err);

	if (rc > 0 && !value_split(buf_span(&head), stamp, &rest))
		rc = us_fail(err, US_ECORRUPT, "metadata: a row of %s has no version",
			     meta_table_name(item->table));
	buf_free(&head);
	return rc;
}

/* 0: all versions are as expected; 1: one is not, and *err tells of it. */
static int check_versions(struct engine *e, const struct meta_batch *batch, struct us_err *err)
{
	struct batch_item item;
	size_t at = 0;

	while (batch_next(batch, &at, &item)) {
		struct meta_stamp stamp = {0, 0, 0};
		int rc = item.what == BATCH_EXPECT ? stamp_of(e, &item, &stamp, err) : 0;
		if (rc < 0)
			return rc;
		if (item.what != BATCH_EXPECT || stamp.version == item.number)
			continue;
		us_fail(err, US_ECHANGED, "a row of %s has version %llu, not %llu",
			meta_table_name(item.table), (unsigned long long)stamp.version,
			(unsigned long long)item.number);
		return 1;
	}
	return 0;
}

/* Does every row it puts carry its nonce? 1: yes, and there is one. */
static int was_done(struct engine *e, const struct meta_batch *batch, uint64_t *version,
		    struct us_err *err)
{
	struct batch_item item;
	size_t at = 0;
	int done = 0;

	while (batch_next(batch, &at, &item)) {
		struct meta_stamp stamp;
		int rc = item.what == BATCH_PUT ? stamp_of(e, &item, &stamp, err) : 0;
		if (rc < 0)
			return rc;
		if (item.what != BATCH_PUT)
			continue;
		if (rc == 0 || stamp.nonce != batch->nonce)
			return 0;
		*version = stamp.version;
		done = 1;
	}
	return done;
}

static int put_row(struct engine *e, const struct batch_item *item, struct meta_stamp stamp,
		   struct us_err *err)
{
	struct buf value = BUF_INIT;
	struct meta_stamp old;
	int rc = 0;

	if (item->table == META_MAILBOXES) { /* in the others it is always 0 */
		rc = stamp_of(e, item, &old, err);
		if (rc > 0)
			stamp.serial = old.serial;
	}
	value_head_put(&value, &stamp);
	buf_add_span(&value, item->payload);
	if (rc >= 0)
		rc = bdb_put(e->db, item->table, item->key, buf_span(&value), err);
	buf_free(&value);
	return rc;
}

static int raise_serial(struct engine *e, const struct batch_item *item, struct us_err *err)
{
	struct buf value = BUF_INIT, raised = BUF_INIT;
	struct meta_stamp stamp;
	struct span payload;
	int rc = bdb_get(e->db, item->table, item->key, SIZE_MAX, &value, err);

	if (rc > 0 && value_split(buf_span(&value), &stamp, &payload) &&
	    stamp.serial < item->number) {
		stamp.serial = item->number;
		value_head_put(&raised, &stamp);
		buf_add_span(&raised, payload);
		rc = bdb_put(e->db, item->table, item->key, buf_span(&raised), err);
	}
	buf_free(&value);
	buf_free(&raised);
	return rc < 0 ? rc : 0;
}

static int do_item(struct engine *e, const struct batch_item *item, struct meta_stamp stamp,
		   struct us_err *err)
{
	switch (item->what) {
	case BATCH_PUT:
		return put_row(e, item, stamp, err);
	case BATCH_DEL:
		return bdb_del(e->db, item->table, item->key, err);
	case BATCH_SERIAL:
	case BATCH_OP:
		return raise_serial(e, item, err);
	case BATCH_EXPECT:
		break;
	}
	return 0;
}

static int put_version(struct engine *e, struct meta_stamp stamp, struct us_err *err)
{
	struct batch_item item = {.what = BATCH_PUT, .table = META_COUNTERS, .key = VERSION_KEY};
	struct buf text = BUF_INIT;
	int rc;

	buf_add_u64(&text, stamp.version);
	item.payload = buf_span(&text);
	rc = put_row(e, &item, stamp, err);
	buf_free(&text);
	return rc;
}

/* A batch may raise the counter of versions itself (a rebuild does): the highest it asks for, or 0. */
static uint64_t wanted_version(const struct meta_batch *batch)
{
	struct batch_item item;
	uint64_t wanted = 0, n;
	size_t at = 0;

	while (batch_next(batch, &at, &item))
		if (item.what == BATCH_PUT && item.table == META_COUNTERS &&
		    span_eq(item.key, VERSION_KEY) && span_u64(item.payload, UINT64_MAX / 2, &n) &&
		    n > wanted)
			wanted = n;
	return wanted;
}

static uint64_t next_version(const struct engine *e, const struct meta_batch *batch)
{
	uint64_t wanted = wanted_version(batch);

	return (wanted > e->version ? wanted : e->version) + 1;
}

/* 1: from `at` on there is a META op that is no news to its row, or has none any more. */
static int is_stale(struct engine *e, const struct meta_batch *batch, size_t at, struct us_err *err)
{
	struct batch_item item = {.what = BATCH_EXPECT};
	struct meta_stamp stamp;
	int rc;

	while (item.what != BATCH_OP && batch_next(batch, &at, &item))
		;
	if (item.what != BATCH_OP)
		return 0;
	rc = stamp_of(e, &item, &stamp, err);
	return rc < 0 ? rc : rc == 0 || stamp.serial >= item.number;
}

/* One META op, or what stands behind the last of them. */
static int do_items(struct engine *e, const struct meta_batch *batch, size_t *at,
		    struct meta_stamp stamp, struct us_err *err)
{
	struct batch_item item = {.what = BATCH_EXPECT};
	int stale = is_stale(e, batch, *at, err), rc = stale < 0 ? stale : 0;

	e->count.stale += stale > 0;
	while (rc == 0 && item.what != BATCH_OP && batch_next(batch, at, &item))
		if (!stale)
			rc = do_item(e, &item, stamp, err);
	return rc;
}

static int carry_out(struct engine *e, const struct meta_batch *batch, uint64_t version,
		     struct us_err *err)
{
	struct meta_stamp stamp = {version, batch->nonce, 0};
	size_t at = 0;
	int rc = bdb_begin(e->db, err);

	while (rc == 0 && at < batch->items.len)
		rc = do_items(e, batch, &at, stamp, err);
	if (rc == 0)
		rc = put_version(e, stamp, err);
	if (rc == 0)
		rc = bdb_commit(e->db, err);
	bdb_abort(e->db);
	return rc;
}

/* Not for serials, which change with each delivery: who needs one asks for it (meta_forget()). */
static void raise_generations(struct engine *e, const struct meta_batch *batch)
{
	struct batch_item item;
	size_t at = 0;

	while (batch_next(batch, &at, &item))
		if (item.what == BATCH_PUT || item.what == BATCH_DEL)
			generations_raise(e->generations, generations_hash(item.table, item.key));
}

static void note_unflushed(struct engine *e, bool lazy)
{
	e->unflushed = true;
	if (!lazy)
		e->wants_flush = true;
	else if (!e->lazy_by)
		e->lazy_by = wait_clock_ms() + LAZY_MS;
}

/* A batch whose conditions do not hold: done before, or refused. The row that shows it was done may be of this
 * very turn, so it is to be flushed as well. */
static int settle_changed(struct engine *e, const struct meta_batch *batch, uint64_t *version,
			  struct us_err *err)
{
	int rc = was_done(e, batch, version, err);

	if (rc < 0)
		return check(e, rc, err);
	if (rc == 0) {
		e->count.changed++;
		return US_ECHANGED;
	}
	e->count.repeated++;
	e->wants_flush = e->unflushed;
	return 0;
}

int engine_apply(struct engine *e, const struct meta_batch *batch, bool lazy, uint64_t *version,
		 struct us_err *err)
{
	int rc;

	if (e->failed)
		return refuse(err);
	if (batch->bad)
		return us_fail(err, US_ELIMIT,
			       "a key is empty or above %u bytes, or a row above %u", META_KEY_MAX,
			       META_PAYLOAD_MAX);
	e->count.batches++;
	rc = check_versions(e, batch, err);
	if (rc < 0)
		return check(e, rc, err);
	if (rc > 0)
		return settle_changed(e, batch, version, err);
	*version = next_version(e, batch);
	rc = carry_out(e, batch, *version, err);
	if (rc < 0)
		return check(e, rc, err);
	e->version = *version;
	raise_generations(e, batch);
	note_unflushed(e, lazy);
	return 0;
}

/* ---- the disk ---------------------------------------------------------------------------------- */

bool engine_wants_flush(const struct engine *e)
{
	return e->wants_flush;
}

int engine_flush(struct engine *e, struct us_err *err)
{
	int rc;

	if (e->failed)
		return refuse(err);
	if (!e->unflushed)
		return 0;
	rc = bdb_flush(e->db, err);
	if (rc < 0)
		return give_up(e, err);
	e->count.flushes++;
	e->unflushed = e->wants_flush = false;
	e->lazy_by = 0;
	return 0;
}

/* A copy is begun where a checkpoint has just written everything back. */
static int begin_backup(struct engine *e, struct us_err *err)
{
	uint64_t size, bytes = 0;
	uint32_t log;
	int rc = bdb_size(e->db, &size, err);

	if (rc == 0)
		rc = bdb_log(e->db, backup_first_log(e->backup), &log, &bytes, err);
	if (rc < 0 || !backup_is_due(e->backup, size, bytes))
		return rc;
	rc = checkpoint(e, true, err);
	return rc < 0 ? give_up(e, err) : backup_begin(e->backup, log, e->version, err);
}

static int do_backup(struct engine *e, struct us_err *err)
{
	int64_t now = wait_clock_ms();
	int rc;

	if (backup_is_running(e->backup))
		return backup_wait_ms(e->backup) > 0 ? 0 : backup_step(e->backup, err);
	if (now - e->backup_look_ms < BACKUP_LOOK_MS)
		return 0;
	e->backup_look_ms = now;
	rc = begin_backup(e, err);
	return rc < 0 ? rc : 0;
}

/* A copy that cannot be made costs disk, since logs are kept, but nobody's change. A page that is bad is worse. */
static int tend_backup(struct engine *e, struct us_err *err)
{
	int rc = do_backup(e, err);

	if (rc < 0 && (rc == US_ECORRUPT || e->failed))
		return rc;
	if (rc < 0)
		log_event(LOG_ERR, "meta.backup.failed",
			  LF_TEXT("metadata: a copy of the tables could not be made"), LF_ERR(err));
	if (rc <= 0)
		return 0;
	bdb_keep_logs(e->db, backup_first_log(e->backup));
	log_event(LOG_INFO, "meta.backup.made", LF_TEXT("metadata: the tables are copied"));
	return 0;
}

int engine_wait_ms(const struct engine *e, int most_ms)
{
	int ms = e->backup && backup_is_running(e->backup) ? backup_wait_ms(e->backup) : most_ms;

	return ms < most_ms ? ms : most_ms;
}

int engine_tend(struct engine *e, struct us_err *err)
{
	int64_t now = wait_clock_ms();
	int rc = 0;

	if (e->failed) {
		leave_mark(e); /* if it could not be left before */
		return refuse(err);
	}
	if (e->lazy_by && now >= e->lazy_by)
		rc = engine_flush(e, err);
	if (rc == 0 && (now >= e->look_at || e->count.flushes != e->looked)) {
		rc = checkpoint(e, false, err);
		e->look_at = now + LOOK_MS;
		e->looked = e->count.flushes;
	}
	if (rc >= 0)
		rc = tend_backup(e, err);
	return rc < 0 ? give_up(e, err) : 0;
}

void engine_stat(struct engine *e, struct buf *out)
{
	buf_printf(out,
		   "version=%llu\ngets=%llu\npages=%llu\nbatches=%llu\nchanged=%llu\n"
		   "repeated=%llu\nstale=%llu\nflushes=%llu\n",
		   (unsigned long long)e->version, (unsigned long long)e->count.gets,
		   (unsigned long long)e->count.pages, (unsigned long long)e->count.batches,
		   (unsigned long long)e->count.changed, (unsigned long long)e->count.repeated,
		   (unsigned long long)e->count.stale, (unsigned long long)e->count.flushes);
	if (!e->failed)
		bdb_stat(e->db, out);
}
