/* target.c - see target.h. */
#include "server/imap/target.h"

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/imap/selected.h"
#include "server/imap/session.h"
#include "server/store/acl.h"
#include "server/store/mailbox.h"
#include "server/store/userdata.h"

int target_find(struct imap_session *s, struct span external, struct access *out,
		struct us_err *err)
{
	struct span name;
	int rc = access_lookup(s, external, ACL_INSERT, out, err);

	if (rc == 0)
		return 1;
	if (rc == US_ENOENT && access_name(s, external, &name, NULL) == 0 &&
	    access_may_create(s, name, NULL) == 0)
		return imap_fail(s, rc, "TRYCREATE", NULL);
	return rc;
}

static int lock(struct target *t, struct us_err *err)
{
	if (t->is_selected)
		return selected_lock(t->s->selected, err);
	return t->holds_selected ? selected_lock_with(t->s->selected, t->mailbox, err)
				 : mailbox_lock(t->mailbox, err);
}

static int open_target(struct imap_session *s, const struct access *access, bool beside,
		       struct target *out, struct us_err *err)
{
	struct target t = {.s = s, .rights = access->rights, .is_selected = selected_is(s, access)};
	int rc = 0;

	t.holds_selected = beside && !t.is_selected;

	if (t.is_selected)
		t.mailbox = s->selected->mailbox;
	else
		rc = mailbox_open(s->host->store, access->name, &t.mailbox, err);
	/* By that row it is known what he may do, and that it is not the selected one. */
	if (rc == 0 && storeid_cmp(&t.mailbox->row.storeid, &access->row.storeid) != 0)
		rc = us_fail(err, US_ECHANGED, "%.*s is another mailbox now",
			     SPAN_ARG(access->name));
	if (rc == 0)
		rc = lock(&t, err);
	if (rc < 0) {
		if (!t.is_selected)
			mailbox_close(&t.mailbox);
		return rc;
	}
	t.own_seen = seen_is_own(s, buf_span(&t.mailbox->name), t.mailbox->view.counters.options);
	*out = t;
	return 0;
}

int target_open(struct imap_session *s, const struct access *access, struct target *out,
		struct us_err *err)
{
	return open_target(s, access, /* beside */ false, out, err);
}

int target_open_beside(struct imap_session *s, const struct access *access, struct target *out,
		       struct us_err *err)
{
	return open_target(s, access, /* beside */ true, out, err);
}

void target_close(struct target *t)
{
	if (!t->mailbox)
		return;
	if (t->is_selected || t->holds_selected)
		selected_unlock(t->s->selected, 0);
	if (!t->is_selected)
		mailbox_close(&t->mailbox);
	t->mailbox = NULL;
}

uint32_t target_flags(const struct target *t, uint32_t flags)
{
	if (!(t->rights & ACL_WRITE))
		flags &= FLAG_DELETED | FLAG_SEEN;
	if (!(t->rights & ACL_DELETEMSG))
		flags &= ~(uint32_t)FLAG_DELETED;
	if (!(t->rights & ACL_SETSEEN) || !t->own_seen)
		flags &= ~(uint32_t)FLAG_SEEN;
	return flags;
}

/* ---- \Seen of one who is not the owner -------------------------------------------------------------- */

static int write_seen(struct target *t, struct state_seen *row, const struct uidset *seen,
		      struct us_err *err)
{
	struct buf text = BUF_INIT;
	int rc;

	uidset_format(seen, &text);
	row->seenuids = buf_span(&text);
	row->lastchange = store_now();
	rc = seen_set(t->s->host->store, span_of(t->s->identity->user), row, err);
	buf_free(&text);
	return rc;
}

static int add_seen(struct target *t, const struct uidset *uids, struct us_err *err)
{
	struct state_seen row = {.uniqueid = t->mailbox->row.uniqueid};
	struct uidset seen = UIDSET_INIT;
	int rc;

	if (t->is_selected)
		return selected_set_seen(t->s->selected, uids, true, err);
	rc = seen_get(t->s->host->store, span_of(t->s->identity->user), t->mailbox->row.uniqueid,
		      t->s->pool, &row, err);
	if (rc > 0 && !uidset_parse(row.seenuids, &seen))
		uidset_clear(&seen);
	for (size_t i = 0; i < uids->n; i++)
		uidset_add(&seen, uids->range[i].low, uids->range[i].high);
	if (rc >= 0)
		rc = write_seen(t, &row, &seen, err);
	uidset_free(&seen);
	return rc;
}

void target_add_seen(struct target *t, const struct uidset *uids)
{
	struct us_err err = US_ERR_INIT;

	if (t->own_seen || uidset_is_empty(uids) || !(t->rights & ACL_SETSEEN))
		return;
	if (add_seen(t, uids, &err) < 0)
		log_event(LOG_WARNING, "imap.seen.unset", LF_STR("mailbox", t->mailbox->name.data),
			  LF_ERR(&err));
}

int target_fail(struct imap_session *s, int rc)
{
	if (rc == US_ELIMIT)
		return imap_no(s, "[LIMIT] Too many user flags in mailbox");
	if (rc == US_ENOENT) /* the mailbox was found: a message went from under us */
		return imap_no(s, "[EXPUNGEISSUED] Some of the requested messages no longer exist");
	return rc;
}
