/* bdb_refresh.c - after a failed sync: make the disk hold what the page cache shows.
 *
 * When a sync fails the kernel may keep the pages it could not write, and call them clean. Recovery would read them, find
 * nothing to do, and all would be well until the power fails. So a process that saw a sync fail leaves a mark, and the
 * next to open the environment first writes every file of it anew: what it reads is then what is on the disk, be it the new bytes
 * or the old. Nothing that was acknowledged can be missing from either, for nothing is acknowledged before its log is synced,
 * and no log is removed before the pages it stands for are.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/store/meta/bdb.h"

#define MARK      "sync.failed"
#define COPY      "refresh.tmp"
#define COPY_SIZE (1u << 20)

int bdb_mark_unsynced(int dir, struct us_err *err)
{
	int fd = -1;
	int rc = io_open(FP("meta.mark.create"), dir, MARK, O_WRONLY | O_CREAT, 0600, &fd, err);

	if (rc == 0)
		rc = io_fsync(FP("meta.mark.sync"), fd, err);
	if (rc == 0)
		rc = io_fsync(FP("meta.mark.sync_dir"), dir, err);
	io_close(&fd);
	return rc;
}

static int copy_bytes(int from, int to, struct us_err *err)
{
	char *block = us_malloc(COPY_SIZE);
	int rc = 0;

	while (rc == 0) {
		ssize_t n = read(from, block, COPY_SIZE);
		if (n < 0)
			rc = us_fail_errno(err, "read");
		if (n <= 0)
			break;
		rc = io_write(FP("meta.refresh.write"), to, block, (size_t)n, err);
	}
	free(block);
	return rc;
}

static int rewrite(int dir, const char *name, struct us_err *err)
{
	int from = -1, to = -1;
	int rc = io_open(NULL, dir, name, O_RDONLY, 0, &from, err);

	if (rc == 0)
		rc = io_open(FP("meta.refresh.create"), dir, COPY, O_WRONLY | O_CREAT | O_TRUNC,
			     0600, &to, err);
	if (rc == 0)
		rc = copy_bytes(from, to, err);
	if (rc == 0)
		rc = io_fsync(FP("meta.refresh.sync"), to, err);
	if (rc == 0)
		rc = io_rename(FP("meta.refresh.rename"), dir, COPY, dir, name, err);
	io_close(&from);
	io_close(&to);
	return rc < 0 ? us_err_prefix(err, "%s", name) : 0;
}

static bool is_database(const char *name)
{
	return strncmp(name, "log.", 4) == 0 || strncmp(name, "__db", 4) == 0 ||
	       strcmp(name, "tables.db") == 0;
}

static int rewrite_all(int dir, struct us_err *err)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int rc = 0;

	if (!list) {
		rc = us_fail_errno(err, "read the directory");
		io_close(&fd);
		return rc;
	}
	while (rc == 0 && (entry = readdir(list)))
		if (is_database(entry->d_name))
			rc = rewrite(dir, entry->d_name, err);
	closedir(list);
	return rc;
}

int bdb_refresh(int dir, struct us_err *err)
{
	int rc;

	if (faccessat(dir, MARK, F_OK, 0) < 0)
		return errno == ENOENT ? 0 : us_fail_errno(err, "look for " MARK);
	log_event(LOG_WARNING, "meta.refresh",
		  LF_TEXT("metadata: a sync had failed; its files are written anew"));
	rc = rewrite_all(dir, err);
	if (rc == 0)
		rc = io_fsync(FP("meta.refresh.sync_dir"), dir, err);
	if (rc == 0)
		rc = io_unlink(FP("meta.refresh.unlink"), dir, MARK, err);
	if (rc == 0)
		rc = io_fsync(FP("meta.refresh.sync_end"), dir, err);
	return rc;
}
