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

/* By name, the newest claim first. */
static int compare_claims(const void *a, const void *b)
{
	const struct hdr *x = a, *y = b;
	int order = mboxname_cmp(x->name, y->name);

	return order ? order
		     : (y->row_version > x->row_version) - (y->row_version < x->row_version);
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
	annotations_replace(&batch, &h->row.storeid, NULL, 0, h->annotations, h->n_annotations);
	if (h->has_quota) {
		mboxname_to_key(h->name, &key);
		quota_row_encode(&h->quota, &payload);
		meta_batch_put(&batch, META_QUOTA, buf_span(&key), buf_span(&payload));
	}
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
	struct mailbox_row row;
	int rc = 0;

	*n_out = 0;
	for (size_t i = 0; store_partition_at(store, i); i++)
		read_partition(&all, store_partition_at(store, i));
	if (all.n)
		qsort(all.items, all.n, sizeof(all.items[0]), compare_claims);
	for (size_t i = 0; rc >= 0 && i < all.n; i++) {
		rc = mailbox_row_get(store, all.items[i].name, all.pool, &row, NULL, NULL, err);
		if (rc != 0)
			continue; /* there is a row, or a newer claim just made one */
		rc = make_row(store, &all.items[i], err);
		*n_out += rc == 0;
	}
	free(all.items);
	pool_free(&all.pool);
	return rc < 0 ? rc : 0;
}
