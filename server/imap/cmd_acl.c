/* cmd_acl.c - GETACL, MYRIGHTS, LISTRIGHTS, SETACL, DELETEACL (RFC 4314).
 *
 * The owner of a mailbox keeps the rights of implicit_owner_rights whatever its ACL says, and cannot take the right "a" from
 * himself. Identifiers are user ids in their canonical form, "anyone", "anonymous", "group:" and a name; with
 * "-" in front an entry takes rights away.
 */
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <stdlib.h>

#include "server/base/mem.h"
#include "server/imap/access.h"
#include "server/imap/reply.h"
#include "server/imap/session.h"
#include "server/imap/token.h"
#include "server/store/folder.h"

#define RIGHT_LETTERS "lrswipkxtecdan0123456789"

/* ---- arguments ------------------------------------------------------------------------------------- */

static int parse_acl(struct parse *p, bool with_rights, void **args, struct us_err *err)
{
	struct args_acl *a = pool_alloc(p->pool, sizeof(*a));
	int rc;

	token_space(&p->s);
	a->mailbox = token_astring(&p->s, p->pool);
	token_space(&p->s);
	a->identifier = token_astring(&p->s, p->pool);
	if (with_rights) {
		token_space(&p->s);
		a->rights = token_astring(&p->s, p->pool);
	}
	rc = parse_end(p, err);
	if (rc == 0)
		*args = a;
	return rc;
}

int parse_acl_identifier(struct parse *p, void **args, struct us_err *err)
{
	return parse_acl(p, /* with_rights */ false, args, err);
}

int parse_setacl(struct parse *p, void **args, struct us_err *err)
{
	return parse_acl(p, /* with_rights */ true, args, err);
}

static bool group_exists(struct span name)
{
	char *text = span_dup(name), space[16384];
	struct group group, *found = NULL;
	int rc = getgrnam_r(text, &group, space, sizeof(space), &found);

	free(text);
	return (rc == 0 && found) || rc == ERANGE; /* a group too large to read is one */
}

/* The form in which the ACL holds it, in s->pool. False: it is none. */
static bool canonical(struct imap_session *s, struct span identifier, struct span *out)
{
	bool negative = identifier.len && identifier.ptr[0] == '-';
	struct span id = span_from(identifier, negative);
	char user[IDENTITY_MAX + 1];

	if (span_starts(id, "group:")) {
		if (!conf_bool(s->host->conf, CONF_unix_group_enable) ||
		    !group_exists(span_from(id, 6)))
			return false;
		*out = identifier;
		return true;
	}
	if (!span_is(id, "anyone") && !span_is(id, "anonymous")) {
		if (identity_canonicalize(&s->host->policy, id, user, NULL) < 0)
			return false;
		id = span_of(user);
	}
	*out = span_of(pool_printf(s->pool, "%s%.*s", negative ? "-" : "", SPAN_ARG(id)));
	return true;
}

static bool is_owner(struct span name, struct span identifier, const char *deletedprefix)
{
	struct buf owner = BUF_INIT;
	bool is = mboxname_owner(name, deletedprefix, &owner) &&
		  span_eq(buf_span(&owner), identifier);

	buf_free(&owner);
	return is;
}

/* ---- reading --------------------------------------------------------------------------------------- */

static void put_head(struct imap_session *s, const char *word, struct span mailbox)
{
	stream_printf(s->out, "* %s ", word);
	reply_astring(s->out, mailbox);
}

int run_getacl(struct imap_session *s, const void *args, struct us_err *err)
{
	const struct args_mailbox *a = args;
	struct span rest, identifier, rights;
	struct access access;
	int rc = access_lookup(s, a->mailbox, ACL_ADMIN, &access, err);

	if (rc < 0)
		return rc;
	put_head(s, "ACL", a->mailbox);
	rest = access.row.acl;
	while (acl_next(&rest, &identifier, &rights)) {
		stream_write_str(s->out, " ");
		reply_astring(s->out, identifier);
		stream_write_str(s->out, " ");
		reply_astring(s->out, rights);
	}
	stream_write_str(s->out, "\r\n");
	return 0;
}

/* Who has any of l r i k x a may know (RFC 4314, 3.5). */
int run_myrights(struct imap_session *s, const void *args, struct us_err *err)
{
	const uint32_t enough =
		ACL_LOOKUP | ACL_READ | ACL_INSERT | ACL_CREATE | ACL_DELETEMBOX | ACL_ADMIN;
	const struct args_mailbox *a = args;
	struct mailbox_row row;
	struct span name;
	uint32_t rights = 0;
	int rc = access_name(s, a->mailbox, &name, err);

	if (rc == 0)
		rc = mailbox_row_get(s->host->store, name, s->pool, &row, NULL, NULL, err);
	if (rc > 0 && mailbox_row_is_real(&row))
		rights = host_rights(s->host, s->identity, name, row.acl);
	if (rc >= 0 && !(rights & enough))
		rc = us_fail(err, US_ENOENT, "nothing he may know of");
	if (rc < 0)
		return rc == US_EINVAL ? us_fail(err, US_ENOENT, "no such mailbox") : rc;
	access_put_rights(s, a->mailbox, rights);
	return 0;
}

