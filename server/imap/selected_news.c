/* selected_news.c - what others did to the selected mailbox, found and told (selected.h). */
#include "server/base/mem.h"
#include "server/imap/reply.h"
#include "server/imap/resync.h"
#include "server/imap/selected_private.h"
#include "server/imap/session.h"

/* ---- finding --------------------------------------------------------------------------------------- */

/* Records were taken out of the mailbox altogether since we looked (cyr_expire, or a replica's peer): what has a number and
 * no record is expunged. */
static void note_vanished(struct selected *sel)
{
	struct view *v = &sel->mailbox->view;
	struct view_walk walk = view_walk(v, 1);
	const struct record *r = view_next(v, &walk);

	for (size_t i = 0; i < sel->map.n; i++) {
		uint32_t uid = sel->map.run[i].uid;

		for (uint32_t left = seqmap_run_length(&sel->map, i); left; left--, uid++) {
			while (r && r->uid < uid)
				r = view_next(v, &walk);
			if (!r || r->uid != uid)
				uidset_add(&sel->expunged, uid, uid);
		}
	}
}

static void note_record(struct selected *sel, const struct record *r)
{
	if (r->modseq <= sel->known || r->uid > sel->last_uid)
		return;
	if (sel->mapped && !seqmap_seq(&sel->map, r->uid))
		return;
	if (record_is_live(r))
		uidset_add(&sel->changed, r->uid, r->uid);
	else
		uidset_add(&sel->expunged, r->uid, r->uid);
}

void selected_note_changes(struct selected *sel)
{
	struct view *v = &sel->mailbox->view;
	struct view_walk walk;
	const struct record *r;

	if (v->counters.highestmodseq == sel->known)
		return;
	if (sel->mapped &&
	    (v->counters.deletedmodseq > sel->known || v->counters.highestmodseq < sel->known))
		note_vanished(sel);
	walk = view_walk_since(v, 1, sel->known);
	while ((r = view_next(v, &walk)))
		note_record(sel, r);
	sel->known = v->counters.highestmodseq;
}

/* Is it still there, under this or another name, and may he still read it? */
static int check_row(struct selected *sel, struct us_err *err)
{
	struct imap_session *s = sel->session;
	struct mailbox *m = sel->mailbox;
	int rc = mailbox_refresh_row(m, err);

	if (rc < 0)
		return rc;
	if (!sel->was_deleted &&
	    mboxname_is_deleted(buf_span(&m->name), s->host->names.deletedprefix))
		return us_fail(err, US_ENOENT, "it was deleted");
	if (m->row_version == sel->row_version)
		return 0;
	sel->row_version = m->row_version;
	sel->rights = host_rights(s->host, s->identity, buf_span(&m->name), m->row.acl);
	sel->read_only = sel->examined || !(sel->rights & SELECTED_WRITE_RIGHTS);
	return sel->rights & ACL_READ ? 0 : us_fail(err, US_ENOENT, "it may no longer be read");
}

static int take_in(struct selected *sel, struct us_err *err)
{
	int rc = check_row(sel, err);

	if (rc == 0)
		rc = mailbox_refresh(sel->mailbox, err);
	if (rc >= 0 && !sel->own_seen)
		rc = selected_read_seen(sel, err);
	if (rc < 0)
		return rc;
	if (sel->mailbox->view.counters.last_uid > sel->last_uid)
		selected_claim_recent(sel); /* moves the view: before the changes are noted */
	selected_note_changes(sel);
	return 0;
}

/* ---- telling --------------------------------------------------------------------------------------- */

static void tell_expunged(struct selected *sel, struct stream *out)
{
	/* With QRESYNC the map was made at once; only if that came after SELECT there may be phantoms, which have no UID. */
	bool as_uids = sel->session->enabled & IMAP_QRESYNC;
	struct uidset vanished = UIDSET_INIT;
	uint32_t gone = 0;

	if (uidset_is_empty(&sel->expunged) && !sel->phantoms)
		return;
	selected_map(sel);
	for (; sel->phantoms; sel->phantoms--)
		reply_untagged(out, "%u EXPUNGE", sel->exists--);
	for (uint32_t uid = uidset_next(&sel->expunged, 1); uid;
	     uid = uidset_next(&sel->expunged, uid + 1)) {
		uint32_t seq = seqmap_seq(&sel->map, uid);

		if (seq && as_uids)
			uidset_add(&vanished, uid, uid);
		else if (seq)
			reply_untagged(out, "%u EXPUNGE", seq - gone++);
		if (seq && uidset_has(&sel->recents, uid))
			sel->recent--;
		uidset_remove(&sel->recents, uid, uid);
		uidset_remove(&sel->changed, uid, uid);
		if (uid == UINT32_MAX)
			break;
	}
	resync_put_vanished(out, &vanished, /* earlier */ false);
	uidset_free(&vanished);
	seqmap_remove(&sel->map, &sel->expunged);
	uidset_clear(&sel->expunged);
	sel->exists = sel->map.count;
}

