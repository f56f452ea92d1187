/* reconstruct.c - see reconstruct.h. */
#include "server/store/reconstruct.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/store/compact.h"
#include "server/store/folder_private.h"
#include "server/store/hdr.h"
#include "server/store/lock.h"
#include "server/store/mailbox.h"
#include "server/store/mboxname.h"
#include "server/store/message.h"
#include "server/store/meta/meta.h"
#include "server/store/partition.h"
#include "server/store/salvage.h"

struct work {
	struct store *store;
	struct span name;
	const struct reconstruct_options *options;
	struct reconstruct_report *report;
	struct pool *pool;
	struct mailbox_row row;
	uint64_t row_serial;
	struct partition *partition;
	int dir, lock;
	struct salvage s;
	uint64_t modseq; /* of everything this run finds out; 0: not drawn */
	uint32_t last_uid;
};

static uint64_t draw_modseq(struct work *w)
{
	uint64_t highest = w->row.lastmodseq > w->s.counters.highestmodseq
				   ? w->row.lastmodseq
				   : w->s.counters.highestmodseq;

	if (w->modseq)
		return w->modseq;
	for (size_t i = 0; i < w->s.n; i++)
		if (w->s.records[i].modseq > highest)
			highest = w->s.records[i].modseq;
	w->report->changed = true;
	return w->modseq = highest + 1;
}

/* ---- files ------------------------------------------------------------------------------------- */

struct file {
	uint32_t uid;
	bool seen;
};

static int compare_files(const void *a, const void *b)
{
	const struct file *x = a, *y = b;

	return (x->uid > y->uid) - (x->uid < y->uid);
}

/* UIDs of the message files, ascending. */
static size_t list_files(int dir, struct file **out)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct file *files = NULL;
	size_t n = 0, cap = 0;
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		struct span name = span_of(entry->d_name);
		uint64_t uid;
		if (name.len < 2 || name.ptr[name.len - 1] != '.' ||
		    !span_u64(span_make(name.ptr, name.len - 1), UINT32_MAX, &uid) || !uid)
			continue;
		us_grow(&files, n, &cap, sizeof(files[0]));
		files[n++] = (struct file){(uint32_t)uid, false};
	}
	if (d)
		closedir(d);
	if (n)
		qsort(files, n, sizeof(files[0]), compare_files);
	*out = files;
	return n;
}

static int sum_file(int fd, struct record *r, struct us_err *err)
{
	struct guid_sum *sum = guid_sum_new();
	char chunk[65536];
	ssize_t n;

	r->body_crc = 0;
	r->size = 0;
	while ((n = pread(fd, chunk, sizeof(chunk), (off_t)r->size)) > 0) {
		guid_sum_add(sum, chunk, (size_t)n);
		r->body_crc = us_crc32c(r->body_crc, chunk, (size_t)n);
		r->size += (uint64_t)n;
	}
	r->guid = guid_sum_end(&sum);
	return n < 0 ? us_fail_errno(err, "read a message file") : 0;
}

/* A record made from the file alone (store-design 8.7): what the file cannot tell is empty or now. */
static int record_of_file(struct work *w, uint32_t file_uid, uint32_t uid, struct us_err *err)
{
	struct record r = {.uid = uid};
	struct buf cache = BUF_INIT;
	char name[16];
	struct stat st;
	int fd = -1, rc;

	message_file_name(file_uid, name);
	rc = io_open(NULL, w->dir, name, O_RDONLY, 0, &fd, err);
	if (rc == 0)
		rc = sum_file(fd, &r, err);
	if (rc == 0 && fstat(fd, &st) < 0)
		rc = us_fail_errno(err, "stat %s", name);
	if (rc == 0)
		rc = message_examine_file(fd, r.size, &r, &cache, err);
	if (rc == 0) {
		r.modseq = r.createdmodseq = draw_modseq(w);
		r.internaldate_ns = (int64_t)st.st_mtim.tv_sec * 1000000000;
		r.savedate = st.st_ctim.tv_sec;
		r.last_updated = store_now();
		salvage_put(&w->s, &r);
		if (uid > w->last_uid)
			w->last_uid = uid;
		w->report->added++;
	}
	io_close(&fd);
	buf_free(&cache);
	return rc;
}

