/* inbox_rename.c - see inbox_rename.h. */
#include "server/imap/inbox_rename.h"

#include "server/imap/folders.h"
#include "server/imap/session.h"
#include "server/store/commit.h"
#include "server/store/copy.h"
#include "server/store/mailbox.h"

static int copy_all(struct imap_session *s, struct mailbox *from, struct mailbox *to,
		    struct us_err *err)
{
	struct copy_what what = {.keywords = true,
				 .annotations = true,
				 .userid = span_of(s->identity->user)};
	struct view_walk walk = view_walk(&from->view, 1);
	const struct record *r;
	struct commit *c = NULL;
	uint32_t uid;
	int rc = commit_begin(to, &c, err);

	if (rc < 0)
		return rc;
	while (rc == 0 && (r = view_next_live(&from->view, &walk))) {
		what.system_flags = r->system_flags;
		rc = copy_message(c, from, r, &what, &uid, err);
	}
	if (rc < 0) {
		commit_abort(&c);
		return rc;
	}
	commit_also(c, (struct store_change){CHANGE_DOUBLEMAILBOX, buf_span(&from->name),
					     buf_span(&to->name)});
	return commit_finish(&c, err);
}

/* The view runs ahead as records are put: UIDs are noted first. */
static int expunge_all(struct mailbox *m, struct us_err *err)
{
	uint32_t last = m->view.counters.last_uid;
	struct commit *c = NULL;
	int rc = commit_begin(m, &c, err);

	for (uint32_t uid = 0; rc == 0 && uid < last;) {
		struct view_walk walk = view_walk(&m->view, uid + 1);
		const struct record *r = view_next_live(&m->view, &walk);

		if (!r)
			break;
		uid = r->uid;
		rc = commit_expunge(c, r, err);
	}
	if (rc < 0 && c)
		commit_abort(&c);
	return rc < 0 ? rc : commit_finish(&c, err);
}

static int move_messages(struct imap_session *s, struct mailbox *from, struct mailbox *to,
			 struct us_err *err)
{
	bool from_first = storeid_cmp(&from->row.storeid, &to->row.storeid) < 0;
	struct mailbox *first = from_first ? from : to, *second = from_first ? to : from;
	int rc = mailbox_lock_in_namespace(first, err);

	if (rc == 0)
		rc = mailbox_lock_in_namespace(second, err);
	if (rc == 0)
		rc = copy_all(s, from, to, err);
	if (rc == 0)
		rc = expunge_all(from, err);
	mailbox_unlock(second);
	mailbox_unlock(first);
	return rc;
}

int inbox_rename(struct imap_session *s, struct span inbox, struct span to, struct us_err *err)
{
	struct mailbox *from_box = NULL, *to_box = NULL;
	int locks[2] = {-1, -1};
	int rc = folders_create(s, to, SPAN_NULL, SPAN_NULL, err);

	if (rc == 0)
		rc = store_lock_namespaces(s->host->store, inbox, to, STORE_SHARED, locks, err);
	if (rc == 0)
		rc = mailbox_open(s->host->store, inbox, &from_box, err);
	if (rc == 0)
		rc = mailbox_open(s->host->store, to, &to_box, err);
	if (rc == 0)
		rc = move_messages(s, from_box, to_box, err);
	mailbox_close(&from_box);
	mailbox_close(&to_box);
	store_unlock_namespace(&locks[1]);
	store_unlock_namespace(&locks[0]);
	return rc;
}
