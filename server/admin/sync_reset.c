/* sync_reset.c - forget everything a user has here, as if he had never been: his mailboxes, also those deleted with delay, limits,
 * subscriptions, seen state, scripts.
 *
 * For a replica whose copy is to be made anew. It is a change like others: channels of this server hear of it, and their
 * replicas follow.
 */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "server/admin/names.h"
#include "server/admin/tool.h"
#include "server/base/io.h"
#include "server/base/mem.h"
#include "server/base/pool.h"
#include "server/session/user_paths.h"
#include "server/store/folder.h"
#include "server/store/mboxname.h"
#include "server/store/partition.h"
#include "server/store/userdata.h"

struct his {
	struct tool *tool;
	const char *user;
	struct pool *pool;
	struct span *deleted; /* mailboxes of his below DELETED */
	size_t n, cap;
	bool exists; /* something of his was found */
	bool has_inbox;
	struct storeid inbox;
};

static int look_at(void *ctx, struct span name, const struct mailbox_row *row,
		   struct us_err *err UNUSED)
{
	struct his *h = ctx;
	const char *prefix = h->tool->host.names.deletedprefix;
	struct buf owner = BUF_INIT;
	bool mine = mboxname_owner(name, prefix, &owner) && span_is(buf_span(&owner), h->user);

	buf_free(&owner);
	if (!mine)
		return 0;
	h->exists = true;
	if (mboxname_is_deleted(name, prefix) && mailbox_row_is_real(row)) {
		us_grow(&h->deleted, h->n, &h->cap, sizeof(h->deleted[0]));
		h->deleted[h->n++] = pool_span(h->pool, name);
	}
	if (mboxname_is_inbox(name) && mailbox_row_is_real(row)) {
		h->has_inbox = true;
		h->inbox = row->storeid;
	}
	return 0;
}

static int remove_scripts(struct his *h, struct us_err *err)
{
	struct buf path = BUF_INIT;
	int rc = 0;

	if (h->has_inbox) {
		user_sieve_path(h->tool->conf, &h->inbox, &path);
		if (access(path.data, F_OK) == 0)
			rc = partition_remove_tree(AT_FDCWD, path.data, err);
	}
	buf_free(&path);
	return rc;
}

static int reset(struct his *h, struct us_err *err)
{
	struct store *store = h->tool->host.store;
	int rc = folder_list(store, SPAN_NULL, look_at, h, err);

	if (rc == 0 && !h->exists)
		return us_fail(err, US_ENOENT, "%s: no such user", h->user);
	if (rc == 0)
		rc = remove_scripts(h,
				    err); /* first: without an INBOX nobody finds them any more */
	for (size_t i = 0; rc == 0 && i < h->n; i++)
		rc = folder_delete(store, h->deleted[i], FOLDER_DELETE_NOW, err);
	return rc < 0 ? rc : user_remove(store, span_of(h->user), FOLDER_DELETE_NOW, err);
}

static int reset_user(struct tool *t, const char *user, bool verbose, struct us_err *err)
{
	struct his h = {.tool = t, .user = user, .pool = pool_new()};
	int rc = reset(&h, err);

	free(h.deleted);
	pool_free(&h.pool);
	if (rc == 0 && verbose)
		printf("%s\n", user);
	return rc;
}

static int do_users(struct tool *t, char **users, bool verbose)
{
	struct us_err err;

	for (; *users; users++) {
		int rc = reset_user(t, *users, verbose, &err);
		if (rc == 0)
			continue;
		tool_warn(t, &err);
		fputs("Bailing out!\n", stderr);
		return rc == US_ENOENT ? EX_DATAERR : us_err_exit(rc);
	}
	return 0;
}

static int usage(void)
{
	fputs("usage: sync_reset [-C imapd.conf] [-v] [-L] -f user...\n"
	      "       -f [force] is obligatory for safety\n",
	      stderr);
	return EX_USAGE;
}

int main(int argc, char **argv)
{
	const char *conf_path = NULL;
	bool force = false, verbose = false;
	struct us_err err = US_ERR_INIT;
	struct tool t;
	int letter, rc;

	while ((letter = getopt(argc, argv, "C:vfL")) != -1) {
		if (letter == 'C')
			conf_path = optarg;
		else if (letter == 'v')
			verbose = true;
		else if (letter == 'f')
			force = true;
		else if (letter != 'L') /* local only: nobody else is asked here in any case */
			return usage();
	}
	if (!force || optind == argc)
		return usage();
	rc = tool_begin(&t, "sync_reset", conf_path, HOST_STORE_WRITE, &err);
	if (rc == 0)
		rc = do_users(&t, argv + optind, verbose);
	return tool_end(&t, rc, &err);
}
