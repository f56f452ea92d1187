/* stage.c - see stage.h. */
#include "server/store/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"

struct stage {
	struct partition *partition;
	char name[STOREID_HEX];
	int dir; /* flocked */
	unsigned next;
};

/* ---- the directory ----------------------------------------------------------------------------- */

struct sweep {
	int dir; /* of the partition */
	unsigned gone;
};

/* Remove stage/<name> if nobody holds it. */
static int sweep_one(void *ctx, const struct dirent *entry)
{
	struct sweep *s = ctx;
	char path[64];
	struct us_err err;
	int fd = -1;

	if (strlen(entry->d_name) != STOREID_HEX - 1)
		return 0;
	snprintf(path, sizeof(path), "stage/%.40s", entry->d_name);
	if (io_open(NULL, s->dir, path, O_RDONLY | O_DIRECTORY, 0, &fd, NULL) < 0)
		return 0; /* another sweeper had it */
	if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
		if (partition_remove_tree(s->dir, path, &err) == 0)
			s->gone++;
		else
			log_event(LOG_WARNING, "store.stage.kept", LF_STR("path", path),
				  LF_ERR(&err));
	}
	io_close(&fd);
	return 0;
}

unsigned stage_sweep(const struct partition *partition)
{
	struct sweep s = {partition->dir, 0};
	struct us_err err;

	if (io_each_name(NULL, partition->dir, "stage", sweep_one, &s, &err) < 0)
		log_event(LOG_WARNING, "store.stage.kept", LF_STR("path", partition->path),
			  LF_ERR(&err));
	return s.gone;
}

/* Between mkdir and flock a sweeper may take it for abandoned: then it is gone, and we make another. */
static int make_locked_dir(struct stage *stage, struct us_err *err)
{
	for (;;) {
		struct storeid id = storeid_new();
		char path[64];
		struct stat st;
		int rc;

		storeid_format(&id, stage->name);
		snprintf(path, sizeof(path), "stage/%s", stage->name);
		rc = io_mkdir(FP("store.stage.mkdir"), stage->partition->dir, path, 0700, err);
		if (rc < 0)
			return rc;
		rc = io_open(NULL, stage->partition->dir, path, O_RDONLY | O_DIRECTORY, 0,
			     &stage->dir, err);
		if (rc == 0 && flock(stage->dir, LOCK_EX | LOCK_NB) == 0 &&
		    fstat(stage->dir, &st) == 0 && st.st_nlink > 0)
			return 0;
		io_close(&stage->dir);
		if (rc < 0 && rc != US_ENOENT)
			return rc;
	}
}

int stage_open(struct partition *partition, struct stage **out, struct us_err *err)
{
	struct stage *stage = us_calloc(1, sizeof(*stage));
	int rc;

	stage->partition = partition;
	stage->dir = -1;
	stage_sweep(partition);
	rc = make_locked_dir(stage, err);
	if (rc < 0) {
		free(stage);
		return us_err_prefix(err, "staging on partition %s", partition->name);
	}
	*out = stage;
	return 0;
}

struct clearing {
	int dir;
	struct us_err *err;
};

static int clear_one(void *ctx, const struct dirent *entry)
{
	const struct clearing *c = ctx;

	return io_unlink(FP("store.stage.unlink"), c->dir, entry->d_name, c->err);
}

int stage_clear(struct stage *stage, struct us_err *err)
{
	struct clearing c = {stage->dir, err};

	return io_each_name(NULL, stage->dir, ".", clear_one, &c, err);
}

void stage_close(struct stage **stage)
{
	char path[64];
	struct us_err err;
	int rc;

	if (!*stage)
		return;
	snprintf(path, sizeof(path), "stage/%s", (*stage)->name);
	rc = partition_remove_tree((*stage)->partition->dir, path, &err);
	if (rc < 0)
		log_event(LOG_WARNING, "store.stage.kept", LF_STR("path", path), LF_ERR(&err));
	io_close(&(*stage)->dir);
	free(*stage);
	*stage = NULL;
}

struct partition *stage_partition(const struct stage *stage)
{
	return stage->partition;
}

/* ---- one body ---------------------------------------------------------------------------------- */

int staged_begin(struct stage *stage, const char *name, struct staged *out, struct us_err *err)
{
	struct staged s = {.stage = stage, .fd = -1};
	int rc;

	if (name)
		snprintf(s.name, sizeof(s.name), "%s", name);
	else
		snprintf(s.name, sizeof(s.name), "%u", ++stage->next);
	/* A file linked into mailboxes must never be written to: always a new inode. */
	rc = io_unlink(FP("store.stage.replace"), stage->dir, s.name, err);
	if (rc == 0)
		rc = io_open(FP("store.stage.create"), stage->dir, s.name,
			     O_RDWR | O_CREAT | O_EXCL, 0600, &s.fd, err);
	if (rc < 0)
		return rc;
	s.sum = guid_sum_new();
	*out = s;
	return 0;
}

int staged_write(struct staged *s, const void *data, size_t len, struct us_err *err)
{
	guid_sum_add(s->sum, data, len);
	s->crc = us_crc32c(s->crc, data, len);
	s->size += len;
	return io_write(FP("store.stage.write"), s->fd, data, len, err);
}

int staged_date(struct staged *s, int64_t internaldate_ns, struct us_err *err)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
				    {internaldate_ns / 1000000000, internaldate_ns % 1000000000}};
	struct stat st;

	if (internaldate_ns <= 0 || (fstat(s->fd, &st) == 0 && st.st_nlink > 1))
		return 0;
	return futimens(s->fd, times) < 0 ? us_fail_errno(err, "set the time of a message file")
					  : 0;
}

