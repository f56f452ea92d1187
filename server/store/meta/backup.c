/* backup.c - see backup.h. */
#include "server/store/meta/backup.h"

#include <dirent.h>
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
#include "server/base/wait.h"
#include "server/store/meta/bdb.h"

#define COPY_PREFIX "tables."
#define NAME_SIZE   24
#define CHUNK       (256u << 10) /* what a turn may be longer by */
#define RETRY_S     600

struct backup {
	struct backup_policy policy;
	int dir, home;
	bool verified;
	uint64_t written; /* so long the tables were when all was written back */
	struct note last; /* copy 0: there is none */
	int64_t not_before_ms;
	/* the copy that is being made; in -1: none is */
	int in, out;
	struct note next;
	int64_t began_ms;
	char *chunk;
};

static void name_copy(uint32_t copy, char name[NAME_SIZE])
{
	snprintf(name, NAME_SIZE, COPY_PREFIX "%u", copy);
}

/* ---- pages --------------------------------------------------------------------------------------- */

/* Where Berkeley DB 5.3 has the checksum of a page, and over how much of the page it is taken. */
static bool page_is_good(const unsigned char *page, bool may_be_zero)
{
	enum { TYPE = 25, TYPE_BTREE_META = 9, SUM = 28, META_SUM = 492, META_SIZE = 512 };
	static const unsigned char zeros[BDB_PAGE_SIZE];
	bool meta = page[TYPE] == TYPE_BTREE_META;
	size_t at = meta ? META_SUM : SUM, len = meta ? META_SIZE : BDB_PAGE_SIZE;
	uint32_t expected, sum = 0;

	if (memcmp(page, zeros, sizeof(zeros)) == 0)
		return may_be_zero;
	memcpy(&expected, page + at, sizeof(expected));
	for (size_t i = 0; i < len; i++)
		sum = sum * 33 + (i >= at && i < at + sizeof(expected) ? 0 : page[i]);
	return sum == expected;
}

/* Below `written` no page may be zeros. */
static int check_pages(const char *chunk, size_t len, uint64_t offset, uint64_t written,
		       struct us_err *err)
{
	for (size_t i = 0; i + BDB_PAGE_SIZE <= len; i += BDB_PAGE_SIZE)
		if (!page_is_good((const unsigned char *)chunk + i, offset + i >= written))
			return us_fail(err, US_ECORRUPT, "page %llu of the tables is damaged",
				       (unsigned long long)((offset + i) / BDB_PAGE_SIZE));
	return 0;
}

/* As much as there is, up to a chunk, in whole pages. */
static int copy_some(int in, int out, char *chunk, uint64_t written, uint64_t *offset,
		     struct us_err *err)
{
	ssize_t n = pread(in, chunk, CHUNK, (off_t)*offset);
	size_t len = n < 0 ? 0 : (size_t)n / BDB_PAGE_SIZE * BDB_PAGE_SIZE;
	int rc = n < 0 ? us_fail(err, US_ECORRUPT, "read the tables: %m") : 0;

	if (rc == 0)
		rc = check_pages(chunk, len, *offset, written, err);
	if (rc == 0 && len)
		rc = io_pwrite(FP("meta.backup.write"), out, chunk, len, *offset, err);
	if (rc < 0)
		return rc;
	*offset += len;
	return len > 0;
}

/* 1: there are zeros. */
static int look_at_chunk(const char *chunk, size_t len, uint64_t offset, struct us_err *err)
{
	int rc = check_pages(chunk, len, offset, /* written */ 0, err);

	return rc < 0 ? rc : check_pages(chunk, len, offset, UINT64_MAX, NULL) < 0;
}

int backup_look_at_pages(int dir, uint64_t most, struct us_err *err)
{
	char *chunk = us_malloc(CHUNK);
	uint64_t offset = 0;
	ssize_t n = 1;
	int in = -1, zeros = 0;
	int rc = io_open(FP("meta.look.open"), dir, BDB_FILE, O_RDONLY, 0, &in, err);

	while (rc >= 0 && n > 0 && offset / BDB_PAGE_SIZE < most) {
		n = pread(in, chunk, CHUNK, (off_t)offset);
		rc = n < 0 ? us_fail(err, US_ECORRUPT, "read the tables: %m")
			   : look_at_chunk(chunk, (size_t)n, offset, err);
		zeros |= rc > 0;
		offset += CHUNK;
	}
	io_close(&in);
	free(chunk);
	return rc < 0 ? rc : zeros;
}

/* ---- what there is --------------------------------------------------------------------------------- */