/* Its record says something else: the record goes, the bytes come back under a new UID. */
static int readd_mismatched(struct work *w, struct record *r, struct us_err *err)
{
	uint32_t old = r->uid, uid = w->last_uid + 1;
	char from[16], to[16];
	int rc;

	w->report->mismatched++;
	r->internal_flags |= RECORD_EXPUNGED | RECORD_UNLINKED;
	r->modseq = draw_modseq(w);
	r->last_updated = store_now();
	rc = record_of_file(w, old, uid, err);
	if (rc < 0 || w->options->dry_run)
		return rc;
	message_file_name(old, from);
	message_file_name(uid, to);
	return io_rename(FP("store.reconstruct.rename"), w->dir, from, w->dir, to, err);
}

static int check_file(struct work *w, struct record *r, struct us_err *err)
{
	struct record found = {0};
	char name[16];
	struct stat st;
	int fd = -1, rc;

	message_file_name(r->uid, name);
	if (fstatat(w->dir, name, &st, 0) < 0)
		return us_fail_errno(err, "stat %s", name);
	if ((uint64_t)st.st_size != r->size)
		return readd_mismatched(w, r, err);
	if (!w->options->check_guids)
		return 0;
	rc = io_open(NULL, w->dir, name, O_RDONLY, 0, &fd, err);
	if (rc == 0)
		rc = sum_file(fd, &found, err);
	io_close(&fd);
	if (rc == 0 && !guid_eq(&found.guid, &r->guid)) {
		char hex[GUID_HEX];
		guid_format(&r->guid, hex);
		log_event(LOG_ERR, "store.guid.mismatch", LF_TEXT("SYNCERROR: guid mismatch"),
			  LF_SPAN("mailbox", w->name), LF_NUM("uid", r->uid), LF_STR("guid", hex));
		rc = readd_mismatched(w, r, err);
	}
	return rc;
}

/* A file nobody has a record for. With a sound index its UID was given once and expunged since, unless it is above all
 * that were given. */
static int adopt_file(struct work *w, uint32_t uid, struct us_err *err)
{
	if (uid > w->last_uid || w->s.index_was_bad)
		return record_of_file(w, uid, uid, err);
	w->report->aside++;
	return 0;
}

static int match_files(struct work *w, struct us_err *err)
{
	struct file *files;
	size_t n = list_files(w->dir, &files);
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct record *r = salvage_find(&w->s, files[i].uid);
		if (!r)
			rc = adopt_file(w, files[i].uid, err);
		else if (record_is_live(r))
			rc = check_file(w, r, err);
	}
	for (size_t i = 0; rc == 0 && i < w->s.n; i++) {
		struct record *r = &w->s.records[i];
		struct file key = {r->uid, false};
		if (r->internal_flags & RECORD_UNLINKED ||
		    bsearch(&key, files, n, sizeof(key), compare_files))
			continue;
		if (r->modseq && r->modseq == w->modseq)
			continue; /* this run's own, under its new name */
		w->report->missing += record_is_live(r);
		r->internal_flags |= RECORD_EXPUNGED | RECORD_UNLINKED;
		r->modseq = draw_modseq(w);
		r->last_updated = store_now();
	}
	free(files);
	return rc;
}

/* ---- counters ---------------------------------------------------------------------------------- */

static void first_unseen(struct counters *c, const struct salvage *s)
{
	uint32_t seq = 0;

	for (size_t i = 0; i < s->n && !c->first_unseen_uid; i++) {
		if (!record_is_live(&s->records[i]))
			continue;
		seq++;
		if (s->records[i].system_flags & FLAG_SEEN)
			continue;
		c->first_unseen_uid = s->records[i].uid;
		c->first_unseen_seq = seq;
	}
}

