/* metacopy.c - see metacopy.h.
 *
 * The owner writes its log first and pages of the tables some time later. A page in the copy may be old, or torn by a write that
 * was going on: recovery, which the copy is opened with, does again all that the log says since the last checkpoint. So the
 * copy is right if the tables are copied first, the log after them, and there was no checkpoint meanwhile: the one that the
 * log ends with is then from before the first page was read. The owner tells which its last one is; if it is
 * another at the end all is done again. A page torn in a way that recovery does not cure fails its checksum when every row is read,
 * and then too all is done again.
 */
#include "server/admin/metacopy.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "server/base/buf.h"
#include "server/base/io.h"
#include "server/base/mem.h"
#include "server/store/meta/backup.h"
#include "server/store/meta/bdb.h"
#include "server/store/partition.h"

#define MOST_TRIES 5

/* The line "checkpoint=..." of what the owner says of itself. */
static int last_checkpoint(struct meta *meta, struct buf *out, struct us_err *err)
{
	struct buf text = BUF_INIT;
	struct span rest, line;
	int rc = meta_stat(meta, &text, err);

	rest = buf_span(&text);
	while (rc == 0 && span_split(&rest, '\n', &line))
		if (span_starts(line, "checkpoint="))
			buf_add_span(out, line);
	if (rc == 0 && !out->len)
		rc = us_fail(err, US_ENOTSUP, "metad does not tell of checkpoints");
	buf_free(&text);
	return rc;
}

static bool is_table(const char *name)
{
	size_t len = strlen(name);

	return len > 3 && strcmp(name + len - 3, ".db") == 0;
}

/* A log that goes while we look was one that nobody needs. */
static int copy_files(int from, int to, bool (*wanted)(const char *name), struct us_err *err)
{
	int fd = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!d)
		rc = us_fail_errno(err, "read the directory of the tables");
	while (rc == 0 && (entry = readdir(d)))
		if (wanted(entry->d_name)) {
			rc = backup_copy_file(from, to, entry->d_name, err);
			if (rc == US_ENOENT && bdb_is_log(entry->d_name))
				rc = 0;
		}
	if (d)
		closedir(d);
	return rc;
}

/* 1: copied; 0: a checkpoint came between. */
static int try_copy(struct meta *meta, int from, int to, struct us_err *err)
{
	struct buf before = BUF_INIT, after = BUF_INIT;
	int rc = last_checkpoint(meta, &before, err);

	if (rc == 0)
		rc = copy_files(from, to, is_table, err);
	if (rc == 0)
		rc = meta_barrier(meta, err); /* all that was durable before is in the log */
	if (rc == 0)
		rc = copy_files(from, to, bdb_is_log, err);
	if (rc == 0)
		rc = last_checkpoint(meta, &after, err);
	if (rc == 0)
		rc = span_eq(buf_span(&before), buf_span(&after)) ? 1 : 0;
	buf_free(&before);
	buf_free(&after);
	return rc;
}

static int see_row(void *ctx, struct span key UNUSED, struct span payload UNUSED,
		   const struct meta_stamp *stamp UNUSED)
{
	++*(uint64_t *)ctx;
	return 0;
}

/* Opening recovers it, closing leaves it as an owner leaves its tables who ends in order. */
static int read_copy(const char *to, struct us_err *err)
{
	char *socket = us_asprintf("%s/none", to);
	struct meta_config config = {.directory = to,
				     .socket = socket,
				     .may_own = true,
				     .no_rescue = true};
	struct meta *copy = NULL;
	uint64_t rows = 0;
	int rc = meta_open(&config, &copy, err);

	for (int table = 0; rc >= 0 && table < META_N_TABLES; table++)
		rc = meta_range(copy, (enum meta_table)table, SPAN_NULL, SPAN_NULL, 0, see_row,
				&rows, err);
	meta_close(&copy);
	free(socket);
	return rc < 0 ? us_err_prefix(err, "the copy") : 0;
}

static int make_once(struct meta *meta, const char *from_path, const char *to_path,
		     struct us_err *err)
{
	int from = -1, to = -1, rc;

	rc = io_mkdir(FP("admin.metacopy.mkdir"), AT_FDCWD, to_path, 0700, err);
	if (rc == 0)
		rc = io_open(NULL, AT_FDCWD, from_path, O_RDONLY | O_DIRECTORY, 0, &from, err);
	if (rc == 0)
		rc = io_open(NULL, AT_FDCWD, to_path, O_RDONLY | O_DIRECTORY, 0, &to, err);
	if (rc == 0)
		rc = try_copy(meta, from, to, err);
	if (rc > 0)
		rc = read_copy(to_path, err) < 0 ? err->code : 1;
	if (rc > 0)
		rc = io_fsync(FP("admin.metacopy.sync_names"), to, err) < 0 ? err->code : 1;
	io_close(&from);
	io_close(&to);
	if (rc <= 0)
		(void)partition_remove_tree(AT_FDCWD, to_path, NULL);
	return rc;
}

int metacopy_make(struct meta *meta, const char *from, const char *to, struct us_err *err)
{
	struct timespec pause = {0, 200000000};
	int rc = 0;

	for (int i = 0; (rc == 0 || rc == US_ECORRUPT) && i < MOST_TRIES; i++) {
		if (i)
			nanosleep(&pause, NULL);
		rc = make_once(meta, from, to, err);
	}
	if (rc == 0)
		return us_fail(err, US_EBUSY,
			       "the tables were written back each time they were copied");
	return rc < 0 ? rc : 0;
}
