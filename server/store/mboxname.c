/* mboxname.c - see mboxname.h. */
#include "server/store/mboxname.h"

#include <inttypes.h>
#include <string.h>

#include "server/base/mem.h"

char mboxname_separator(const struct mboxname_view *view)
{
	return view->unixhierarchysep ? '/' : '.';
}

/* ---- what a name says ------------------------------------------------------------------------- */

struct span mboxname_domain(struct span internal)
{
	const char *bang = span_find(internal, '!');

	return bang ? span_make(internal.ptr, (size_t)(bang - internal.ptr)) : SPAN_NULL;
}

struct span mboxname_local(struct span internal)
{
	struct span domain = mboxname_domain(internal);

	return domain.ptr ? span_from(internal, domain.len + 1) : internal;
}

static bool below_prefix(struct span local, const char *prefix)
{
	size_t len = strlen(prefix);

	return local.len > len + 1 && span_starts(local, prefix) && local.ptr[len] == '.';
}

bool mboxname_in_user_tree(struct span internal)
{
	return below_prefix(mboxname_local(internal), "user");
}

bool mboxname_is_inbox(struct span internal)
{
	return mboxname_in_user_tree(internal) &&
	       !span_find(span_from(mboxname_local(internal), strlen("user.")), '.');
}

bool mboxname_is_deleted(struct span internal, const char *deletedprefix)
{
	return below_prefix(mboxname_local(internal), deletedprefix);
}

/* "^" stands for a dot inside a part, in user ids too. */
static void add_swapped(struct buf *out, struct span s, char from, char to)
{
	for (size_t i = 0; i < s.len; i++)
		buf_add_char(out, s.ptr[i] == from ? to : s.ptr[i]);
}

bool mboxname_owner(struct span internal, const char *deletedprefix, struct buf *userid)
{
	struct span domain = mboxname_domain(internal), local = mboxname_local(internal), id;

	if (deletedprefix && below_prefix(local, deletedprefix))
		local = span_from(local, strlen(deletedprefix) + 1);
	if (!below_prefix(local, "user"))
		return false;
	local = span_from(local, strlen("user."));
	(void)span_split(&local, '.', &id); /* there is a first part: below_prefix saw it */
	add_swapped(userid, id, '^', '.');
	if (domain.len) {
		buf_add_char(userid, '@');
		buf_add_span(userid, domain);
	}
	return true;
}

void mboxname_user_inbox(struct span userid, struct buf *out)
{
	const char *at = userid.len ? memrchr(userid.ptr, '@', userid.len) : NULL;
	struct span local = userid;

	if (at) {
		local.len = (size_t)(at - userid.ptr);
		buf_add_span(out, span_from(userid, local.len + 1));
		buf_add_char(out, '!');
	}
	buf_add_str(out, "user.");
	add_swapped(out, local, '.', '^');
}

struct span mboxname_parent(struct span internal)
{
	struct span local = mboxname_local(internal);
	const char *dot = local.len ? memrchr(local.ptr, '.', local.len) : NULL;

	return dot ? span_make(internal.ptr, (size_t)(dot - internal.ptr)) : SPAN_NULL;
}

bool mboxname_is_below(struct span name, struct span ancestor)
{
	return name.len > ancestor.len + 1 &&
	       span_eq(span_make(name.ptr, ancestor.len), ancestor) &&
	       name.ptr[ancestor.len] == '.';
}

void mboxname_deleted(struct span internal, const char *deletedprefix, int64_t time,
		      struct buf *out)
{
	struct span domain = mboxname_domain(internal);

