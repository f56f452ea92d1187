/* mbexamine_check.c - the message files of a mailbox beside its index: what each is, and how long.
 *
 * A server may be at work meanwhile. What looks wrong is therefore looked up again as the mailbox is then: a message may have
 * been removed for good since, one may have come. Only a file that has its name and not yet its record cannot be told from one that
 * nobody wants.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "server/admin/header_text.h"
#include "server/admin/mbexamine.h"
#include "server/base/datetime.h"
#include "server/base/io.h"
#include "server/base/mem.h"
#include "server/base/pool.h"
#include "server/store/mime/nstring.h"

struct uids {
	uint32_t *list;
	size_t n, cap;
};

static void keep_uid(struct uids *uids, uint32_t uid)
{
	us_grow(&uids->list, uids->n, &uids->cap, sizeof(uids->list[0]));
	uids->list[uids->n++] = uid;
}

/* ---- what each side says of a message ---------------------------------------------------------------------- */

struct facts {
	bool there;
	struct guid guid;
	uint64_t size;
	int64_t day;
	struct buf from, subject;
};
#define FACTS_INIT                                    \
	{                                             \
		.from = BUF_INIT, .subject = BUF_INIT \
	}

static void facts_fini(struct facts *f)
{
	buf_free(&f->from);
	buf_free(&f->subject);
}

static void take_fields(struct mbexamine *w, const struct mime_envelope *e, struct facts *f)
{
	struct mime_words from = {.text = e->from};
	struct buf subject = BUF_INIT;

	header_text_addresses(w->text, e->from.ptr ? &from : NULL, &f->from);
	header_text_plain(w->text, e->subject, &subject);
	nstring_put(&f->subject, e->subject.ptr ? buf_span(&subject) : SPAN_NULL);
	buf_free(&subject);
}

/* The record that should have a file, expunged ones too: they can come back. */
static const struct record *find_record(struct mailbox *m, uint32_t uid)
{
	const struct record *r = view_find(&m->view, uid);

	return r && !(r->internal_flags & (RECORD_UNLINKED | RECORD_GONE)) ? r : NULL;
}

static void facts_of_record(struct mbexamine *w, struct mailbox *m, uint32_t uid, struct facts *f)
{
	const struct record *r = find_record(m, uid);
	const struct mime_envelope *e = NULL;
	struct pool *pool = pool_new();
	struct mime_cache cache;

	f->there = r != NULL;
	if (r) {
		f->guid = r->guid;
		f->size = r->size;
		if (mbexamine_cached(m, r, &cache))
			e = mbexamine_fields(&cache, pool);
		f->day = mbexamine_day(e, record_internaldate(r));
	}
	if (e)
		take_fields(w, e, f);
	pool_free(&pool);
}

static void examine_bytes(struct mbexamine *w, struct span bytes, struct facts *f)
{
	struct pool *pool = pool_new();
	const struct mime_envelope *e = mime_scan(bytes, NULL, pool)->root->envelope;

	f->guid = guid_of(bytes);
	f->day = mbexamine_day(e, 0);
	take_fields(w, e, f);
	pool_free(&pool);
}

/* 1: it is there and open; 0: it is not. */
static int open_file(struct mailbox *m, uint32_t uid, int *fd, uint64_t *size, struct us_err *err)
{
	struct stat st;
	int rc = mailbox_open_message(m, uid, fd, err);

	if (rc == US_ENOENT)
		return 0;
	if (rc < 0)
		return rc;
	if (fstat(*fd, &st) < 0)
		return us_fail_errno(err, "stat");
	*size = (uint64_t)st.st_size;
	return 1;
}

static int facts_of_file(struct mbexamine *w, struct mailbox *m, uint32_t uid, struct facts *f,
			 struct us_err *err)
{
	void *map = NULL;
	int fd = -1, rc = open_file(m, uid, &fd, &f->size, err);

