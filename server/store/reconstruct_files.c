/* reconstruct_files.c - the message files against the records; the table is in reconstruct.h.
 *
 * Nothing is done to a file here but planned: the change must be announced first. A crash between two steps, or between
 * the steps and the new index, leaves what the next run takes to the same end: a file under its new name is found
 * there, and its old record has none.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/store/mailbox.h"
#include "server/store/message.h"
#include "server/store/reconstruct_private.h"

/* From this many unsynced files on, one syncfs is cheaper than a sync each. */
#define MANY_FILES 8

/* ---- names --------------------------------------------------------------------------------------- */

struct file {
	uint32_t uid; /* 0: a file "0.", which can be no message's but may have been one */
	bool present; /* as a message: it is there, and something is in it */
};

struct files {
	struct file *items; /* by uid */
	size_t n, cap;
	const char **odd;
	size_t n_odd, cap_odd;
};

static int compare_files(const void *a, const void *b)
{
	const struct file *x = a, *y = b;

	return (x->uid > y->uid) - (x->uid < y->uid);
}

static bool is_message_name(const char *name, uint32_t *uid)
{
	uint64_t n = 0;

	if (!message_file_uid(name, &n) && strcmp(name, "0.") != 0)
		return false;
	*uid = (uint32_t)n;
	return true;
}

static void add_odd(struct work *w, struct files *f, const char *name)
{
	us_grow(&f->odd, f->n_odd, &f->cap_odd, sizeof(f->odd[0]));
	f->odd[f->n_odd++] = pool_strdup(w->pool, name);
}

struct listing {
	struct work *w;
	struct files *f;
};

static int note_file(void *ctx, const struct dirent *entry)
{
	const struct listing *l = ctx;
	struct files *f = l->f;
	uint32_t uid;

	if (entry->d_type == DT_DIR || span_starts(span_of(entry->d_name), "mbox."))
		return 0;
	if (!is_message_name(entry->d_name, &uid)) {
		add_odd(l->w, f, entry->d_name);
		return 0;
	}
	us_grow(&f->items, f->n, &f->cap, sizeof(f->items[0]));
	f->items[f->n++] = (struct file){uid, true};
	return 0;
}

/* All of them or none: a file that is not seen is a message that is expunged. */
static int list_files(struct work *w, struct files *f, struct us_err *err)
{
	struct listing l = {w, f};
	int rc = io_each_name(FP("store.reconstruct.list"), w->dir, ".", note_file, &l, err);

	if (rc == 0 && f->n)
		qsort(f->items, f->n, sizeof(f->items[0]), compare_files);
	return rc;
}

static void free_files(struct files *f)
{
	free(f->items);
	free(f->odd);
}

static const char *name_of(struct work *w, uint32_t uid)
{
	char name[16];

	message_file_name(uid, name);
	return pool_strdup(w->pool, name);
}

/* ---- contents ------------------------------------------------------------------------------------ */

