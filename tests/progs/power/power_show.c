/* power_show.c - everything a store holds, in the words of power_load.c, and whether it is sound. */
#include "tests/progs/power/power.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "server/base/checksum.h"
#include "server/base/io.h"
#include "server/base/mem.h"
#include "server/store/annotations.h"
#include "server/store/folder.h"
#include "server/store/meta/meta.h"
#include "server/store/partition.h"
#include "server/store/quota.h"
#include "server/store/reconstruct.h"
#include "server/store/stage.h"
#include "server/store/userdata.h"

/* ---- sound in itself --------------------------------------------------------------------------------- */

static void check_file(struct mailbox *m, const struct record *r)
{
	struct buf bytes = BUF_INIT;
	struct guid guid;
	struct us_err err;
	char name[16];

	message_file_name(r->uid, name);
	if (io_read_file(m->dir, name, 4u << 20, &bytes, &err) < 0) {
		printf("! %s: message %u: %s\n", m->name.data, r->uid, err.text);
	} else {
		guid = guid_of(buf_span(&bytes));
		if (!guid_eq(&guid, &r->guid))
			printf("! %s: message %u has another content (%zu bytes of %llu)\n",
			       m->name.data, r->uid, bytes.len, (unsigned long long)r->size);
	}
	buf_free(&bytes);
}

static void check_sums(struct mailbox *m)
{
	struct view_walk walk = view_walk(&m->view, 1);
	struct counters again = {.sync_crc_annot = SYNC_CRC_ANNOT_EMPTY};
	const struct counters *c = &m->view.counters;
	const struct record *r;

	while ((r = view_next(&m->view, &walk)))
		counters_replace(&again, NULL, r, &m->view.names);
	if (m->view.corrupt || c->exists != again.exists || c->unseen != again.unseen ||
	    c->bytes_live != again.bytes_live || c->bytes_expunged != again.bytes_expunged ||
	    c->records != again.records || c->sync_crc != again.sync_crc ||
	    c->sync_crc_annot != again.sync_crc_annot)
		printf("! %s: counters are not the sums of the records\n", m->name.data);
}

/* A file above last_uid is well: the power failed before its record came. */
static void check_reconstruct(struct store *store, struct mailbox *m)
{
	struct reconstruct_options options = {.dry_run = true};
	struct reconstruct_report r;
	struct us_err err;

	if (reconstruct_mailbox(store, buf_span(&m->name), &options, &r, &err) < 0)
		printf("! %s: reconstruct: %s\n", m->name.data, err.text);
	else if (r.missing || r.mismatched || r.unrepaired || r.damaged)
		printf("! %s: reconstruct finds %u missing, %u mismatched, %u beyond repair%s\n",
		       m->name.data, r.missing, r.mismatched, r.unrepaired,
		       r.damaged ? ", damage" : "");
}

static void show_records(struct mailbox *m)
{
	struct view_walk walk = view_walk(&m->view, 1);
	struct buf value = BUF_INIT;
	const struct record *r;

	while ((r = view_next(&m->view, &walk))) {
		buf_clear(&value);
		power_value(m, r, &value);
		printf("msg.%.*s.%u=%s\n", SPAN_ARG(m->row.uniqueid), r->uid, value.data);
		check_file(m, r);
	}
	buf_free(&value);
}

static void show_annotations(struct store *store, struct mailbox *m)
{
	struct pool *pool = pool_new();
	const struct state_annotation *all;
	struct us_err err;
	size_t n;

	if (annotations_list(store, &m->row.storeid, pool, &all, &n, &err) < 0)
		printf("! %s: annotations: %s\n", m->name.data, err.text);
	for (size_t i = 0; i < n; i++)
		printf("ann.%.*s.%.*s=%.*s\n", SPAN_ARG(m->row.uniqueid), SPAN_ARG(all[i].entry),
		       SPAN_ARG(all[i].value));
	pool_free(&pool);
}

static void show_acl(const struct mailbox *m)
{
	printf("box.%.*s.acl=", SPAN_ARG(m->row.uniqueid));
	for (size_t i = 0; i < m->row.acl.len; i++)
		putchar(m->row.acl.ptr[i] == '\t' ? '|' : m->row.acl.ptr[i]);
	putchar('\n');
}