	if (domain.len) {
		buf_add_span(out, domain);
		buf_add_char(out, '!');
	}
	buf_printf(out, "%s.%.*s.%" PRIX64, deletedprefix, SPAN_ARG(mboxname_local(internal)),
		   (uint64_t)time);
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool mboxname_deleted_time(struct span internal, const char *deletedprefix, int64_t *time)
{
	struct span parent = mboxname_parent(internal), digits;
	int64_t value = 0;

	if (!mboxname_is_deleted(internal, deletedprefix) ||
	    !mboxname_is_deleted(parent, deletedprefix))
		return false; /* DELETED.<time> is nothing's */
	digits = span_from(internal, parent.len + 1);
	if (digits.len < 8 || digits.len > 12)
		return false;
	for (size_t i = 0; i < digits.len; i++) {
		int digit = hex_value(digits.ptr[i]);

		if (digit < 0)
			return false;
		value = value * 16 + digit;
	}
	*time = value;
	return true;
}

/* ---- legal names ------------------------------------------------------------------------------ */

int mboxname_check_storable(struct span internal, struct us_err *err)
{
	struct span rest = mboxname_local(internal), part;

	if (!internal.len || internal.len > MBOXNAME_MAX)
		return us_fail(err, US_EINVAL, "a mailbox name has 1 to %d bytes", MBOXNAME_MAX);
	for (size_t i = 0; i < internal.len; i++)
		if ((unsigned char)internal.ptr[i] < ' ' || internal.ptr[i] == 0x7f)
			return us_fail(err, US_EINVAL, "a control character in a mailbox name");
	while (span_split(&rest, '.', &part))
		if (!part.len)
			return us_fail(err, US_EINVAL, "an empty part in a mailbox name");
	return 0;
}

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == ',' ? 63 : -1;
}

/* One shifted run "&...-" of modified UTF-7: canonical base64 of UTF-16 without what ASCII could say.
 * Returns its length, 0 if it is malformed. */
static size_t shifted_run(struct span s)
{
	uint32_t bits = 0, high = 0;
	unsigned have = 0;
	size_t i;

	if (s.len >= 2 && s.ptr[1] == '-')
		return 2; /* "&-" is "&" */
	for (i = 1; i < s.len && s.ptr[i] != '-'; i++) {
		int value = base64_value(s.ptr[i]);
		uint32_t unit;
		if (value < 0)
			return 0;
		bits = bits << 6 | (uint32_t)value;
		have += 6;
		if (have < 16)
			continue;
		have -= 16;
		unit = bits >> have & 0xffff;
		bits &= (1u << have) - 1;
		if (high ? (unit & 0xfc00) != 0xdc00 : (unit & 0xfc00) == 0xdc00)
			return 0;
		high = !high && (unit & 0xfc00) == 0xd800;
		if (unit >= ' ' && unit < 0x7f)
			return 0;
	}
	return i == s.len || i == 1 || high || have >= 6 || bits ? 0 : i + 1;
}

static bool is_utf7(struct span s)
{
	while (s.len) {
		size_t step = s.ptr[0] == '&' ? shifted_run(s) : 1;
		if (!step || (unsigned char)s.ptr[0] >= 0x7f)
			return false;
		s = span_from(s, step);
	}
	return true;
}

int mboxname_check_legal(struct span internal, struct us_err *err)
{
	int rc = mboxname_check_storable(internal, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < internal.len; i++)
		if (strchr("%/", internal.ptr[i]))
			return us_fail(err, US_EINVAL, "a mailbox name cannot contain %c",
				       internal.ptr[i]);
	if (span_find(mboxname_local(internal), '!'))
		return us_fail(err, US_EINVAL, "a mailbox name cannot contain !");
	if (!is_utf7(internal))
		return us_fail(err, US_EINVAL, "a mailbox name is in modified UTF-7");
	return 0;
}

/* ---- external to internal --------------------------------------------------------------------- */

/* Convert separators of one path; `s` has no domain. */
static int add_path(const struct mboxname_view *view, struct span s, struct buf *out,
		    struct us_err *err)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		if (view->unixhierarchysep && (c == '/' || c == '.'))
			c = c == '/' ? '.' : '^';
		else if (view->unixhierarchysep && c == '^')
			return us_fail(err, US_EINVAL, "a mailbox name cannot contain ^");
		buf_add_char(out, c);
	}
	return 0;
}

