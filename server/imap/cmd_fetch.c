/* cmd_fetch.c - FETCH (RFC 3501, 6.4.5; CHANGEDSINCE and VANISHED: RFC 7162): its arguments are fetch_args.h's, what is shown
 * fetch_put.h's.
 *
 *	mark \Seen, one commit --> for each message: cache record, file, if needed --> its line
 *
 * What an item needs is had before its message's line begins, so that a message that cannot be read costs its
 * own line only: the tagged answer is NO then, and says why. \Seen comes first, so that the line can show it; if it
 * cannot be set (no right, a full disk) the mail is shown all the same.
 */
#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/imap/annotate_change.h"
#include "server/imap/fetch_put.h"
#include "server/imap/flag_change.h"
#include "server/imap/reply.h"
#include "server/imap/resync.h"
#include "server/imap/session.h"
#include "server/store/cache.h"
#include "server/store/message.h"

struct showing {
	struct imap_session *s;
	const struct fetch_args *args;
	bool needs_cache;
	struct uidset seen_now; /* \Seen because of this command */
	struct cache_keeper keeper;
	struct buf made; /* of the message at hand, if it was not cached */
	unsigned gone;
	int unreadable; /* the last code */
};

/* ---- \Seen --------------------------------------------------------------------------------------- */

static bool any_unseen(struct selected *sel, const struct uidset *uids)
{
	struct selected_walk walk = selected_walk(sel, uids);
	const struct record *r;
	uint32_t seq;

	while ((r = selected_next(&walk, &seq)))
		if (record_is_live(r) && !(selected_flags(sel, r) & FLAG_SEEN))
			return true;
	return false;
}

static void mark_seen(struct showing *f, const struct uidset *uids)
{
	const struct flag_change change = {.how = FLAGS_ADD, .system = FLAG_SEEN};
	struct selected *sel = f->s->selected;
	struct us_err err;

	if (!f->args->sees || sel->read_only || !flag_change_allowed(&change, sel->rights) ||
	    !any_unseen(sel, uids))
		return;
	if (flag_change_run(sel, uids, &change, &f->seen_now, NULL, &err) == 0)
		return;
	uidset_clear(&f->seen_now);
	log_event(LOG_WARNING, "imap.seen.unset", LF_STR("mailbox", sel->mailbox->name.data),
		  LF_ERR(&err));
}

/* ---- one message --------------------------------------------------------------------------------- */

static int load(struct showing *f, const struct record *r, struct mime_cache *cache,
		struct fetch_source *source, struct us_err *err)
{
	struct mailbox *m = f->s->selected->mailbox;
	struct span payload;
	int rc = 0;

	if (f->needs_cache) {
		rc = message_payload(m, r, &f->made, &payload, err);
		if (rc > 0)
			cache_keeper_add(&f->keeper, r->uid, payload);
		if (rc >= 0)
			rc = mime_cache_decode(payload, cache, err);
		source->cache = cache;
	}
	if (rc == 0 && fetch_needs_file(f->args, source->cache))
		rc = message_open(m, r, &source->fd, err);
	return rc;
}

static int write_line(struct showing *f, const struct fetch_source *source, uint32_t seq,
		      struct us_err *err)
{
	bool seen_now = uidset_has(&f->seen_now, source->record->uid);
	bool flags = f->args->items & FETCH_FLAGS || seen_now;
	struct fetch_args args = *f->args;
	struct stream *out = f->s->out;
	int rc;

	if (seen_now && f->s->enabled & IMAP_CONDSTORE)
		args.items |= FETCH_MODSEQ;
	if (seen_now && f->s->enabled & IMAP_QRESYNC)
		args.items |= FETCH_UID;

	stream_write_str(out, "* ");
	reply_number(out, seq);
	stream_write_str(out, " FETCH (");
	if (flags) {
		stream_write_str(out, "FLAGS ");
		selected_put_flags(f->s->selected, out, source->record);
	}
	rc = fetch_put(out, &args, source, /* separator */ flags, err);
	stream_write_str(out, ")\r\n");
	return rc;
}

