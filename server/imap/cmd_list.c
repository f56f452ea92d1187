/* cmd_list.c - LIST and LSUB (RFC 3501, 6.3.8, 6.3.9; attributes: RFC 3348).
 *
 * The namespace has branches: one's own INBOX and what is below it, one's other folders, other users' folders, shared
 * ones. Each is read in one range, narrowed to what the pattern begins with, and not at all if the pattern cannot
 * reach it; of other users' folders only those that were opened to somebody are there to be read (grants.h). Patterns are compared with names as the client sees them.
 */
#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"
#include "server/imap/access.h"
#include "server/imap/listing.h"
#include "server/imap/session.h"
#include "server/imap/token.h"
#include "server/session/listmatch.h"
#include "server/store/folder.h"
#include "server/store/grants.h"
#include "server/store/userdata.h"

int parse_list(struct parse *p, void **args, struct us_err *err)
{
	struct args_list *a = pool_alloc(p->pool, sizeof(*a));
	int rc;

	token_space(&p->s);
	a->reference = token_astring(&p->s, p->pool);
	if (!p->s.bad && scan_end(&p->s) && span_is(span_of(p->command->name), "LIST"))
		return us_fail(err, US_EPROTO,
			       "Missing required argument to List: mailbox pattern");
	token_space(&p->s);
	a->pattern = token_list_mailbox(&p->s, p->pool);
	rc = parse_end(p, err);
	if (rc == 0)
		*args = a;
	return rc;
}

#define MANY_GRANTS 2000

/* ---- branches -------------------------------------------------------------------------------------- */

enum branch {
	BRANCH_INBOX,  /* own INBOX, and what is shown below it */
	BRANCH_OWN,    /* own folders beside it (altnamespace) */
	BRANCH_OTHERS, /* user.* of others; of all, for an administrator */
	BRANCH_SHARED,
	BRANCHES,
};

struct query {
	struct imap_session *s;
	struct listing listing;
	struct span pattern;
	char separator;
	struct buf domain;    /* "dom!" of the user's names, or "" */
	struct buf own;       /* his INBOX, internal; "" for an administrator */
	struct buf external;  /* of the name at hand */
	struct span shown;    /* the name listed last, internal, while it lives */
	enum branch branch;   /* being read */
	bool first_is_enough; /* whether there is anything visible */
};

static bool is_within(struct span name, const struct buf *ancestor)
{
	return ancestor->len &&
	       (span_eq(name, buf_span(ancestor)) || mboxname_is_below(name, buf_span(ancestor)));
}

/* user.alice.INBOX and below: with altnamespace it is shown below INBOX, not beside it. */
static bool is_below_inbox(const struct query *q, struct span name)
{
	struct span rest = span_from(name, q->own.len);

	return span_starts(rest, ".INBOX") && (rest.len == 6 || rest.ptr[6] == '.');
}

static bool same_domain(const struct query *q, struct span domain)
{
	struct span own = buf_span(&q->domain);

	if (own.len)
		own.len--; /* the "!" */
	return span_eq(own, domain);
}

/* BRANCHES: he does not see it at all. */
static enum branch branch_of(const struct query *q, struct span name)
{
	struct span domain = mboxname_domain(name);
	bool admin = imap_is_admin(q->s);

	if (is_within(name, &q->own)) {
		if (span_eq(name, buf_span(&q->own)) || !q->s->names.altnamespace)
			return BRANCH_INBOX;
		if (!is_below_inbox(q, name))
			return BRANCH_OWN;
		return name.len > q->own.len + 6 ? BRANCH_INBOX : BRANCHES;
	}
	if (!admin &&
	    (mboxname_is_deleted(name, q->s->names.deletedprefix) || !same_domain(q, domain)))
		return BRANCHES;
	return mboxname_in_user_tree(name) && (!admin || !domain.len) ? BRANCH_OTHERS
								      : BRANCH_SHARED;
}

static void query_begin(struct query *q, struct imap_session *s, const char *word,
			struct span pattern)
{
	const char *at = s->names.virtdomains ? strrchr(s->identity->user, '@') : NULL;

	*q = (struct query){.s = s,
			    .pattern = pattern,
			    .separator = mboxname_separator(&s->names),
			    .domain = BUF_INIT,
			    .own = BUF_INIT,
			    .external = BUF_INIT};
	if (at &&
	    !(s->names.defaultdomain && span_is_nocase(span_of(at + 1), s->names.defaultdomain)))
		buf_printf(&q->domain, "%s!", at + 1);
	if (!imap_is_admin(s))
		mboxname_user_inbox(span_of(s->identity->user), &q->own);
	listing_begin(&q->listing, s->out, word, word[1] == 'S' ? "" : "\\HasNoChildren",
		      q->separator, pattern);
}

