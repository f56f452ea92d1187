/* rebuild.c - metad's mailbox rows from the mbox.hdr files, when all else failed; see reconstruct.h. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/store/annotations.h"
#include "server/store/folder_private.h"
#include "server/store/hdr.h"
#include "server/store/mboxname.h"
#include "server/store/meta/meta.h"
#include "server/store/partition.h"
#include "server/store/reconstruct.h"

struct headers {
	struct pool *pool;
	struct hdr *items;
	size_t n, cap;
};

static void read_one(struct headers *all, struct partition *p, int hash, const char *name)
{
	struct hdr h;
	struct us_err err;
	int dir = openat(hash, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return;
	if (hdr_read(dir, all->pool, &h, &err) == 0) {
		h.row.local_partition = span_of(p->name); /* where it was found is where it is */
		us_grow(&all->items, all->n, &all->cap, sizeof(all->items[0]));
		all->items[all->n++] = h;
	} else {
		log_event(LOG_ERR, "store.hdr.unreadable", LF_STR("path", name), LF_ERR(&err));
	}
	close(dir);
}

static void read_partition(struct headers *all, struct partition *p)
{
	for (unsigned i = 0; i < 256; i++) {
		char path[8];
		struct storeid id;
		struct dirent *entry;
		DIR *d;
		int fd;

		snprintf(path, sizeof(path), "u/%02x", i);
		fd = openat(p->dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		d = fd < 0 ? NULL : fdopendir(fd);
		while (d && (entry = readdir(d)))
			if (storeid_parse(span_of(entry->d_name), &id))
				read_one(all, p, dirfd(d), entry->d_name);
		if (d)
			closedir(d);
	}
}

/* The newest claim first: to a name as to a uniqueid. */
static int compare_claims(const void *a, const void *b)
{
	const struct hdr *x = a, *y = b;

	return (y->row_version > x->row_version) - (y->row_version < x->row_version);
}

/* Versions go on from the highest that any copy knows, or the copies left from before would win the next time. */
static int raise_versions(struct store *store, uint64_t version, struct us_err *err)
{
	struct buf text = BUF_INIT;
	struct meta_batch batch;
	int rc;

	buf_add_u64(&text, version);
	meta_batch_init(&batch);
	meta_batch_put(&batch, META_COUNTERS, SPAN_LIT("version"), buf_span(&text));
	rc = meta_commit(store_meta(store), &batch, META_DURABLE, err);
	meta_batch_fini(&batch);
	buf_free(&text);
	return rc;
}

/* 1: nobody has that name or that uniqueid. */
static int is_free(struct store *store, const struct hdr *h, struct pool *pool, struct us_err *err)
{
	struct mailbox_row row;
	struct buf holder = BUF_INIT;
	int rc = mailbox_row_get(store, h->name, pool, &row, NULL, NULL, err);

	if (rc == 0)
		rc = mailbox_name_of_uniqueid(store, h->row.uniqueid, &holder, err);
	buf_free(&holder);
	return rc < 0 ? rc : !rc;
}

static int make_row(struct store *store, const struct hdr *h, struct us_err *err)
{
	struct store_change changes[2] = {{CHANGE_MAILBOX, h->name, SPAN_NULL},
					  {CHANGE_QUOTA, h->name, SPAN_NULL}};
	struct buf key = BUF_INIT, payload = BUF_INIT;
	struct meta_batch batch;
	int rc;

	meta_batch_init(&batch);
	folder_expect(&batch, h->name, 0);
	folder_put_row(&batch, h->name, &h->row);
	folder_put_serial(&batch, h->name, h->row_serial);
	annotations_replace(&batch, &h->row.storeid, NULL, 0, h->annotations, h->n_annotations);
	if (h->has_quota) {
		mboxname_to_key(h->name, &key);
		quota_row_encode(&h->quota, &payload);
		meta_batch_put(&batch, META_QUOTA, buf_span(&key), buf_span(&payload));
	}
	rc = folder_raise_marks(store, &batch, h->name, h->row.uidvalidity, h->row.lastmodseq, err);
	if (rc == 0)
		rc = store_announce(store, changes, h->has_quota ? 2 : 1, err);
	if (rc == 0)
		rc = meta_commit(store_meta(store), &batch, META_DURABLE, err);
	meta_batch_fini(&batch);
	buf_free(&key);
	buf_free(&payload);
	return rc;
}

int reconstruct_rows(struct store *store, unsigned *n_out, struct us_err *err)
{
	struct headers all = {.pool = pool_new()};
	int rc = 0;

	*n_out = 0;
	for (size_t i = 0; store_partition_at(store, i); i++)
		read_partition(&all, store_partition_at(store, i));
	if (all.n) {
		qsort(all.items, all.n, sizeof(all.items[0]), compare_claims);
		rc = raise_versions(store, all.items[0].row_version, err);
	}
	for (size_t i = 0; rc >= 0 && i < all.n; i++) {
		rc = is_free(store, &all.items[i], all.pool, err);
		if (rc <= 0)
			continue; /* there is a row, or a newer claim just made one */
		rc = make_row(store, &all.items[i], err);
		*n_out += rc == 0;
	}
	free(all.items);
	pool_free(&all.pool);
	return rc < 0 ? rc : 0;
}
