/* cmd_list.c - LIST and LSUB (RFC 3501, 6.3.8, 6.3.9; attributes: RFC 3348, 6154; LIST-EXTENDED: RFC 5258, with STATUS of
 * RFC 5819 and MYRIGHTS of RFC 8440).
 *
 * The namespace has branches: one's own INBOX and what is below it, one's other folders, other users' folders, shared
 * ones. Each is read in one range, narrowed to what the pattern begins with, and not at all if the pattern cannot
 * reach it; of other users' folders only those that were opened to somebody are there to be read (grants.h). Patterns are compared with names as the client sees them.
 *
 * LSUB, and LIST where subscriptions are what is selected, go through the subscriptions instead, and look for each at its
 * mailbox.
 */
#include <stdlib.h>
#include <string.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/imap/access.h"
#include "server/imap/listing.h"
#include "server/imap/reply.h"
#include "server/imap/session.h"
#include "server/imap/special_use.h"
#include "server/imap/status.h"
#include "server/session/groups.h"
#include "server/session/listmatch.h"
#include "server/store/folder.h"
#include "server/store/grants.h"
#include "server/store/userdata.h"

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
	const struct args_list *args;
	struct listing listing;
	struct span *patterns; /* of both arguments together */
	size_t n_patterns;
	char separator;
	struct buf domain;             /* "dom!" of the user's names, or "" */
	struct buf own;                /* his INBOX, internal; "" for an administrator */
	struct buf external;           /* of the name at hand */
	struct span shown;             /* the name listed last, internal, while it lives */
	const struct mailbox_row *row; /* its row; NULL: there is none, for this user */
	enum branch branch;            /* being read */
	bool first_is_enough;          /* whether there is anything visible */
	bool shows_uses;
	const struct span *subscriptions; /* in list order; read if they are asked for */
	size_t n_subscriptions;
	int rc; /* of what was done while lines were written */
	struct us_err err;
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

/* ---- what is said of a name ------------------------------------------------------------------------ */

/* The first thing that goes wrong while lines are written ends the command. */
static void note(struct query *q, int rc, const struct us_err *err)
{
	if (rc < 0 && q->rc == 0) {
		q->rc = rc;
		q->err = *err;
	}
}

static int by_place(const void *name, const void *member)
{
	return mboxname_cmp(*(const struct span *)name, *(const struct span *)member);
}

static bool is_subscribed(const struct query *q, struct span name)
{
	return q->n_subscriptions && bsearch(&name, q->subscriptions, q->n_subscriptions,
					     sizeof(q->subscriptions[0]), by_place);
}

static bool is_visible(const struct query *q, struct span name, const struct mailbox_row *row)
{
	return mailbox_row_is_real(row) &&
	       host_rights(q->s->host, q->s->identity, name, row->acl) & ACL_LOOKUP;
}

static int found_visible(void *ctx, struct span name, const struct mailbox_row *row,
			 struct us_err *err UNUSED)
{
	return is_visible(ctx, name, row);
}

static bool has_visible_child(struct query *q, struct span name)
{
	struct us_err err = US_ERR_INIT;
	struct buf prefix = BUF_INIT;
	int rc;

	buf_add_span(&prefix, name);
	if (q->s->names.altnamespace && span_eq(name, buf_span(&q->own)))
		buf_add_str(&prefix, ".INBOX"); /* what is shown below it */
	buf_add_char(&prefix, '.');
	rc = folder_list(q->s->host->store, buf_span(&prefix), found_visible, q, &err);
	note(q, rc, &err);
	buf_free(&prefix);
	return rc > 0;
}

/* The row of a name, if this user may know of it: true, and *out is filled. */
static bool find_visible(struct query *q, struct span name, struct mailbox_row *out)
{
	struct us_err err = US_ERR_INIT;
	int rc = mailbox_row_get(q->s->host->store, name, q->s->pool, out, NULL, NULL, &err);

	note(q, rc, &err);
	return rc > 0 && is_visible(q, name, out);
}

static struct span uses_of(struct query *q, struct span name, const struct mailbox_row *row)
{
	struct us_err err = US_ERR_INIT;
	struct buf uses = BUF_INIT;
	struct span kept;

	note(q, special_use_get(q->s, name, &row->storeid, &uses, &err), &err);
	kept = pool_span(q->s->pool, buf_span(&uses));
	buf_free(&uses);
	return kept;
}

static void describe(void *ctx, struct span external, bool is_level, struct listing_item *out)
{
	struct query *q = ctx;
	unsigned select = q->args->select;
	struct span name = q->shown;
	const struct mailbox_row *row = is_level ? NULL : q->row;
	struct mailbox_row of_level;

	if (is_level &&
	    (access_name(q->s, external, &name, NULL) < 0 || branch_of(q, name) != q->branch))
		name = SPAN_NULL; /* "Other Users" */
	if (is_level && name.len && select && find_visible(q, name, &of_level))
		row = &of_level;
	out->nonexistent = !row;
	out->subscribed = is_subscribed(q, name);
	if (select & LIST_SELECT_SUBSCRIBED)
		out->has_children =
			(is_level && q->row) || (name.len && has_visible_child(q, name));
	if (row && q->shows_uses)
		out->uses = uses_of(q, name, row);
	out->left_out = select & LIST_SELECT_SPECIAL_USE && !out->uses.len;
}

