/* bdb.c - see bdb.h. */
#include "server/store/meta/bdb.h"

#include <db.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"

#define LOG_BUFFER     (1u << 20)
#define LOG_FILE       (4u << 20) /* recovery fills the last one with zeros, to its end */
#define CHECKPOINT_KB  (16u << 10)
#define CHECKPOINT_MIN 1

struct bdb {
	DB_ENV *env;
	DB *table[META_N_TABLES];
	DB_TXN *txn;
	int dir;
	unsigned names; /* of bdb_hooks_names(), that were durable last */
	DB_LSN checkpoint;
	uint32_t keep_from; /* logs */
};

/* ---- errors ------------------------------------------------------------------------------------ */

/* Where no call of the system failed, it is the files that are wrong. An environment that gave up is no full disk, even if
 * that was the cause: it can only be closed. */
static int code_of(int bdb_rc, int system)
{
	switch (bdb_rc) {
	case ENOSPC:
	case EDQUOT:
		return US_ENOSPC;
	case ENOMEM:
	case EMFILE:
	case ENFILE:
	case EACCES:
	case EPERM:
		return US_EIO;
	default:
		return system ? US_EIO : US_ECORRUPT;
	}
}

static int fail(struct us_err *err, int bdb_rc, const char *what)
{
	int system = bdb_hooks_take_error();

	return us_fail(err, code_of(bdb_rc, system), "metadata: %s: %s", what,
		       db_strerror(system && bdb_rc == DB_RUNRECOVERY ? system : bdb_rc));
}

static void hear_error(const DB_ENV *env UNUSED, const char *prefix UNUSED, const char *text)
{
	log_event(LOG_ERR, "meta.db.error", LF_TEXT("DBERROR: metadata"), LF_STR("text", text));
}

/* ---- opening and closing ------------------------------------------------------------------------ */

static int open_environment(struct bdb *b, const char *directory, size_t cache_bytes,
			    enum bdb_recovery how, struct us_err *err)
{
	const u_int32_t gib = 1u << 30;
	u_int32_t flags = DB_CREATE | DB_INIT_TXN | DB_INIT_LOG | DB_INIT_MPOOL | DB_PRIVATE |
			  (how == BDB_CATASTROPHIC ? DB_RECOVER_FATAL : DB_RECOVER);
	int rc = db_env_create(&b->env, 0);

	if (rc != 0) {
		b->env = NULL;
		return fail(err, rc, "create");
	}
	b->env->set_errcall(b->env, hear_error);
	rc = b->env->set_cachesize(b->env, (u_int32_t)(cache_bytes / gib),
				   (u_int32_t)(cache_bytes % gib), 1);
	if (rc == 0)
		rc = b->env->set_lg_bsize(b->env, LOG_BUFFER);
	if (rc == 0)
		rc = b->env->set_lg_max(b->env, LOG_FILE);
	if (rc == 0)
		rc = b->env->set_flags(b->env, DB_TXN_NOSYNC, 1);
	if (rc == 0)
		rc = b->env->open(b->env, directory, flags, 0600);
	return rc == 0 ? 0 : fail(err, rc, "open");
}

static int open_table(struct bdb *b, enum meta_table table, struct us_err *err)
{
	DB *db;
	int rc = db_create(&db, b->env, 0);

	if (rc == 0) {
		b->table[table] = db;
		rc = db->set_pagesize(db, BDB_PAGE_SIZE);
	}
	if (rc == 0)
		rc = db->set_flags(db, DB_CHKSUM);
	if (rc == 0)
		rc = db->open(db, NULL, BDB_FILE, meta_table_name(table), DB_BTREE,
			      DB_CREATE | DB_AUTO_COMMIT, 0600);
	return rc == 0 ? 0 : fail(err, rc, meta_table_name(table));
}

static int sync_names(struct bdb *b, struct us_err *err)
{
	unsigned names = bdb_hooks_names();
	int rc = 0;

	if (names != b->names)
		rc = io_fsync(FP("meta.db.sync_dir"), b->dir, err);
	if (rc == 0)
		b->names = names;
	return rc;
}

static int recover(const char *directory, size_t cache_bytes, enum bdb_recovery how,
		   struct bdb **out, struct us_err *err)
{
	struct bdb *b = us_calloc(1, sizeof(*b));

	*out = b;
	bdb_hooks_set();
	b->dir = -1;
	b->names = bdb_hooks_names() - 1; /* whoever was here before may have died before a sync */
	if (io_open(NULL, AT_FDCWD, directory, O_RDONLY | O_DIRECTORY, 0, &b->dir, err) < 0)
		return err->code;
	return open_environment(b, directory, cache_bytes, how, err);
}