/* Locked once, so that what a dead holder left is finished. */
static int show_mailbox(void *ctx, struct span name, const struct mailbox_row *row,
			struct us_err *err UNUSED)
{
	struct store *store = ctx;
	struct mailbox *m;
	struct us_err why;

	printf("box.%.*s.name=%.*s\n", SPAN_ARG(row->uniqueid), SPAN_ARG(name));
	if (!mailbox_row_is_real(row))
		return 0;
	if (mailbox_open(store, name, &m, &why) < 0) {
		printf("! %.*s: %s\n", SPAN_ARG(name), why.text);
		return 0;
	}
	if (mailbox_lock(m, &why) < 0)
		printf("! %.*s: %s\n", SPAN_ARG(name), why.text);
	mailbox_unlock(m);
	printf("box.%.*s.modseq=%llu\n", SPAN_ARG(row->uniqueid),
	       (unsigned long long)mailbox_highestmodseq(m));
	show_acl(m);
	show_records(m);
	show_annotations(store, m);
	check_sums(m);
	check_reconstruct(store, m);
	mailbox_close(&m);
	return 0;
}

/* ---- users ------------------------------------------------------------------------------------------------ */

static int show_row(void *ctx, struct span key, struct span payload UNUSED,
		    const struct meta_stamp *stamp UNUSED)
{
	struct span user;

	(void)span_split(&key, '\0', &user);
	printf("%s.%.*s.%.*s=1\n", (const char *)ctx, SPAN_ARG(user), SPAN_ARG(key));
	return 0;
}

static int show_seen(void *ctx, struct span key, struct span payload UNUSED,
		     const struct meta_stamp *stamp UNUSED)
{
	struct pool *pool = pool_new();
	struct state_seen seen;
	struct span user;
	struct us_err err;

	(void)span_split(&key, '\0', &user);
	if (seen_get(ctx, user, key, pool, &seen, &err) > 0)
		printf("seen.%.*s.%.*s=%u\n", SPAN_ARG(user), SPAN_ARG(key), seen.lastuid);
	pool_free(&pool);
	return 0;
}

static int show_quota(void *ctx UNUSED, const struct state_quota *quota, struct us_err *err UNUSED)
{
	printf("quota.%.*s=%lld\n", SPAN_ARG(quota->root), (long long)quota->limit[STATE_STORAGE]);
	return 0;
}

/* ---- all of it ---------------------------------------------------------------------------------------------- */

static unsigned count_entries(struct partition *p, const char *name)
{
	struct buf path = BUF_INIT;
	struct dirent *entry;
	unsigned n = 0;
	DIR *d;

	buf_printf(&path, "%s/%s", p->path, name);
	d = opendir(path.data);
	while (d && (entry = readdir(d)))
		n += entry->d_name[0] != '.';
	if (d)
		closedir(d);
	buf_free(&path);
	return n;
}

static int tidy(struct store *store, struct us_err *err)
{
	struct partition *p;
	unsigned lost, again;
	int rc = 0;

	for (size_t i = 0; rc == 0 && (p = store_partition_at(store, i)); i++) {
		(void)stage_sweep(p);
		(void)partition_sweep_trash(p, store_now() + 10, NULL);
		if (count_entries(p, "stage"))
			printf("! staging is left on %s\n", p->name);
		rc = folder_collect_lost(store, p, store_now() + 10, &lost, err);
		if (rc == 0)
			rc = folder_collect_lost(store, p, store_now() + 10, &again, err);
		if (rc == 0 && again)
			printf("! %u directories stay lost on %s\n", again, p->name);
	}
	return rc;
}

int power_show(struct store *store, struct us_err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && store_partition_at(store, i); i++)
		rc = partition_recover(store_partition_at(store, i), err);
	if (rc == 0)
		rc = folder_list(store, SPAN_NULL, show_mailbox, store, err);
	if (rc == 0)
		rc = meta_range(store_meta(store), META_SUBSCRIPTIONS, SPAN_NULL, SPAN_NULL, 0,
				show_row, "sub", err);
	if (rc == 0)
		rc = meta_range(store_meta(store), META_SEEN, SPAN_NULL, SPAN_NULL, 0, show_seen,
				store, err);
	if (rc == 0)
		rc = quota_list(store, SPAN_NULL, show_quota, NULL, err);
	if (rc == 0)
		rc = tidy(store, err);
	printf(". shown\n");
	return rc;
}
