/* cmd_rename.c - RENAME (RFC 3501, 6.3.5): rename = "RENAME" SP mailbox SP mailbox [SP partition].
 *
 *	a b		the mailbox and all below it, one after another (NO_ATOMIC_RENAME), each told by "* OK rename"
 *	INBOX b		for its owner: b is made and gets the messages, INBOX stays
 *	user.x user.y	for administrators, with allowusermoves: all of the user, his rights in ACLs included
 *	a a partition	for administrators: the bytes move, the name stays
 */
#include <stdlib.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/imap/access.h"
#include "server/imap/folders.h"
#include "server/imap/inbox_rename.h"
#include "server/imap/reply.h"
#include "server/imap/session.h"
#include "server/session/audit.h"
#include "server/imap/texts.h"
#include "server/imap/token.h"
#include "server/store/folder.h"
#include "server/store/quota.h"
#include "server/store/user_rename.h"
#include "server/store/userdata.h"

int parse_rename(struct parse *p, void **args, struct us_err *err)
{
	struct args_rename *a = pool_alloc(p->pool, sizeof(*a));
	int rc;

	token_space(&p->s);
	a->from = token_astring(&p->s, p->pool);
	token_space(&p->s);
	a->to = token_astring(&p->s, p->pool);
	if (!p->s.bad && scan_skip(&p->s, ' '))
		a->partition = token_astring(&p->s, p->pool);
	rc = parse_end(p, err);
	if (rc == 0)
		*args = a;
	return rc;
}

/* ---- what is renamed -------------------------------------------------------------------------------- */

struct tree {
	struct imap_session *s;
	struct span from, to, partition;
	struct span *name; /* `from` and all below it */
	size_t n, cap;
	struct quota_wanted size;
	struct span from_user, to_user; /* a user is renamed; else SPAN_NULL */
};

static int collect(void *ctx, struct span name, const struct mailbox_row *row, struct us_err *err)
{
	struct tree *tree = ctx;
	struct counters c;
	int rc;

	if (!mailbox_row_is_real(row))
		return 0;
	rc = mailbox_peek(tree->s->host->store, row, &c, err);
	if (rc < 0)
		return rc == US_ENOENT ? 0 : rc;
	tree->size.bytes += c.bytes_live;
	tree->size.messages += c.exists;
	tree->size.annotation_bytes += c.annot_bytes;
	tree->size.folders++;
	us_grow(&tree->name, tree->n, &tree->cap, sizeof(tree->name[0]));
	tree->name[tree->n++] = pool_span(tree->s->pool, name);
	return 0;
}

static struct span target(const struct tree *tree, struct span name)
{
	return span_of(pool_printf(tree->s->pool, "%.*s%.*s", SPAN_ARG(tree->to),
				   SPAN_ARG(span_from(name, tree->from.len))));
}

/* Who may not look it up is not told that it is there. */
static int exists(struct imap_session *s, struct span name, const struct mailbox_row *row,
		  struct us_err *err)
{
	if (host_rights(s->host, s->identity, name, row->acl) & ACL_LOOKUP)
		return us_fail(err, US_EEXIST, "%.*s exists", SPAN_ARG(name));
	return us_fail(err, US_EPERM, "%.*s exists, which he may not know", SPAN_ARG(name));
}

/* Nothing is renamed if one of them could not be. */
static int check_targets(struct tree *tree, struct us_err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < tree->n; i++) {
		struct span to = target(tree, tree->name[i]);
		struct mailbox_row row;

		rc = mboxname_check_legal(to, err);
		if (rc == 0)
			rc = mailbox_row_get(tree->s->host->store, to, tree->s->pool, &row, NULL,
					     NULL, err);
		if (rc > 0)
			rc = mailbox_row_is_real(&row)
				     ? us_fail(err, US_EEXIST, "%.*s exists", SPAN_ARG(to))
				     : 0;
	}
	return rc;
}

/* What comes under another quota root must fit there. */
static int check_quota(struct tree *tree, struct us_err *err)
{
	struct store *store = tree->s->host->store;
	struct buf from = BUF_INIT, to = BUF_INIT;
	int rc = quota_root_of(store, tree->from, &from, err);

	if (rc >= 0)
		rc = quota_root_of(store, tree->to, &to, err);
	if (rc > 0 && !span_eq(buf_span(&from), buf_span(&to)))
		rc = quota_check(store, tree->to, &tree->size, err);
	buf_free(&from);
	buf_free(&to);
	return rc < 0 ? rc : 0;
}

/* ---- renaming --------------------------------------------------------------------------------------- */

static void tell(struct imap_session *s, struct span from, struct span to)
{
	struct buf line = BUF_INIT;
	struct mailbox_row row;

	access_external(s, from, &line);
	buf_add_char(&line, ' ');
	access_external(s, to, &line);
	stream_write_str(s->out, "* OK rename ");
	reply_text(s->out, buf_span(&line));
	stream_write_str(s->out, "\r\n");
	buf_clear(&line);
	buf_printf(&line, "Rename: %.*s -> %.*s", SPAN_ARG(from), SPAN_ARG(to));
	log_event(LOG_NOTICE, "imap.mailbox.renamed", LF_TEXT(line.data));
	if (conf_bool(s->host->conf, CONF_auditlog) && !span_eq(from, to) &&
	    mailbox_row_get(s->host->store, to, s->pool, &row, NULL, NULL, NULL) > 0)
		audit_renamed(s->id, from, to, &row);
	buf_free(&line);
}

static int rename_one(struct tree *tree, struct span from, struct us_err *err)
{
	struct store *store = tree->s->host->store;
	struct span to = target(tree, from);
	int rc = folder_rename(store, from, to, tree->partition, 0, err);

	if (rc == 0 && tree->from_user.len)
		rc = user_rename_acl(store, to, tree->from_user, tree->to_user, err);
	if (rc == 0)
		tell(tree->s, from, to);
	return rc;
}

