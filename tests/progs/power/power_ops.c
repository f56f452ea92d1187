/* power_ops.c - what the writers do; see power_load.c for what they tell. */
#include "tests/progs/power/power.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"
#include "server/store/annotations.h"
#include "server/store/commit.h"
#include "server/store/compact.h"
#include "server/store/folder.h"
#include "server/store/message.h"
#include "server/store/quota.h"
#include "server/store/userdata.h"

#define NEWS "news"

static unsigned dice(struct worker *w, unsigned n)
{
	return (unsigned)rand_r(&w->seed) % n;
}

static struct box *any_box(struct worker *w)
{
	return &w->boxes[dice(w, (unsigned)w->n_boxes)];
}

void power_value(const struct mailbox *m, const struct record *r, struct buf *out)
{
	char hex[GUID_HEX];

	guid_format(&r->guid, hex);
	buf_printf(out, "%s/%x/", hex, r->system_flags);
	for (unsigned bit = 0; bit < USER_FLAGS; bit++)
		if (record_has_user_flag(r, bit))
			buf_printf(out, "%.*s,", SPAN_ARG(m->view.names.bit[bit].name));
	buf_printf(out, "/%x", r->internal_flags & RECORD_EXPUNGED);
}

/* " msg.ID.UID=VALUE"; `sep` '~' for a message that others may have changed since. */
static void tell_message(const struct mailbox *m, const struct record *r, char sep, struct buf *out)
{
	buf_printf(out, " msg.%.*s.%u%c", SPAN_ARG(m->row.uniqueid), r->uid, sep);
	power_value(m, r, out);
}

static void tell_modseq(const struct mailbox *m, struct buf *out)
{
	buf_printf(out, " box.%.*s.modseq=%llu", SPAN_ARG(m->row.uniqueid),
		   (unsigned long long)mailbox_highestmodseq(m));
}

static int open_locked(struct worker *w, const char *name, struct mailbox **out, struct us_err *err)
{
	int rc = mailbox_open(w->store, span_of(name), out, err);

	return rc < 0 ? rc : mailbox_lock(*out, err);
}

/* ---- new messages ------------------------------------------------------------------------------------ */

#define MOST_BODIES 10

struct bodies {
	struct stage *stage;
	struct staged staged[MOST_BODIES];
	size_t n;
};

static int stage_bodies(struct worker *w, struct bodies *b, size_t n, struct us_err *err)
{
	int rc = stage_open(store_default_partition(w->store), &b->stage, err);

	for (b->n = 0; rc == 0 && b->n < n; b->n++) {
		struct staged *s = &b->staged[b->n];
		struct buf text = BUF_INIT;
		char hex[GUID_HEX];
		*s = (struct staged){.fd = -1};
		buf_printf(&text, "From: a@example.net\r\nSubject: %u %u %u %zu\r\n\r\n", w->epoch,
			   w->number, w->count, b->n);
		for (unsigned i = dice(w, 400); i > 0; i--)
			buf_add_str(&text, "A line of a message that is not short.\r\n");
		rc = staged_begin(b->stage, NULL, s, err);
		if (rc == 0)
			rc = staged_write(s, text.data, text.len, err);
		if (rc == 0)
			rc = staged_end(s, 1770026460LL * 1000000000, err);
		buf_free(&text);
		if (rc < 0)
			break;
		guid_format(&s->guid, hex);
		buf_printf(&w->wish, " guid=%s", hex);
	}
	return rc;
}

static void drop_bodies(struct bodies *b)
{
	while (b->n > 0)
		staged_drop(&b->staged[--b->n], false);
	stage_close(&b->stage);
}

static int add(struct commit *c, struct staged *s, struct us_err *err)
{
	struct record r = {.internaldate_ns = 1770026460LL * 1000000000};

	return message_append(c, s, &r, NULL, err);
}

/* Those above a uid are ours: told while the lock is held. */
static void tell_new(struct mailbox *m, uint32_t above, struct buf *out)
{
	struct view_walk walk = view_walk(&m->view, above + 1);
	const struct record *r;

	while ((r = view_next(&m->view, &walk)))
		tell_message(m, r, '~', out);
	tell_modseq(m, out);
}

