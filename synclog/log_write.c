/* log_write.c - appending to a channel's log; see log.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "server/base/io.h"
#include "server/base/mem.h"
#include "synclog/log.h"
#include "synclog/log_private.h"

#define MOST_TRIES 64 /* a reader that renames faster than we lock is broken */

struct synclog_writer {
	char *dir, *path;
	const uint64_t *generation;
	int fd;
};

struct synclog_writer *synclog_writer_new(const char *dir, const uint64_t *generation)
{
	struct synclog_writer *w = us_calloc(1, sizeof(*w));

	w->dir = us_strdup(dir);
	w->path = us_asprintf("%s/log", dir);
	w->generation = generation;
	w->fd = -1;
	return w;
}

void synclog_writer_free(struct synclog_writer **w)
{
	if (!*w)
		return;
	io_close(&(*w)->fd);
	free((*w)->dir);
	free((*w)->path);
	free(*w);
	*w = NULL;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int synclog_lock(int fd, unsigned wait_ms, struct us_err *err)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int64_t end = now_ms() + wait_ms;

	while (fcntl(fd, F_OFD_SETLK, &lock) < 0) {
		struct timespec pause = {0, 50000};
		if (errno != EAGAIN && errno != EACCES && errno != EINTR)
			return us_fail_errno(err, "lock a sync log");
		if (now_ms() >= end)
			return us_fail(err, US_EBUSY, "a sync log is locked for more than %u ms",
				       wait_ms);
		nanosleep(&pause, NULL);
	}
	return 0;
}

void synclog_unlock(int fd)
{
	struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET};

	(void)fcntl(fd, F_OFD_SETLK, &lock); /* fails for a bad descriptor only */
}

bool synclog_is_at(int fd, const char *path)
{
	struct stat open_one, named;

	return fstat(fd, &open_one) == 0 && stat(path, &named) == 0 &&
	       open_one.st_dev == named.st_dev && open_one.st_ino == named.st_ino;
}

/* Open and lock the file that has the name now. */
static int lock_current(struct synclog_writer *w, unsigned lock_ms, struct us_err *err)
{
	for (int i = 0; i < MOST_TRIES; i++) {
		int rc = 0;

		if (w->fd < 0)
			rc = io_open(FP("synclog.open"), AT_FDCWD, w->path,
				     O_WRONLY | O_APPEND | O_CREAT, 0640, &w->fd, err);
		if (rc == US_ENOENT) {
			rc = io_mkdirs(FP("synclog.mkdir"), w->dir, err);
			if (rc == 0)
				continue;
		}
		if (rc == 0)
			rc = synclog_lock(w->fd, lock_ms, err);
		if (rc < 0)
			return rc;
		if (synclog_is_at(w->fd, w->path))
			return 0;
		io_close(&w->fd);
	}
	return us_fail(err, US_EBUSY, "%s is renamed again and again", w->path);
}

int synclog_append(struct synclog_writer *w, struct span lines, unsigned lock_ms,
		   struct synclog_position *at, struct us_err *err)
{
	off_t before;
	int rc = lock_current(w, lock_ms, err);

	if (rc < 0)
		return us_err_prefix(err, "%s", w->path);
	before = lseek(w->fd, 0, SEEK_END);
	rc = io_write(FP("synclog.append"), w->fd, lines.ptr, lines.len, err);
	if (rc < 0 && ftruncate(w->fd, before) < 0)
		us_err_prefix(err, "and part of a line stays");
	if (rc == 0 && at) {
		at->generation =
			w->generation ? __atomic_load_n(w->generation, __ATOMIC_ACQUIRE) : 0;
		at->offset = (uint64_t)before + lines.len;
	}
	synclog_unlock(w->fd);
	return rc < 0 ? us_err_prefix(err, "%s", w->path) : 0;
}