static int open_home(struct backup *b, struct us_err *err)
{
	return b->home >= 0 ? 0
			    : io_open(NULL, b->dir, BACKUP_DIR, O_RDONLY | O_DIRECTORY, 0, &b->home,
				      err);
}

static int make_home(struct backup *b, struct us_err *err)
{
	int rc = open_home(b, err);

	if (rc != US_ENOENT)
		return rc;
	rc = io_mkdir(FP("meta.backup.mkdir"), b->dir, BACKUP_DIR, 0700, err);
	if (rc == 0)
		rc = io_fsync(FP("meta.backup.sync_home"), b->dir, err);
	return rc < 0 ? rc : open_home(b, err);
}

/* Whoever replaced the note may have died before its name was durable: it is when we are through. */
static int read_last(struct backup *b, struct us_err *err)
{
	int rc = open_home(b, err);

	if (rc == 0)
		rc = io_fsync(FP("meta.backup.sync_note"), b->home, err);
	if (rc == 0)
		rc = note_read(b->dir, BACKUP_NOTE, &b->last, err);
	return rc == US_ENOENT ? 0 : rc;
}

struct backup *backup_new(int dir, const struct backup_policy *policy, bool verified)
{
	struct backup *b = us_calloc(1, sizeof(*b));
	struct us_err err;

	b->policy = *policy;
	b->verified = verified;
	b->dir = dir;
	b->home = b->in = b->out = -1;
	if (read_last(b, &err) < 0) /* another will be made, and until then no log goes */
		log_event(LOG_ERR, "meta.backup.damaged", LF_ERR(&err));
	return b;
}

static void stop(struct backup *b)
{
	io_close(&b->in);
	io_close(&b->out);
	free(b->chunk);
	b->chunk = NULL;
}

void backup_free(struct backup **b)
{
	if (!*b)
		return;
	stop(*b);
	io_close(&(*b)->home);
	free(*b);
	*b = NULL;
}

uint32_t backup_first_log(const struct backup *b)
{
	return b->last.first_log;
}

bool backup_is_running(const struct backup *b)
{
	return b->in >= 0;
}

bool backup_is_due(const struct backup *b, uint64_t tables_size, uint64_t log_bytes_since)
{
	const struct backup_policy *p = &b->policy;
	int64_t age_s = time(NULL) - b->last.time_s;

	if (!p->interval_s || wait_clock_ms() < b->not_before_ms)
		return false;
	return !b->last.copy || age_s < 0 || age_s >= (int64_t)p->interval_s ||
	       (log_bytes_since > p->log_bytes &&
		log_bytes_since * 100 > tables_size * p->log_percent);
}

int backup_wait_ms(const struct backup *b)
{
	uint64_t due_ms = b->next.size / (b->policy.rate / 1000 + 1);
	int64_t left = b->began_ms + (int64_t)due_ms - wait_clock_ms();

	return left < 0 ? 0 : (int)left;
}

/* ---- making one ------------------------------------------------------------------------------------ */

static int give_up(struct backup *b, int rc)
{
	stop(b);
	b->not_before_ms = wait_clock_ms() + RETRY_S * 1000;
	return rc;
}

int backup_begin(struct backup *b, uint32_t first_log, uint64_t version, struct us_err *err)
{
	struct note on_disk = {0};
	char name[NAME_SIZE];
	struct stat st;
	int rc = make_home(b, err);

	if (rc == 0)
		rc = note_read(b->dir, BACKUP_NOTE, &on_disk, err);
	b->next = (struct note){on_disk.copy + 1, first_log, 0, version, time(NULL)};
	name_copy(b->next.copy, name);
	if (rc >= 0 || rc == US_ECORRUPT) /* what a damaged note named is nobody's */
		rc = io_open(NULL, b->dir, BDB_FILE, O_RDONLY, 0, &b->in, err);
	if (rc == 0)
		rc = io_open(FP("meta.backup.create"), b->home, name, O_WRONLY | O_CREAT | O_TRUNC,
			     0600, &b->out, err);
	if (rc < 0)
		return give_up(b, rc);
	b->written = b->verified || fstat(b->in, &st) < 0 ? 0 : (uint64_t)st.st_size;
	b->chunk = us_malloc(CHUNK);
	b->began_ms = wait_clock_ms();
	return 0;
}

