/* io.h - files as the store needs them: every step that can be lost or refused names a failpoint.
 *
 * All calls return 0 or a US_E code with *err filled, retry on EINTR, and never leave half a result
 * unreported. Where a path is given relative to a directory descriptor the rules of openat(2) hold.
 */
#ifndef US_BASE_IO_H
#define US_BASE_IO_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/base/failpoint.h"

/* Open or create; *out is close-on-exec and belongs to the caller. flags and mode as openat(2). */
int io_open(const struct failpoint *fp, int dir, const char *path, int flags, mode_t mode, int *out,
	    struct us_err *err);
int io_write(const struct failpoint *fp, int fd, const void *data, size_t len, struct us_err *err);
int io_pwrite(const struct failpoint *fp, int fd, const void *data, size_t len, uint64_t offset,
	      struct us_err *err);
/* Read exactly len bytes; fewer is US_ECORRUPT ("short"). */
int io_pread(int fd, void *data, size_t len, uint64_t offset, struct us_err *err);
/* Append the whole file, at most `limit` bytes (more is US_ELIMIT), to *out. */
int io_read_file(int dir, const char *path, size_t limit, struct buf *out, struct us_err *err);
int io_fdatasync(const struct failpoint *fp, int fd, struct us_err *err);
int io_fsync(const struct failpoint *fp, int fd, struct us_err *err); /* a directory too */
/* Let the file's bytes begin their way to the disk: a sync of several files then waits for all of them at once. No sync by itself, and
 * where it cannot be done nothing is lost. A single file is synced sooner without it. */
void io_write_back(int fd);
int io_sync_dir(const struct failpoint *fp, int dir, const char *path, struct us_err *err);
int io_syncfs(const struct failpoint *fp, int fd, struct us_err *err); /* all of its file system */
int io_mkdir(const struct failpoint *fp, int dir, const char *path, mode_t mode,
	     struct us_err *err);
int io_link(const struct failpoint *fp, int from_dir, const char *from, int to_dir, const char *to,
	    struct us_err *err);
int io_rename(const struct failpoint *fp, int from_dir, const char *from, int to_dir,
	      const char *to, struct us_err *err);
/* A name that is gone already is well. */
int io_unlink(const struct failpoint *fp, int dir, const char *path, struct us_err *err);
int io_rmdir(const struct failpoint *fp, int dir, const char *path, struct us_err *err);

/* Call fn for each name in a directory but "." and "..", in no order; it may remove the one it is given. What fn returns other
 * than 0 ends the walk and is returned. 0: all of them were shown. A directory that can be opened or read only in part is
 * an error, after the part; the failpoint stands at its end. */
int io_each_name(const struct failpoint *fp, int dir, const char *path,
		 int (*fn)(void *ctx, const struct dirent *entry), void *ctx, struct us_err *err);
/* Give the file `to` the modification time of `from`. */
int io_copy_time(int from, int to, struct us_err *err);

/* Make `path` and what is missing above it, each 0700, each durable. */
int io_mkdirs(const struct failpoint *fp, const char *path, struct us_err *err);

/* The failpoints of io_replace(). */
struct io_replace_points {
	const struct failpoint *write, *sync, *rename, *sync_dir;
};
/* Make `path` hold exactly `data`, durably: temporary file, fsync, rename, fsync of the directory. A
 * crash leaves the old file or the new one. */
int io_replace(const struct io_replace_points *fp, int dir, const char *path, const void *data,
	       size_t len, mode_t mode, struct us_err *err);

void io_close(int *fd); /* -1 is well; leaves -1 */

#endif
