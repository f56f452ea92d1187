/* dump.c - everything a store shows, as text that two runs can be compared by; see walk.h.
 *
 * Left out is what differs from run to run: store ids, times, and the time in the name of a deleted mailbox. Put in
 * is every row of every table, every record, and the names of the files beside them.
 */
#include "tests/unit/store/walk/walk.h"

#include <dirent.h>
#include <fcntl.h>

#include "server/store/annots.h"
#include "server/store/rows.h"
#include "server/store/mboxname.h"
#include "server/store/view.h"
#include "server/base/io.h"

void walk_complain(struct walk *w, const char *fmt, ...)
{
	struct walk_shared *s = w->shared;
	size_t room = sizeof(s->complaints) - s->complaints_len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(s->complaints + s->complaints_len, room, fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n + 2 < room) {
		s->complaints_len += (size_t)n;
		s->complaints[s->complaints_len++] = '\n';
		s->complaints[s->complaints_len] = '\0';
	}
}

/* ---- without what differs ------------------------------------------------------------------------ */

static size_t count_of(const char *s, const char *set)
{
	return strspn(s, set);
}

/* "TIME 123" and " M 123" lose their number, "S <32 hex>" its id, "DELETED.x.5F3A..." its time. */
static void add_plain(struct buf *out, const char *text)
{
	static const char digits[] = "0123456789", hex[] = "0123456789abcdefABCDEF";
	static const struct {
		const char *key, *set;
		size_t least;
	} fields[] = {{"TIME ", digits, 1},
		      {"SINCE ", digits, 1},
		      {" M ", digits, 1},
		      {" S ", hex, 32},
		      {"(S ", hex, 32}};
	const char *deleted = NULL;

	while (*text) {
		size_t skip = 0, i;
		for (i = 0; i < ARRAY_SIZE(fields) && !skip; i++) {
			size_t len = strlen(fields[i].key), n;
			if (strncmp(text, fields[i].key, len) != 0)
				continue;
			n = count_of(text + len, fields[i].set);
			if (n >= fields[i].least) {
				buf_printf(out, "%s*", fields[i].key);
				skip = len + n;
			}
		}
		if (strncmp(text, "DELETED.", 8) == 0)
			deleted = text;
		if (strchr(" ()|\n\"", *text))
			deleted = NULL;
		if (!skip && deleted && *text == '.' && count_of(text + 1, hex) == 8 &&
		    (!text[9] || strchr(" ()|\n\"", text[9]))) {
			buf_add_str(out, ".T");
			skip = 9;
		}
		if (!skip)
			buf_add_char(out, *text);
		text += skip ? skip : 1;
	}
}

/* A key as text: separators of names are dots, NULs are bars. */
static void add_key(struct buf *out, struct span key)
{
	for (size_t i = 0; i < key.len; i++) {
		unsigned char c = (unsigned char)key.ptr[i];
		if (c == MBOXNAME_KEYSEP)
			buf_add_char(out, '.');
		else if (c == 0)
			buf_add_char(out, '|');
		else
			buf_add_char(out, (char)c);
	}
}

/* ---- metadata ------------------------------------------------------------------------------------ */

struct rows {
	struct walk *w;
	enum meta_table table;
	struct buf *raw;
};

struct claim {
	struct storeid id;
	struct buf name;
	bool found;
};

static int look_for_claim(void *ctx, struct span name, const struct mailbox_row *row,
			  struct us_err *err UNUSED)
{
	struct claim *c = ctx;

	if (!row->has_storeid || storeid_cmp(&row->storeid, &c->id) != 0)
		return 0;
	c->found = true;
	buf_add_span(&c->name, name);
	return 1;
}

/* "M", a store id in 16 bytes, entry NUL user: the id becomes the mailbox's name. */
static void add_annotation_key(struct rows *r, struct span key)
{
	struct claim c = {.name = BUF_INIT};

	if (key.ptr[0] != 'M' || key.len < 17) {
		add_key(r->raw, key);
		return;
	}
	memcpy(&c.id, key.ptr + 1, 16);
	(void)folder_list(r->w->store, SPAN_NULL, look_for_claim, &c, NULL);
	if (!c.found)
		walk_complain(r->w, "annotations of a mailbox that does not exist");
	buf_printf(r->raw, "M %.*s ", SPAN_ARG(buf_span(&c.name)));
	add_key(r->raw, span_from(key, 17));
	buf_free(&c.name);
}