/* "prefix" alone or "prefix/rest": rest in *rest. */
static bool under(const struct mboxname_view *view, struct span s, const char *prefix,
		  struct span *rest)
{
	size_t len = strlen(prefix);

	if (!span_starts_nocase(s, prefix) ||
	    (s.len > len && s.ptr[len] != mboxname_separator(view)))
		return false;
	*rest = span_from(s, s.len > len ? len + 1 : len);
	return true;
}

static void add_domain(struct buf *out, struct span domain)
{
	if (domain.len) {
		buf_add_span(out, domain);
		buf_add_char(out, '!');
	}
}

static struct span domain_of_id(const char *userid)
{
	const char *at = userid ? strrchr(userid, '@') : NULL;

	return at ? span_of(at + 1) : SPAN_NULL;
}

/* Labels with dots between them; what separates folders may end a name, and would be taken off only from there. */
static bool is_domain(struct span s)
{
	char before = '.';

	for (size_t i = 0; i < s.len; before = s.ptr[i++])
		if (s.ptr[i] == '/' || (s.ptr[i] == '.' && before == '.'))
			return false;
	return before != '.';
}

/* Take "@domain" off the end of an administrator's name; the default domain is none. */
static int split_domain(const struct mboxname_view *view, struct span *name, struct span *out,
			struct us_err *err)
{
	const char *at = view->virtdomains && name->len ? memrchr(name->ptr, '@', name->len) : NULL;
	struct span domain = domain_of_id(view->userid);

	if (at) {
		domain = span_from(*name, (size_t)(at - name->ptr) + 1);
		name->len = (size_t)(at - name->ptr);
		if (!is_domain(domain))
			return us_fail(err, US_EINVAL, "a domain of empty parts, or with /");
	}
	if (view->defaultdomain && span_is_nocase(domain, view->defaultdomain))
		domain = SPAN_NULL;
	*out = domain;
	return 0;
}

static int admin_from_external(const struct mboxname_view *view, struct span name, struct buf *out,
			       struct us_err *err)
{
	struct span domain;
	int rc = split_domain(view, &name, &domain, err);

	if (rc < 0)
		return rc;
	add_domain(out, domain);
	return add_path(view, name, out, err);
}

static int child_of_own_inbox(const struct mboxname_view *view, struct span rest, struct buf *out,
			      struct us_err *err)
{
	mboxname_user_inbox(span_of(view->userid), out);
	if (!rest.len)
		return 0;
	buf_add_char(out, '.');
	return add_path(view, rest, out, err);
}

static int other_from_external(const struct mboxname_view *view, const char *top, struct span rest,
			       struct buf *out, struct us_err *err)
{
	if (!rest.len)
		return us_fail(err, US_EINVAL, "a namespace is no mailbox");
	add_domain(out, view->virtdomains ? domain_of_id(view->userid) : SPAN_NULL);
	buf_add_str(out, top);
	return add_path(view, rest, out, err);
}

static int alt_from_external(const struct mboxname_view *view, struct span name, struct buf *out,
			     struct us_err *err)
{
	struct span rest;

	if (under(view, name, view->userprefix, &rest))
		return other_from_external(view, "user.", rest, out, err);
	if (under(view, name, view->sharedprefix, &rest))
		return other_from_external(view, "", rest, out, err);
	if (span_is_nocase(name, "INBOX"))
		name = SPAN_NULL;
	return child_of_own_inbox(view, name, out, err);
}

static int plain_from_external(const struct mboxname_view *view, struct span name, struct buf *out,
			       struct us_err *err)
{
	struct span rest;

	if (under(view, name, "INBOX", &rest))
		return child_of_own_inbox(view, rest, out, err);
	return other_from_external(view, "", name, out, err);
}

int mboxname_from_external(const struct mboxname_view *view, struct span external, struct buf *out,
			   struct us_err *err)
{
	size_t before = out->len;
	int rc;

