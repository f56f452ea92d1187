/* damage.h - a mailbox with some of everything in it, as an image that can be damaged and put back; what it holds, as a line
 * of text a UID; and which bytes of its files each of these lines rests on. */
#ifndef US_TESTS_UNIT_STORE_DAMAGE_H
#define US_TESTS_UNIT_STORE_DAMAGE_H

#include "tests/unit/store/rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>

#include "server/base/io.h"
#include "server/store/annots.h"
#include "server/store/journal.h"
#include "server/store/salvage.h"

#define BOB       "user.bob"
#define MOST_UID  40
#define MOST_FILE 80

/* ---- making it ------------------------------------------------------------------------------------- */

static inline void message_text(unsigned i, char *out, size_t size)
{
	snprintf(out, size,
		 "From: bob@example.net\r\nSubject: number %u\r\nDate: Mon, 02 Feb 2026 10:%02u:00 "
		 "+0000\r\n\r\n%.*s\r\n",
		 i, i % 60, (int)(i * 13 % 60),
		 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghij");
}

static inline uint32_t append_number(struct rig *rig, unsigned i)
{
	char text[512];

	message_text(i, text, sizeof(text));
	return rig_append(rig, BOB, text, i % 32);
}

static inline void set_keyword(struct rig *rig, uint32_t uid, const char *keyword)
{
	struct mailbox *m = rig_mailbox(rig, BOB);
	struct record r;
	struct commit *c;
	unsigned bit;
	struct us_err err;

	assert_ok(mailbox_lock(m, &err), &err);
	assert_ok(commit_begin(m, &c, &err), &err);
	assert_ok(commit_flag_bit(c, span_of(keyword), &bit, &err), &err);
	r = *view_find(&m->view, uid);
	record_set_user_flag(&r, bit, true);
	r.modseq = commit_modseq(c);
	r.last_updated = store_now();
	assert_ok(commit_put(c, &r, &err), &err);
	assert_ok(commit_finish(&c, &err), &err);
	mailbox_close(&m);
}

static inline void annotate(struct rig *rig, uint32_t uid, const char *user, const char *value)
{
	struct mailbox *m = rig_mailbox(rig, BOB);
	struct record r;
	struct commit *c;
	struct us_err err;

	assert_ok(mailbox_lock(m, &err), &err);
	assert_ok(commit_begin(m, &c, &err), &err);
	r = *view_find(&m->view, uid);
	r.modseq = commit_modseq(c);
	assert_ok(commit_put(c, &r, &err), &err);
	assert_ok(commit_annotate(c, uid, SPAN_LIT("/comment"), span_of(user), span_of(value),
				  r.modseq, &err),
		  &err);
	assert_ok(commit_finish(&c, &err), &err);
	mailbox_close(&m);
}

static inline void unlink_uid(struct rig *rig, uint32_t uid)
{
	struct mailbox *m = rig_mailbox(rig, BOB);
	struct commit *c;
	struct us_err err;

	assert_ok(mailbox_lock(m, &err), &err);
	assert_ok(commit_begin(m, &c, &err), &err);
	assert_ok(commit_unlink(c, uid, uid, &err), &err);
	assert_ok(commit_finish(&c, &err), &err);
	mailbox_close(&m);
}

static inline void compact_bob(struct rig *rig)
{
	struct mailbox *m = rig_mailbox(rig, BOB);
	struct us_err err;

	assert_ok(mailbox_lock(m, &err), &err);
	assert_ok(compact(m, &err), &err);
	mailbox_close(&m);
}

/* A base of 24 messages, two of them expunged and one gone, then changes of every kind in the journal. */
static inline void make_bob(struct rig *rig)
{
	static const char *const keywords[] = {"$Forwarded", "work", "junk-7"};

	rig_create(rig, BOB);
	for (unsigned i = 1; i <= 24; i++)
		append_number(rig, i);
	for (uint32_t uid = 2; uid <= 24; uid += 3)
		set_keyword(rig, uid, keywords[uid / 3 % 3]);
	for (uint32_t uid = 5; uid <= 20; uid += 5) {
		annotate(rig, uid, "", "a note of some length, for all to read");
		annotate(rig, uid, "bob", uid == 10 ? "" : "mine");
	}
	rig_flags(rig, BOB, 4, FLAG_SEEN, true);
	rig_flags(rig, BOB, 9, 0, true);
	rig_flags(rig, BOB, 13, FLAG_FLAGGED, true);
	unlink_uid(rig, 9);
	compact_bob(rig);
	for (unsigned i = 25; i <= 32; i++)
		append_number(rig, i);
	set_keyword(rig, 3, "late");
	set_keyword(rig, 26, "late");
	set_keyword(rig, 11, "work");
	rig_flags(rig, BOB, 6, FLAG_SEEN | FLAG_ANSWERED, false);
	rig_flags(rig, BOB, 12, 0, false);
	rig_flags(rig, BOB, 7, FLAG_SEEN, true);
	rig_flags(rig, BOB, 27, 0, true);
	annotate(rig, 15, "", "another note");
	annotate(rig, 28, "", "a first one");
	unlink_uid(rig, 4);
	rig_flags(rig, BOB, 30, FLAG_FLAGGED, false);
}

/* ---- as text ---------------------------------------------------------------------------------------- */

struct lines {
	char *of[MOST_UID]; /* NULL: no record */
	bool live[MOST_UID], has_keyword[MOST_UID];
	struct guid guid[MOST_UID];
	struct counters counters;
	uint64_t highestmodseq; /* of the mailbox */
};

static inline void free_lines(struct lines *l)
{
	for (unsigned uid = 0; uid < MOST_UID; uid++)
		free(l->of[uid]);
	memset(l, 0, sizeof(*l));
}

/* All that is not derived: the cache is left out. */
static inline void add_line(struct lines *l, const struct record *r, const struct flag_names *names,
			    const struct annots *annots)
{
	const struct state_annotation *items;
	struct buf text = BUF_INIT;
	char hex[GUID_HEX];
	size_t n;

	assert_true(r->uid < MOST_UID);
	guid_format(&r->guid, hex);
	buf_printf(&text,
		   "%u system=%x internal=%x modseq=%" PRIu64 " created=%" PRIu64 " date=%lld "
		   "saved=%lld updated=%lld sent=%lld %lld size=%" PRIu64 " %u %s crc=%x",
		   r->uid, r->system_flags, r->internal_flags, r->modseq, r->createdmodseq,
		   (long long)r->internaldate_ns, (long long)r->savedate,
		   (long long)r->last_updated, (long long)r->sentdate, (long long)r->gmtime,
		   r->size, r->header_size, hex, r->body_crc);
	for (unsigned bit = 0; bit < USER_FLAGS; bit++)
		if (record_has_user_flag(r, bit))
			buf_printf(&text, " %.*s", SPAN_ARG(names->bit[bit].name));
	l->has_keyword[r->uid] = r->user_flags[0] || r->user_flags[1];
	items = annots_of(annots, r->uid, &n);
	for (size_t i = 0; i < n; i++)
		buf_printf(&text, " [%.*s %.*s %.*s %" PRIu64 "]", SPAN_ARG(items[i].entry),
			   SPAN_ARG(items[i].userid), SPAN_ARG(items[i].value), items[i].modseq);
	free(l->of[r->uid]);
	l->of[r->uid] = buf_steal(&text, NULL);
	l->live[r->uid] = record_is_live(r);
	l->guid[r->uid] = r->guid;
}

static inline void lines_of_mailbox(struct rig *rig, struct lines *l)
{
	struct mailbox *m = rig_mailbox(rig, BOB);
	struct view_walk walk = view_walk(&m->view, 1);
	const struct record *r;

	memset(l, 0, sizeof(*l));
	rig_check_counters(m);
	while ((r = view_next(&m->view, &walk)))
		add_line(l, r, &m->view.names, &m->view.annots);
	l->counters = m->view.counters;
	l->highestmodseq = mailbox_highestmodseq(m);
	mailbox_close(&m);
}

static inline void lines_of_salvage(const struct salvage *s, struct lines *l)
{
	memset(l, 0, sizeof(*l));
	for (size_t i = 0; i < s->n; i++)
		add_line(l, &s->records[i], &s->names, &s->annots);
	l->counters = s->counters;
}

static inline bool same_line(const struct lines *a, const struct lines *b, unsigned uid)
{
	if (!a->of[uid] || !b->of[uid])
		return a->of[uid] == b->of[uid];
	return strcmp(a->of[uid], b->of[uid]) == 0;
}

/* ---- the directory as an image ------------------------------------------------------------------------ */

struct image_file {
	char name[40];
	char *bytes;
	size_t len;
	struct timespec mtime;
};

struct image {
	char path[200];
	int dir;
	struct image_file files[MOST_FILE];
	size_t n;
};

static inline void image_take(struct rig *rig, struct image *image)
{
	struct mailbox *m = rig_mailbox(rig, BOB);
	struct buf below = BUF_INIT;
	struct dirent *entry;
	struct us_err err;
	DIR *d;

	memset(image, 0, sizeof(*image));
	partition_mailbox_path(&m->row.storeid, &below);
	snprintf(image->path, sizeof(image->path), "%s/%s", m->partition->path, below.data);
	buf_free(&below);
	mailbox_close(&m);
	image->dir = open(image->path, O_RDONLY | O_DIRECTORY);
	assert_true(image->dir >= 0);
	d = opendir(image->path);
	while ((entry = readdir(d))) {
		struct image_file *f = &image->files[image->n];
		struct buf bytes = BUF_INIT;
		struct stat st;
		if (entry->d_name[0] == '.')
			continue;
		assert_true(image->n < MOST_FILE);
		snprintf(f->name, sizeof(f->name), "%.39s", entry->d_name);
		assert_ok(io_read_file(image->dir, f->name, 1u << 24, &bytes, &err), &err);
		assert_int_equal(fstatat(image->dir, f->name, &st, 0), 0);
		f->bytes = buf_steal(&bytes, &f->len);
		f->mtime = st.st_mtim;
		image->n++;
	}
	closedir(d);
}

static inline void image_free(struct image *image)
{
	for (size_t i = 0; i < image->n; i++)
		free(image->files[i].bytes);
	close(image->dir);
}

static inline void write_whole(const struct image *image, const char *name, const char *bytes,
			       size_t len, const struct timespec *mtime)
{
	struct timespec times[2] = {{0, UTIME_OMIT}, *mtime};
	int fd = openat(image->dir, name, O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	assert_int_equal(ftruncate(fd, (off_t)len),
			 0); /* cut to nothing first, ext4 would wait for the disk */
	assert_int_equal(futimens(fd, times), 0);
	close(fd);
}

static inline void empty_directory(const struct image *image)
{
	struct dirent *entry;
	DIR *d = opendir(image->path);

	while ((entry = readdir(d)))
		if (entry->d_name[0] != '.' && strcmp(entry->d_name, "mbox.lk") != 0)
			assert_int_equal(unlinkat(image->dir, entry->d_name, 0), 0);
	closedir(d);
}

static inline void image_restore(const struct image *image)
{
	empty_directory(image);
	for (size_t i = 0; i < image->n; i++)
		if (strcmp(image->files[i].name, "mbox.lk") != 0)
			write_whole(image, image->files[i].name, image->files[i].bytes,
				    image->files[i].len, &image->files[i].mtime);
}

/* The file whose name begins so; there is one of each. */
static inline struct image_file *image_find(struct image *image, const char *prefix)
{
	for (size_t i = 0; i < image->n; i++)
		if (strncmp(image->files[i].name, prefix, strlen(prefix)) == 0)
			return &image->files[i];
	fail_msg("no file %s", prefix);
	return NULL;
}

/* ---- what rests on which bytes --------------------------------------------------------------------------- */

struct piece {
	size_t from, to; /* bytes of the file */
	bool touches[MOST_UID];
	bool whole[MOST_UID]; /* has the whole record of it */
};

struct pieces {
	struct piece items[80];
	size_t n;
};

static inline void touch_keyword(struct piece *p, const struct lines *l, struct span keyword)
{
	char *text = span_dup(keyword);

	for (unsigned uid = 0; uid < MOST_UID; uid++)
		if (l->of[uid] && strstr(l->of[uid], text))
			p->touches[uid] = true;
	free(text);
}

static inline void touch_op(struct piece *p, const struct lines *l, const struct journal_op *op)
{
	const struct op_record *record = (const void *)op;
	const struct op_unlink *range = (const void *)op;
	const struct op_flagname *name = (const void *)op;

	switch (op->kind) {
	case OP_RECORD:
		p->touches[record->record.uid] = p->whole[record->record.uid] = true;
		break;
	case OP_FLAGS:
	case OP_ANNOT:
		p->touches[((const struct op_flags *)op)->uid] = true;
		break;
	case OP_UNLINK:
		for (uint32_t uid = range->low; uid <= range->high; uid++)
			p->touches[uid] = true;
		break;
	case OP_FLAGNAME:
		touch_keyword(p, l, span_make(name->name, name->length));
		break;
	default:
		break;
	}
}

/* Frames of the journal. */
static inline void pieces_of_journal(const struct image_file *f, const struct lines *l,
				     struct pieces *out)
{
	const struct journal_header *h = (const void *)f->bytes;
	size_t at = JOURNAL_PAGE;

	memset(out, 0, sizeof(*out));
	while (at < h->publish_end) {
		const struct journal_frame *frame = (const void *)(f->bytes + at);
		struct piece *p = &out->items[out->n++];
		const struct journal_op *op = NULL;
		bool bad;
		assert_true(out->n < ARRAY_SIZE(out->items));
		p->from = at;
		p->to = at + frame->length;
		while ((op = journal_op_next(frame, op, &bad)))
			touch_op(p, l, op);
		at += frame->length;
	}
}

/* Records of the base. */
static inline void pieces_of_index(const struct image_file *f, struct pieces *out)
{
	const struct index_header *h = (const void *)f->bytes;

	memset(out, 0, sizeof(*out));
	for (uint64_t i = 0; i < h->n_records; i++) {
		struct piece *p = &out->items[out->n++];
		const struct record *r;
		p->from = h->records_offset + i * sizeof(*r);
		p->to = p->from + sizeof(*r);
		r = (const void *)(f->bytes + p->from);
		p->touches[r->uid] = p->whole[r->uid] = true;
	}
}

/* Entries of the annotations file. */
static inline void pieces_of_annots(const struct image_file *f, struct pieces *out)
{
	size_t at = 64;

	memset(out, 0, sizeof(*out));
	while (at < f->len) {
		const struct op_annot *op = (const void *)(f->bytes + at);
		struct piece *p = &out->items[out->n++];
		p->from = at;
		p->to = at + op->op.length;
		p->touches[op->uid] = true;
		at = p->to;
	}
}

/* Which UIDs can have lost something when bytes from..to are damaged? */
static inline void find_hurt(const struct pieces *pieces, size_t from, size_t to,
			     bool hurt[MOST_UID])
{
	memset(hurt, 0, MOST_UID * sizeof(hurt[0]));
	for (size_t i = 0; i < pieces->n; i++) {
		const struct piece *p = &pieces->items[i];
		if (p->to <= from || p->from >= to)
			continue;
		for (unsigned uid = 0; uid < MOST_UID; uid++)
			hurt[uid] |= p->touches[uid];
	}
}

/* Whole records that the journal has of what the base lost. */
static inline void heal_by_journal(const struct pieces *journal, bool hurt[MOST_UID])
{
	for (size_t i = 0; i < journal->n; i++)
		for (unsigned uid = 0; uid < MOST_UID; uid++)
			if (journal->items[i].whole[uid])
				hurt[uid] = false;
}

/* ---- all of it, for a group of tests -------------------------------------------------------------- */

struct bench {
	struct rig rig;
	struct image image;
	struct lines good;
	struct pieces journal, index, annots;
	struct storeid id;
	uint64_t epoch;
	struct buf told; /* what the code under test says, for those that ask */
};

static inline int bench_make(void **state)
{
	struct bench *b = us_calloc(1, sizeof(*b));
	struct mailbox *m;

	rig_new(&b->rig);
	make_bob(&b->rig);
	lines_of_mailbox(&b->rig, &b->good);
	image_take(&b->rig, &b->image);
	pieces_of_journal(image_find(&b->image, "mbox.jnl."), &b->good, &b->journal);
	pieces_of_index(image_find(&b->image, "mbox.idx"), &b->index);
	pieces_of_annots(image_find(&b->image, "mbox.ann."), &b->annots);
	m = rig_mailbox(&b->rig, BOB);
	b->id = m->row.storeid;
	b->epoch = partition_epoch(m->partition);
	mailbox_close(&m);
	buf_init(&b->told, 0);
	*state = b;
	return 0;
}

static inline int bench_drop(void **state)
{
	struct bench *b = *state;

	free_lines(&b->good);
	image_free(&b->image);
	buf_free(&b->told);
	rig_free(&b->rig);
	free(b);
	return 0;
}

static inline void expect_same_line(const struct lines *good, const struct lines *now, unsigned uid,
				    const char *what, size_t from, size_t to)
{
	if (!same_line(good, now, uid))
		fail_msg("%s damaged %zu..%zu: uid %u was\n%s\nand is\n%s", what, from, to, uid,
			 good->of[uid] ? good->of[uid] : "(none)",
			 now->of[uid] ? now->of[uid] : "(none)");
}

#endif
