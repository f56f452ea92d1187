/* cmd_delete.c - DELETE (RFC 3501, 6.3.4).
 *
 * With delete_mode delayed a mailbox goes to DELETED.<name>.<time>, from where an administrator can rename it back; under that
 * name, and with delete_mode immediate, it goes for good. A user's INBOX takes all of the user with it: his folders,
 * subscriptions, seen state, quota.
 */
#include <stdlib.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/imap/access.h"
#include "server/imap/folders.h"
#include "server/imap/selected.h"
#include "server/imap/session.h"
#include "server/session/audit.h"
#include "server/store/annotations.h"
#include "server/store/folder.h"
#include "server/store/userdata.h"

/* ---- one mailbox ----------------------------------------------------------------------------------- */

static int delete_one(struct imap_session *s, struct span name, struct us_err *err)
{
	struct store *store = s->host->store;
	bool delayed = store_config(store)->delete_delayed &&
		       !mboxname_is_deleted(name, s->host->names.deletedprefix);
	struct mailbox_row row;
	bool audited = conf_bool(s->host->conf, CONF_auditlog) &&
		       mailbox_row_get(store, name, s->pool, &row, NULL, NULL, NULL) > 0;
	int rc = delayed ? folder_delete_delayed(store, name, NULL, err)
			 : folder_delete(store, name, FOLDER_DELETE_NOW, err);

	if (rc == 0 && audited)
		audit_deleted(s->id, name, &row);
	return rc;
}

/* Has the mailbox a special use that specialuse_protect names? */
static int is_protected(struct imap_session *s, const struct access *access, struct us_err *err)
{
	struct span rest = span_of(conf_str(s->host->conf, CONF_specialuse_protect)), word;
	struct buf uses = BUF_INIT, owner = BUF_INIT;
	int rc = 0;

	if (mboxname_owner(access->name, NULL, &owner) && rest.len)
		rc = annotation_get(s->host->store, &access->row.storeid, ANNOTATION_SPECIAL_USE,
				    buf_span(&owner), &uses, err);
	if (rc > 0)
		rc = 0;
	while (rc == 0 && span_word(&rest, &word))
		rc = span_has_word(buf_span(&uses), word);
	buf_free(&uses);
	buf_free(&owner);
	return rc;
}

/* ---- a user ---------------------------------------------------------------------------------------- */

struct tree {
	struct pool *pool;
	struct span *name;
	size_t n, cap;
};

static int collect(void *ctx, struct span name, const struct mailbox_row *row,
		   struct us_err *err UNUSED)
{
	struct tree *tree = ctx;

	if (!mailbox_row_is_real(row))
		return 0;
	us_grow(&tree->name, tree->n, &tree->cap, sizeof(tree->name[0]));
	tree->name[tree->n++] = pool_span(tree->pool, name);
	return 0;
}

/* Folders first, the INBOX last: what a crash leaves can be deleted again. Then what is not a mailbox. */
static int delete_user(struct imap_session *s, struct span inbox, struct us_err *err)
{
	struct tree tree = {.pool = s->pool};
	struct buf userid = BUF_INIT;
	int rc = folder_list_tree(s->host->store, inbox, collect, &tree, err);

	for (size_t i = tree.n; rc == 0 && i > 0; i--) {
		rc = delete_one(s, tree.name[i - 1], err);
		if (rc == US_ENOENT)
			rc = 0;
	}
	free(tree.name);
	if (rc == 0 && mboxname_owner(inbox, NULL, &userid))
		rc = user_remove(s->host->store, buf_span(&userid), FOLDER_DELETE_NOW, err);
	if (rc == 0)
		log_event(LOG_NOTICE, "imap.user.deleted", LF_SPAN("userid", buf_span(&userid)));
	buf_free(&userid);
	return rc;
}

/* ---- the command ----------------------------------------------------------------------------------- */

/* What keeps a mailbox from being deleted, in the order a Cyrus asks. 0, 1 after a NO, or a code. */
static int check(struct imap_session *s, const struct access *access, struct us_err *err)
{
	bool inbox = mboxname_is_inbox(access->name);
	int rc;

	if (inbox && host_owns(s->host, s->identity, access->name))
		return us_fail(err, US_ENOTSUP, "nobody deletes his own INBOX");
	if (!inbox) {
		rc = folders_has_children(s, access->name, err);
		if (rc > 0)
			(void)imap_no(s, "[HASCHILDREN] Mailbox has inferior hierarchical names");
		if (rc)
			return rc;
	}
	if (!(access->rights & ACL_DELETEMBOX))
		return us_fail(err, access->rights & ACL_LOOKUP ? US_EPERM : US_ENOENT,
			       "no right to delete");
	rc = inbox ? 0 : is_protected(s, access, err);
	if (rc > 0)
		(void)imap_no(s, "[USEATTR] SPECIAL-USE flag conflict");
	return rc;
}

int run_delete(struct imap_session *s, const void *args, struct us_err *err)
{
	const struct args_mailbox *a = args;
	struct access access;
	int rc = access_lookup(s, a->mailbox, 0, &access, err);

	if (rc == 0)
		rc = check(s, &access, err);
	if (rc)
		return rc < 0 ? rc : 0;
	rc = mboxname_is_inbox(access.name) ? delete_user(s, access.name, err)
					    : delete_one(s, access.name, err);
	if (rc < 0)
		return rc;
	if (selected_is(s, &access)) /* left quietly; others are told that it is gone */
		imap_leave_mailbox(s);
	if (conf_bool(s->host->conf, CONF_delete_unsubscribe))
		rc = subscription_set(s->host->store, span_of(s->identity->user), access.name,
				      false, err);
	return rc;
}