/* For those who may read it; what cannot be had is left out (RFC 5819, 2). */
static void put_status(struct query *q, const struct access *access, struct span shown)
{
	struct us_err err = US_ERR_INIT;
	int rc = access->rights & ACL_READ ? status_put(q->s, access, shown, q->args->status, &err)
					   : 0;

	if (rc < 0 && rc != US_ENOENT)
		log_event(LOG_ERR, "imap.status.failed", LF_SPAN("mailbox", access->name),
			  LF_ERR(&err));
}

/* Behind the line of a mailbox; of one that has gone meanwhile there is nothing to say. */
static void put_more(void *ctx, struct span external)
{
	struct query *q = ctx;
	struct us_err err = US_ERR_INIT;
	struct access access;
	int rc = access_lookup(q->s, external, ACL_LOOKUP, &access, &err);

	if (rc == 0 && q->args->status)
		put_status(q, &access, external);
	if (rc == 0 && q->args->returns & LIST_RETURN_MYRIGHTS)
		access_put_rights(q->s, external, access.rights);
	if (rc != US_ENOENT)
		note(q, rc, &err);
}

/* ---- a query --------------------------------------------------------------------------------------- */

/* The patterns of both arguments, as the configuration wants them. What can fit nothing is left out. */
static void join(struct query *q)
{
	const struct conf *conf = q->s->host->conf;
	struct span reference =
		conf_bool(conf, CONF_ignorereference) ? SPAN_NULL : q->args->reference;
	struct buf joined = BUF_INIT;

	q->patterns = pool_alloc(q->s->pool, us_mul_size(q->args->patterns.n, sizeof(struct span)));
	for (size_t i = 0; i < q->args->patterns.n; i++) {
		if (!q->args->patterns.item[i].len)
			continue;
		buf_clear(&joined);
		listmatch_join(reference, q->args->patterns.item[i], q->separator, &joined);
		if (span_is(buf_span(&joined), "*") && conf_bool(conf, CONF_foolstupidclients)) {
			buf_clear(&joined);
			buf_add_str(&joined, "INBOX*");
		}
		if (joined.len <= LISTMATCH_MAX)
			q->patterns[q->n_patterns++] = pool_span(q->s->pool, buf_span(&joined));
	}
	buf_free(&joined);
}

static enum listing_levels levels_of(const struct args_list *a)
{
	if (!a->extended)
		return LISTING_LEVELS_NOSELECT;
	if (!(a->select & ~(unsigned)LIST_SELECT_REMOTE))
		return LISTING_LEVELS_NONEXISTENT;
	return a->select & LIST_SELECT_RECURSIVE ? LISTING_LEVELS_SUBSCRIBED
						 : LISTING_LEVELS_UNTOLD;
}

/* `word`: "LIST" or "LSUB". */
static void query_begin(struct query *q, struct imap_session *s, const char *word,
			const struct args_list *args)
{
	const char *at = s->names.virtdomains ? strrchr(s->identity->user, '@') : NULL;
	bool is_lsub = word[1] == 'S',
	     more = args->returns & (LIST_RETURN_STATUS | LIST_RETURN_MYRIGHTS);
	struct listing_options options = {.word = word,
					  .childless = is_lsub ? "" : "\\HasNoChildren",
					  .levels = levels_of(args),
					  .children_known = args->select & LIST_SELECT_SUBSCRIBED,
					  .describe = is_lsub ? NULL : describe,
					  .wrote = more ? put_more : NULL,
					  .ctx = q};

	*q = (struct query){.s = s,
			    .args = args,
			    .separator = mboxname_separator(&s->names),
			    .domain = BUF_INIT,
			    .own = BUF_INIT,
			    .external = BUF_INIT};
	if (at &&
	    !(s->names.defaultdomain && span_is_nocase(span_of(at + 1), s->names.defaultdomain)))
		buf_printf(&q->domain, "%s!", at + 1);
	if (!imap_is_admin(s))
		mboxname_user_inbox(span_of(s->identity->user), &q->own);
	q->shows_uses = conf_bool(s->host->conf, CONF_specialusealways) ||
			args->select & LIST_SELECT_SPECIAL_USE ||
			args->returns & LIST_RETURN_SPECIAL_USE;
	join(q);
	options.separator = q->separator;
	options.patterns = q->patterns;
	options.n_patterns = q->n_patterns;
	listing_begin(&q->listing, s->out, &options);
}

/* What was noted came first, and is why reading ended. */
static int query_end(struct query *q, int rc, struct us_err *err)
{
	unsigned n = q->listing.n_seen;

	listing_end(&q->listing);
	listing_free(&q->listing);
	buf_free(&q->domain);
	buf_free(&q->own);
	buf_free(&q->external);
	if (q->rc < 0) {
		rc = q->rc;
		*err = q->err;
	}
	if (rc < 0)
		return rc;
	return n ? imap_ok(q->s, "Completed (%.3f secs %u calls)", imap_elapsed_s(q->s), n)
		 : imap_ok(q->s, "Completed (%.3f secs)", imap_elapsed_s(q->s));
}

