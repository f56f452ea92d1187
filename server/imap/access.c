/* access.c - see access.h. */
#include "server/imap/access.h"

#include "server/imap/reply.h"
#include "server/imap/session.h"
#include "server/store/acl.h"
#include "server/store/mailbox.h"
#include "server/store/mboxname.h"

/* Separators in a row count as one, and one in front as none: "x//y", "/x" (as in Cyrus). */
static void squeeze(char separator, struct span external, struct buf *out)
{
	for (size_t i = 0; i < external.len; i++)
		if (external.ptr[i] != separator ||
		    (out->len && out->data[out->len - 1] != separator))
			buf_add_char(out, external.ptr[i]);
}

int access_name(struct imap_session *s, struct span external, struct span *out, struct us_err *err)
{
	struct buf squeezed = BUF_INIT, internal = BUF_INIT;
	int rc;

	squeeze(mboxname_separator(&s->names), external, &squeezed);
	rc = mboxname_from_external(&s->names, buf_span(&squeezed), &internal, err);
	if (rc == 0)
		*out = pool_span(s->pool, buf_span(&internal));
	buf_free(&squeezed);
	buf_free(&internal);
	return rc;
}

int access_lookup_internal(struct imap_session *s, struct span name, uint32_t needed,
			   struct access *out, struct us_err *err)
{
	struct access a = {.name = name};
	int rc = mailbox_row_get(s->host->store, name, s->pool, &a.row, NULL, NULL, err);

	if (rc < 0)
		return rc;
	if (rc > 0)
		a.rights = host_rights(s->host, s->identity, name, a.row.acl);
	if (rc == 0 || !mailbox_row_is_real(&a.row) || !(a.rights & (ACL_LOOKUP | needed)))
		return us_fail(err, US_ENOENT, "no mailbox %.*s", SPAN_ARG(name));
	if ((a.rights & needed) != needed)
		return us_fail(err, a.rights & ACL_LOOKUP ? US_EPERM : US_ENOENT,
			       "no right to %.*s", SPAN_ARG(name));
	*out = a;
	return 0;
}

int access_lookup(struct imap_session *s, struct span external, uint32_t needed, struct access *out,
		  struct us_err *err)
{
	struct span name = SPAN_NULL;
	int rc = access_name(s, external, &name, err);

	/* What cannot be a name is the name of nothing. */
	if (rc == US_EINVAL)
		return us_fail(err, US_ENOENT, "no such mailbox");
	return rc < 0 ? rc : access_lookup_internal(s, name, needed, out, err);
}

/* The nearest mailbox above `name`: 1 with its rights, 0 if there is none. */
static int parent_rights(struct imap_session *s, struct span name, uint32_t *rights,
			 struct us_err *err)
{
	int rc = 0;

	for (name = mboxname_parent(name); rc == 0 && name.len; name = mboxname_parent(name)) {
		struct mailbox_row row;

		rc = mailbox_row_get(s->host->store, name, s->pool, &row, NULL, NULL, err);
		if (rc > 0 && !mailbox_row_is_real(&row))
			rc = 0;
		if (rc > 0)
			*rights = host_rights(s->host, s->identity, name, row.acl);
	}
	return rc;
}

int access_may_create(struct imap_session *s, struct span name, struct us_err *err)
{
	uint32_t rights = 0;
	int rc = mboxname_check_legal(name, err);
	bool in_user_tree = mboxname_in_user_tree(name);

	if (rc < 0)
		return rc;
	if (mboxname_is_inbox(name))
		rc = imap_is_admin(s);
	else
		rc = parent_rights(s, name, &rights, err);
	if (rc < 0)
		return rc;
	/* Below a user who is not there nobody makes anything; at the top of all else only administrators. */
	if (rc > 0 && (imap_is_admin(s) || rights & ACL_CREATE))
		return 0;
	if (rc == 0 && imap_is_admin(s) && !in_user_tree)
		return 0;
	return us_fail(err, US_EPERM, "no right to create %.*s", SPAN_ARG(name));
}

void access_put_rights(const struct imap_session *s, struct span shown, uint32_t rights)
{
	struct buf text = BUF_INIT;

	acl_format_rights(rights, s->host->deleteright, &text);
	stream_write_str(s->out, "* MYRIGHTS ");
	reply_astring(s->out, shown);
	stream_write_str(s->out, " ");
	reply_astring(s->out, buf_span(&text));
	stream_write_str(s->out, "\r\n");
	buf_free(&text);
}

void access_external(const struct imap_session *s, struct span internal, struct buf *out)
{
	mboxname_to_external(&s->names, internal, out);
}