	if (external.len && external.ptr[external.len - 1] == mboxname_separator(view))
		external.len--; /* CREATE of a parent-to-be, RFC 3501 6.3.3 */
	if (!external.len)
		return us_fail(err, US_EINVAL, "an empty mailbox name");
	if (span_find(external, '!')) /* what is before it would be a domain */
		return us_fail(err, US_EINVAL, "a mailbox name cannot contain !");
	if (view->admin || !view->userid)
		rc = span_is_nocase(external, "INBOX") && view->userid
			     ? child_of_own_inbox(view, SPAN_NULL, out, err)
			     : admin_from_external(view, external, out, err);
	else if (view->altnamespace)
		rc = alt_from_external(view, external, out, err);
	else
		rc = plain_from_external(view, external, out, err);
	if (rc == 0)
		rc = mboxname_check_storable(span_from(buf_span(out), before), err);
	if (rc < 0)
		buf_truncate(out, before);
	return rc;
}

/* ---- internal to external --------------------------------------------------------------------- */

static void show_path(const struct mboxname_view *view, struct span s, struct buf *out)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		if (view->unixhierarchysep)
			c = c == '.' ? '/' : c == '^' ? '.' : c;
		buf_add_char(out, c);
	}
}

/* Is it the viewer's own INBOX or below it? *rest is what follows the INBOX. */
static bool is_own(const struct mboxname_view *view, struct span internal, struct span *rest)
{
	struct buf inbox = BUF_INIT;
	bool own;

	if (!view->userid || view->admin)
		return false;
	mboxname_user_inbox(span_of(view->userid), &inbox);
	own = span_eq(internal, buf_span(&inbox)) || mboxname_is_below(internal, buf_span(&inbox));
	*rest = span_from(internal, internal.len > inbox.len ? inbox.len + 1 : inbox.len);
	buf_free(&inbox);
	return own;
}

static void show_own(const struct mboxname_view *view, struct span rest, struct buf *out)
{
	if (!rest.len) {
		buf_add_str(out, "INBOX");
		return;
	}
	if (!view->altnamespace)
		buf_printf(out, "INBOX%c", mboxname_separator(view));
	show_path(view, rest, out);
}

void mboxname_to_external(const struct mboxname_view *view, struct span internal, struct buf *out)
{
	struct span domain = mboxname_domain(internal), local = mboxname_local(internal), rest;

	if (is_own(view, internal, &rest)) {
		show_own(view, rest, out);
		return;
	}
	if (view->altnamespace && view->userid && !view->admin) {
		bool user = below_prefix(local, "user");
		buf_printf(out, "%s%c", user ? view->userprefix : view->sharedprefix,
			   mboxname_separator(view));
		show_path(view, user ? span_from(local, strlen("user.")) : local, out);
	} else {
		show_path(view, local, out);
	}
	if (domain.len && !span_eq_nocase(domain, domain_of_id(view->userid))) {
		buf_add_char(out, '@');
		buf_add_span(out, domain);
	}
}

/* ---- keys ------------------------------------------------------------------------------------- */

void mboxname_to_key(struct span internal, struct buf *out)
{
	add_swapped(out, internal, '.', MBOXNAME_KEYSEP);
}

void mboxname_from_key(struct span key, struct buf *out)
{
	add_swapped(out, key, MBOXNAME_KEYSEP, '.');
}

void mboxname_tree_keys(struct span internal, struct buf *first, struct buf *end)
{
	mboxname_to_key(internal, first);
	mboxname_to_key(internal, end);
	buf_add_char(end, MBOXNAME_KEYSEP + 1);
}

int mboxname_cmp(struct span a, struct span b)
{
	size_t len = a.len < b.len ? a.len : b.len;

	for (size_t i = 0; i < len; i++) {
		int x = a.ptr[i] == '.' ? MBOXNAME_KEYSEP : (unsigned char)a.ptr[i];
		int y = b.ptr[i] == '.' ? MBOXNAME_KEYSEP : (unsigned char)b.ptr[i];
		if (x != y)
			return x - y;
	}
	return (a.len > b.len) - (a.len < b.len);
}