static int do_append(struct worker *w, struct us_err *err)
{
	struct bodies b = {0};
	struct mailbox *m = NULL;
	struct commit *c = NULL;
	uint32_t before = 0;
	int rc = stage_bodies(w, &b, 1 + dice(w, dice(w, 4) ? 3 : MOST_BODIES), err);

	if (rc == 0) {
		power_wish(w);
		rc = open_locked(w, any_box(w)->name, &m, err);
	}
	if (rc == 0) {
		before = m->view.counters.last_uid;
		rc = commit_begin(m, &c, err);
	}
	for (size_t i = 0; rc == 0 && i < b.n; i++)
		rc = add(c, &b.staged[i], err);
	if (rc == 0)
		rc = commit_finish(&c, err);
	if (rc == 0)
		tell_new(m, before, &w->done);
	commit_abort(&c);
	mailbox_close(&m);
	drop_bodies(&b);
	return rc;
}

#define MOST_TO 3

struct delivery {
	struct mailbox_locking m[MOST_TO];
	uint32_t before[MOST_TO];
	size_t n;
};

static int open_recipients(struct worker *w, struct delivery *d, struct us_err *err)
{
	unsigned others = w->n_workers - 1;
	char other[20];
	const char *to[MOST_TO] = {w->boxes[0].name, NEWS, other};
	size_t n = others ? MOST_TO : MOST_TO - 1;
	int rc = 0;

	snprintf(other, sizeof(other), "user.u%u",
		 others ? (w->number + 1 + dice(w, others)) % w->n_workers : 0);
	for (; rc == 0 && d->n < n; d->n++)
		rc = mailbox_open(w->store, span_of(to[d->n]), &d->m[d->n].m, err);
	return rc;
}

/* One commit each, ended together. */
static void commit_to_all(struct delivery *d, struct staged *s)
{
	struct commit_end end[MOST_TO] = {0};
	size_t ends = 0, of[MOST_TO];

	for (size_t i = 0; i < d->n; i++) {
		struct mailbox_locking *to = &d->m[i];
		struct commit *c = NULL;
		if (to->rc < 0)
			continue;
		d->before[i] = to->m->view.counters.last_uid;
		to->rc = commit_begin(to->m, &c, &to->err);
		if (to->rc == 0)
			to->rc = add(c, s, &to->err);
		if (to->rc < 0) {
			commit_abort(&c);
			continue;
		}
		of[ends] = i;
		end[ends++].commit = c;
	}
	commit_finish_all(end, ends);
	for (size_t i = 0; i < ends; i++) {
		d->m[of[i]].rc = end[i].rc;
		d->m[of[i]].err = end[i].err;
	}
}

/* To his INBOX, to the shared one on the other partition, and to somebody else's. */
static int do_deliver(struct worker *w, struct us_err *err)
{
	struct delivery d = {0};
	struct bodies b = {0};
	int rc = stage_bodies(w, &b, 1, err);

	if (rc == 0) {
		power_wish(w);
		rc = open_recipients(w, &d, err);
	}
	if (rc == 0) {
		mailbox_lock_many(d.m, d.n, /* wait */ true);
		commit_to_all(&d, &b.staged[0]);
	}
	for (size_t i = 0; i < d.n; i++) {
		if (d.m[i].m && d.m[i].rc == 0 && rc == 0)
			tell_new(d.m[i].m, d.before[i], &w->done);
		else if (rc == 0 && (rc = d.m[i].rc) < 0)
			*err = d.m[i].err;
		mailbox_close(&d.m[i].m);
	}
	drop_bodies(&b);
	return rc;
}

/* Up to three live messages of it, from a uid chosen at random: told as wishes. */
static unsigned choose_some(struct worker *w, struct mailbox *from)
{
	struct view_walk walk =
		view_walk(&from->view, 1 + dice(w, from->view.counters.last_uid + 1));
	const struct record *r;
	char hex[GUID_HEX];
	unsigned n = 0;

	while (n < 3 && (r = view_next_live(&from->view, &walk))) {
		guid_format(&r->guid, hex);
		buf_printf(&w->wish, " guid=%s", hex);
		n++;
	}
	return n;
}

static int copy_one(struct commit *c, struct mailbox *from, const struct record *r,
		    struct us_err *err)
{
	struct commit_source source = {.mailbox = from, .uid = r->uid};
	struct record copy = *r;

	copy.uid = 0;
	copy.modseq = copy.createdmodseq = 0;
	copy.user_flags[0] = copy.user_flags[1] = 0;
	copy.annot_crc = copy.annot_bytes = 0;
	copy.cache_version = 0;
	return commit_append(c, &copy, &source, SPAN_LIT(""), NULL, err);
}

/* What was chosen, into a mailbox that is locked. */
static int copy_chosen(struct worker *w, struct mailbox *from, struct mailbox *to,
		       struct us_err *err)
{
	struct view_walk walk = view_walk(&from->view, 1);
	uint32_t before = to->view.counters.last_uid;
	struct commit *c = NULL;
	const struct record *r;
	char hex[GUID_HEX];
	int rc = commit_begin(to, &c, err);