/* All sums anew; what is no sum is kept from the old ones, or taken from row and header. */
static void count_again(struct work *w, struct counters *c)
{
	const struct counters *old = &w->s.counters;

	*c = (struct counters){.uidvalidity =
				       old->uidvalidity ? old->uidvalidity : w->row.uidvalidity,
			       .last_uid = w->last_uid,
			       .highestmodseq = old->highestmodseq,
			       .createdmodseq = old->createdmodseq ? old->createdmodseq
								   : w->row.createdmodseq,
			       .deletedmodseq = old->deletedmodseq,
			       .xconvmodseq = old->xconvmodseq,
			       .raclmodseq = old->raclmodseq,
			       .options = old->options,
			       .last_append = old->last_append,
			       .first_expunged = old->first_expunged,
			       .last_repack = old->last_repack,
			       .pop3_last_login = old->pop3_last_login,
			       .pop3_show_after = old->pop3_show_after,
			       .recentuid = old->recentuid,
			       .recenttime = old->recenttime,
			       .sync_crc_annot = SYNC_CRC_ANNOT_EMPTY};
	for (size_t i = 0; i < w->s.n; i++) {
		counters_replace(c, NULL, &w->s.records[i], &w->s.names);
		if (w->s.records[i].modseq > c->highestmodseq)
			c->highestmodseq = w->s.records[i].modseq;
	}
	if (w->modseq > c->highestmodseq)
		c->highestmodseq = w->modseq;
	/* Records that are gone without a trace: whoever knows an older state must compare everything. */
	if (w->s.index_was_bad)
		c->deletedmodseq = c->highestmodseq;
	first_unseen(c, &w->s);
}

static bool sums_differ(const struct counters *a, const struct counters *b)
{
	return a->exists != b->exists || a->unseen != b->unseen || a->answered != b->answered ||
	       a->flagged != b->flagged || a->deleted != b->deleted ||
	       a->bytes_live != b->bytes_live || a->bytes_deleted != b->bytes_deleted ||
	       a->bytes_expunged != b->bytes_expunged || a->annot_bytes != b->annot_bytes ||
	       a->records != b->records || a->sync_crc != b->sync_crc ||
	       a->sync_crc_annot != b->sync_crc_annot ||
	       a->first_unseen_uid != b->first_unseen_uid ||
	       a->first_unseen_seq != b->first_unseen_seq;
}

/* ---- one mailbox ------------------------------------------------------------------------------- */

struct array_walk {
	const struct salvage *s;
	size_t at;
	struct record r;
};

static const struct record *next_of_array(void *ctx)
{
	struct array_walk *a = ctx;

	if (a->at == a->s->n)
		return NULL;
	a->r = a->s->records[a->at++];
	a->r.cache_version = a->r.cache_length = a->r.cache_crc = 0; /* the cache begins anew */
	a->r.cache_offset = 0;
	return &a->r;
}

/* Serials never fall, also where the files that held them are lost: what comes must be newer than what the row has. */
static uint64_t newest_serial(const struct work *w)
{
	return w->row_serial > w->s.serial ? w->row_serial : w->s.serial;
}

static int write_mailbox(struct work *w, const struct counters *counters, struct us_err *err)
{
	struct store_change change = {CHANGE_MAILBOX, w->name, SPAN_NULL};
	struct array_walk walk = {.s = &w->s};
	struct generation g = {.storeid = w->row.storeid,
			       .uniqueid = w->row.uniqueid,
			       .number = w->s.generation + 1,
			       .cache_number = w->s.generation + 1,
			       .serial = newest_serial(w) + 1,
			       .counters = *counters,
			       .names = &w->s.names,
			       .annots = &w->s.annots,
			       .n_records = w->s.n,
			       .records = {next_of_array, &walk}};
	int rc = store_announce(w->store, &change, 1, err);

	if (rc == 0)
		rc = generation_write(w->dir, &g, store_boot_tag(w->store),
				      partition_epoch(w->partition), err);
	if (rc == 0)
		folder_write_hdr(w->store, w->dir, w->name, &w->s.names, counters);
	return rc;
}

