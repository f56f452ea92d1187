/* update_find.c - the mailbox an APPLY MAILBOX is about: found, made, or made in place of another; see update.h.
 *
 *	name is free		uniqueid in use elsewhere: MOVED; else made
 *	name, same uniqueid	that one
 *	name, another uniqueid	empty, or FORCE, or both hold scripts: goes to the trash, a new one is made; else MOVED
 *
 * Making and replacing happen under the owner's exclusive namespace lock, where nobody can put a message into what is about to
 * go.
 */
#include "server/base/log.h"
#include "server/csync/csync_private.h"

/* Is the uniqueid of the command another mailbox's? */
static int check_uniqueid(struct csync_update *u, struct us_err *err)
{
	const struct state_mailbox *s = &u->said.state;
	struct buf holder = BUF_INIT;
	int rc = mailbox_name_of_uniqueid(u->cs->store, s->uniqueid, &holder, err);

	if (rc > 0 && !span_eq(buf_span(&holder), s->name)) {
		log_event(LOG_NOTICE, "csync.mailbox.clash",
			  LF_TEXT("SYNCNOTICE: failed to create mailbox: uniqueid already in use"),
			  LF_SPAN("mailbox", s->name));
		rc = us_fail(err, US_EMOVED, "the uniqueid of %.*s is in use by %s",
			     SPAN_ARG(s->name), holder.data);
	}
	buf_free(&holder);
	return rc < 0 ? rc : 0;
}

/* May what has the name here give way? The scripts of a user are replicated as a whole: those born here, from commands of an older
 * peer, give way to the mailbox that arrives. */
static bool may_go(const struct csync_update *u, const struct mailbox *m)
{
	return u->cs->force || m->view.counters.last_uid == 0 ||
	       (wire_type_has(m->row.type, 'f') && wire_type_has(u->said.state.mboxtype, 'f'));
}

static int refuse(const struct csync_update *u, struct us_err *err)
{
	const struct state_mailbox *s = &u->said.state;

	log_event(LOG_ERR, "csync.mailbox.moved",
		  LF_TEXT("SYNCERROR: mailbox uniqueid changed - retry"),
		  LF_SPAN("mailbox", s->name));
	return us_fail(err, US_EMOVED, "%.*s has another uniqueid here", SPAN_ARG(s->name));
}

static int make(struct csync_update *u, struct us_err *err)
{
	const struct state_mailbox *s = &u->said.state;
	struct folder_create options = {.type = s->mboxtype,
					.uniqueid = s->uniqueid,
					.partition = s->partition,
					.acl = s->acl,
					.uidvalidity = s->uidvalidity,
					.options = s->options,
					.createdmodseq = s->createdmodseq,
					.foldermodseq = s->foldermodseq,
					.highestmodseq = 1};
	int rc = folder_create_locked(u->cs->store, s->name, &options, err);

	u->made = rc == 0;
	return rc;
}

/* The namespace is locked: what has the name now? */
static int make_room(struct csync_update *u, struct us_err *err)
{
	const struct state_mailbox *s = &u->said.state;
	struct mailbox *old = NULL;
	int rc = mailbox_open(u->cs->store, s->name, &old, err);
	bool same = rc == 0 && span_eq(old->row.uniqueid, s->uniqueid);
	bool goes = rc == 0 && !same && may_go(u, old);

	mailbox_close(&old);
	if (rc == 0 && goes)
		rc = folder_delete_locked(u->cs->store, s->name, FOLDER_DELETE_TRASH, err);
	else if (rc == 0 && !same)
		rc = refuse(u, err);
	if (same || (rc < 0 && rc != US_ENOENT))
		return rc;
	return make(u, err);
}

static int make_or_replace(struct csync_update *u, struct us_err *err)
{
	int lock, rc;

	mailbox_close(&u->m);
	rc = check_uniqueid(u, err);
	if (rc == 0)
		rc = csync_update_judge(u, err); /* against a mailbox that is new */
	if (rc == 0)
		rc = store_lock_namespace(u->cs->store, u->said.state.name, STORE_EXCLUSIVE, &lock,
					  err);
	if (rc < 0)
		return rc;
	rc = make_room(u, err);
	store_unlock_namespace(&lock);
	return rc == 0 ? mailbox_open(u->cs->store, u->said.state.name, &u->m, err) : rc;
}

/* Under its lock it must still be the one, and have the name: a lock follows renames. */
static int lock(struct csync_update *u, struct us_err *err)
{
	const struct state_mailbox *s = &u->said.state;
	int rc = mailbox_lock(u->m, err);

	if (rc == 0 &&
	    (!span_eq(u->m->row.uniqueid, s->uniqueid) || !span_eq(buf_span(&u->m->name), s->name)))
		rc = us_fail(err, US_EBUSY, "%.*s was renamed or replaced meanwhile",
			     SPAN_ARG(s->name));
	return rc;
}

int csync_update_find(struct csync_update *u, struct us_err *err)
{
	const struct state_mailbox *s = &u->said.state;
	int rc = mailbox_open(u->cs->store, s->name, &u->m, err);

	if (rc == 0 && !span_eq(u->m->row.uniqueid, s->uniqueid) && !may_go(u, u->m))
		return refuse(u, err);
	if (rc == US_ENOENT || (rc == 0 && !span_eq(u->m->row.uniqueid, s->uniqueid)))
		rc = make_or_replace(u, err);
	return rc == 0 ? lock(u, err) : rc;
}