static int rename_all(struct tree *tree, struct us_err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < tree->n; i++) {
		rc = rename_one(tree, tree->name[i], err);
		if (rc == US_ENOENT && i)
			rc = 0; /* a child that went meanwhile */
	}
	return rc;
}

static int rename_tree(struct tree *tree, struct us_err *err)
{
	int rc = folder_list_tree(tree->s->host->store, tree->from, collect, tree, err);

	if (rc == 0)
		rc = check_targets(tree, err);
	if (rc == 0)
		rc = check_quota(tree, err);
	if (rc == 0)
		rc = folders_create_parents(tree->s, tree->to, err);
	if (rc == 0)
		rc = rename_all(tree, err);
	free(tree->name);
	return rc;
}

static struct span owner_of(struct imap_session *s, struct span inbox)
{
	struct buf owner = BUF_INIT;
	struct span out = SPAN_NULL;

	if (mboxname_owner(inbox, NULL, &owner))
		out = pool_span(s->pool, buf_span(&owner));
	buf_free(&owner);
	return out;
}

static int rename_user(struct tree *tree, struct us_err *err)
{
	struct store *store = tree->s->host->store;
	int rc;

	tree->from_user = owner_of(tree->s, tree->from);
	tree->to_user = owner_of(tree->s, tree->to);
	rc = user_copy_data(store, tree->from_user, tree->to_user, err);
	if (rc == 0)
		rc = rename_tree(tree, err);
	/* Nothing of his is left under the old id, unless the mailboxes are: then his data stays with them. */
	return rc < 0 ? rc : user_remove(store, tree->from_user, FOLDER_DELETE_NOW, err);
}

/* ---- another partition ------------------------------------------------------------------------------- */

static int move_tree(struct tree *tree, bool with_children, struct us_err *err)
{
	struct store *store = tree->s->host->store;
	int rc;

	if (!with_children) {
		rc = folder_rename(store, tree->from, tree->to, tree->partition, 0, err);
		if (rc == 0)
			tell(tree->s, tree->from, tree->to);
		return rc;
	}
	rc = folder_list_tree(store, tree->from, collect, tree, err);
	for (size_t i = 0; rc == 0 && i < tree->n; i++) {
		rc = folder_rename(store, tree->name[i], tree->name[i], tree->partition, 0, err);
		if (rc == 0)
			tell(tree->s, tree->name[i], tree->name[i]);
	}
	free(tree->name);
	return rc;
}

static int move_all(struct tree *tree, const struct access *access, struct us_err *err)
{
	struct imap_session *s = tree->s;
	bool user = mboxname_is_inbox(tree->from);

	if (!imap_is_admin(s))
		return us_fail(err, US_EPERM, "only administrators move between partitions");
	if (!tree->partition.len || span_eq(tree->partition, access->row.partition))
		return us_fail(err, US_EEXIST, "it is there");
	if (!store_partition(s->host->store, tree->partition))
		return imap_no(s, "%s", imap_text(US_ECONFIG));
	if (user && !conf_bool(s->host->conf, CONF_allowusermoves))
		return us_fail(err, US_ENOTSUP, "allowusermoves is off");
	return move_tree(tree, user, err);
}

/* ---- the command ------------------------------------------------------------------------------------- */

static int run_rename_user(struct tree *tree, struct us_err *err)
{
	struct imap_session *s = tree->s;

	if (!mboxname_is_inbox(tree->to) || !conf_bool(s->host->conf, CONF_allowusermoves))
		return us_fail(err, US_ENOTSUP,
			       "a user becomes a user only, if allowusermoves is on");
	if (!imap_is_admin(s))
		return us_fail(err, US_EPERM, "only administrators rename users");
	return rename_user(tree, err);
}

static int check_free(struct imap_session *s, struct span to, struct us_err *err)
{
	struct mailbox_row row;
	int rc = mboxname_check_legal(to, err);

	if (rc == 0)
		rc = mailbox_row_get(s->host->store, to, s->pool, &row, NULL, NULL, err);
	if (rc > 0 && mailbox_row_is_real(&row))
		return exists(s, to, &row, err);
	return rc < 0 ? rc : access_may_create(s, to, err);
}

static int run_plain(struct tree *tree, const struct access *access, struct us_err *err)
{
	struct imap_session *s = tree->s;
	bool inbox = mboxname_is_inbox(tree->from);
	int rc;

	if (!imap_is_admin(s) && !(access->rights & ACL_DELETEMBOX))
		return us_fail(err, US_EPERM, "no right to rename it");
	if (mboxname_is_below(tree->to, tree->from) && !inbox)
		return us_fail(err, US_ENOTSUP, "nothing becomes a part of itself");
	rc = check_free(s, tree->to, err);
	if (rc < 0)
		return rc;
	if (inbox && host_owns(s->host, s->identity, tree->from))
		return inbox_rename(s, tree->from, tree->to, err);
	return inbox ? run_rename_user(tree, err) : rename_tree(tree, err);
}

int run_rename(struct imap_session *s, const void *args, struct us_err *err)
{
	const struct args_rename *a = args;
	struct tree tree = {.s = s, .partition = a->partition};
	struct access access;
	int rc = access_lookup(s, a->from, 0, &access, err);

	if (rc == 0)
		rc = access_name(s, a->to, &tree.to, err);
	if (rc < 0)
		return rc;
	tree.from = access.name;
	if (span_eq(tree.from, tree.to))
		return move_all(&tree, &access, err);
	if (a->partition.len)
		return imap_no(s, "Cross-server or cross-partition move w/rename not supported");
	return run_plain(&tree, &access, err);
}