int staged_end(struct staged *s, int64_t internaldate_ns, struct us_err *err)
{
	s->guid = guid_sum_end(&s->sum);
	return staged_date(s, internaldate_ns, err);
}

int staged_sync(struct staged *s, struct us_err *err)
{
	int rc = 0;

	if (!s->synced)
		rc = partition_synced(s->stage->partition,
				      io_fdatasync(FP("store.stage.sync_file"), s->fd, err), err);
	s->synced = rc == 0;
	return rc;
}

static int copy_bytes(int from, struct staged *to, struct us_err *err)
{
	char chunk[65536];
	ssize_t n;
	off_t at = 0;
	int rc = 0;

	while (rc == 0 && (n = pread(from, chunk, sizeof(chunk), at)) != 0) {
		rc = n < 0 ? us_fail_errno(err, "read a message file")
			   : staged_write(to, chunk, (size_t)n, err);
		at += n;
	}
	return rc;
}

int staged_copy(struct stage *stage, const struct staged *from, struct staged *out,
		struct us_err *err)
{
	struct staged copy;
	int rc = staged_begin(stage, NULL, &copy, err);

	if (rc < 0)
		return rc;
	rc = copy_bytes(from->fd, &copy, err);
	if (rc == 0)
		rc = staged_end(&copy, 0, err);
	if (rc == 0 && !guid_eq(&copy.guid, &from->guid))
		rc = us_fail(err, US_ECORRUPT, "a staged message changed while it was copied");
	if (rc == 0)
		rc = io_copy_time(from->fd, copy.fd, err); /* the INTERNALDATE */
	if (rc < 0)
		staged_drop(&copy, /* remove */ true);
	else
		*out = copy;
	return rc;
}

void staged_drop(struct staged *s, bool remove)
{
	guid_sum_free(&s->sum);
	io_close(&s->fd);
	if (remove && s->name[0])
		(void)unlinkat(s->stage->dir, s->name, 0); /* else it goes with the stage */
	s->name[0] = '\0';
}

/* ---- by guid ----------------------------------------------------------------------------------- */

/* Sum a whole file. */
static int sum_file(int fd, struct guid *guid, uint32_t *crc, uint64_t *size, struct us_err *err)
{
	struct guid_sum *sum = guid_sum_new();
	char chunk[65536];
	ssize_t n;

	*crc = 0;
	*size = 0;
	while ((n = pread(fd, chunk, sizeof(chunk), (off_t)*size)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			guid_sum_free(&sum);
			return us_fail_errno(err, "read a message file");
		}
		guid_sum_add(sum, chunk, (size_t)n);
		*crc = us_crc32c(*crc, chunk, (size_t)n);
		*size += (uint64_t)n;
	}
	*guid = guid_sum_end(&sum);
	return 0;
}

static int open_checked(int dir, const char *file, const struct guid *guid, struct staged *out,
			struct us_err *err)
{
	struct guid found;
	int rc = io_open(NULL, dir, file, O_RDONLY, 0, &out->fd, err);

	if (rc < 0)
		return rc;
	rc = sum_file(out->fd, &found, &out->crc, &out->size, err);
	if (rc == 0 && !guid_eq(&found, guid))
		rc = us_fail(err, US_ECORRUPT, "%s is not the message it should be", file);
	out->guid = *guid;
	if (rc < 0)
		io_close(&out->fd);
	return rc;
}

static int copy_into(struct stage *stage, int from, const char *name, struct us_err *err)
{
	struct staged copy;
	int rc = staged_begin(stage, name, &copy, err);

	if (rc < 0)
		return rc;
	rc = copy_bytes(from, &copy, err);
	if (rc == 0)
		rc = io_copy_time(from, copy.fd, err);
	staged_drop(&copy, /* remove */ rc < 0);
	return rc;
}

int stage_adopt(struct stage *stage, int dir, const char *file, const struct guid *guid,
		struct us_err *err)
{
	struct staged source = {.stage = stage, .fd = -1};
	char name[GUID_HEX];
	int rc;

	guid_format(guid, name);
	rc = open_checked(dir, file, guid, &source, err);
	if (rc < 0)
		return rc;
	rc = io_link(FP("store.stage.adopt"), dir, file, stage->dir, name, err);
	if (rc == US_EEXIST)
		rc = 0; /* it lies there already */
	else if (rc == US_EIO)
		rc = copy_into(stage, source.fd, name,
			       err); /* another file system, or too many links */
	io_close(&source.fd);
	return rc;
}

bool stage_has(struct stage *stage, const struct guid *guid)
{
	char name[GUID_HEX];

	guid_format(guid, name);
	return faccessat(stage->dir, name, F_OK, 0) == 0;
}

int stage_find(struct stage *stage, const struct guid *guid, struct staged *out, struct us_err *err)
{
	struct staged s = {.stage = stage, .fd = -1};
	int rc;

	guid_format(guid, s.name);
	rc = open_checked(stage->dir, s.name, guid, &s, err);
	if (rc == 0)
		*out = s;
	return rc;
}

int stage_sync(struct stage *stage, struct us_err *err)
{
	return partition_synced(stage->partition,
				io_syncfs(FP("store.stage.sync"), stage->dir, err), err);
}

int stage_dir(const struct stage *stage)
{
	return stage->dir;
}
