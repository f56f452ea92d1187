/* ctl_cyrusdb.c - what cyrus.conf files of a Cyrus call at the start (-r) and now and then (-c).
 *
 * metad recovers its tables by itself, before it answers anybody, and writes them back as it goes. So -r waits until they can be
 * used, lifts the poison of partitions on which a sync had failed (each mailbox there is recovered at its next use), removes
 * what dead connections left in staging, and puts away directories that no mailbox has. -c makes a copy of the tables beside, the last two of which are kept:
 * db.backup1 is the newest, db.backup2 the one before.
 */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "server/admin/metacopy.h"
#include "server/admin/tool.h"
#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/store/folder.h"
#include "server/store/meta/meta.h"
#include "server/store/partition.h"
#include "server/store/stage.h"

#define LOST_AFTER   86400 /* seconds for which nothing happened in a directory that no mailbox has */
#define USAGE_STATUS 255   /* as Cyrus's tool has it */

/* What cannot go now goes the next time. */
static void clean_up(struct store *store, struct partition *p)
{
	struct us_err err;
	unsigned n;

	(void)stage_sweep(p);
	if (folder_collect_lost(store, p, store_now() - LOST_AFTER, &n, &err) < 0)
		log_event(LOG_ERR, "store.lost.kept", LF_STR("path", p->path), LF_ERR(&err));
}

static int recover(struct tool *t, bool cleanup, struct us_err *err)
{
	struct partition *p;
	int rc;

	log_event(LOG_NOTICE, "admin.metadata.recovering", LF_TEXT("recovering cyrus databases"));
	rc = meta_barrier(store_meta(t->host.store), err);
	for (size_t i = 0; rc == 0 && (p = store_partition_at(t->host.store, i)); i++) {
		rc = partition_recover(p, err);
		if (rc == 0 && cleanup)
			clean_up(t->host.store, p);
	}
	if (rc == 0)
		log_event(LOG_NOTICE, "admin.metadata.recovered",
			  LF_TEXT("done recovering cyrus databases"));
	return rc;
}

/* The newest takes the place of the one before only when it is whole. */
static int rotate(int dir, const char *made, struct us_err *err)
{
	int rc = partition_remove_tree(dir, "db.backup2", err);

	if (rc == 0 && faccessat(dir, "db.backup1", F_OK, 0) == 0)
		rc = io_rename(FP("admin.backup.rename_old"), dir, "db.backup1", dir, "db.backup2",
			       err);
	if (rc == 0)
		rc = io_rename(FP("admin.backup.rename"), AT_FDCWD, made, dir, "db.backup1", err);
	return rc < 0 ? rc : io_fsync(FP("admin.backup.sync"), dir, err);
}

static int back_up(struct tool *t, struct us_err *err)
{
	const char *top = conf_str(t->conf, CONF_configdirectory);
	char *from = us_asprintf("%s/meta", top), *made = us_asprintf("%s/db.backup.new", top);
	int dir = -1, rc;

	log_event(LOG_NOTICE, "admin.metadata.checkpoint",
		  LF_TEXT("checkpointing cyrus databases"));
	rc = io_open(NULL, AT_FDCWD, top, O_RDONLY | O_DIRECTORY, 0, &dir, err);
	if (rc == 0 && flock(dir, LOCK_EX | LOCK_NB) < 0)
		rc = us_fail(err, US_EBUSY, "another copy is being made");
	if (rc == 0)
		rc = partition_remove_tree(AT_FDCWD, made, err); /* of one that was killed */
	if (rc == 0)
		rc = metacopy_make(store_meta(t->host.store), from, made, err);
	if (rc == 0)
		rc = rotate(dir, made, err);
	if (rc == 0)
		log_event(LOG_NOTICE, "admin.metadata.copied",
			  LF_TEXT("done checkpointing cyrus databases"));
	io_close(&dir);
	free(from);
	free(made);
	return rc;
}

static int usage(void)
{
	fputs("usage: ctl_cyrusdb [-C imapd.conf] -c\n"
	      "       ctl_cyrusdb [-C imapd.conf] -r [-x]\n",
	      stderr);
	return USAGE_STATUS;
}

int main(int argc, char **argv)
{
	const char *conf_path = NULL;
	bool check = false, start = false, cleanup = true;
	struct us_err err = US_ERR_INIT;
	struct tool t;
	int letter, rc;

	while ((letter = getopt(argc, argv, "C:rcx")) != -1) {
		if (letter == 'C')
			conf_path = optarg;
		else if (letter == 'r')
			start = true;
		else if (letter == 'c')
			check = true;
		else if (letter == 'x')
			cleanup = false;
		else
			return usage();
	}
	if (start == check)
		return usage();
	rc = tool_begin(&t, "ctl_cyrusdb", conf_path, start ? HOST_STORE_WRITE : HOST_STORE_READ,
			&err);
	if (rc == 0)
		rc = start ? recover(&t, cleanup, &err) : back_up(&t, &err);
	return tool_end(&t, rc, &err);
}