	while (rc == 0 && (r = view_next_live(&from->view, &walk))) {
		guid_format(&r->guid, hex);
		if (strstr(w->wish.data, hex))
			rc = copy_one(c, from, r, err);
	}
	if (rc == 0)
		rc = commit_finish(&c, err);
	if (rc == 0)
		tell_new(to, before, &w->done);
	commit_abort(&c);
	return rc;
}

static int do_copy(struct worker *w, struct us_err *err)
{
	const char *to = dice(w, 3) ? any_box(w)->name : NEWS;
	struct mailbox *from = NULL, *m = NULL;
	int rc = mailbox_open(w->store, span_of(any_box(w)->name), &from, err);

	if (rc == 0 && !span_is(buf_span(&from->name), to) && choose_some(w, from)) {
		power_wish(w);
		rc = open_locked(w, to, &m, err);
		if (rc == 0)
			rc = copy_chosen(w, from, m, err);
	}
	mailbox_close(&m);
	mailbox_close(&from);
	return rc;
}

/* ---- messages that are there ------------------------------------------------------------------------- */

#define MOST_CHANGES 3
typedef void change_fn(struct worker *w, struct record *r, unsigned bit);

/* What up to three of them shall become: told as wishes. */
static unsigned wish_changes(struct worker *w, struct mailbox *m, unsigned bit, change_fn *change,
			     struct record *wanted)
{
	struct view_walk walk = view_walk(&m->view, 1 + dice(w, m->view.counters.last_uid + 1));
	const struct record *r;
	unsigned n = 0;

	while (n < MOST_CHANGES && (r = view_next_live(&m->view, &walk))) {
		wanted[n] = *r;
		change(w, &wanted[n], bit);
		tell_message(m, &wanted[n++], '=', &w->wish);
	}
	return n;
}

static int put_changes(struct commit **c, struct record *wanted, unsigned n, struct us_err *err)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < n; i++) {
		wanted[i].modseq = commit_modseq(*c);
		wanted[i].last_updated = store_now();
		rc = commit_put(*c, &wanted[i], err);
	}
	return rc < 0 ? rc : commit_finish(c, err);
}

static void tell_changed(struct mailbox *m, const struct record *wanted, unsigned n,
			 struct buf *out)
{
	for (unsigned i = 0; i < n; i++)
		tell_message(m, view_find(&m->view, wanted[i].uid), '=', out);
	tell_modseq(m, out);
}

static int change_some(struct worker *w, change_fn *change, struct us_err *err)
{
	struct mailbox *m = NULL;
	struct commit *c = NULL;
	struct record wanted[MOST_CHANGES];
	unsigned n = 0, bit = 0;
	int rc = open_locked(w, any_box(w)->name, &m, err);

	if (rc == 0)
		rc = commit_begin(m, &c, err);
	if (rc == 0)
		rc = commit_flag_bit(c, SPAN_LIT("$Forwarded"), &bit, err);
	if (rc == 0 && (n = wish_changes(w, m, bit, change, wanted)) > 0) {
		power_wish(w);
		rc = put_changes(&c, wanted, n, err);
		if (rc == 0)
			tell_changed(m, wanted, n, &w->done);
	}
	commit_abort(&c);
	mailbox_close(&m);
	return rc;
}

static void change_flags(struct worker *w, struct record *r, unsigned bit)
{
	r->system_flags = dice(w, 32);
	record_set_user_flag(r, bit, dice(w, 2));
}

static void change_to_expunged(struct worker *w UNUSED, struct record *r, unsigned bit UNUSED)
{
	r->internal_flags |= RECORD_EXPUNGED;
}

static int do_flags(struct worker *w, struct us_err *err)
{
	return change_some(w, change_flags, err);
}

static int do_expunge(struct worker *w, struct us_err *err)
{
	return change_some(w, change_to_expunged, err);
}

