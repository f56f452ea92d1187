/* log_take.c - the one reader of a channel's log; see log.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/io.h"
#include "server/base/mem.h"
#include "synclog/log.h"
#include "synclog/log_private.h"

#define LOCK_MS 60000

static struct synclog_batch empty_batch(void)
{
	return (struct synclog_batch){.fd = -1, .text = BUF_INIT};
}

static int read_batch(struct synclog_batch *b, size_t max, struct us_err *err)
{
	struct stat st;
	int rc;

	if (fstat(b->fd, &st) < 0)
		return us_fail_errno(err, "stat %s", b->path);
	b->end.offset = (uint64_t)st.st_size;
	if ((size_t)st.st_size > max)
		return us_fail(err, US_ELIMIT, "%s has %lld bytes", b->path, (long long)st.st_size);
	buf_reserve(&b->text, (size_t)st.st_size);
	rc = io_pread(b->fd, b->text.data, (size_t)st.st_size, 0, err);
	if (rc < 0)
		return rc;
	b->text.len = (size_t)st.st_size;
	b->text.data[b->text.len] = '\0';
	return 1;
}

/* ---- what a dead reader left --------------------------------------------------------------------- */

/* Lock it as its reader would: true if nobody has. */
static bool claim(const char *path, int *fd)
{
	*fd = open(path, O_RDWR | O_CLOEXEC);
	if (*fd < 0)
		return false;
	if (flock(*fd, LOCK_EX | LOCK_NB) == 0 && synclog_is_at(*fd, path))
		return true;
	io_close(fd);
	return false;
}

/* The oldest unclaimed log-* of the directory. */
static bool claim_oldest(const char *dir, struct synclog_batch *b)
{
	DIR *d = opendir(dir);
	struct timespec oldest = {0};
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		char *path;
		struct stat st;
		int fd;

		if (strncmp(entry->d_name, "log-", 4) != 0)
			continue;
		path = us_asprintf("%s/%s", dir, entry->d_name);
		if (claim(path, &fd) && fstat(fd, &st) == 0 &&
		    (b->fd < 0 || st.st_mtim.tv_sec < oldest.tv_sec ||
		     (st.st_mtim.tv_sec == oldest.tv_sec && st.st_mtim.tv_nsec < oldest.tv_nsec))) {
			io_close(&b->fd);
			free(b->path);
			b->fd = fd;
			b->path = path;
			oldest = st.st_mtim;
		} else {
			io_close(&fd);
			free(path);
		}
	}
	if (d)
		closedir(d);
	b->left = b->fd >= 0;
	return b->left;
}

/* ---- the log itself ------------------------------------------------------------------------------ */

/* A writer has made the file and waits for the lock: were it taken now, he would have to begin again, and again. */
static bool is_empty(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_size == 0;
}

/* Rename under the writers' lock: who waits for it finds the name gone and opens a new file. */
static int rename_log(const char *path, struct synclog_batch *b, uint64_t *generation,
		      struct us_err *err)
{
	int rc = synclog_lock(b->fd, LOCK_MS, err);

	if (rc < 0)
		return rc;
	if (!synclog_is_at(b->fd, path) || is_empty(b->fd)) {
		synclog_unlock(b->fd);
		return 0; /* somebody else took it, or has not written yet: look again later */
	}
	if (flock(b->fd, LOCK_EX | LOCK_NB) < 0)
		rc = us_fail_errno(err, "lock %s", b->path);
	if (rc == 0)
		rc = io_rename(FP("synclog.take"), AT_FDCWD, path, AT_FDCWD, b->path, err);
	if (rc == 0 && generation)
		b->end.generation = __atomic_fetch_add(generation, 1, __ATOMIC_ACQ_REL);
	synclog_unlock(b->fd);
	return rc < 0 ? rc : 1;
}

/* log-<pid>, or log-<pid>.2 and so on: this process may hold an earlier one still. */
static char *free_name(const char *dir)
{
	char *path = us_asprintf("%s/log-%d", dir, (int)getpid());

	for (int i = 2; access(path, F_OK) == 0; i++) {
		free(path);
		path = us_asprintf("%s/log-%d.%d", dir, (int)getpid(), i);
	}
	return path;
}

int synclog_take(const char *dir, uint64_t *generation, size_t max, struct synclog_batch *out,
		 struct us_err *err)
{
	struct synclog_batch b = empty_batch();
	char *path = us_asprintf("%s/log", dir);
	int rc = 1;

	if (!claim_oldest(dir, &b)) {
		b.path = free_name(dir);
		rc = io_open(NULL, AT_FDCWD, path, O_RDWR, 0, &b.fd, err);
		rc = rc == US_ENOENT ? 0 : rc < 0 ? rc : rename_log(path, &b, generation, err);
	}
	free(path);
	if (rc > 0)
		rc = read_batch(&b, max, err);
	if (rc > 0 || rc == US_ELIMIT)
		*out = b;
	else
		synclog_release(&b);
	return rc;
}

int synclog_take_file(const char *path, size_t max, struct synclog_batch *out, struct us_err *err)
{
	struct synclog_batch b = empty_batch();
	int rc = io_open(NULL, AT_FDCWD, path, O_RDWR, 0, &b.fd, err);

	if (rc == 0 && flock(b.fd, LOCK_EX | LOCK_NB) < 0)
		rc = us_fail(err, US_EBUSY, "%s is being processed", path);
	if (rc == 0) {
		b.path = us_strdup(path);
		b.left = true;
		rc = read_batch(&b, max, err);
	}
	if (rc < 0)
		synclog_release(&b);
	else
		*out = b;
	return rc;
}

int synclog_done(struct synclog_batch *batch, struct us_err *err)
{
	int rc = io_unlink(FP("synclog.done"), AT_FDCWD, batch->path, err);

	synclog_release(batch);
	return rc;
}

void synclog_release(struct synclog_batch *batch)
{
	io_close(&batch->fd);
	free(batch->path);
	buf_free(&batch->text);
	*batch = empty_batch();
}

uint64_t synclog_backlog(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	uint64_t sum = 0;

	while (d && (entry = readdir(d))) {
		struct stat st;
		if ((strcmp(entry->d_name, "log") == 0 || strncmp(entry->d_name, "log-", 4) == 0) &&
		    fstatat(dirfd(d), entry->d_name, &st, 0) == 0)
			sum += (uint64_t)st.st_size;
	}
	if (d)
		closedir(d);
	return sum;
}
