/* marks.c - files by which others see how master is: the clean mark and the ready file.
 *
 * The clean mark, <configdirectory>/master.clean (doc/FORMATS.md 12), says that the last run ended in order
 * and that the sync logs it left are on the disk: they have no fsync of their own. So:
 *
 *	at start	the mark goes, durably, before anything runs
 *	at the end	all processes are gone; what the file system still holds back is written; the mark comes
 */
#include "server/master/master_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"

#define MARK_TEXT "understudy-clean 1\n"

static bool exists(const struct master *m, const char *name)
{
	char *path = us_asprintf("%s/%s", m->configdirectory, name);
	struct stat st;
	bool there = lstat(path, &st) == 0;

	free(path);
	return there;
}

int marks_take_clean(struct master *m, struct us_err *err)
{
	char *path;
	int rc;

	if (!exists(m, "master.clean")) {
		m->unclean = exists(m, "store");
		return 0;
	}
	path = us_asprintf("%s/master.clean", m->configdirectory);
	rc = io_unlink(FP("master.mark.unlink"), AT_FDCWD, path, err);
	if (rc == 0)
		rc = io_sync_dir(FP("master.mark.unlink-sync"), AT_FDCWD, m->configdirectory, err);
	free(path);
	return rc;
}

/* All that is written in the file system of this directory reaches the disk. */
static int sync_file_system(const char *dir, struct us_err *err)
{
	int fd = -1, rc;

	rc = io_open(FP("master.mark.open"), AT_FDCWD, dir, O_RDONLY | O_DIRECTORY, 0, &fd, err);
	if (rc == 0 && syncfs(fd) < 0)
		rc = us_fail_errno(err, "syncfs %s", dir);
	io_close(&fd);
	return rc;
}

int marks_leave_clean(struct master *m, struct us_err *err)
{
	char *logs =
		us_asprintf("%s/sync", m->configdirectory); /* may be a file system of its own */
	char *path = us_asprintf("%s/master.clean", m->configdirectory);
	const struct io_replace_points points = {FP("master.mark.write"), FP("master.mark.sync"),
						 FP("master.mark.rename"),
						 FP("master.mark.sync-dir")};
	int rc;

	rc = sync_file_system(m->configdirectory, err);
	if (rc == 0 && exists(m, "sync"))
		rc = sync_file_system(logs, err);
	if (rc == 0)
		rc = io_replace(&points, AT_FDCWD, path, MARK_TEXT, strlen(MARK_TEXT), 0600, err);
	free(path);
	free(logs);
	return rc;
}

void marks_set_ready(const struct master *m)
{
	FILE *file;
	bool well;

	if (!m->ready_file)
		return;
	file = fopen(m->ready_file, "we");
	well = file && fprintf(file, "%d\n", (int)getpid()) > 0 && fchmod(fileno(file), 0644) == 0;
	if (file)
		well = fclose(file) == 0 && well;
	if (!well)
		log_event(LOG_ERR, "master.ready.unwritable", LF_STR("path", m->ready_file),
			  LF_STR("reason", strerror(errno)));
}

void marks_clear_ready(const struct master *m)
{
	if (m->ready_file && unlink(m->ready_file) < 0 && errno != ENOENT)
		log_event(LOG_ERR, "master.ready.stuck", LF_STR("path", m->ready_file),
			  LF_STR("reason", strerror(errno)));
}