/* Expunged ones leave; sometimes the journal is folded as well. */
static int do_unlink(struct worker *w, struct us_err *err)
{
	struct mailbox *m = NULL;
	struct commit *c = NULL;
	struct view_walk walk;
	const struct record *r;
	uint32_t uid = 0;
	int rc = open_locked(w, any_box(w)->name, &m, err);

	if (rc == 0) {
		walk = view_walk(&m->view, 1);
		while (!uid && (r = view_next(&m->view, &walk)))
			uid = record_is_live(r) ? 0 : r->uid;
	}
	if (rc == 0 && uid) {
		buf_printf(&w->wish, " msg.%.*s.%u=gone", SPAN_ARG(m->row.uniqueid), uid);
		power_wish(w);
		rc = commit_begin(m, &c, err);
		if (rc == 0)
			rc = commit_unlink(c, uid, uid, err);
		if (rc == 0)
			rc = commit_finish(&c, err);
		if (rc == 0)
			buf_add_span(&w->done, buf_span(&w->wish));
	}
	if (rc == 0 && dice(w, 3) == 0)
		rc = compact(m, err);
	commit_abort(&c);
	mailbox_close(&m);
	return rc;
}

/* ---- names ----------------------------------------------------------------------------------------- */

static int do_create(struct worker *w, struct us_err *err)
{
	struct folder_create options = {.acl = SPAN_LIT("anyone\tlr\t"),
					.partition = dice(w, 4) ? SPAN_NULL : SPAN_LIT("p2")};
	struct box *box = &w->boxes[w->n_boxes];
	int rc;

	if (w->n_boxes == MOST_BOXES)
		return 0;
	snprintf(box->uniqueid, sizeof(box->uniqueid), "id-%u-%u-%u", w->number, w->epoch,
		 w->count);
	snprintf(box->name, sizeof(box->name), "user.u%u.c-%u-%u", w->number, w->epoch, w->count);
	options.uniqueid = span_of(box->uniqueid);
	buf_printf(&w->wish, " box.%s.name=%s", box->uniqueid, box->name);
	power_wish(w);
	rc = folder_create(w->store, span_of(box->name), &options, err);
	if (rc == 0) {
		buf_add_span(&w->done, buf_span(&w->wish));
		w->n_boxes++;
	}
	return rc;
}

static int do_rename(struct worker *w, struct us_err *err)
{
	struct box *box = any_box(w);
	struct span partition = dice(w, 4)   ? SPAN_NULL
				: dice(w, 2) ? SPAN_LIT("p2")
					     : SPAN_LIT("default");
	char name[120];
	int rc;

	if (box == w->boxes)
		return 0;
	snprintf(name, sizeof(name), "user.u%u.r-%u-%u", w->number, w->epoch, w->count);
	buf_printf(&w->wish, " box.%s.name=%s", box->uniqueid, name);
	power_wish(w);
	rc = folder_rename(w->store, span_of(box->name), span_of(name), partition, 0, err);
	if (rc == 0) {
		buf_add_span(&w->done, buf_span(&w->wish));
		snprintf(box->name, sizeof(box->name), "%s", name);
	}
	return rc;
}

static int do_delete(struct worker *w, struct us_err *err)
{
	struct box *box = any_box(w);
	int rc;

	if (box == w->boxes || w->n_boxes < 4)
		return 0;
	buf_printf(&w->wish, " box.%s.name=gone", box->uniqueid);
	power_wish(w);
	rc = folder_delete(w->store, span_of(box->name),
			   dice(w, 2) ? FOLDER_DELETE_NOW : FOLDER_DELETE_TRASH, err);
	if (rc == 0) {
		buf_add_span(&w->done, buf_span(&w->wish));
		*box = w->boxes[--w->n_boxes];
	}
	return rc;
}

/* ---- what else there is ------------------------------------------------------------------------------- */

static int do_acl(struct worker *w, struct us_err *err)
{
	struct mailbox *m = NULL;
	char acl[60];
	int rc = open_locked(w, any_box(w)->name, &m, err);

	snprintf(acl, sizeof(acl), "anyone\tlr\tx%u\tlr\t", w->count);
	if (rc == 0) {
		buf_printf(&w->wish, " box.%.*s.acl=anyone|lr|x%u|lr|", SPAN_ARG(m->row.uniqueid),
			   w->count);
		power_wish(w);
		rc = folder_set_acl(m, span_of(acl), err);
	}
	if (rc == 0)
		buf_add_span(&w->done, buf_span(&w->wish));
	if (rc == 0)
		tell_modseq(m, &w->done);
	mailbox_close(&m);
	return rc;
}

static int do_annotation(struct worker *w, struct us_err *err)
{
	struct mailbox *m = NULL;
	char value[20];
	int rc = open_locked(w, any_box(w)->name, &m, err);

	snprintf(value, sizeof(value), "v%u", w->count);
	if (rc == 0) {
		buf_printf(&w->wish, " ann.%.*s./comment=%s", SPAN_ARG(m->row.uniqueid), value);
		power_wish(w);
		rc = annotation_set(m, SPAN_LIT("/comment"), SPAN_LIT(""), span_of(value), err);
	}
	if (rc == 0)
		buf_add_span(&w->done, buf_span(&w->wish));
	mailbox_close(&m);
	return rc;
}