static void query_end(struct query *q)
{
	unsigned n = q->listing.n_seen;

	listing_end(&q->listing);
	listing_free(&q->listing);
	buf_free(&q->domain);
	buf_free(&q->own);
	buf_free(&q->external);
	if (n)
		(void)imap_ok(q->s, "Completed (%.3f secs %u calls)", imap_elapsed_s(q->s), n);
	else
		(void)imap_ok(q->s, "Completed (%.3f secs)", imap_elapsed_s(q->s));
}

static void show(struct query *q, struct span name)
{
	q->shown = name;
	buf_clear(&q->external);
	access_external(q->s, name, &q->external);
	listing_add(&q->listing, buf_span(&q->external));
}

/* ---- LIST ------------------------------------------------------------------------------------------ */

static int take_row(void *ctx, struct span name, const struct mailbox_row *row,
		    struct us_err *err UNUSED)
{
	struct query *q = ctx;

	if (mboxtype_has(row->type, MBOXTYPE_INTERMEDIATE) ||
	    mboxtype_has(row->type, MBOXTYPE_DELETED) || branch_of(q, name) != q->branch ||
	    !(host_rights(q->s->host, q->s->identity, name, row->acl) & ACL_LOOKUP))
		return 0;
	show(q, name);
	return q->first_is_enough;
}

/* Add the internal form of what the pattern says behind `base`, as far as it says it for sure. */
static void add_literal(const struct query *q, struct span base, struct buf *out)
{
	struct span literal = listmatch_literal(q->pattern);

	if (literal.len <= base.len || (q->s->names.virtdomains && imap_is_admin(q->s)))
		return;
	literal = span_from(literal, base.len);
	for (size_t i = 0; i < literal.len; i++) {
		char c = literal.ptr[i];

		if (q->s->names.unixhierarchysep)
			c = c == '/' ? '.' : c == '.' ? '^' : c;
		buf_add_char(out, c);
	}
}

/* `above`: nothing in this branch is shown outside of it, and it ends in a separator. */
static bool is_reached(struct query *q, enum branch branch, struct span above)
{
	enum listmatch_reach reach =
		above.len ? listmatch_reach(q->pattern, above, q->separator) : LISTMATCH_INSIDE;

	q->branch = branch;
	q->first_is_enough = reach == LISTMATCH_ITSELF;
	return reach != LISTMATCH_NONE;
}

static int read_inbox(struct query *q, struct us_err *err)
{
	char above[] = {'I', 'N', 'B', 'O', 'X', q->separator, '\0'};
	struct mailbox_row row;
	struct buf prefix = BUF_INIT;
	int rc;

	if (!is_reached(q, BRANCH_INBOX, span_of(above)))
		return 0;
	q->first_is_enough = false; /* whether it has children is a question, too */
	rc = mailbox_row_get(q->s->host->store, buf_span(&q->own), q->s->pool, &row, NULL, NULL,
			     err);
	if (rc > 0)
		rc = take_row(q, buf_span(&q->own), &row, err);
	buf_add_span(&prefix, buf_span(&q->own));
	buf_add_str(&prefix, q->s->names.altnamespace ? ".INBOX." : ".");
	if (rc == 0)
		rc = folder_list(q->s->host->store, buf_span(&prefix), take_row, q, err);
	buf_free(&prefix);
	listing_end(&q->listing);
	return rc;
}

static int read_own(struct query *q, struct us_err *err)
{
	struct buf prefix = BUF_INIT;
	int rc;

	if (!q->s->names.altnamespace)
		return 0;
	(void)is_reached(q, BRANCH_OWN, SPAN_NULL);
	buf_add_span(&prefix, buf_span(&q->own));
	buf_add_char(&prefix, '.');
	add_literal(q, SPAN_NULL, &prefix);
	rc = folder_list(q->s->host->store, buf_span(&prefix), take_row, q, err);
	buf_free(&prefix);
	listing_end(&q->listing);
	return rc;
}

/* What a branch's names begin with, as this user sees them: "Other Users/". */
static void add_above(const struct query *q, const char *alt, const char *plain, struct buf *out)
{
	const char *top = q->s->names.altnamespace && !imap_is_admin(q->s) ? alt : plain;

	buf_add_str(out, top);
	if (*top)
		buf_add_char(out, q->separator);
}

static int take_granted(struct query *q, struct span identifier, struct span name,
			struct us_err *err)
{
	struct store *store = q->s->host->store;
	struct mailbox_row row;
	uint64_t version = 0;
	int rc = mailbox_row_get(store, name, q->s->pool, &row, &version, NULL, err);