int bdb_open(const char *directory, size_t cache_bytes, enum bdb_recovery how, struct bdb **out,
	     struct us_err *err)
{
	struct bdb *b;
	struct us_err ignored;
	int rc = recover(directory, cache_bytes, how, &b, err);

	for (unsigned i = 0; rc == 0 && i < META_N_TABLES; i++)
		rc = open_table(b, (enum meta_table)i, err);
	if (rc == 0)
		rc = bdb_checkpoint(b, true, err);
	bdb_hooks_opened();
	if (rc < 0)
		(void)bdb_close(&b, &ignored); /* the first error is the one that counts */
	else
		*out = b;
	return rc < 0 ? rc : 0;
}

int bdb_recover(const char *directory, size_t cache_bytes, struct us_err *err)
{
	struct bdb *b;
	struct us_err ignored;
	int rc = recover(directory, cache_bytes, BDB_NORMAL, &b, err);
	int closed = bdb_close(&b, rc < 0 ? &ignored : err);

	return rc < 0 ? rc : closed;
}

int bdb_verify(const char *directory, struct us_err *err)
{
	char *path = us_asprintf("%s/" BDB_FILE, directory);
	DB *db;
	int rc = db_create(&db, NULL, 0);

	if (rc == 0) {
		db->set_errcall(db, hear_error);
		rc = db->verify(db, path, NULL, NULL, 0); /* frees the handle */
	}
	free(path);
	return rc == 0 ? 0 : fail(err, rc, "verify");
}

int bdb_close(struct bdb **b, struct us_err *err)
{
	struct bdb *it = *b;
	int worst = 0;

	if (!it)
		return 0;
	bdb_abort(it);
	for (unsigned i = 0; i < META_N_TABLES; i++)
		if (it->table[i]) {
			int one = it->table[i]->close(it->table[i], 0);
			worst = worst ? worst : one;
		}
	if (it->env) {
		int one = it->env->close(it->env, 0);
		worst = worst ? worst : one;
	}
	io_close(&it->dir);
	free(it);
	*b = NULL;
	return worst ? fail(err, worst, "close") : 0;
}

void bdb_forget(struct bdb **b)
{
	if (*b)
		io_close(&(*b)->dir);
	free(*b);
	*b = NULL;
}

/* ---- rows -------------------------------------------------------------------------------------- */

int bdb_begin(struct bdb *b, struct us_err *err)
{
	int rc;

	us_assert(!b->txn);
	rc = b->env->txn_begin(b->env, NULL, &b->txn, 0);
	if (rc != 0)
		b->txn = NULL;
	return rc == 0 ? 0 : fail(err, rc, "begin");
}

int bdb_commit(struct bdb *b, struct us_err *err)
{
	DB_TXN *txn = b->txn;
	int rc;

	b->txn = NULL; /* gone, however it ends */
	rc = txn->commit(txn, DB_TXN_NOSYNC);
	return rc == 0 ? 0 : fail(err, rc, "commit");
}

void bdb_abort(struct bdb *b)
{
	DB_TXN *txn = b->txn;

	b->txn = NULL;
	if (txn)
		(void)txn->abort(
			txn); /* a failure panics the environment: the next call hears of it */
}

static DBT dbt_of(struct span s)
{
	return (DBT){.data = (void *)s.ptr, .size = (u_int32_t)s.len};
}

/* For what comes back: the library's memory, good until its next call; cut to `most` bytes. */
static DBT dbt_for(size_t most)
{
	return most < SIZE_MAX ? (DBT){.flags = DB_DBT_PARTIAL, .dlen = (u_int32_t)most} : (DBT){0};
}

int bdb_get(struct bdb *b, enum meta_table table, struct span key, size_t most, struct buf *value,
	    struct us_err *err)
{
	DBT k = dbt_of(key), v = dbt_for(most);
	int rc = b->table[table]->get(b->table[table], b->txn, &k, &v, 0);

	if (rc == DB_NOTFOUND)
		return 0;
	if (rc != 0)
		return fail(err, rc, meta_table_name(table));
	buf_add(value, v.data, v.size);
	return 1;
}

int bdb_put(struct bdb *b, enum meta_table table, struct span key, struct span value,
	    struct us_err *err)
{
	DBT k = dbt_of(key), v = dbt_of(value);
	int rc = b->table[table]->put(b->table[table], b->txn, &k, &v, 0);

	return rc == 0 ? 0 : fail(err, rc, meta_table_name(table));
}

int bdb_del(struct bdb *b, enum meta_table table, struct span key, struct us_err *err)
{
	DBT k = dbt_of(key);
	int rc = b->table[table]->del(b->table[table], b->txn, &k, 0);

	return rc == 0 || rc == DB_NOTFOUND ? 0 : fail(err, rc, meta_table_name(table));
}

