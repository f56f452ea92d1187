/* bdb_hooks.c - Berkeley DB's calls of the system: with failpoints, and a failed sync that stays failed.
 *
 * Berkeley DB repeats an fsync that failed with EIO a hundred times. The kernel reports such an error once and
 * then forgets the pages, so the second try says all is well and the data is lost. Here the first failure is the last
 * word: whatever is written or synced later in this environment is refused with an error it does not repeat.
 *
 * Where the root page of a table makes no sense (the disk gave back zeros) it opens the file again, for ever. Once recovery
 * is through, opening files and doing nothing with them has an end here.
 *
 * The hooks have no handle, so what they remember is file-scope state: of the one environment a process may have.
 */
#include <db.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/failpoint.h"
#include "server/base/mem.h"
#include "server/store/meta/bdb.h"

#define MOST_OPENS 1000 /* some ten are usual */

static struct {
	bool sync_failed, opened;
	unsigned opens; /* since the last write or sync */
	int error;      /* errno of the first write, sync or change of a name that failed */
	unsigned names;
} seen;

/* Remember what went wrong: Berkeley DB may make "run recovery" of it. Not what is merely not there. */
static long note(long rc)
{
	if (rc < 0 && errno != ENOENT && errno != EINTR && !seen.error)
		seen.error = errno;
	return rc;
}

/* 0: go on. Sets errno otherwise. */
static int pass(const struct failpoint *fp)
{
	int verdict = failpoint_hit(fp);

	if (verdict < 0)
		failpoint_die();
	if (verdict > 0)
		errno = verdict;
	return (int)note(verdict > 0 ? -1 : 0);
}

/* Errors that Berkeley DB would try again until they go away become one that it takes for what it is. */
static int refuse(void)
{
	errno = EROFS;
	return (int)note(-1);
}

static ssize_t hook_write(int fd, const void *data, size_t len)
{
	int verdict;

	seen.opens = 0;
	if (seen.sync_failed)
		return refuse();
	verdict = failpoint_hit(FP("meta.db.write"));
	if (verdict < 0) {
		(void)!write(fd, data, len / 2); /* we die either way */
		failpoint_die();
	}
	if (verdict > 0) {
		errno = verdict;
		return note(-1);
	}
	return note(write(fd, data, len));
}

static int hook_fsync(int fd)
{
	int rc;

	seen.opens = 0;
	if (seen.sync_failed)
		return refuse();
	if (pass(FP("meta.db.fsync")) < 0) {
		seen.sync_failed = true;
		return refuse();
	}
	do
		rc = fdatasync(fd);
	while (rc < 0 && errno == EINTR);
	if (note(rc) < 0) {
		seen.sync_failed = true;
		return refuse();
	}
	return 0;
}

static int hook_open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	va_start(ap, flags);
	if (flags & O_CREAT)
		mode = va_arg(ap, mode_t);
	va_end(ap);
	if (flags & O_CREAT) {
		if (pass(FP("meta.db.create")) < 0)
			return -1;
		seen.names++;
	}
	if (seen.opened && ++seen.opens > MOST_OPENS) {
		errno = EIO;
		return -1;
	}
	return (int)note(open(path, flags | O_CLOEXEC, mode));
}

static int hook_rename(const char *from, const char *to)
{
	if (pass(FP("meta.db.rename")) < 0)
		return -1;
	seen.names++;
	return (int)note(rename(from, to));
}

static int hook_unlink(const char *path)
{
	return pass(FP("meta.db.unlink")) < 0 ? -1 : (int)note(unlink(path));
}

static int hook_ftruncate(int fd, off_t len)
{
	return pass(FP("meta.db.truncate")) < 0 ? -1 : (int)note(ftruncate(fd, len));
}

void bdb_hooks_set(void)
{
	seen.sync_failed = seen.opened = false;
	seen.error = 0;
	seen.opens = 0;
	seen.names = 0;
	(void)db_env_set_func_write(hook_write);
	(void)db_env_set_func_fsync(hook_fsync);
	(void)db_env_set_func_open(hook_open);
	(void)db_env_set_func_rename(hook_rename);
	(void)db_env_set_func_unlink(hook_unlink);
	(void)db_env_set_func_ftruncate(hook_ftruncate);
}

void bdb_hooks_opened(void)
{
	seen.opened = true;
}

int bdb_hooks_take_error(void)
{
	int error = seen.error;

	seen.error = 0;
	return error;
}

bool bdb_hooks_sync_failed(void)
{
	return seen.sync_failed;
}

unsigned bdb_hooks_names(void)
{
	return seen.names;
}
