/* selected.c - see selected.h: opening, numbers, flags. News are selected_news.c's. */
#include "server/imap/annotate_change.h"
#include "server/imap/selected.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/imap/access.h"
#include "server/imap/reply.h"
#include "server/imap/selected_private.h"
#include "server/imap/session.h"
#include "server/store/commit.h"
#include "server/store/userdata.h"

/* ---- seen state of somebody else than the owner ---------------------------------------------------- */

bool seen_is_own(const struct imap_session *s, struct span name, uint32_t options)
{
	return options & MAILBOX_OPTION_SHARED_SEEN || host_owns(s->host, s->identity, name);
}

static struct span user_of(const struct selected *sel)
{
	return span_of(sel->session->identity->user);
}

static struct store *store_of(const struct selected *sel)
{
	return sel->session->host->store;
}

/* Every UID that is in exactly one of the sets, if it has a number, goes to *out. */
static void add_difference(const struct uidset *a, const struct uidset *b, uint32_t last_uid,
			   struct uidset *out)
{
	struct uidset only = UIDSET_INIT;

	for (size_t i = 0; i < a->n; i++)
		uidset_add(&only, a->range[i].low, a->range[i].high);
	for (size_t i = 0; i < b->n; i++)
		uidset_remove(&only, b->range[i].low, b->range[i].high);
	for (size_t i = 0; i < only.n && only.range[i].low <= last_uid; i++)
		uidset_add(out, only.range[i].low,
			   only.range[i].high < last_uid ? only.range[i].high : last_uid);
	uidset_free(&only);
}

static void take_seen(struct selected *sel, const struct state_seen *row)
{
	struct uidset now = UIDSET_INIT;

	sel->seen_last_uid = row->lastuid;
	if (span_eq(row->seenuids, buf_span(&sel->seen_text)))
		return;
	if (!uidset_parse(row->seenuids, &now))
		log_event(LOG_WARNING, "imap.seen.bad", LF_STR("mailbox", sel->mailbox->name.data));
	add_difference(&now, &sel->seen, sel->last_uid, &sel->changed);
	add_difference(&sel->seen, &now, sel->last_uid, &sel->changed);
	uidset_free(&sel->seen);
	sel->seen = now;
	buf_clear(&sel->seen_text);
	buf_add_span(&sel->seen_text, row->seenuids);
}

int selected_read_seen(struct selected *sel, struct us_err *err)
{
	struct pool *pool = pool_new();
	struct state_seen row;
	int rc = seen_get(store_of(sel), user_of(sel), sel->mailbox->row.uniqueid, pool, &row, err);

	if (rc > 0)
		take_seen(sel, &row);
	pool_free(&pool);
	return rc < 0 ? rc : 0;
}

static int write_seen(struct selected *sel, uint32_t last_uid, struct us_err *err)
{
	struct buf text = BUF_INIT;
	struct state_seen row = {.uniqueid = sel->mailbox->row.uniqueid,
				 .lastread = store_now(),
				 .lastuid = last_uid,
				 .lastchange = store_now()};
	int rc;

	uidset_format(&sel->seen, &text);
	row.seenuids = buf_span(&text);
	rc = seen_set(store_of(sel), user_of(sel), &row, err);
	if (rc == 0) {
		sel->seen_last_uid = last_uid;
		buf_clear(&sel->seen_text);
		buf_add_span(&sel->seen_text, buf_span(&text));
	}
	buf_free(&text);
	return rc;
}

/* Another session of the same user may write the same row: both do it under the mailbox's lock, and selected_lock() has
 * read it. */
int selected_set_seen(struct selected *sel, const struct uidset *uids, bool on, struct us_err *err)
{
	bool was_locked = sel->mailbox->locked;
	int rc = was_locked ? 0 : selected_lock(sel, err);

	us_assert(!sel->own_seen);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < uids->n; i++)
		(on ? uidset_add : uidset_remove)(&sel->seen, uids->range[i].low,
						  uids->range[i].high);
	rc = write_seen(sel, sel->seen_last_uid, err);
	if (!was_locked)
		selected_unlock(sel, 0);
	return rc;
}

/* ---- \Recent --------------------------------------------------------------------------------------- */

static uint32_t recent_uid(const struct selected *sel)
{
	return sel->own_seen ? sel->mailbox->view.counters.recentuid : sel->seen_last_uid;
}