/* Every other copy goes: the note that names this one is durable. */
static void sweep(struct backup *b)
{
	int fd = openat(b->home, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	struct us_err ignored; /* what stays is swept the next time */
	char name[NAME_SIZE];

	name_copy(b->last.copy, name);
	while (list && (entry = readdir(list)))
		if (strncmp(entry->d_name, COPY_PREFIX, strlen(COPY_PREFIX)) == 0 &&
		    strcmp(entry->d_name, name) != 0)
			(void)io_unlink(FP("meta.backup.unlink"), b->home, entry->d_name, &ignored);
	if (list)
		closedir(list);
	else
		io_close(&fd);
}

static int finish(struct backup *b, struct us_err *err)
{
	int rc = io_fdatasync(FP("meta.backup.sync"), b->out, err);

	if (rc == 0)
		rc = io_fsync(FP("meta.backup.sync_name"), b->home, err);
	if (rc == 0)
		rc = note_replace(b->dir, BACKUP_NOTE, &b->next, err);
	if (rc < 0)
		return rc;
	b->last = b->next;
	sweep(b);
	stop(b);
	return 1;
}

int backup_step(struct backup *b, struct us_err *err)
{
	uint64_t before = b->next.size;
	int rc = copy_some(b->in, b->out, b->chunk, b->written, &b->next.size, err);

	if (rc > 0) /* so that there is little left to wait for at the end */
		(void)sync_file_range(b->out, (off64_t)before, (off64_t)(b->next.size - before),
				      SYNC_FILE_RANGE_WRITE);
	else if (rc == 0)
		return (rc = finish(b, err)) < 0 ? give_up(b, rc) : rc;
	return rc < 0 ? give_up(b, rc) : 0;
}

int backup_copy_file(int from, int to, const char *name, struct us_err *err)
{
	char *temporary = us_asprintf("%s.new", name), *chunk = us_malloc(CHUNK);
	int in = -1, out = -1, rc = io_open(NULL, from, name, O_RDONLY, 0, &in, err);
	ssize_t n = 1;

	if (rc == 0)
		rc = io_open(FP("meta.copy.create"), to, temporary, O_WRONLY | O_CREAT | O_TRUNC,
			     0600, &out, err);
	while (rc == 0 && n > 0) {
		n = read(in, chunk, CHUNK);
		rc = n < 0 ? us_fail_errno(err, "read %s", name)
			   : io_write(FP("meta.copy.write"), out, chunk, (size_t)n, err);
	}
	if (rc == 0)
		rc = io_fdatasync(FP("meta.copy.sync"), out, err);
	if (rc == 0)
		rc = io_rename(FP("meta.copy.rename"), to, temporary, to, name, err);
	io_close(&in);
	io_close(&out);
	free(temporary);
	free(chunk);
	return rc;
}

/* ---- using it -------------------------------------------------------------------------------------- */

static int copy_all(int in, int out, struct us_err *err)
{
	char *chunk = us_malloc(CHUNK);
	uint64_t offset = 0;
	int rc;

	do
		rc = copy_some(in, out, chunk, 0, &offset, err);
	while (rc > 0);
	free(chunk);
	return rc < 0 ? rc : io_fdatasync(FP("meta.restore.sync"), out, err);
}

static int open_copy(int dir, const struct note *note, int *out, struct us_err *err)
{
	char path[sizeof(BACKUP_DIR) + NAME_SIZE];
	struct stat st;
	int rc;

	snprintf(path, sizeof(path), BACKUP_DIR "/" COPY_PREFIX "%u", note->copy);
	rc = io_open(NULL, dir, path, O_RDONLY, 0, out, err);
	if (rc == US_ENOENT)
		return us_fail(err, US_ECORRUPT, "%s is not there", path);
	if (rc == 0 && (fstat(*out, &st) < 0 || (uint64_t)st.st_size != note->size))
		rc = us_fail(err, US_ECORRUPT, "%s has not the size it had", path);
	return rc;
}

int backup_put_back(int dir, struct note *out, struct us_err *err)
{
	const char *name = BDB_FILE ".new";
	int in = -1, to = -1;
	int rc = note_read(dir, BACKUP_NOTE, out, err);

	if (rc == 0)
		return us_fail(err, US_ENOENT, "there is no copy of the tables");
	if (rc > 0)
		rc = open_copy(dir, out, &in, err);
	if (rc == 0)
		rc = io_open(FP("meta.restore.create"), dir, name, O_WRONLY | O_CREAT | O_TRUNC,
			     0600, &to, err);
	if (rc == 0)
		rc = copy_all(in, to, err);
	if (rc == 0)
		rc = io_rename(FP("meta.restore.rename"), dir, name, dir, BDB_FILE, err);
	if (rc == 0)
		rc = io_fsync(FP("meta.restore.sync_name"), dir, err);
	io_close(&in);
	io_close(&to);
	return rc;
}