	if (rc < 0)
		return rc;
	if (rc == 0 || !grants_lookup(row.acl, identifier))
		return grants_forget(store, identifier, name, version, err);
	return take_row(q, name, &row, err);
}

struct grant {
	struct span identifier, name;
};

static int by_name(const void *a, const void *b)
{
	return mboxname_cmp(((const struct grant *)a)->name, ((const struct grant *)b)->name);
}

struct grants {
	struct grant *grant;
	size_t n, cap;
};

static int add_grants(struct query *q, struct span identifier, struct span prefix,
		      struct grants *grants, struct us_err *err)
{
	struct span *names;
	size_t n = 0;
	int rc = grants_list(q->s->host->store, identifier, prefix, q->s->pool, &names, &n, err);

	for (size_t i = 0; rc == 0 && i < n; i++) {
		us_grow(&grants->grant, grants->n, &grants->cap, sizeof(grants->grant[0]));
		grants->grant[grants->n++] = (struct grant){identifier, names[i]};
	}
	return rc;
}

/* Of all the mailboxes of others only those that were opened to this user, to a group of his or to anyone are looked at. */
static int read_granted(struct query *q, struct span prefix, struct us_err *err)
{
	const struct identity *who = q->s->identity;
	struct grants g = {NULL, 0, 0};
	int rc = add_grants(q, span_of(who->user), prefix, &g, err);

	if (rc == 0)
		rc = add_grants(q, SPAN_LIT("anyone"), prefix, &g, err);
	for (size_t i = 0; rc == 0 && i < who->n_groups; i++)
		rc = add_grants(q, span_of(who->groups[i]), prefix, &g, err);
	q->shown = SPAN_NULL;
	if (g.n && rc == 0)
		qsort(g.grant, g.n, sizeof(g.grant[0]), by_name);
	if (g.n > MANY_GRANTS && rc == 0) { /* one range is cheaper than that many questions */
		free(g.grant);
		return folder_list(q->s->host->store, prefix, take_row, q, err);
	}
	for (size_t i = 0; rc == 0 && i < g.n; i++)
		if (!span_eq(g.grant[i].name, q->shown))
			rc = take_granted(q, g.grant[i].identifier, g.grant[i].name, err);
	free(g.grant);
	return rc;
}

static int read_others(struct query *q, struct us_err *err)
{
	struct buf above = BUF_INIT, prefix = BUF_INIT;
	int rc = 0;

	add_above(q, q->s->names.userprefix, "user", &above);
	buf_add_span(&prefix, buf_span(&q->domain));
	buf_add_str(&prefix, "user.");
	if (is_reached(q, BRANCH_OTHERS, buf_span(&above))) {
		add_literal(q, buf_span(&above), &prefix);
		rc = imap_is_admin(q->s)
			     ? folder_list(q->s->host->store, buf_span(&prefix), take_row, q, err)
			     : read_granted(q, buf_span(&prefix), err);
	}
	buf_free(&above);
	buf_free(&prefix);
	listing_end(&q->listing);
	return rc < 0 ? rc : 0;
}

/* The first name behind all that begin with `prefix`. */
static void add_end(struct span prefix, struct buf *out)
{
	buf_add_span(out, prefix);
	while (out->len && (unsigned char)out->data[out->len - 1] == 0xff)
		buf_truncate(out, out->len - 1);
	if (out->len && out->data[out->len - 1] == '.')
		out->data[out->len - 1] = MBOXNAME_KEYSEP + 1;
	else if (out->len)
		out->data[out->len - 1]++;
}

/* Those before users' mailboxes, and those behind. */
static int read_around_users(struct query *q, const struct buf *prefix, struct us_err *err)
{
	struct store *store = q->s->host->store;
	struct buf end = BUF_INIT, users = BUF_INIT, behind = BUF_INIT;
	struct span first = buf_span(prefix);
	int rc = 0;

	add_end(first, &end);
	buf_add_span(&users, buf_span(&q->domain));
	buf_add_str(&users, "user.");
	add_end(buf_span(&users), &behind);
	if (mboxname_cmp(first, buf_span(&users)) < 0) {
		struct span stop = !end.len || mboxname_cmp(buf_span(&users), buf_span(&end)) < 0
					   ? buf_span(&users)
					   : buf_span(&end);
		rc = folder_list_between(store, first, stop, take_row, q, err);
	}
	if (mboxname_cmp(first, buf_span(&behind)) < 0)
		first = buf_span(&behind);
	if (rc == 0 && (!end.len || mboxname_cmp(first, buf_span(&end)) < 0))
		rc = folder_list_between(store, first, buf_span(&end), take_row, q, err);
	buf_free(&end);
	buf_free(&users);
	buf_free(&behind);
	return rc;
}