static int commit_recent(struct selected *sel, struct us_err *err)
{
	struct commit *c = NULL;
	int rc = commit_begin(sel->mailbox, &c, err);

	if (rc < 0)
		return rc;
	commit_counters(c)->recentuid = commit_counters(c)->last_uid;
	commit_counters(c)->recenttime = store_now();
	return commit_finish(&c, err);
}

/* Under the lock: who comes second finds that there is nothing left to claim. */
static int claim(struct selected *sel, uint32_t *from, struct us_err *err)
{
	int rc = mailbox_lock(sel->mailbox, err);

	if (rc < 0)
		return rc;
	if (!sel->own_seen)
		rc = selected_read_seen(sel, err);
	*from = recent_uid(sel);
	if (rc == 0 && *from < sel->mailbox->view.counters.last_uid)
		rc = sel->own_seen ? commit_recent(sel, err)
				   : write_seen(sel, sel->mailbox->view.counters.last_uid, err);
	mailbox_unlock(sel->mailbox);
	return rc;
}

void selected_claim_recent(struct selected *sel)
{
	struct us_err err = US_ERR_INIT;
	uint32_t from = recent_uid(sel);
	int rc = 0;

	if (from < sel->last_uid && sel->read_only)
		from = sel->last_uid;
	if (from >= sel->mailbox->view.counters.last_uid)
		return;
	if (!sel->read_only)
		rc = claim(sel, &from, &err);
	if (rc < 0)
		log_event(LOG_WARNING, "imap.recent.unclaimed",
			  LF_STR("mailbox", sel->mailbox->name.data), LF_ERR(&err));
	else if (from < sel->mailbox->view.counters.last_uid)
		uidset_add(&sel->recents, from + 1, sel->mailbox->view.counters.last_uid);
}

bool selected_is_recent(const struct selected *sel, uint32_t uid)
{
	return uidset_has(&sel->recents, uid);
}

/* ---- opening --------------------------------------------------------------------------------------- */

static uint32_t count_recent(struct selected *sel)
{
	uint32_t n = 0;
	const struct record *r;
	struct view_walk walk;

	if (uidset_is_empty(&sel->recents))
		return 0;
	walk = view_walk(&sel->mailbox->view, uidset_next(&sel->recents, 1));
	while ((r = view_next_live(&sel->mailbox->view, &walk)))
		n += uidset_has(&sel->recents, r->uid);
	return n;
}

/* What the client is going to be told first. */
static void begin(struct selected *sel)
{
	const struct counters *c = &sel->mailbox->view.counters;

	selected_claim_recent(sel);
	sel->exists = c->exists;
	sel->last_uid = c->last_uid;
	sel->known = c->highestmodseq;
	sel->recent = count_recent(sel);
	sel->told_modseq = mailbox_highestmodseq(sel->mailbox);
	if (sel->session->enabled & IMAP_QRESYNC)
		selected_map(sel);
}

int selected_open(struct imap_session *s, struct span name, uint32_t rights, bool examine,
		  struct selected **out, struct us_err *err)
{
	struct selected *sel = us_calloc(1, sizeof(*sel));
	int rc;

	sel->session = s;
	bell_init(&sel->bell);
	sel->rights = rights;
	sel->examined = examine || s->options->read_only;
	sel->read_only = sel->examined || !(rights & SELECTED_WRITE_RIGHTS);
	buf_init(&sel->seen_text, 0);
	rc = mailbox_open(s->host->store, name, &sel->mailbox, err);
	if (rc == 0) {
		sel->row_version = sel->mailbox->row_version;
		sel->was_deleted = mboxname_is_deleted(name, s->host->names.deletedprefix);
		sel->own_seen = seen_is_own(s, name, sel->mailbox->view.counters.options);
		if (!sel->own_seen)
			rc = selected_read_seen(sel, err);
	}
	if (rc < 0) {
		selected_close(&sel);
		return rc;
	}
	begin(sel);
	*out = sel;
	return 0;
}

void selected_close(struct selected **selected)
{
	struct selected *sel = *selected;

	if (!sel)
		return;
	mailbox_close(&sel->mailbox);
	bell_fini(&sel->bell);
	seqmap_free(&sel->map);
	uidset_free(&sel->changed);
	uidset_free(&sel->expunged);
	uidset_free(&sel->recents);
	uidset_free(&sel->saved);
	uidset_free(&sel->seen);
	buf_free(&sel->seen_text);
	free(sel);
	*selected = NULL;
}

bool selected_is(const struct imap_session *s, const struct access *found)
{
	return s->selected &&
	       storeid_cmp(&s->selected->mailbox->row.storeid, &found->row.storeid) == 0;
}

/* ---- numbers --------------------------------------------------------------------------------------- */

