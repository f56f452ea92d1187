/* rescue.c - see rescue.h. */
#include "server/store/meta/rescue.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/store/meta/backup.h"
#include "server/store/meta/packet.h"
#include "server/store/partition.h"

#define NOTE        "tables.note"
#define MARK        "rescue"  /* a rescue was begun: the name of what it sets aside */
#define SUSPECT     "suspect" /* verify before use */
#define ASIDE       "broken-"
#define KEPT        2
#define FIRST_PAGES 64 /* where the tables begin */
#define NAME        64

struct rescue {
	int dir;
	const char *directory;
	size_t cache_bytes;
	struct note note; /* of the last checkpoint; all zero: not known */
	bool has_log, has_first_log;
	bool suspected, verified;
	struct bdb *db;
	uint64_t version;
};

/* ---- files --------------------------------------------------------------------------------------- */

static bool exists(int dir, const char *name)
{
	return faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int each_name(int dir, int (*fn)(void *ctx, const char *name, struct us_err *err), void *ctx,
		     struct us_err *err)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!list) {
		rc = us_fail_errno(err, "read the directory");
		io_close(&fd);
		return rc;
	}
	while (rc == 0 && (entry = readdir(list)))
		rc = fn(ctx, entry->d_name, err);
	closedir(list);
	return rc;
}

static int make_mark(int dir, const char *name, const char *text, struct us_err *err)
{
	struct io_replace_points points = {FP("meta.rescue.mark.write"),
					   FP("meta.rescue.mark.sync"),
					   FP("meta.rescue.mark.rename"),
					   FP("meta.rescue.mark.sync_dir")};

	return io_replace(&points, dir, name, text, strlen(text), 0600, err);
}

static int remove_mark(int dir, const char *name, struct us_err *err)
{
	int rc;

	if (!exists(dir, name))
		return 0;
	rc = io_unlink(FP("meta.rescue.mark.unlink"), dir, name, err);
	return rc < 0 ? rc : io_fsync(FP("meta.rescue.mark.sync_end"), dir, err);
}

int rescue_suspect(int dir, struct us_err *err)
{
	return exists(dir, SUSPECT) ? 0 : make_mark(dir, SUSPECT, "", err);
}

int rescue_note(int dir, struct bdb *db, uint64_t version, struct us_err *err)
{
	struct note note = {.version = version, .time_s = time(NULL)};
	int rc = bdb_size(db, &note.size, err);

	return rc < 0 ? rc : note_write(dir, NOTE, &note, err);
}

/* ---- the usual way --------------------------------------------------------------------------------- */

static int note_log(void *ctx, const char *name, struct us_err *err UNUSED)
{
	struct rescue *r = ctx;

	r->has_log |= bdb_is_log(name);
	r->has_first_log |= strcmp(name, "log.0000000001") == 0;
	return 0;
}

/* Recovery takes a file that is gone for one that was meant to go, and does not miss pages at the end of it: both are seen
 * here or never. (It may be shorter for good reasons: pages at the end that were freed go.) */
static int look(struct rescue *r, struct us_err *err)
{
	struct stat st;
	int rc = note_read(r->dir, NOTE, &r->note, err);

	if (rc == US_ECORRUPT) /* a crash may leave it so */
		rc = 0;
	if (rc >= 0)
		rc = each_name(r->dir, note_log, r, err);
	if (rc < 0)
		return rc;
	if (fstatat(r->dir, BDB_FILE, &st, 0) < 0) {
		if (errno != ENOENT)
			return us_fail_errno(err, BDB_FILE);
		st.st_size = 0;
	}
	if (st.st_size == 0 && (r->has_log || r->note.size || exists(r->dir, BACKUP_NOTE)))
		return us_fail(err, US_ECORRUPT, BDB_FILE " is gone");
	/* What Berkeley DB makes of zeros where a table begins is beyond belief. */
	rc = st.st_size ? backup_look_at_pages(r->dir, FIRST_PAGES, err) : 0;
	r->suspected = rc > 0 || (uint64_t)st.st_size < r->note.size || exists(r->dir, SUSPECT);
	return rc < 0 ? rc : 0;
}

