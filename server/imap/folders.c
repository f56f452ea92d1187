/* folders.c - see folders.h. */
#include "server/imap/folders.h"

#include "server/base/mem.h"
#include "server/imap/session.h"
#include "server/session/audit.h"
#include "server/store/annotations.h"
#include "server/store/folder.h"
#include "server/store/quota.h"
#include "server/store/state.h"

static int row_of(struct imap_session *s, struct span name, struct mailbox_row *row,
		  struct us_err *err)
{
	int rc = mailbox_row_get(s->host->store, name, s->pool, row, NULL, NULL, err);

	return rc > 0 ? mailbox_row_is_real(row) : rc;
}

/* The partition of the nearest mailbox above; empty if there is none. */
static int parent_partition(struct imap_session *s, struct span name, struct span *out,
			    struct us_err *err)
{
	struct mailbox_row row;
	int rc = 0;

	for (name = mboxname_parent(name); rc == 0 && name.len; name = mboxname_parent(name)) {
		rc = row_of(s, name, &row, err);
		if (rc > 0)
			*out = row.partition;
	}
	return rc < 0 ? rc : 0;
}

/* It is made: failing to tell so is no failure. */
static void note_creation(struct imap_session *s, struct span name)
{
	struct mailbox_row row;

	if (conf_bool(s->host->conf, CONF_auditlog) && row_of(s, name, &row, NULL) > 0)
		audit_created(s->id, name, &row);
}

static int create_one(struct imap_session *s, struct span name, struct span partition,
		      struct span uses, struct us_err *err)
{
	struct state_annotation use = {ANNOTATION_SPECIAL_USE, SPAN_NULL, uses, 0};
	struct quota_wanted wanted = {.folders = 1};
	struct buf owner = BUF_INIT;
	struct folder_create options = {
		.options = (uint32_t)conf_int(s->host->conf, CONF_mailbox_default_options) |
			   MAILBOX_OPTION_POP3_NEW_UIDL,
		.partition = partition,
		.annotations = &use,
		.n_annotations = uses.len && mboxname_owner(name, NULL, &owner),
	};
	struct buf acl = BUF_INIT;
	int rc = quota_check(s->host->store, name, &wanted, err);

	if (rc == 0)
		rc = host_initial_acl(s->host, name, &acl, err);
	if (rc == 0 && !partition.len)
		rc = parent_partition(s, name, &options.partition, err);
	options.acl = buf_span(&acl);
	use.userid = buf_span(&owner);
	if (rc == 0)
		rc = folder_create(s->host->store, name, &options, err);
	if (rc == 0)
		note_creation(s, name);
	buf_free(&acl);
	buf_free(&owner);
	return rc;
}

/* Levels that are no mailboxes: user.X.INBOX, for what is below it is shown below INBOX, and itself it would be a second
 * one; and the top of what is deleted. */
static bool is_mere_level(const struct imap_session *s, struct span name)
{
	struct span parent = mboxname_parent(name);

	if (span_is(name, s->host->names.deletedprefix))
		return true;
	return parent.len && mboxname_is_inbox(parent) &&
	       span_is(span_from(name, parent.len), ".INBOX");
}

int folders_create_parents(struct imap_session *s, struct span name, struct us_err *err)
{
	struct span parent = mboxname_parent(name);
	struct mailbox_row row;
	int rc;

	if (!parent.len || mboxname_is_inbox(name) || mboxname_is_inbox(parent))
		return 0;
	rc = row_of(s, parent, &row, err);
	if (rc)
		return rc < 0 ? rc : 0;
	rc = folders_create_parents(s, parent, err);
	if (rc == 0 && !is_mere_level(s, parent))
		rc = create_one(s, parent, SPAN_NULL, SPAN_NULL, err);
	return rc == US_EEXIST ? 0 : rc; /* somebody was faster */
}

int folders_create(struct imap_session *s, struct span name, struct span partition,
		   struct span uses, struct us_err *err)
{
	int rc = folders_create_parents(s, name, err);

	return rc < 0 ? rc : create_one(s, name, partition, uses, err);
}

static int found_one(void *ctx UNUSED, struct span name UNUSED,
		     const struct mailbox_row *row UNUSED, struct us_err *err UNUSED)
{
	return 1;
}

int folders_has_children(struct imap_session *s, struct span name, struct us_err *err)
{
	struct buf prefix = BUF_INIT;
	int rc;

	buf_add_span(&prefix, name);
	buf_add_char(&prefix, '.');
	rc = folder_list(s->host->store, buf_span(&prefix), found_one, NULL, err);
	buf_free(&prefix);
	return rc;
}