static bool has_number(const struct selected *sel, const struct record *r)
{
	return record_is_live(r) || uidset_has(&sel->expunged, r->uid);
}

/* More was expunged than we heard of, or less: the client knows no message by a number yet, so any numbering that
 * has the right count is true. */
static void settle_count(struct selected *sel)
{
	while (sel->map.count > sel->exists && !uidset_is_empty(&sel->expunged)) {
		uint32_t uid = uidset_next(&sel->expunged, 1);
		struct uidset one = UIDSET_INIT;

		uidset_add(&one, uid, uid);
		uidset_remove(&sel->expunged, uid, uid);
		seqmap_remove(&sel->map, &one);
		uidset_free(&one);
	}
	if (sel->map.count < sel->exists)
		sel->phantoms = sel->exists - sel->map.count;
	else
		sel->exists = sel->map.count;
}

void selected_map(struct selected *sel)
{
	struct view *v = &sel->mailbox->view;
	struct view_walk walk = view_walk(v, 1);
	const struct record *r;

	if (sel->mapped)
		return;
	while ((r = view_next(v, &walk)) && r->uid <= sel->last_uid)
		if (has_number(sel, r))
			seqmap_append(&sel->map, r->uid);
	settle_count(sel);
	sel->mapped = true;
}

uint32_t selected_seq(struct selected *sel, uint32_t uid)
{
	selected_map(sel);
	return seqmap_seq(&sel->map, uid);
}

uint32_t selected_uid(struct selected *sel, uint32_t seq)
{
	selected_map(sel);
	return seqmap_uid(&sel->map, seq);
}

int selected_resolve(struct selected *sel, const struct token_set *set, bool by_uid,
		     struct uidset *out, struct us_err *err)
{
	struct uidset numbers = UIDSET_INIT;

	selected_map(sel);
	if (set->saved) {
		for (size_t i = 0; i < sel->saved.n; i++)
			uidset_add(out, sel->saved.range[i].low, sel->saved.range[i].high);
		return 0;
	}
	if (by_uid) {
		(void)token_set_resolve(set, seqmap_last_uid(&sel->map), out);
		return 0;
	}
	/* Numbers beyond the end are passed over, as in Cyrus, if there are others. */
	(void)token_set_resolve(set, sel->map.count, &numbers);
	for (size_t i = 0; i < numbers.n; i++)
		uidset_add(out, seqmap_uid(&sel->map, numbers.range[i].low),
			   seqmap_uid(&sel->map, numbers.range[i].high));
	uidset_free(&numbers);
	return uidset_is_empty(out) ? us_fail(err, US_ENOENT, "No matching messages") : 0;
}

struct selected_walk selected_walk(struct selected *sel, const struct uidset *uids)
{
	selected_map(sel);
	return (struct selected_walk){.sel = sel, .uids = uids};
}

const struct record *selected_next(struct selected_walk *w, uint32_t *seq)
{
	struct view *v = &w->sel->mailbox->view;
	const struct record *r;

	while (w->range < w->uids->n) {
		const struct uidset_range *range = &w->uids->range[w->range];

		if (!w->positioned)
			w->walk = view_walk(v, range->low);
		w->positioned = true;
		while ((r = view_next(v, &w->walk)) && r->uid <= range->high)
			if ((*seq = seqmap_seq(&w->sel->map, r->uid)))
				return r;
		w->range++;
		w->positioned = false;
	}
	return NULL;
}

/* ---- flags ---------------------------------------------------------------------------------------- */

uint32_t selected_flags(const struct selected *sel, const struct record *r)
{
	uint32_t flags = r->system_flags;

	if (sel->own_seen)
		return flags;
	flags &= ~(uint32_t)FLAG_SEEN;
	return uidset_has(&sel->seen, r->uid) ? flags | FLAG_SEEN : flags;
}

#define NAME(text)                     \
	{                              \
		text, sizeof(text) - 1 \
	}
static const struct {
	uint32_t flag;
	struct span name;
	uint32_t right; /* that one needs to change it */
} system_flags[] = {
	{FLAG_ANSWERED, NAME("\\Answered"), ACL_WRITE},
	{FLAG_FLAGGED, NAME("\\Flagged"), ACL_WRITE},
	{FLAG_DRAFT, NAME("\\Draft"), ACL_WRITE},
	{FLAG_DELETED, NAME("\\Deleted"), ACL_DELETEMSG},
	{FLAG_SEEN, NAME("\\Seen"), ACL_SETSEEN},
};

