/* cmd_create.c - CREATE (RFC 3501, 6.3.3; with a special use: RFC 6154).
 *
 *	create	= "CREATE" SP mailbox [SP partition / SP "(" param *(SP param) ")"]	a partition is for administrators
 *	param	= "USE" SP "(" [use-attr *(SP use-attr)] ")" / "PARTITION" SP partition
 */
#include "server/base/mem.h"
#include "server/imap/access.h"
#include "server/imap/folders.h"
#include "server/imap/session.h"
#include "server/imap/special_use.h"
#include "server/imap/texts.h"
#include "server/imap/token.h"
#include "server/session/autocreate.h"
#include "server/store/mailbox.h"

static void take_uses(struct parse *p, struct args_create *a)
{
	struct token_list uses = token_flag_list(&p->s, p->pool);
	struct buf all = BUF_INIT;

	for (size_t i = 0; i < uses.n; i++) {
		if (uses.item[i].ptr[0] != '\\')
			scan_fail(&p->s); /* use-attr = "\" atom */
		buf_add_span(&all, uses.item[i]);
		buf_add_char(&all, ' ');
	}
	a->uses = pool_span(p->pool, span_trim(buf_span(&all)));
	buf_free(&all);
}

static int take_params(struct parse *p, struct args_create *a, struct us_err *err)
{
	do {
		struct span word = token_atom(&p->s);

		token_space(&p->s);
		if (span_is_nocase(word, "USE"))
			take_uses(p, a);
		else if (span_is_nocase(word, "PARTITION"))
			a->partition = token_astring(&p->s, p->pool);
		else
			return us_fail(err, US_EPROTO, "Invalid parameter in Create");
	} while (!p->s.bad && scan_skip(&p->s, ' '));
	scan_expect(&p->s, ')');
	return p->s.bad ? us_fail(err, US_EPROTO, "Invalid parameter in Create") : 0;
}

int parse_create(struct parse *p, void **args, struct us_err *err)
{
	struct args_create *a = pool_alloc(p->pool, sizeof(*a));
	int rc = 0;

	token_space(&p->s);
	a->mailbox = token_astring(&p->s, p->pool);
	if (!p->s.bad && scan_skip(&p->s, ' ')) {
		if (scan_skip(&p->s, '('))
			rc = take_params(p, a, err);
		else
			a->partition = token_astring(&p->s, p->pool);
	}
	if (rc == 0)
		rc = parse_end(p, err);
	if (rc == 0)
		*args = a;
	return rc;
}

/* Names that would be taken for something else: "user" is where users are, and INBOX below INBOX is INBOX. */
static bool is_reserved(struct span name)
{
	struct span rest = mboxname_local(name), part[4] = {SPAN_NULL};

	for (size_t i = 0; i < 4 && span_split(&rest, '.', &part[i]); i++)
		;
	return (span_is(part[0], "user") && !part[1].len) ||
	       (span_is(part[0], "user") && span_is_nocase(part[2], "INBOX") &&
		(span_is_nocase(part[3], "INBOX") || !part[3].len));
}

static int check_partition(struct imap_session *s, const struct args_create *a, struct us_err *err)
{
	if (!a->partition.len)
		return 0;
	if (!imap_is_admin(s))
		return us_fail(err, US_EPERM, "only administrators choose partitions");
	if (!store_partition(s->host->store, a->partition))
		return us_fail(err, US_ECONFIG, "no partition %.*s", SPAN_ARG(a->partition));
	return 0;
}

static bool is_own_inbox(const struct imap_session *s, struct span name)
{
	return mboxname_is_inbox(name) && host_owns(s->host, s->identity, name) &&
	       !imap_is_admin(s);
}

/* Made, and called by what it is (RFC 8474, 4.1). */
static int tell_id(struct imap_session *s, struct span name, struct us_err *err)
{
	struct mailbox_row row;
	int rc = mailbox_row_get(s->host->store, name, s->pool, &row, NULL, NULL, err);

	if (rc <= 0) /* somebody took it away at once: it was made all the same */
		return rc;
	return imap_ok(s, "[MAILBOXID (%.*s)] Completed", SPAN_ARG(row.uniqueid));
}

/* Nothing that may not be done is begun: a mailbox is not made without the use that was asked for (RFC 6154, 3). */
static int create(struct imap_session *s, const struct args_create *a, struct span name,
		  struct us_err *err)
{
	struct buf uses = BUF_INIT;
	int rc = access_may_create(s, name, err);

	if (rc == 0 && a->uses.len) {
		rc = special_use_check(s, name, a->uses, &uses, err);
		if (rc == US_EINVAL || rc == US_EEXIST)
			rc = imap_no(s, "[USEATTR] %s",
				     rc == US_EINVAL ? "Invalid special use"
						     : "SPECIAL-USE flag conflict");
		if (!uses.len)
			goto out;
	}
	if (rc == 0)
		rc = folders_create(s, name, a->partition, buf_span(&uses), err);
	if (rc == 0)
		rc = tell_id(s, name, err);
out:
	buf_free(&uses);
	return rc;
}

int run_create(struct imap_session *s, const void *args, struct us_err *err)
{
	const struct args_create *a = args;
	struct mailbox_row row;
	struct span name;
	int rc = access_name(s, a->mailbox, &name, err);

	if (rc == 0)
		rc = mboxname_check_legal(name, err);
	if (rc == 0 && is_reserved(name))
		rc = us_fail(err, US_EINVAL, "a reserved name");
	if (rc == 0)
		rc = check_partition(s, a, err);
	if (rc == US_ECONFIG)
		return imap_no(s, "%s", imap_text(rc));
	if (rc == 0)
		rc = mailbox_row_get(s->host->store, name, s->pool, &row, NULL, NULL, err);
	if (rc > 0 && mailbox_row_is_real(&row))
		return host_rights(s->host, s->identity, name, row.acl) & ACL_LOOKUP
			       ? us_fail(err, US_EEXIST, "it exists")
			       : us_fail(err, US_EPERM, "it exists, which he may not know");
	/* A new user may make his INBOX where he would have got it at his login. */
	if (rc >= 0 && is_own_inbox(s, name)) {
		if (a->uses.len)
			return imap_no(s, "[USEATTR] INBOX is made without a special use");
		rc = autocreate_at_login(s->host, s->identity, err);
		if (rc > 0)
			return tell_id(s, name, err);
	}
	return rc < 0 ? rc : create(s, a, name, err);
}