	f->there = rc > 0;
	if (rc > 0 && f->size)
		map = mmap(NULL, f->size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		rc = us_fail_errno(err, "map");
	else if (rc > 0)
		examine_bytes(w, span_make(map ? map : "", f->size), f);
	if (map && map != MAP_FAILED)
		munmap(map, f->size);
	io_close(&fd);
	return rc < 0 ? rc : 0;
}

/* ---- side by side -------------------------------------------------------------------------------------------- */

static void print_row(const char *what, bool here, const char *record, bool there, const char *file)
{
	printf("   %s: %-50s", what, here ? record : "");
	if (there)
		printf("\t%-50s", file);
	putchar('\n');
}

static void print_texts(const struct facts *record, const struct facts *file)
{
	char day[2][DATETIME_MAIL];

	datetime_format_mail((struct datetime){.time = record->day}, day[0]);
	datetime_format_mail((struct datetime){.time = file->day}, day[1]);
	print_row("Date", record->there, day[0], file->there, day[1]);
	print_row("From", record->there, record->from.data, file->there, file->from.data);
	print_row("Subj", record->there, record->subject.data, file->there, file->subject.data);
}

static void print_difference(uint32_t uid, const struct facts *record, const struct facts *file)
{
	char guid[2][GUID_HEX], size[2][24];

	guid_format(&record->guid, guid[0]);
	guid_format(&file->guid, guid[1]);
	snprintf(size[0], sizeof(size[0]), "%" PRIu64, record->size);
	snprintf(size[1], sizeof(size[1]), "%" PRIu64, file->size);
	printf("  UID: %08u\n", uid);
	print_row("GUID", record->there, guid[0], file->there, guid[1]);
	print_row("Size", record->there, size[0], file->there, size[1]);
	print_texts(record, file);
	putchar('\n');
}

static bool is_same(const struct facts *record, const struct facts *file)
{
	return record->there == file->there &&
	       (!record->there || guid_eq(&record->guid, &file->guid));
}

/* again: it looked wrong before; what is wrong now is. 1: it is as it should be, or that was printed; 0: it looks wrong. */
static int compare_message(struct mbexamine *w, struct mailbox *m, uint32_t uid, bool again)
{
	struct facts record = FACTS_INIT, file = FACTS_INIT;
	struct us_err err;
	bool same;
	int rc;

	facts_of_record(w, m, uid, &record);
	rc = facts_of_file(w, m, uid, &file, &err);
	same = rc < 0 || is_same(&record, &file);
	if (rc < 0) {
		mbexamine_complain(w, m, uid, &err);
	} else if (!same && again) {
		print_difference(uid, &record, &file);
		mbexamine_found(w);
	}
	facts_fini(&record);
	facts_fini(&file);
	return same || again;
}

static int add_file(void *ctx, const struct dirent *entry)
{
	uint64_t uid;

	if (message_file_uid(entry->d_name, &uid))
		keep_uid(ctx, (uint32_t)uid);
	return 0;
}

static int cmp_uids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Of records and of files; some twice. */
static int find_uids(struct mailbox *m, struct uids *uids, struct us_err *err)
{
	struct view_walk walk = view_walk(&m->view, 1);
	const struct record *r;
	int rc;

	while ((r = view_next(&m->view, &walk)))
		if (find_record(m, r->uid))
			keep_uid(uids, r->uid);
	rc = io_each_name(NULL, m->dir, ".", add_file, uids, err);
	if (uids->n)
		qsort(uids->list, uids->n, sizeof(uids->list[0]), cmp_uids);
	return rc;
}

static int compare_all(struct mbexamine *w, struct mailbox *m, struct us_err *err)
{
	struct uids uids = {0};
	int rc = find_uids(m, &uids, err);

	for (size_t i = 0; rc >= 0 && i < uids.n; i++) {
		if (i && uids.list[i] == uids.list[i - 1])
			continue;
		if (compare_message(w, m, uids.list[i], false))
			continue;
		rc = mailbox_refresh(m, err);
		if (rc >= 0)
			compare_message(w, m, uids.list[i], true);
	}
	free(uids.list);
	return rc < 0 ? rc : 0;
}

void mbexamine_compare(struct mbexamine *w, struct mailbox *m)
{
	struct us_err err;

	puts("\n Mailbox Header Info:");
	mbexamine_print_path(m);
	printf("\n%-56s\t%s\n", " Index Record Info:", "Message File Info:");
	if (compare_all(w, m, &err) < 0) {
		us_err_prefix(&err, "%s", m->name.data);
		tool_warn(&w->tool, &err);
		mbexamine_found(w);
	}
}

/* ---- sizes -------------------------------------------------------------------------------------------------- */

static bool check_size(struct mbexamine *w, struct mailbox *m, const struct record *r, bool tell,
		       uint64_t *total)
{
	struct us_err err;
	uint64_t size = 0;
	int fd = -1, rc = open_file(m, r->uid, &fd, &size, &err);

	if (rc == 0)
		rc = us_fail(&err, US_ECORRUPT, "Can not open message file -- skipping");
	if (tell && rc < 0)
		mbexamine_complain(w, m, r->uid, &err);
	if (tell && rc > 0 && size != r->size)
		printf("  Message %u has INCORRECT size in index record\n", r->uid);
	io_close(&fd);
	*total += size;
	return rc > 0 && size == r->size;
}

static bool check_sizes(struct mbexamine *w, struct mailbox *m, bool tell)
{
	struct view_walk walk = view_walk(&m->view, 1);
	const struct record *r;
	uint64_t total = 0;
	bool well = true;

	while ((r = view_next_live(&m->view, &walk)))
		well = check_size(w, m, r, tell, &total) && well;
	if (total == m->view.counters.bytes_live && (well || tell))
		puts("  Mailbox has CORRECT total quota usage");
	else if (tell)
		puts("  Mailbox has INCORRECT total quota usage");
	return well && total == m->view.counters.bytes_live;
}

void mbexamine_quota(struct mbexamine *w, struct mailbox *m)
{
	struct us_err err;

	if (check_sizes(w, m, false))
		return;
	if (mailbox_refresh(m, &err) < 0)
		mbexamine_complain(w, m, 0, &err);
	if (!check_sizes(w, m, true))
		mbexamine_found(w);
}