static void show(struct query *q, struct span name, const struct mailbox_row *row)
{
	q->shown = name;
	q->row = row;
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
	show(q, name, row);
	return q->rc < 0 ? q->rc : q->first_is_enough;
}

/* What every name that fits a pattern begins with. */
static struct span common_literal(const struct query *q)
{
	struct span literal = listmatch_literal(q->patterns[0]);

	for (size_t i = 1; i < q->n_patterns; i++) {
		struct span other = listmatch_literal(q->patterns[i]);
		size_t same = 0;

		while (same < literal.len && same < other.len &&
		       literal.ptr[same] == other.ptr[same])
			same++;
		literal.len = same;
	}
	return literal;
}

/* Add the internal form of what the patterns say behind `base`, as far as they say it for sure. */
static void add_literal(const struct query *q, struct span base, struct buf *out)
{
	struct span literal = common_literal(q);

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
	enum listmatch_reach reach = above.len ? LISTMATCH_NONE : LISTMATCH_INSIDE;

	for (size_t i = 0; reach != LISTMATCH_INSIDE && i < q->n_patterns; i++) {
		enum listmatch_reach one = listmatch_reach(q->patterns[i], above, q->separator);
		if (one > reach)
			reach = one;
	}
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
	const char *const *groups;
	struct grants g = {NULL, 0, 0};
	size_t n_groups;
	int rc = add_grants(q, span_of(who->user), prefix, &g, err);

	if (rc == 0)
		rc = add_grants(q, SPAN_LIT("anyone"), prefix, &g, err);
	groups = groups_names(who->groups, &n_groups);
	for (size_t i = 0; rc == 0 && i < n_groups; i++)
		rc = add_grants(q, span_of(groups[i]), prefix, &g, err);
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

/* ---- subscriptions --------------------------------------------------------------------------------- */

static int read_subscriptions(struct query *q, struct us_err *err)
{
	return subscriptions_list(q->s->host->store, span_of(q->s->identity->user), q->s->pool,
				  &q->subscriptions, &q->n_subscriptions, err);
}

/* LIST shows a subscription to what is not there as such (RFC 5258, 3.1); LSUB does not show it, unless one may subscribe to
 * anything. */
static void show_subscription(struct query *q, struct span name)
{
	bool is_lsub = !q->listing.o.describe;
	struct us_err err = US_ERR_INIT;
	struct mailbox_row row;
	int rc;

	if (!is_lsub) {
		show(q, name, find_visible(q, name, &row) ? &row : NULL);
		return;
	}
	rc = mailbox_row_get(q->s->host->store, name, q->s->pool, &row, NULL, NULL, &err);
	note(q, rc, &err);
	if ((rc > 0 && mailbox_row_is_real(&row)) ||
	    conf_bool(q->s->host->conf, CONF_allowallsubscribe))
		show(q, name, NULL);
}

static void show_subscriptions(struct query *q)
{
	for (q->branch = 0; q->branch < BRANCHES; q->branch++) {
		for (size_t i = 0; q->rc == 0 && i < q->n_subscriptions; i++)
			if (branch_of(q, q->subscriptions[i]) == q->branch)
				show_subscription(q, q->subscriptions[i]);
		listing_end(&q->listing);
	}
}

/* ---- the commands ---------------------------------------------------------------------------------- */

int run_list(struct imap_session *s, const void *args, struct us_err *err)
{
	const struct args_list *a = args;
	struct query q;
	int rc = 0;

	if (a->patterns.n > (size_t)conf_int(s->host->conf, CONF_list_patterns_max))
		return us_fail(err, US_ELIMIT, "%zu patterns", a->patterns.n);
	if (!a->extended && !a->patterns.item[0].len) {
		listing_write(s->out, "LIST", "\\Noselect", mboxname_separator(&s->names),
			      SPAN_LIT(""));
		return imap_ok(s, "Completed (%.3f secs)", imap_elapsed_s(s));
	}
	query_begin(&q, s, "LIST", a);
	if (q.n_patterns &&
	    (a->select & LIST_SELECT_SUBSCRIBED || a->returns & LIST_RETURN_SUBSCRIBED))
		rc = read_subscriptions(&q, err);
	if (rc == 0 && a->select & LIST_SELECT_SUBSCRIBED)
		show_subscriptions(&q);
	else if (rc == 0 && q.n_patterns)
		rc = read_all(&q, err);
	return query_end(&q, rc, err);
}

int run_lsub(struct imap_session *s, const void *args, struct us_err *err)
{
	struct query q;
	int rc = 0;

	query_begin(&q, s, "LSUB", args);
	if (q.n_patterns)
		rc = read_subscriptions(&q, err);
	if (rc == 0)
		show_subscriptions(&q);
	return query_end(&q, rc, err);
}