static int do_subscribe(struct worker *w, struct us_err *err)
{
	const char *names[] = {"a", "b", "c", "d"}, *name = names[dice(w, 4)];
	char user[12];
	bool on = dice(w, 2);
	int rc;

	snprintf(user, sizeof(user), "u%u", w->number);
	buf_printf(&w->wish, " sub.%s.%s=%d", user, name, on);
	power_wish(w);
	rc = subscription_set(w->store, span_of(user), span_of(name), on, err);
	if (rc == 0)
		buf_add_span(&w->done, buf_span(&w->wish));
	return rc;
}

static int do_seen(struct worker *w, struct us_err *err)
{
	struct state_seen seen = {.uniqueid = SPAN_LIT(NEWS),
				  .lastread = 1770000000,
				  .lastuid = w->count,
				  .seenuids = SPAN_LIT("1")};
	char user[12];
	int rc;

	snprintf(user, sizeof(user), "u%u", w->number);
	buf_printf(&w->wish, " seen.%s." NEWS "=%u", user, w->count);
	power_wish(w);
	rc = seen_set(w->store, span_of(user), &seen, err);
	if (rc == 0)
		buf_add_span(&w->done, buf_span(&w->wish));
	return rc;
}

static int do_quota(struct worker *w, struct us_err *err)
{
	struct state_quota quota = {.root = span_of(w->boxes[0].name),
				    .limit = {1000000 + w->count, -1, -1, -1}};
	int rc;

	buf_printf(&w->wish, " quota.%s=%u", w->boxes[0].name, 1000000 + w->count);
	power_wish(w);
	rc = quota_set(w->store, &quota, err);
	if (rc == 0)
		buf_add_span(&w->done, buf_span(&w->wish));
	return rc;
}

/* ---- choosing -------------------------------------------------------------------------------------------- */

int power_step(struct worker *w, struct us_err *err)
{
	static const struct {
		int (*run)(struct worker *w, struct us_err *err);
		unsigned weight;
	} steps[] = {{do_append, 8},  {do_deliver, 8}, {do_copy, 5},       {do_flags, 8},
		     {do_expunge, 3}, {do_unlink, 3},  {do_create, 4},     {do_rename, 4},
		     {do_delete, 2},  {do_acl, 2},     {do_annotation, 2}, {do_subscribe, 3},
		     {do_seen, 2},    {do_quota, 1}};
	unsigned all = 0, at;
	size_t i = 0;

	for (size_t k = 0; k < ARRAY_SIZE(steps); k++)
		all += steps[k].weight;
	at = dice(w, all);
	while (at >= steps[i].weight)
		at -= steps[i++].weight;
	return steps[i].run(w, err);
}

static int note_box(void *ctx, struct span name, const struct mailbox_row *row,
		    struct us_err *err UNUSED)
{
	struct worker *w = ctx;
	struct box *box = &w->boxes[w->n_boxes];

	if (!mailbox_row_is_real(row) || w->n_boxes == MOST_BOXES)
		return 0;
	snprintf(box->name, sizeof(box->name), "%.*s", SPAN_ARG(name));
	snprintf(box->uniqueid, sizeof(box->uniqueid), "%.*s", SPAN_ARG(row->uniqueid));
	w->n_boxes++;
	return 0;
}

/* Everybody's INBOX and the shared one are made by whoever comes first. */
static int make_if_missing(struct worker *w, const char *name, const char *partition,
			   struct us_err *err)
{
	struct folder_create options = {.uniqueid = span_of(name),
					.partition = span_of(partition),
					.acl = SPAN_LIT("anyone\tlrsi\t")};
	int rc = folder_create(w->store, span_of(name), &options, err);

	return rc == US_EEXIST ? 0 : rc;
}

int power_begin(struct worker *w, struct us_err *err)
{
	char name[20];
	int rc = make_if_missing(w, NEWS, "p2", err);

	for (unsigned i = 0; rc == 0 && i < w->n_workers; i++) {
		snprintf(name, sizeof(name), "user.u%u", i);
		rc = make_if_missing(w, name, "", err);
	}
	snprintf(name, sizeof(name), "user.u%u", w->number);
	w->n_boxes = 0;
	return rc < 0 ? rc : folder_list_tree(w->store, span_of(name), note_box, w, err);
}