static int read_shared(struct query *q, struct us_err *err)
{
	struct buf above = BUF_INIT, prefix = BUF_INIT;
	int rc = 0;

	add_above(q, q->s->names.sharedprefix, "", &above);
	buf_add_span(&prefix, buf_span(&q->domain));
	if (is_reached(q, BRANCH_SHARED, buf_span(&above))) {
		add_literal(q, buf_span(&above), &prefix);
		rc = read_around_users(q, &prefix, err);
	}
	buf_free(&above);
	buf_free(&prefix);
	listing_end(&q->listing);
	return rc < 0 ? rc : 0;
}

static int read_all(struct query *q, struct us_err *err)
{
	const struct conf *conf = q->s->host->conf;
	bool admin = imap_is_admin(q->s);
	int rc = admin ? 0 : read_inbox(q, err);

	if (rc == 0 && !admin)
		rc = read_own(q, err);
	if (rc == 0 && (admin || !conf_bool(conf, CONF_disable_user_namespace)))
		rc = read_others(q, err);
	if (rc == 0 && (admin || !conf_bool(conf, CONF_disable_shared_namespace)))
		rc = read_shared(q, err);
	return rc;
}

/* The pattern of both arguments, as the configuration wants it. */
static void join(const struct imap_session *s, const struct args_list *a, struct buf *out)
{
	bool ignore = conf_bool(s->host->conf, CONF_ignorereference);

	listmatch_join(ignore ? SPAN_NULL : a->reference, a->pattern, mboxname_separator(&s->names),
		       out);
	if (out->len == 1 && out->data[0] == '*' &&
	    conf_bool(s->host->conf, CONF_foolstupidclients)) {
		buf_clear(out);
		buf_add_str(out, "INBOX*");
	}
}

int run_list(struct imap_session *s, const void *args, struct us_err *err)
{
	const struct args_list *a = args;
	struct buf pattern = BUF_INIT;
	struct query q;
	int rc = 0;

	if (!a->pattern.len) {
		listing_write(s->out, "LIST", "\\Noselect", mboxname_separator(&s->names),
			      SPAN_LIT(""));
		return imap_ok(s, "Completed (%.3f secs)", imap_elapsed_s(s));
	}
	join(s, a, &pattern);
	query_begin(&q, s, "LIST", buf_span(&pattern));
	if (pattern.len <= LISTMATCH_MAX)
		rc = read_all(&q, err);
	query_end(&q);
	buf_free(&pattern);
	return rc;
}

/* ---- LSUB ------------------------------------------------------------------------------------------ */

/* A subscription to what is no longer there is kept, and not shown. */
static int is_there(struct query *q, struct span name, struct us_err *err)
{
	struct mailbox_row row;
	int rc;

	if (conf_bool(q->s->host->conf, CONF_allowallsubscribe))
		return 1;
	rc = mailbox_row_get(q->s->host->store, name, q->s->pool, &row, NULL, NULL, err);
	return rc > 0 ? !mboxtype_has(row.type, MBOXTYPE_INTERMEDIATE) &&
				!mboxtype_has(row.type, MBOXTYPE_DELETED)
		      : rc;
}

static int show_subscriptions(struct query *q, const struct span *names, size_t n,
			      struct us_err *err)
{
	int rc = 0;

	for (q->branch = 0; q->branch < BRANCHES; q->branch++) {
		for (size_t i = 0; rc >= 0 && i < n; i++) {
			if (branch_of(q, names[i]) != q->branch)
				continue;
			rc = is_there(q, names[i], err);
			if (rc > 0)
				show(q, names[i]);
		}
		listing_end(&q->listing);
	}
	return rc < 0 ? rc : 0;
}

int run_lsub(struct imap_session *s, const void *args, struct us_err *err)
{
	const struct args_list *a = args;
	struct buf pattern = BUF_INIT;
	const struct span *names = NULL;
	struct query q;
	size_t n = 0;
	int rc = 0;

	join(s, a, &pattern);
	query_begin(&q, s, "LSUB", buf_span(&pattern));
	if (a->pattern.len)
		rc = subscriptions_list(s->host->store, span_of(s->identity->user), s->pool, &names,
					&n, err);
	if (rc == 0)
		rc = show_subscriptions(&q, names, n, err);
	query_end(&q);
	buf_free(&pattern);
	return rc;
}