/* Flag names in bit order, if the index could not tell them. */
static void borrow_from_hdr(struct work *w)
{
	struct hdr h;

	if (w->s.has_counters || hdr_read(w->dir, w->pool, &h, NULL) < 0)
		return;
	for (size_t i = 0; i < h.n_flags; i++)
		if (!w->s.names.bit[i].name.ptr)
			flag_names_set(&w->s.names, (unsigned)i, h.flags[i]);
	w->s.counters.options = h.options;
}

static int work_on(struct work *w, struct us_err *err)
{
	struct counters counters;
	int rc;

	salvage_directory(w->dir, &w->row.storeid, &w->s);
	borrow_from_hdr(w);
	w->report->bad_records = w->s.bad_records;
	w->report->index_was_bad = w->s.index_was_bad;
	w->report->changed = w->s.index_was_bad;
	w->last_uid = w->s.counters.last_uid;
	if (w->s.n && w->s.records[w->s.n - 1].uid > w->last_uid)
		w->last_uid = w->s.records[w->s.n - 1].uid;
	rc = match_files(w, err);
	if (rc < 0)
		return rc;
	if (w->s.index_was_bad)
		(void)draw_modseq(w);
	count_again(w, &counters);
	w->report->records = (unsigned)w->s.n;
	w->report->changed |= sums_differ(&counters, &w->s.counters);
	return w->report->changed && !w->options->dry_run ? write_mailbox(w, &counters, err) : 0;
}

static int open_work(struct work *w, struct us_err *err)
{
	int rc = mailbox_row_get(w->store, w->name, w->pool, &w->row, NULL, &w->row_serial, err);

	if (rc == 0 || (rc > 0 && !mailbox_row_is_real(&w->row)))
		return us_fail(err, US_ENOENT, "Mailbox does not exist");
	if (rc < 0)
		return rc;
	w->partition = store_partition(w->store, w->row.local_partition);
	if (!w->partition)
		return us_fail(err, US_ECONFIG, "no partition-%.*s is configured",
			       SPAN_ARG(w->row.local_partition));
	rc = partition_open_mailbox(w->partition, &w->row.storeid, &w->dir, err);
	if (rc ==
	    US_ENOENT) /* a name without a directory: make it, empty; the replica has the rest */
		rc = partition_make_mailbox(w->partition, &w->row.storeid, &w->dir, err);
	if (rc == 0)
		rc = io_open(NULL, w->dir, "mbox.lk", O_RDWR | O_CREAT, 0600, &w->lock, err);
	return rc < 0 ? rc
		      : lock_take(w->lock, LOCK_EXCLUSIVE, store_config(w->store)->lock_wait_ms,
				  err);
}

int reconstruct_mailbox(struct store *store, struct span name,
			const struct reconstruct_options *options,
			struct reconstruct_report *report, struct us_err *err)
{
	struct work w = {.store = store,
			 .name = name,
			 .options = options,
			 .report = report,
			 .dir = -1,
			 .lock = -1};
	int namespace_lock = -1, rc;

	memset(report, 0, sizeof(*report));
	w.pool = pool_new();
	rc = store_lock_namespace(store, name, STORE_SHARED, &namespace_lock, err);
	if (rc == 0)
		rc = open_work(&w, err);
	if (rc == 0)
		rc = work_on(&w, err);
	salvage_fini(&w.s);
	io_close(&w.lock);
	io_close(&w.dir);
	store_unlock_namespace(&namespace_lock);
	pool_free(&w.pool);
	return rc < 0 ? us_err_prefix(err, "%.*s", SPAN_ARG(name)) : 0;
}