static int read_version(struct rescue *r, struct us_err *err)
{
	struct buf value = BUF_INIT;
	struct meta_stamp stamp;
	struct span text;
	int rc = bdb_get(r->db, META_COUNTERS, VERSION_KEY, SIZE_MAX, &value, err);

	r->version = 0;
	if (rc > 0 && (!value_split(buf_span(&value), &stamp, &text) ||
		       !span_u64(text, UINT64_MAX - 1, &r->version)))
		rc = us_fail(err, US_ECORRUPT, "the counter of versions is no number");
	buf_free(&value);
	if (rc >= 0 && r->version < r->note.version)
		rc = us_fail(err, US_ECORRUPT, "the tables are at version %llu and were at %llu",
			     (unsigned long long)r->version, (unsigned long long)r->note.version);
	return rc < 0 ? rc : 0;
}

static int open_with(struct rescue *r, enum bdb_recovery how, struct us_err *err)
{
	struct us_err ignored; /* the first error is the one that counts */
	int rc = bdb_open(r->directory, r->cache_bytes, how, &r->db, err);

	if (rc == 0)
		rc = read_version(r, err);
	if (rc < 0)
		(void)bdb_close(&r->db, &ignored);
	return rc;
}

static int verify(struct rescue *r, struct us_err *err)
{
	int rc;

	log_event(LOG_WARNING, "meta.verify",
		  LF_TEXT("metadata: it failed or is smaller; all tables are read and verified"));
	rc = bdb_recover(r->directory, r->cache_bytes, err);
	if (rc == 0)
		rc = backup_look_at_pages(r->dir, UINT64_MAX, err);
	if (rc > 0)
		rc = us_fail(err, US_ECORRUPT, "a page of the tables is lost");
	if (rc == 0)
		rc = bdb_verify(r->directory, err);
	r->verified = rc == 0;
	return rc < 0 ? rc : remove_mark(r->dir, SUSPECT, err);
}

static int open_as_usual(struct rescue *r, struct us_err *err)
{
	int rc = look(r, err);

	if (rc == 0 && r->suspected)
		rc = verify(r, err);
	return rc < 0 ? rc : open_with(r, BDB_NORMAL, err);
}

/* ---- setting aside --------------------------------------------------------------------------------- */

struct aside {
	int from, to;
	char last_log[NAME];
};

static int find_last_log(void *ctx, const char *name, struct us_err *err UNUSED)
{
	struct aside *a = ctx;

	if (bdb_is_log(name) && strlen(name) < NAME && strcmp(name, a->last_log) > 0)
		snprintf(a->last_log, NAME, "%s", name);
	return 0;
}

/* Logs stay where they are, too: they are what the tables are made of again. The last one will be written to. */
static int keep_log(void *ctx, const char *name, struct us_err *err)
{
	struct aside *a = ctx;

	if (!bdb_is_log(name) || exists(a->to, name))
		return 0;
	if (strcmp(name, a->last_log) == 0)
		return backup_copy_file(a->from, a->to, name, err);
	return io_link(FP("meta.rescue.link"), a->from, name, a->to, name, err);
}

static int keep_all(int dir, int to, struct us_err *err)
{
	struct aside a = {dir, to, ""};
	int rc = each_name(dir, find_last_log, &a, err);

	if (rc == 0)
		rc = each_name(dir, keep_log, &a, err);
	if (rc == 0 && exists(dir, BDB_FILE) && !exists(to, BDB_FILE))
		rc = io_rename(FP("meta.rescue.rename"), dir, BDB_FILE, to, BDB_FILE, err);
	if (rc == 0)
		rc = io_fsync(FP("meta.rescue.sync_aside"), to, err);
	return rc < 0 ? rc : io_fsync(FP("meta.rescue.sync_dir"), dir, err);
}

struct old {
	char oldest[NAME];
	unsigned n;
};

static int find_oldest(void *ctx, const char *name, struct us_err *err UNUSED)
{
	struct old *o = ctx;

	if (strncmp(name, ASIDE, strlen(ASIDE)) != 0 || strlen(name) >= NAME)
		return 0;
	if (!o->n++ || strcmp(name, o->oldest) < 0)
		snprintf(o->oldest, NAME, "%s", name);
	return 0;
}

/* A disk that breaks a page a day shall not be filled by what is kept of them. */
static void remove_oldest(int dir)
{
	struct us_err err;
	struct old o;

	do {
		o = (struct old){"", 0};
		if (each_name(dir, find_oldest, &o, &err) < 0 || o.n <= KEPT)
			return;
	} while (partition_remove_tree(dir, o.oldest, &err) == 0);
}