static int64_t ns(struct timespec t)
{
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int sum_file(int fd, struct record *r, struct us_err *err)
{
	struct guid_sum *sum = guid_sum_new();
	char *chunk = us_malloc(1u << 18);
	ssize_t n;

	r->body_crc = 0;
	r->size = 0;
	while ((n = pread(fd, chunk, 1u << 18, (off_t)r->size)) > 0) {
		guid_sum_add(sum, chunk, (size_t)n);
		r->body_crc = us_crc32c(r->body_crc, chunk, (size_t)n);
		r->size += (uint64_t)n;
	}
	r->guid = guid_sum_end(&sum);
	free(chunk);
	return n < 0 ? us_fail_errno(err, "read a message file") : 0;
}

static int read_message(struct work *w, const char *file, const struct stat *st,
			struct message_sum *out, struct us_err *err)
{
	struct message_sum sum = {.device = st->st_dev,
				  .inode = st->st_ino,
				  .ctime_ns = ns(st->st_ctim),
				  .mtime_ns = ns(st->st_mtim)};
	struct buf cache = BUF_INIT;
	int fd = -1, rc = io_open(NULL, w->dir, file, O_RDONLY, 0, &fd, err);

	if (rc == 0)
		rc = sum_file(fd, &sum.facts, err);
	if (rc == 0)
		rc = message_examine_file(fd, sum.facts.size, &sum.facts, &cache, err);
	sum.facts.cache_length = (uint32_t)cache.len;
	sum.facts.cache_crc = us_crc32c(0, cache.data ? cache.data : "", cache.len);
	io_close(&fd);
	buf_free(&cache);
	if (rc == 0)
		*out = sum;
	return rc;
}

static int compare_sums(const void *a, const void *b)
{
	const struct message_sum *x = a, *y = b;

	return (x->uid > y->uid) - (x->uid < y->uid);
}

void reconstruct_read_messages(struct work *w)
{
	struct files f = {0};
	struct stat st;

	(void)list_files(w, &f, NULL); /* what is not read now is read when it is looked at */
	for (size_t i = 0; i < f.n; i++) {
		const char *name = name_of(w, f.items[i].uid);
		struct message_sum sum;
		/* What cannot be read is told later, when it is looked at for good. */
		if (fstatat(w->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) ||
		    read_message(w, name, &st, &sum, NULL) < 0)
			continue;
		sum.uid = f.items[i].uid;
		us_grow(&w->sums.items, w->sums.n, &w->sums.cap, sizeof(w->sums.items[0]));
		w->sums.items[w->sums.n++] = sum;
	}
	free_files(&f);
}

int reconstruct_sum(struct work *w, const char *file, const struct stat *st,
		    struct message_sum *out, struct us_err *err)
{
	struct message_sum key = {0};
	const struct message_sum *known = NULL;

	if (w->sums.n && is_message_name(file, &key.uid))
		known = bsearch(&key, w->sums.items, w->sums.n, sizeof(key), compare_sums);
	if (!known || known->inode != st->st_ino || known->device != st->st_dev ||
	    known->ctime_ns != ns(st->st_ctim) || known->facts.size != (uint64_t)st->st_size)
		return read_message(w, file, st, out, err);
	*out = *known;
	return 0;
}

/* ---- steps --------------------------------------------------------------------------------------- */

static void plan(struct work *w, int kind, const char *from, const char *to)
{
	us_grow(&w->steps, w->n_steps, &w->cap_steps, sizeof(w->steps[0]));
	w->steps[w->n_steps].kind = kind;
	w->steps[w->n_steps].from = from;
	w->steps[w->n_steps++].to = to;
	w->report->changed = true;
}

static int sync_message(struct work *w, const char *file, struct us_err *err)
{
	int fd = -1, rc = io_open(NULL, w->dir, file, O_RDONLY, 0, &fd, err);

	if (rc == 0)
		rc = partition_synced(w->partition,
				      io_fdatasync(FP("store.reconstruct.sync"), fd, err), err);
	io_close(&fd);
	return rc;
}

/* The bytes of files that become messages: nobody has synced them for us. */
static int sync_messages(struct work *w, struct us_err *err)
{
	size_t n = 0;
	int rc = 0;

	for (size_t i = 0; i < w->n_steps; i++)
		n += w->steps[i].kind == STEP_SYNC;
	if (n >= MANY_FILES)
		return partition_synced(w->partition,
					io_syncfs(FP("store.reconstruct.syncfs"), w->dir, err),
					err);
	for (size_t i = 0; rc == 0 && i < w->n_steps; i++)
		if (w->steps[i].kind == STEP_SYNC)
			rc = sync_message(w, w->steps[i].from, err);
	return rc;
}

int reconstruct_take_steps(struct work *w, struct us_err *err)
{
	int rc = sync_messages(w, err);

	for (size_t i = 0; rc == 0 && i < w->n_steps; i++) {
		const struct file_step *step = &w->steps[i];
		if (step->kind == STEP_RENAME)
			rc = io_rename(FP("store.reconstruct.rename"), w->dir, step->from, w->dir,
				       step->to, err);
		else if (step->kind == STEP_REMOVE)
			rc = io_unlink(FP("store.reconstruct.remove"), w->dir, step->from, err);
	}
	return rc;
}

/* ---- files that become messages ------------------------------------------------------------------- */

/* What the journal knows of a record that is lost. */
static void overlay_flags(struct work *w, struct record *r)
{
	const struct op_flags *op = salvage_orphan(&w->s, r->uid);

	if (!op)
		return;
	r->system_flags = op->system_flags;
	r->internal_flags = op->internal_flags & ~(uint32_t)RECORD_UNLINKED;
	memcpy(r->user_flags, op->user_flags, sizeof(r->user_flags));
}

/* A record made from the file alone (what it cannot tell is empty, or now). */
static void add_message(struct work *w, const struct message_sum *sum, uint32_t uid)
{
	struct record r = sum->facts;

	r.uid = uid;
	r.modseq = r.createdmodseq = reconstruct_modseq(w);
	r.internaldate_ns = sum->mtime_ns;
	if (record_internaldate(&r) <= 0 || record_internaldate(&r) > UINT32_MAX)
		r.internaldate_ns = store_internaldate_ns(record_internaldate(&r));
	r.savedate = sum->ctime_ns / 1000000000;
	r.last_updated = store_now();
	r.cache_length = r.cache_crc = 0;
	overlay_flags(w, &r);
	salvage_put(&w->s, &r);
	if (uid > w->last_uid)
		w->last_uid = uid;
	w->report->added++;
}

static void leave(struct work *w, uint32_t uid, const struct us_err *why)
{
	reconstruct_tell(w, " uid %u cannot be read: %s", uid, why->text);
	w->report->unrepaired++;
}

/* The names of files that are to get new UIDs, once all others have theirs. */
struct newcomers {
	uint32_t *uids; /* of the names they have now */
	size_t n, cap;
};

static void add_newcomer(struct newcomers *n, uint32_t uid)
{
	us_grow(&n->uids, n->n, &n->cap, sizeof(n->uids[0]));
	n->uids[n->n++] = uid;
}

static int append_newcomer(struct work *w, uint32_t old, struct us_err *err)
{
	const char *from = name_of(w, old);
	struct message_sum sum;
	struct us_err why;
	struct stat st;

	if (w->last_uid == UINT32_MAX)
		return us_fail(err, US_ELIMIT, "the mailbox has no UIDs left");
	if (fstatat(w->dir, from, &st, 0) < 0)
		return us_fail_errno(err, "stat %s", from);
	if (reconstruct_sum(w, from, &st, &sum, &why) < 0) {
		leave(w, old, &why);
		return 0;
	}
	reconstruct_tell(w, " uid %u rediscovered - appending", old);
	add_message(w, &sum, w->last_uid + 1);
	plan(w, STEP_SYNC, from, NULL);
	plan(w, STEP_RENAME, from, name_of(w, w->last_uid));
	return 0;
}

static void add_under_its_uid(struct work *w, uint32_t uid, const struct stat *st)
{
	const char *name = name_of(w, uid);
	struct message_sum sum;
	struct us_err why;

	if (reconstruct_sum(w, name, st, &sum, &why) < 0) {
		leave(w, uid, &why);
		return;
	}
	reconstruct_tell(w, " uid %u found - adding", uid);
	add_message(w, &sum, uid);
	plan(w, STEP_SYNC, name, NULL);
}

/* The file of a message that was unlinked: whoever did that died before he removed it, or could not, unless somebody put
 * it back since. */
static void look_at_unlinked(struct work *w, struct newcomers *n, uint32_t uid, bool put_back)
{
	if (put_back) {
		add_newcomer(n, uid);
		return;
	}
	reconstruct_tell(w, " uid %u was removed - removing its file", uid);
	plan(w, STEP_REMOVE, name_of(w, uid), NULL);
}

/* A name that came before its bytes when the power failed; nobody was told that there is a message. */
static void remove_unborn(struct work *w, uint32_t uid)
{
	reconstruct_tell(w, " uid %u is empty - removing its file", uid);
	plan(w, STEP_REMOVE, name_of(w, uid), NULL);
	w->report->unborn++;
}

/* A file nobody has a record for. */
static void look_at_stranger(struct work *w, struct newcomers *n, uint32_t uid,
			     const struct stat *st)
{
	int64_t unlinked_ns = salvage_unlink_time(&w->s, uid);

	if (unlinked_ns)
		look_at_unlinked(w, n, uid, ns(st->st_ctim) > unlinked_ns);
	else if (uid && (uid > w->known_last || salvage_may_have_lost(&w->s, uid)))
		add_under_its_uid(w, uid, st);
	else
		add_newcomer(n, uid);
}

/* ---- records and their files ----------------------------------------------------------------------- */

static void expunge(struct work *w, struct record *r)
{
	if (record_is_live(r)) {
		r->modseq = reconstruct_modseq(w);
		r->last_updated = store_now();
	}
	r->internal_flags |= RECORD_EXPUNGED | RECORD_UNLINKED;
	r->cache_version = 0;
	w->report->changed = true;
}

static void look_at_mismatch(struct work *w, struct newcomers *n, struct record *r)
{
	char hex[GUID_HEX];

	guid_format(&r->guid, hex);
	log_event(LOG_ERR, "store.guid.mismatch", LF_TEXT("SYNCERROR: guid mismatch"),
		  LF_SPAN("mailbox", w->name), LF_NUM("uid", r->uid), LF_STR("guid", hex));
	reconstruct_tell(w, " uid %u guid mismatch", r->uid);
	w->report->mismatched++;
	switch (w->options->mismatch) {
	case MISMATCH_NEW_UID:
		reconstruct_tell(w, " uid %u marking for uid upgrade", r->uid);
		expunge(w, r);
		add_newcomer(n, r->uid);
		break;
	case MISMATCH_REMOVE:
		reconstruct_tell(w, " uid %u unlinking as requested with -U", r->uid);
		expunge(w, r);
		plan(w, STEP_REMOVE, name_of(w, r->uid), NULL);
		break;
	case MISMATCH_TELL:
		w->report->unrepaired++;
		if (!w->options->dry_run && w->options->tell)
			w->options->tell(w->options->ctx,
					 "run reconstruct with -R to fix or -U to remove");
		break;
	}
}

/* What is derived from the bytes, now that they are known to be right. */
static void derive_again(struct work *w, struct record *r, const struct record *facts)
{
	if (r->header_size != facts->header_size || r->sentdate != facts->sentdate ||
	    r->gmtime != facts->gmtime || r->body_crc != facts->body_crc) {
		r->header_size = facts->header_size;
		r->sentdate = facts->sentdate;
		r->gmtime = facts->gmtime;
		r->body_crc = facts->body_crc;
		w->report->changed = true;
	}
	if (r->cache_version &&
	    (r->cache_length != facts->cache_length || r->cache_crc != facts->cache_crc)) {
		r->cache_version = 0; /* it is made again when it is asked for */
		w->report->changed = true;
	}
}

static void look_at_pair(struct work *w, struct newcomers *n, struct record *r,
			 const struct stat *st)
{
	struct message_sum sum;
	struct us_err why;

	if ((uint64_t)st->st_size != r->size) {
		look_at_mismatch(w, n, r);
		return;
	}
	/* Records that only their own sums vouch for might be another mailbox's: the file decides. */
	if (!w->options->check_guids && !w->s.base_lost)
		return;
	if (reconstruct_sum(w, name_of(w, r->uid), st, &sum, &why) < 0)
		leave(w, r->uid, &why);
	else if (!guid_eq(&sum.facts.guid, &r->guid))
		look_at_mismatch(w, n, r);
	else
		derive_again(w, r, &sum.facts);
}

static int look_at_file(struct work *w, struct files *f, struct newcomers *n, struct file *file,
			struct us_err *err)
{
	struct record *r = salvage_find(&w->s, file->uid);
	const char *name = name_of(w, file->uid);
	struct stat st;

	if (r && !(r->internal_flags & RECORD_UNLINKED) && w->options->no_stat)
		return 0;
	if (fstatat(w->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return us_fail_errno(err, "stat %s", name);
	if (S_ISREG(st.st_mode) && !r && !st.st_size && file->uid > w->known_last) {
		remove_unborn(w, file->uid);
		file->present = false;
	} else if (!S_ISREG(st.st_mode) || (!r && !st.st_size)) {
		add_odd(w, f, name);
		file->present = false;
	} else if (r && !st.st_size && r->size) {
		plan(w, STEP_REMOVE, name, NULL); /* nothing is in it: as good as none */
		file->present = false;
	} else if (r && r->internal_flags & RECORD_UNLINKED) {
		look_at_unlinked(w, n, file->uid, st.st_ctim.tv_sec >= r->last_updated);
	} else if (r) {
		look_at_pair(w, n, r, &st);
	} else {
		look_at_stranger(w, n, file->uid, &st);
	}
	return 0;
}

/* Records from `low` to `high`, for which there are no files. */
static void miss(struct work *w, uint32_t low, uint32_t high)
{
	for (size_t i = salvage_lower_bound(&w->s, low); i < w->s.n && w->s.records[i].uid <= high;
	     i++) {
		struct record *r = &w->s.records[i];
		if (r->internal_flags & RECORD_UNLINKED)
			continue;
		if (record_is_live(r)) {
			reconstruct_tell(w, " uid %u not found", r->uid);
			w->report->missing++;
		}
		expunge(w, r);
	}
}

static void look_at_odd(struct work *w, const struct files *f)
{
	for (size_t i = 0; i < f->n_odd && w->options->odd != ODD_IGNORE; i++) {
		struct buf path = BUF_INIT;
		partition_mailbox_path(&w->row.storeid, &path);
		reconstruct_tell(w, " odd file %s/%s/%s", w->partition->path, path.data, f->odd[i]);
		buf_free(&path);
		w->report->odd++;
		if (w->options->odd == ODD_REMOVE)
			plan(w, STEP_REMOVE, f->odd[i], NULL);
		else if (w->options->tell)
			w->options->tell(w->options->ctx,
					 "run reconstruct with -O to remove odd files");
	}
}

int reconstruct_match(struct work *w, struct us_err *err)
{
	struct newcomers n = {0};
	struct files f = {0};
	uint64_t next = 1; /* records before it have been looked at */
	int rc = list_files(w, &f, err);

	for (size_t i = 0; rc == 0 && i < f.n; i++) {
		uint32_t uid = f.items[i].uid;
		if (uid > next)
			miss(w, (uint32_t)next, uid - 1);
		rc = look_at_file(w, &f, &n, &f.items[i], err);
		if (rc == 0 && !f.items[i].present)
			miss(w, uid, uid);
		next = (uint64_t)uid + 1;
	}
	if (rc == 0 && next <= UINT32_MAX)
		miss(w, (uint32_t)next, UINT32_MAX);
	if (f.n && f.items[f.n - 1].uid > w->last_uid)
		w->last_uid = f.items[f.n - 1].uid; /* its name is taken, whatever it is */
	for (size_t i = 0; rc == 0 && i < n.n; i++)
		rc = append_newcomer(w, n.uids[i], err);
	if (rc == 0)
		look_at_odd(w, &f);
	free(n.uids);
	free_files(&f);
	return rc;
}