static void note_unreadable(struct showing *f, const struct record *r, int rc,
			    const struct us_err *err)
{
	/* A file that is not there was taken by an expunge since, if nothing is wrong. */
	if (rc == US_ENOENT)
		f->gone++;
	else
		f->unreadable = rc;
	if (rc != US_ENOENT || record_is_live(r))
		log_event(rc == US_ENOENT ? LOG_WARNING : LOG_ERR, "imap.message.unreadable",
			  LF_STR("mailbox", f->s->selected->mailbox->name.data),
			  LF_NUM("uid", r->uid), LF_ERR(err));
}

/* A negative code: the connection cannot go on. */
static int show(struct showing *f, const struct record *r, uint32_t seq, struct us_err *err)
{
	struct fetch_source source = {.record = r, .fd = -1};
	struct mime_cache cache;
	struct us_err why;
	int rc = load(f, r, &cache, &source, &why);

	if (f->args->annotations)
		source.annotations = annotate_source_of(f->s->selected, r->uid);

	if (rc < 0) {
		note_unreadable(f, r, rc, &why);
		rc = 0;
	} else {
		rc = write_line(f, &source, seq, err);
	}
	io_close(&source.fd);
	return rc;
}

/* ---- handler ------------------------------------------------------------------------------------- */

static int finish(const struct showing *f)
{
	double took = imap_elapsed_s(f->s);

	if (f->unreadable)
		return imap_no(f->s,
			       "[%s] Some of the requested messages cannot be read (%.3f sec)",
			       us_err_imap(f->unreadable), took);
	if (f->gone)
		return imap_no(f->s,
			       "[EXPUNGEISSUED] Some of the requested messages no longer exist "
			       "(%.3f sec)",
			       took);
	return imap_ok(f->s, "Completed (%.3f sec)", took);
}

/* Leave of `uids` those that changed since. */
static void keep_changed(struct selected *sel, uint64_t modseq, struct uidset *uids)
{
	struct view *v = &sel->mailbox->view;
	struct view_walk walk = view_walk_since(v, uidset_next(uids, 1), modseq);
	uint32_t last = uids->n ? uids->range[uids->n - 1].high : 0;
	struct uidset kept = UIDSET_INIT;
	const struct record *r;

	while ((r = view_next(v, &walk)) && r->uid <= last)
		if (r->modseq > modseq && uidset_has(uids, r->uid))
			uidset_add(&kept, r->uid, r->uid);
	uidset_free(uids);
	*uids = kept;
}

/* Before anything is marked \Seen, which would raise modseqs. */
static void find_changed(struct imap_session *s, const struct fetch_args *args, struct uidset *uids)
{
	if (args->items & FETCH_MODSEQ)
		imap_enable_condstore(s, "MODSEQ fetch");
	if (args->vanished) {
		/* Messages that are gone may lie above the last one there is. */
		(void)token_set_resolve(&args->set, s->selected->last_uid, uids);
		resync_tell_vanished(s->selected, uids, args->changed_since, s->out);
	}
	if (args->only_changed)
		keep_changed(s->selected, args->changed_since, uids);
}

int run_fetch(struct imap_session *s, const void *arg, struct us_err *err)
{
	struct showing f = {.s = s, .args = arg, .seen_now = UIDSET_INIT, .made = BUF_INIT};
	struct uidset uids = UIDSET_INIT;
	struct selected_walk walk;
	const struct record *r;
	uint32_t seq;
	int rc = 0;

	if (f.args->vanished && !(s->enabled & IMAP_QRESYNC)) /* RFC 7162, 3.2.6 */
		return imap_bad(s, "Invalid UID Fetch modifier VANISHED");
	if (selected_resolve(s->selected, &f.args->set, s->uid_form, &uids, NULL) < 0)
		return imap_no(s, "No matching messages (%.3f sec)", imap_elapsed_s(s));
	find_changed(s, f.args, &uids);
	f.needs_cache = fetch_needs_cache(f.args);
	cache_keeper_init(&f.keeper, s->selected->mailbox);
	mark_seen(&f, &uids);
	walk = selected_walk(s->selected, &uids);
	while (rc == 0 && (r = selected_next(&walk, &seq)))
		rc = show(&f, r, seq, err);
	if (rc == 0)
		rc = finish(&f);
	else
		s->lost = true;
	uidset_free(&f.seen_now);
	uidset_free(&uids);
	cache_keeper_fini(&f.keeper);
	buf_free(&f.made);
	return rc;
}