/* The name of where it goes, the same for all starts that work on one rescue. */
static int name_aside(int dir, char name[NAME], struct us_err *err)
{
	struct buf text = BUF_INIT;
	int rc = io_read_file(dir, MARK, NAME - 1, &text, err);

	if (rc == 0)
		snprintf(name, NAME, "%s", text.data);
	buf_free(&text);
	if (rc != US_ENOENT)
		return rc;
	snprintf(name, NAME, ASIDE "%lld", (long long)time(NULL));
	for (unsigned i = 1; exists(dir, name) && i < 1000; i++)
		snprintf(name, NAME, ASIDE "%lld.%03u", (long long)time(NULL), i);
	return make_mark(dir, MARK, name, err);
}

static int set_aside(struct rescue *r, char name[NAME], struct us_err *err)
{
	int to = -1;
	int rc = name_aside(r->dir, name, err);

	if (rc == 0)
		rc = io_mkdir(FP("meta.rescue.mkdir"), r->dir, name, 0700, err);
	if (rc == 0 || rc == US_EEXIST)
		rc = io_open(NULL, r->dir, name, O_RDONLY | O_DIRECTORY, 0, &to, err);
	if (rc == 0)
		rc = keep_all(r->dir, to, err);
	io_close(&to);
	return rc;
}

/* ---- making them again ----------------------------------------------------------------------------- */

/* What is there now is what a rescue that was interrupted had made of the logs, or half of it: the broken ones were set aside. */
static int begin_empty(int dir, struct us_err *err)
{
	int rc = io_unlink(FP("meta.rescue.unlink"), dir, BDB_FILE, err);

	return rc < 0 && rc != US_ENOENT ? rc : io_fsync(FP("meta.rescue.sync_unlink"), dir, err);
}

/* Without a copy the logs are all there is of them: enough if none was ever removed. */
static int put_back(struct rescue *r, struct us_err *err)
{
	struct note copy = {0};
	char log[NAME];
	int rc = backup_put_back(r->dir, &copy, err);

	if (rc == US_ENOENT && r->has_first_log)
		return begin_empty(r->dir, err);
	if (rc < 0)
		return rc == US_ENOENT ? us_fail(err, US_ECORRUPT, "there is no copy of them") : rc;
	snprintf(log, sizeof(log), "log.%010u", copy.first_log);
	return exists(r->dir, log) ? 0 : us_fail(err, US_ECORRUPT, "%s is not there", log);
}

static int make_again(struct rescue *r, char aside[NAME], struct us_err *err)
{
	int rc = set_aside(r, aside, err);

	if (rc == 0)
		rc = put_back(r, err);
	if (rc == 0)
		rc = open_with(r, BDB_CATASTROPHIC, err);
	if (rc == 0)
		rc = remove_mark(r->dir, SUSPECT, err);
	if (rc == 0)
		rc = remove_mark(r->dir, MARK, err);
	return rc;
}

static int refuse(const struct rescue *r, struct us_err *err)
{
	log_event(LOG_ERR, "meta.lost", LF_TEXT("IOERROR: metadata cannot be made again"),
		  LF_ERR(err));
	return us_fail(err, US_ECORRUPT,
		       "%s is broken beyond recovery: move it away and run reconstruct -m, which "
		       "makes "
		       "another from the mailboxes",
		       r->directory);
}

static int rescue(struct rescue *r, struct us_err *err)
{
	char aside[NAME] = "";
	int rc;

	log_event(LOG_ERR, "meta.broken",
		  LF_TEXT("IOERROR: metadata is broken; it is made again from its copy and logs"),
		  LF_ERR(err));
	rc = make_again(r, aside, err);
	if (rc == US_ECORRUPT)
		return refuse(r, err);
	if (rc < 0)
		return rc;
	r->verified = true;
	remove_oldest(r->dir);
	log_event(LOG_WARNING, "meta.rescued",
		  LF_TEXT("metadata is whole again; what was broken is kept"),
		  LF_STR("path", aside), LF_NUM("version", (int64_t)r->version));
	return 0;
}

int rescue_open(int dir, const char *directory, size_t cache_bytes, bool as_they_are,
		struct rescued *out, struct us_err *err)
{
	struct rescue r = {.dir = dir, .directory = directory, .cache_bytes = cache_bytes};
	struct us_err ignored;
	int rc;

	if (exists(dir, MARK)) {
		(void)look(&r, &ignored); /* for the note */
		rc = us_fail(err, US_ECORRUPT, "a rescue was interrupted");
	} else {
		rc = open_as_usual(&r, err);
	}
	if (rc == US_ECORRUPT && !as_they_are)
		rc = rescue(&r, err);
	if (rc < 0) {
		(void)bdb_close(&r.db, &ignored); /* *err tells already */
		return rc;
	}
	*out = (struct rescued){r.db, r.version, r.verified};
	return 0;
}