int bdb_walk(struct bdb *b, enum meta_table table, struct span first, size_t most,
	     int (*fn)(void *ctx, struct span key, struct span value), void *ctx,
	     struct us_err *err)
{
	DBT k = dbt_of(first), v = dbt_for(most);
	DBC *cursor;
	u_int32_t step = DB_SET_RANGE;
	int result = 0;
	int rc = b->table[table]->cursor(b->table[table], b->txn, &cursor, 0);

	if (rc != 0)
		return fail(err, rc, meta_table_name(table));
	while (!result && (rc = cursor->get(cursor, &k, &v, step)) == 0) {
		result = fn(ctx, span_make(k.data, k.size), span_make(v.data, v.size));
		step = DB_NEXT;
	}
	cursor->close(cursor);
	if (rc != 0 && rc != DB_NOTFOUND)
		return fail(err, rc, meta_table_name(table));
	return result < 0 ? result : 0;
}

/* ---- the disk ---------------------------------------------------------------------------------- */

bool bdb_is_log(const char *name)
{
	return strncmp(name, "log.", 4) == 0;
}

int bdb_flush(struct bdb *b, struct us_err *err)
{
	int rc = b->env->log_flush(b->env, NULL);

	if (rc != 0 || bdb_hooks_sync_failed())
		return fail(err, rc ? rc : EIO, "flush");
	return sync_names(b, err);
}

void bdb_keep_logs(struct bdb *b, uint32_t first)
{
	b->keep_from = first;
}

/* Oldest first, so that those that are left never have a gap. */
static int remove_logs(struct bdb *b, struct us_err *err)
{
	char **names = NULL;
	int rc = b->env->log_archive(b->env, &names, 0);

	if (rc != 0)
		return fail(err, rc, "list old logs");
	for (size_t i = 0; rc == 0 && names && names[i]; i++) {
		uint64_t number;
		if (strlen(names[i]) > 4 && span_u64(span_of(names[i] + 4), UINT32_MAX, &number) &&
		    number < b->keep_from)
			rc = io_unlink(FP("meta.db.remove_log"), b->dir, names[i], err);
	}
	free(names);
	return rc;
}

/* 1: there was one since the last look. */
static int note_checkpoint(struct bdb *b, struct us_err *err)
{
	DB_TXN_STAT *txn;
	int rc = b->env->txn_stat(b->env, &txn, 0), seen;

	if (rc != 0)
		return fail(err, rc, "look for a checkpoint");
	seen = memcmp(&b->checkpoint, &txn->st_last_ckp, sizeof(b->checkpoint)) != 0;
	b->checkpoint = txn->st_last_ckp;
	free(txn);
	return seen;
}

int bdb_checkpoint(struct bdb *b, bool force, struct us_err *err)
{
	int rc =
		b->env->txn_checkpoint(b->env, CHECKPOINT_KB, CHECKPOINT_MIN, force ? DB_FORCE : 0);

	if (rc != 0 || bdb_hooks_sync_failed())
		return fail(err, rc ? rc : EIO, "checkpoint");
	rc = sync_names(b, err);
	if (rc == 0)
		rc = note_checkpoint(b, err);
	if (rc > 0 && remove_logs(b, err) < 0)
		rc = err->code;
	return rc;
}

int bdb_log(struct bdb *b, uint32_t first, uint32_t *current, uint64_t *bytes, struct us_err *err)
{
	DB_LOG_STAT *log;
	int rc = b->env->log_stat(b->env, &log, 0);

	if (rc != 0)
		return fail(err, rc, "look at the log");
	*current = log->st_cur_file;
	*bytes = (uint64_t)(log->st_cur_file - (first ? first : 1)) * LOG_FILE + log->st_cur_offset;
	free(log);
	return 0;
}

int bdb_size(struct bdb *b, uint64_t *bytes, struct us_err *err)
{
	struct stat st;

	if (fstatat(b->dir, BDB_FILE, &st, 0) < 0)
		return us_fail_errno(err, BDB_FILE);
	*bytes = (uint64_t)st.st_size;
	return 0;
}

void bdb_stat(struct bdb *b, struct buf *out)
{
	DB_LOG_STAT *log;
	DB_TXN_STAT *txn;

	if (b->env->log_stat(b->env, &log, 0) != 0)
		return;
	buf_printf(out, "log_file=%u\nlog_flushes=%llu\nlog_mib=%llu\n", log->st_cur_file,
		   (unsigned long long)log->st_scount, (unsigned long long)log->st_w_mbytes);
	free(log);
	if (b->env->txn_stat(b->env, &txn, 0) != 0)
		return;
	buf_printf(out, "checkpoint=%u/%u\n", txn->st_last_ckp.file, txn->st_last_ckp.offset);
	free(txn);
}
