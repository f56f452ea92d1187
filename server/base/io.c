/* io.c - see io.h. */
#include "server/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/mem.h"

/* Pass a failpoint that guards anything but a write; sets errno if it says so. */
static bool passes(const struct failpoint *fp)
{
	int verdict = failpoint_hit(fp);

	if (verdict == 0)
		return true;
	if (verdict < 0)
		failpoint_die();
	errno = verdict;
	return false;
}

int io_open(const struct failpoint *fp, int dir, const char *path, int flags, mode_t mode, int *out,
	    struct us_err *err)
{
	int fd = -1;

	if (!fp || passes(fp))
		do
			fd = openat(dir, path, flags | O_CLOEXEC, mode);
		while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return us_fail_errno(err, "open %s", path);
	*out = fd;
	return 0;
}

static int write_all(int fd, const char *data, size_t len, int64_t offset)
{
	while (len) {
		ssize_t n = offset < 0 ? write(fd, data, len) : pwrite(fd, data, len, offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		data += n;
		len -= (size_t)n;
		if (offset >= 0)
			offset += n;
	}
	return 0;
}

static int guarded_write(const struct failpoint *fp, int fd, const void *data, size_t len,
			 int64_t offset, struct us_err *err)
{
	int verdict = failpoint_hit(fp);

	if (verdict < 0) {
		(void)write_all(fd, data, len / 2, offset); /* we die either way */
		failpoint_die();
	}
	if (verdict > 0)
		errno = verdict;
	if (verdict > 0 || write_all(fd, data, len, offset) < 0)
		return us_fail_errno(err, "write");
	return 0;
}

int io_write(const struct failpoint *fp, int fd, const void *data, size_t len, struct us_err *err)
{
	return guarded_write(fp, fd, data, len, -1, err);
}

int io_pwrite(const struct failpoint *fp, int fd, const void *data, size_t len, uint64_t offset,
	      struct us_err *err)
{
	return guarded_write(fp, fd, data, len, (int64_t)offset, err);
}

int io_pread(int fd, void *data, size_t len, uint64_t offset, struct us_err *err)
{
	char *at = data;

	while (len) {
		ssize_t n = pread(fd, at, len, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return us_fail_errno(err, "read");
		if (n == 0)
			return us_fail(err, US_ECORRUPT, "file is short: %zu bytes missing at %llu",
				       len, (unsigned long long)offset);
		at += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

int io_read_file(int dir, const char *path, size_t limit, struct buf *out, struct us_err *err)
{
	size_t before = out->len;
	int fd = -1, rc;

	rc = io_open(NULL, dir, path, O_RDONLY, 0, &fd, err);
	if (rc < 0)
		return rc;
	for (;;) {
		char *room = buf_reserve(out, 65536);
		ssize_t n = read(fd, room, 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			rc = us_fail_errno(err, "read %s", path);
		if (n <= 0)
			break;
		out->len += (size_t)n;
		out->data[out->len] = '\0';
		if (out->len - before > limit) {
			rc = us_fail(err, US_ELIMIT, "%s is larger than %zu bytes", path, limit);
			break;
		}
	}
	io_close(&fd);
	if (rc < 0)
		buf_truncate(out, before);
	return rc;
}

void io_write_back(int fd)
{
	(void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

int io_fdatasync(const struct failpoint *fp, int fd, struct us_err *err)
{
	if (!passes(fp) || fdatasync(fd) < 0)
		return us_fail_errno(err, "fdatasync");
	return 0;
}

int io_fsync(const struct failpoint *fp, int fd, struct us_err *err)
{
	if (!passes(fp) || fsync(fd) < 0)
		return us_fail_errno(err, "fsync");
	return 0;
}

int io_sync_dir(const struct failpoint *fp, int dir, const char *path, struct us_err *err)
{
	int fd = -1, rc;

	rc = io_open(NULL, dir, path, O_RDONLY | O_DIRECTORY, 0, &fd, err);
	if (rc < 0)
		return rc;
	rc = io_fsync(fp, fd, err);
	io_close(&fd);
	return rc < 0 ? us_err_prefix(err, "directory %s", path) : 0;
}

int io_syncfs(const struct failpoint *fp, int fd, struct us_err *err)
{
	if (!passes(fp) || syncfs(fd) < 0)
		return us_fail_errno(err, "syncfs");
	return 0;
}

int io_mkdir(const struct failpoint *fp, int dir, const char *path, mode_t mode, struct us_err *err)
{
	if (!passes(fp) || mkdirat(dir, path, mode) < 0)
		return us_fail_errno(err, "mkdir %s", path);
	return 0;
}

int io_link(const struct failpoint *fp, int from_dir, const char *from, int to_dir, const char *to,
	    struct us_err *err)
{
	if (!passes(fp) || linkat(from_dir, from, to_dir, to, 0) < 0)
		return us_fail_errno(err, "link %s to %s", from, to);
	return 0;
}

int io_rename(const struct failpoint *fp, int from_dir, const char *from, int to_dir,
	      const char *to, struct us_err *err)
{
	if (!passes(fp) || renameat(from_dir, from, to_dir, to) < 0)
		return us_fail_errno(err, "rename %s to %s", from, to);
	return 0;
}

int io_unlink(const struct failpoint *fp, int dir, const char *path, struct us_err *err)
{
	if (!passes(fp) || (unlinkat(dir, path, 0) < 0 && errno != ENOENT))
		return us_fail_errno(err, "unlink %s", path);
	return 0;
}

int io_rmdir(const struct failpoint *fp, int dir, const char *path, struct us_err *err)
{
	if (!passes(fp) || (unlinkat(dir, path, AT_REMOVEDIR) < 0 && errno != ENOENT))
		return us_fail_errno(err, "rmdir %s", path);
	return 0;
}

static bool is_itself(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Only errno tells an end from a failure. */
static const struct dirent *next_name(DIR *d)
{
	errno = 0;
	return readdir(d);
}

int io_each_name(const struct failpoint *fp, int dir, const char *path,
		 int (*fn)(void *ctx, const struct dirent *entry), void *ctx, struct us_err *err)
{
	const struct dirent *entry;
	int fd = -1, rc;
	DIR *d;

	rc = io_open(NULL, dir, path, O_RDONLY | O_DIRECTORY, 0, &fd, err);
	if (rc < 0)
		return rc;
	d = fdopendir(fd);
	if (!d) {
		rc = us_fail_errno(err, "read directory %s", path);
		io_close(&fd);
		return rc;
	}
	while (rc == 0 && (entry = next_name(d)))
		if (!is_itself(entry->d_name))
			rc = fn(ctx, entry);
	if (rc == 0 && (errno || !passes(fp)))
		rc = us_fail_errno(err, "read directory %s", path);
	closedir(d);
	return rc;
}

int io_copy_time(int from, int to, struct us_err *err)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};
	struct stat st;

	if (fstat(from, &st) < 0)
		return us_fail_errno(err, "look at the time of a file");
	times[1] = st.st_mtim;
	return futimens(to, times) < 0 ? us_fail_errno(err, "set the time of a file") : 0;
}

/* Sync the directory that holds the last component of `path`. */
static int sync_parent(const struct failpoint *fp, const char *path, struct us_err *err)
{
	char above[4096];
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;

	if (len >= sizeof(above))
		return us_fail(err, US_ELIMIT, "path is too long: %.100s...", path);
	memcpy(above, path, len);
	above[len] = '\0';
	return io_sync_dir(fp, AT_FDCWD, !slash ? "." : len ? above : "/", err);
}

static int mkdir_one(const struct failpoint *fp, const char *path, struct us_err *err)
{
	int rc = io_mkdir(fp, AT_FDCWD, path, 0700, err);

	if (rc == US_EEXIST)
		return 0;
	return rc < 0 ? rc : sync_parent(fp, path, err);
}

int io_mkdirs(const struct failpoint *fp, const char *path, struct us_err *err)
{
	char part[4096];
	struct stat st;
	size_t len = strlen(path);

	if (len >= sizeof(part))
		return us_fail(err, US_ELIMIT, "path is too long: %.100s...", path);
	for (size_t i = 1; i <= len; i++) {
		int rc;

		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (stat(part, &st) == 0)
			continue;
		rc = mkdir_one(fp, part, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int write_temporary(const struct io_replace_points *fp, int fd, const void *data, size_t len,
			   struct us_err *err)
{
	int rc = io_write(fp->write, fd, data, len, err);

	return rc < 0 ? rc : io_fsync(fp->sync, fd, err);
}

int io_replace(const struct io_replace_points *fp, int dir, const char *path, const void *data,
	       size_t len, mode_t mode, struct us_err *err)
{
	struct buf temporary, above;
	int fd = -1, rc;

	buf_init(&temporary, 0);
	buf_init(&above, 0);
	buf_printf(&temporary, "%s.new", path);
	buf_add_str(&above, strrchr(path, '/') ? path : ".");
	if (strrchr(path, '/'))
		buf_truncate(&above, (size_t)(strrchr(path, '/') - path));

	rc = io_open(fp->write, dir, temporary.data, O_WRONLY | O_CREAT | O_TRUNC, mode, &fd, err);
	if (rc == 0)
		rc = write_temporary(fp, fd, data, len, err);
	if (rc == 0)
		rc = io_rename(fp->rename, dir, temporary.data, dir, path, err);
	if (rc == 0)
		rc = io_sync_dir(fp->sync_dir, dir, above.len ? above.data : "/", err);
	else if (fd >= 0)
		(void)unlinkat(dir, temporary.data, 0); /* the first error is the one that counts */
	io_close(&fd);
	buf_free(&temporary);
	buf_free(&above);
	return rc < 0 ? us_err_prefix(err, "replace %s", path) : 0;
}

void io_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}