static void tell_arrived(struct selected *sel, struct stream *out)
{
	struct view *v = &sel->mailbox->view;
	uint32_t n = 0, recent = 0;
	const struct record *r;
	struct view_walk walk;

	if (v->counters.last_uid == sel->last_uid)
		return;
	walk = view_walk(v, sel->last_uid + 1);
	while ((r = view_next_live(v, &walk))) {
		if (sel->mapped)
			seqmap_append(&sel->map, r->uid);
		recent += uidset_has(&sel->recents, r->uid);
		n++;
	}
	sel->last_uid = v->counters.last_uid;
	sel->exists += n;
	sel->recent += recent;
	if (n) {
		reply_untagged(out, "%u EXISTS", sel->exists);
		reply_untagged(out, "%u RECENT", sel->recent);
	}
}

static void tell_changed(struct selected *sel, struct stream *out)
{
	uint32_t uid = uidset_next(&sel->changed, 1);

	for (; uid; uid = uid == UINT32_MAX ? 0 : uidset_next(&sel->changed, uid + 1)) {
		const struct record *r = view_find(&sel->mailbox->view, uid);
		uint32_t seq = selected_seq(sel, uid);

		if (!r || !seq || !record_is_live(r))
			continue;
		selected_put_change(sel, out, seq, r);
	}
	uidset_clear(&sel->changed);
}

int selected_update(struct selected *sel, enum selected_news what, struct us_err *err)
{
	struct stream *out = sel->session->out;
	int rc = take_in(sel, err);

	if (rc < 0)
		return rc;
	if (what == SELECTED_ALL)
		tell_expunged(sel, out);
	if (!sel->phantoms) /* what arrived has its place behind them */
		tell_arrived(sel, out);
	selected_tell_names(sel, out);
	tell_changed(sel, out);
	if (uidset_is_empty(&sel->expunged) &&
	    sel->last_uid == sel->mailbox->view.counters.last_uid)
		sel->told_modseq = mailbox_highestmodseq(sel->mailbox);
	return 0;
}

/* ---- changing it ----------------------------------------------------------------------------------- */

/* The lock is had: nobody changes anything any more, nor this user what he has seen. */
static int note_locked(struct selected *sel, struct us_err *err)
{
	selected_note_changes(sel);
	return sel->own_seen ? 0 : selected_read_seen(sel, err);
}

int selected_lock(struct selected *sel, struct us_err *err)
{
	int rc = mailbox_lock(sel->mailbox, err);

	if (rc < 0)
		return rc;
	rc = note_locked(sel, err);
	if (rc < 0)
		mailbox_unlock(sel->mailbox);
	return rc;
}

int selected_lock_with(struct selected *sel, struct mailbox *other, struct us_err *err)
{
	struct mailbox_locking both[] = {{.m = sel->mailbox}, {.m = other}};
	int rc = 0;

	mailbox_lock_many(both, ARRAY_SIZE(both), /* wait */ true);
	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(both); i++)
		if (both[i].rc < 0)
			rc = us_fail(err, both[i].rc, "%s", both[i].err.text);
	if (rc == 0)
		rc = note_locked(sel, err);
	else if (both[0].rc == 0) /* the view has moved, even if it is given up for the other */
		selected_note_changes(sel);
	for (size_t i = 0; rc < 0 && i < ARRAY_SIZE(both); i++)
		if (both[i].rc == 0)
			mailbox_unlock(both[i].m);
	return rc;
}

void selected_unlock(struct selected *sel, uint64_t told_modseq)
{
	mailbox_unlock(sel->mailbox);
	if (told_modseq > sel->known)
		sel->known = told_modseq;
}