static void put_word(struct stream *out, const char **blank, struct span word)
{
	stream_write_str(out, *blank);
	stream_write_span(out, word);
	*blank = " ";
}

void selected_put_flags(struct selected *sel, struct stream *out, const struct record *r)
{
	const struct flag_names *names = &sel->mailbox->view.names;
	uint32_t flags = selected_flags(sel, r);
	const char *blank = "";

	stream_write_str(out, "(");
	if (selected_is_recent(sel, r->uid))
		put_word(out, &blank, SPAN_LIT("\\Recent"));
	for (size_t i = 0; i < ARRAY_SIZE(system_flags); i++)
		if (flags & system_flags[i].flag)
			put_word(out, &blank, system_flags[i].name);
	for (unsigned word = 0; word < USER_FLAGS / 64; word++)
		for (uint64_t bits = r->user_flags[word]; bits; bits &= bits - 1) {
			unsigned bit = word * 64 + (unsigned)__builtin_ctzll(bits);
			if (names->bit[bit].name.ptr)
				put_word(out, &blank, names->bit[bit].name);
		}
	stream_write_str(out, ")");
}

void selected_put_change(struct selected *sel, struct stream *out, uint32_t seq,
			 const struct record *r)
{
	const struct imap_session *s = sel->session;

	stream_write_str(out, "* ");
	reply_number(out, seq);
	stream_write_str(out, " FETCH (FLAGS ");
	selected_put_flags(sel, out, r);
	if (s->uid_form || s->enabled & IMAP_QRESYNC) {
		stream_write_str(out, " UID ");
		reply_number(out, r->uid);
	}
	if (s->enabled & IMAP_CONDSTORE) {
		stream_write_str(out, " MODSEQ (");
		reply_number(out, r->modseq);
		stream_write_str(out, ")");
	}
	if (sel->tells_annotations) {
		const struct annotate_source source = annotate_source_of(sel, r->uid);

		annotate_put_changed(out, &source, r->modseq - 1);
	}
	stream_write_str(out, ")\r\n");
}

static void put_keywords(const struct selected *sel, struct stream *out, const char **blank)
{
	const struct flag_names *names = &sel->mailbox->view.names;

	for (unsigned bit = 0; bit < USER_FLAGS; bit++)
		if (names->bit[bit].name.ptr)
			put_word(out, blank, names->bit[bit].name);
}

void selected_put_names(struct selected *sel, struct stream *out)
{
	uint32_t rights = sel->read_only ? 0 : sel->rights;
	const char *blank = "";

	stream_write_str(out, "* FLAGS (");
	for (size_t i = 0; i < ARRAY_SIZE(system_flags); i++)
		put_word(out, &blank, system_flags[i].name);
	put_keywords(sel, out, &blank);
	blank = "";
	stream_write_str(out, ")\r\n* OK [PERMANENTFLAGS (");
	for (size_t i = 0; i < ARRAY_SIZE(system_flags); i++)
		if (rights & system_flags[i].right)
			put_word(out, &blank, system_flags[i].name);
	if (rights & ACL_WRITE) {
		put_keywords(sel, out, &blank);
		if (flag_names_free_bit(&sel->mailbox->view.names) >= 0)
			put_word(out, &blank, SPAN_LIT("\\*"));
	}
	stream_write_str(out, ")] Ok\r\n");
	sel->names = sel->mailbox->view.names;
}

void selected_tell_names(struct selected *sel, struct stream *out)
{
	/* Names only come: one that is freed and given away again in a compaction shows by its sum. */
	for (unsigned bit = 0; bit < USER_FLAGS; bit++)
		if (sel->mailbox->view.names.bit[bit].name.len &&
		    (sel->names.bit[bit].name.len != sel->mailbox->view.names.bit[bit].name.len ||
		     sel->names.bit[bit].lower_crc !=
			     sel->mailbox->view.names.bit[bit].lower_crc)) {
			selected_put_names(sel, out);
			return;
		}
}

/* ---- what SELECT and STATUS say ------------------------------------------------------------------- */

uint32_t selected_first_unseen(struct selected *sel)
{
	struct view *v = &sel->mailbox->view;
	const struct record *r;
	struct view_walk walk = view_walk(v, 1);

	if (sel->own_seen)
		return v->counters.first_unseen_uid ? v->counters.first_unseen_seq : 0;
	while ((r = view_next_live(v, &walk)) && r->uid <= sel->last_uid)
		if (!uidset_has(&sel->seen, r->uid))
			return selected_seq(sel, r->uid);
	return 0;
}