/* The rights somebody always has on that mailbox, then each other by itself. */
int run_listrights(struct imap_session *s, const void *args, struct us_err *err)
{
	const struct args_acl *a = args;
	struct span identifier;
	struct access access;
	struct buf always = BUF_INIT;
	uint32_t rights = 0;
	int rc = access_lookup(s, a->mailbox, ACL_ADMIN, &access, err);

	if (rc < 0)
		return rc;
	if (!canonical(s, a->identifier, &identifier))
		return imap_no(s, "Invalid identifier");
	if (is_owner(access.name, identifier, NULL))
		rights = s->host->implicit_rights;
	else if (mboxname_in_user_tree(access.name))
		rights = ACL_POST; /* as a Cyrus shows it: mail for a user can come from anybody */
	acl_format_rights(rights, s->host->deleteright, &always);
	put_head(s, "LISTRIGHTS", a->mailbox);
	stream_write_str(s->out, " ");
	reply_astring(s->out, a->identifier);
	stream_write_str(s->out, " ");
	reply_astring(s->out, buf_span(&always));
	for (const char *letter = RIGHT_LETTERS; *letter; letter++)
		if (!span_find(buf_span(&always), *letter))
			stream_printf(s->out, " %c", *letter);
	stream_write_str(s->out, "\r\n");
	buf_free(&always);
	return 0;
}

/* ---- changing -------------------------------------------------------------------------------------- */

struct change {
	struct span identifier;
	uint32_t rights;
	enum { RIGHTS_SET, RIGHTS_ADD, RIGHTS_TAKE } mode;
};

/* What `identifier` itself has in this ACL. */
static uint32_t rights_of(const struct imap_session *s, struct span acl, struct span identifier)
{
	struct span id, letters;
	char bad;

	while (acl_next(&acl, &id, &letters))
		if (span_eq(id, identifier))
			return acl_parse_rights(letters, s->host->deleteright, &bad);
	return 0;
}

static int change_locked(struct imap_session *s, struct mailbox *m, const struct change *change,
			 struct us_err *err)
{
	struct span name = buf_span(&m->name), acl = m->row.acl;
	uint32_t mine = host_rights(s->host, s->identity, name, acl);
	uint32_t had = rights_of(s, acl, change->identifier), rights;
	struct buf wanted = BUF_INIT;
	int rc;

	if (!(mine & ACL_ADMIN))
		return us_fail(err, US_EPERM, "it was taken from him meanwhile");
	rights = change->mode == RIGHTS_ADD    ? had | change->rights
		 : change->mode == RIGHTS_TAKE ? had & ~change->rights
					       : change->rights;
	if (is_owner(name, change->identifier, s->host->names.deletedprefix)) {
		if (!(rights & ACL_ADMIN) && !imap_is_admin(s))
			return us_fail(err, US_EPERM, "an owner keeps his right to administer");
		rights |= s->host->implicit_rights;
	}
	acl_set(acl, change->identifier, rights, s->host->deleteright, &wanted);
	rc = span_eq(buf_span(&wanted), acl) ? 0 : folder_set_acl(m, buf_span(&wanted), err);
	buf_free(&wanted);
	return rc;
}

static int apply(struct imap_session *s, struct span mailbox, const struct change *change,
		 struct us_err *err)
{
	struct mailbox *m = NULL;
	struct access access;
	int rc;

	if (!conf_bool(s->host->conf, CONF_allowsetacl))
		return us_fail(err, US_ENOTSUP, "allowsetacl is off");
	rc = access_lookup(s, mailbox, ACL_ADMIN, &access, err);
	if (rc == 0 && span_is(change->identifier, "anyone") && change->rights &&
	    !imap_is_admin(s) && !conf_bool(s->host->conf, CONF_anyoneuseracl) &&
	    mboxname_in_user_tree(access.name))
		rc = us_fail(err, US_EPERM, "anyoneuseracl is off");
	if (rc == 0)
		rc = mailbox_open(s->host->store, access.name, &m, err);
	if (rc == 0)
		rc = mailbox_lock(m, err);
	if (rc == 0) {
		rc = change_locked(s, m, change, err);
		mailbox_unlock(m);
	}
	mailbox_close(&m);
	return rc;
}

int run_setacl(struct imap_session *s, const void *args, struct us_err *err)
{
	const struct args_acl *a = args;
	struct change change = {.mode = RIGHTS_SET};
	struct span letters = a->rights;
	char bad;

	if (letters.len && (letters.ptr[0] == '+' || letters.ptr[0] == '-')) {
		change.mode = letters.ptr[0] == '+' ? RIGHTS_ADD : RIGHTS_TAKE;
		letters = span_from(letters, 1);
	}
	change.rights = acl_parse_rights(letters, s->host->deleteright, &bad);
	if (bad)
		return imap_bad(s, "The %c right is not supported",
				isprint((unsigned char)bad) ? bad : '?');
	if (!canonical(s, a->identifier, &change.identifier))
		return imap_no(s, "Invalid identifier");
	return apply(s, a->mailbox, &change, err);
}

int run_deleteacl(struct imap_session *s, const void *args, struct us_err *err)
{
	const struct args_acl *a = args;
	struct change change = {.identifier = a->identifier, .mode = RIGHTS_SET};

	/* What is in an ACL and no identifier any more (a group that is gone) can be taken out as it stands. */
	(void)canonical(s, a->identifier, &change.identifier);
	return apply(s, a->mailbox, &change, err);
}