static int add_row(void *ctx, struct span key, struct span payload,
		   const struct meta_stamp *stamp UNUSED)
{
	struct rows *r = ctx;

	buf_printf(r->raw, "row %s ", meta_table_name(r->table));
	if (r->table == META_ANNOTATIONS)
		add_annotation_key(r, key);
	else
		add_key(r->raw, key);
	buf_printf(r->raw, " = %.*s\n", SPAN_ARG(payload));
	return 0;
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Annotations are in the order of store ids, which differ: bring all lines in that of their text. */
static void sort_lines(struct buf *text)
{
	struct span rest = buf_span(text), line;
	struct buf sorted = BUF_INIT;
	char **lines = NULL;
	size_t n = 0, cap = 0;

	while (span_split(&rest, '\n', &line)) {
		us_grow(&lines, n, &cap, sizeof(lines[0]));
		lines[n++] = span_dup(line);
	}
	qsort(lines, n, sizeof(lines[0]), compare_lines);
	for (size_t i = 0; i < n; i++) {
		if (lines[i][0])
			buf_printf(&sorted, "%s\n", lines[i]);
		free(lines[i]);
	}
	free(lines);
	buf_clear(text);
	buf_add_span(text, buf_span(&sorted));
	buf_free(&sorted);
}

static void dump_rows(struct walk *w, struct buf *raw)
{
	struct us_err err;

	for (unsigned t = 0; t < META_N_TABLES; t++) {
		struct rows r = {w, (enum meta_table)t, raw};
		if (t == META_COUNTERS)
			continue;
		assert_ok(meta_range(store_meta(w->store), r.table, SPAN_NULL, SPAN_NULL, 0,
				     add_row, &r, &err),
			  &err);
	}
	sort_lines(raw);
}

/* by_uniqueid and the mailboxes say the same. */
static int check_uniqueid(void *ctx, struct span name, const struct mailbox_row *row,
			  struct us_err *err)
{
	struct walk *w = ctx;
	struct buf found = BUF_INIT;

	if (row->uniqueid.len) {
		int rc = mailbox_name_of_uniqueid(w->store, row->uniqueid, &found, err);
		if (rc <= 0 || !span_eq(buf_span(&found), name))
			walk_complain(w, "the uniqueid of %.*s leads to %s", SPAN_ARG(name),
				      rc > 0 ? found.data : "nothing");
	}
	buf_free(&found);
	return 0;
}

static int check_name(void *ctx, struct span key, struct span payload,
		      const struct meta_stamp *stamp UNUSED)
{
	struct walk *w = ctx;
	struct pool *pool = pool_new();
	struct mailbox_row row;

	if (mailbox_row_get(w->store, payload, pool, &row, NULL, NULL, NULL) <= 0 ||
	    !span_eq(row.uniqueid, key))
		walk_complain(w, "uniqueid %.*s leads to %.*s, which is not it", SPAN_ARG(key),
			      SPAN_ARG(payload));
	pool_free(&pool);
	return 0;
}

static void check_names(struct walk *w)
{
	struct us_err err;

	assert_ok(folder_list(w->store, SPAN_NULL, check_uniqueid, w, &err), &err);
	assert_ok(meta_range(store_meta(w->store), META_BY_UNIQUEID, SPAN_NULL, SPAN_NULL, 0,
			     check_name, w, &err),
		  &err);
}

/* ---- mailboxes ----------------------------------------------------------------------------------- */

struct each {
	struct walk *w;
	void (*fn)(struct walk *w, struct mailbox *m);
};

static int open_one(void *ctx, struct span name, const struct mailbox_row *row,
		    struct us_err *err UNUSED)
{
	struct each *e = ctx;
	struct mailbox *m;
	struct us_err why;

	if (!mailbox_row_is_real(row))
		return 0;
	if (mailbox_open(e->w->store, name, &m, &why) < 0) {
		walk_complain(e->w, "%.*s cannot be opened: %s", SPAN_ARG(name), why.text);
		return 0;
	}
	e->fn(e->w, m);
	mailbox_close(&m);
	return 0;
}

int walk_each_mailbox(struct walk *w, void (*fn)(struct walk *w, struct mailbox *m))
{
	struct each e = {w, fn};
	struct us_err err;

	return folder_list(w->store, SPAN_NULL, open_one, &e, &err);
}

static void settle_one(struct walk *w, struct mailbox *m)
{
	struct us_err err;

	if (mailbox_lock(m, &err) < 0)
		walk_complain(w, "%s cannot be locked: %s", m->name.data, err.text);
	else
		mailbox_unlock(m);
}

void walk_settle(struct walk *w)
{
	assert_int_equal(walk_each_mailbox(w, settle_one), 0);
}

static void check_file(struct walk *w, struct mailbox *m, const struct record *r)
{
	struct buf bytes = BUF_INIT;
	struct guid guid;
	struct us_err err;
	char name[16];

	message_file_name(r->uid, name);
	if (io_read_file(m->dir, name, 1u << 20, &bytes, &err) < 0) {
		walk_complain(w, "%s: message %u: %s", m->name.data, r->uid, err.text);
	} else {
		guid = guid_of(buf_span(&bytes));
		if (!guid_eq(&guid, &r->guid) || bytes.len != r->size)
			walk_complain(w, "%s: message %u is another one", m->name.data, r->uid);
	}
	buf_free(&bytes);
}

static void dump_record(struct walk *w, struct mailbox *m, const struct record *r, struct buf *raw)
{
	const struct state_annotation *annots;
	char hex[GUID_HEX];
	size_t n;

	guid_format(&r->guid, hex);
	buf_printf(raw,
		   "  %u %s size %llu modseq %llu created %llu date %lld system %x internal %x",
		   r->uid, hex, (unsigned long long)r->size, (unsigned long long)r->modseq,
		   (unsigned long long)r->createdmodseq, (long long)record_internaldate(r),
		   r->system_flags, r->internal_flags);
	for (unsigned bit = 0; bit < USER_FLAGS; bit++)
		if (record_has_user_flag(r, bit))
			buf_printf(raw, " %.*s", SPAN_ARG(m->view.names.bit[bit].name));
	annots = annots_of(&m->view.annots, r->uid, &n);
	for (size_t i = 0; i < n; i++)
		buf_printf(raw, " [%.*s|%.*s=%.*s]", SPAN_ARG(annots[i].entry),
			   SPAN_ARG(annots[i].userid), SPAN_ARG(annots[i].value));
	buf_add_char(raw, '\n');
	if (!(r->internal_flags & RECORD_UNLINKED))
		check_file(w, m, r);
}

/* Expunged records that came without a message: there may be thousands, so they are only added up. */
struct bare {
	unsigned n;
	unsigned long long uids, modseqs;
};

static void add_bare(struct bare *b, const struct record *r)
{
	b->n++;
	b->uids += r->uid;
	b->modseqs += r->modseq;
}

struct dumping {
	struct walk *w;
	struct buf *raw;
};

static int dump_mailbox(void *ctx, struct span name, const struct mailbox_row *row,
			struct us_err *err UNUSED)
{
	struct dumping *d = ctx;
	struct bare bare = {0};
	struct mailbox *m;
	struct view_walk walk;
	const struct counters *c;
	const struct record *r;
	struct us_err why;

	if (!mailbox_row_is_real(row))
		return 0;
	if (mailbox_open(d->w->store, name, &m, &why) < 0) {
		walk_complain(d->w, "%.*s cannot be opened: %s", SPAN_ARG(name), why.text);
		return 0;
	}
	c = &m->view.counters;
	buf_printf(d->raw,
		   "mailbox %s uidvalidity %u last_uid %u modseq %llu created %llu deleted %llu "
		   "options %x recent %u\n",
		   m->name.data, c->uidvalidity, c->last_uid,
		   (unsigned long long)mailbox_highestmodseq(m),
		   (unsigned long long)c->createdmodseq, (unsigned long long)c->deletedmodseq,
		   c->options, c->recentuid);
	walk = view_walk(&m->view, 1);
	while ((r = view_next(&m->view, &walk))) {
		if (r->size)
			dump_record(d->w, m, r, d->raw);
		else
			add_bare(&bare, r);
	}
	buf_printf(d->raw, "  %u without a message, uids %llu modseqs %llu\n", bare.n, bare.uids,
		   bare.modseqs);
	rig_check_counters(m);
	mailbox_close(&m);
	return 0;
}

void walk_dump(struct walk *w, struct buf *out)
{
	struct buf raw = BUF_INIT;
	struct dumping d = {w, &raw};
	struct us_err err;

	dump_rows(w, &raw);
	check_names(w);
	assert_ok(folder_list(w->store, SPAN_NULL, dump_mailbox, &d, &err), &err);
	add_plain(out, raw.data);
	buf_free(&raw);
}
