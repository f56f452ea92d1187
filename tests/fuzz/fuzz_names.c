/* fuzz_names.c - any bytes as a mailbox name, a pattern of LIST and an access control list.
 *
 * A name that a client wrote is storable, and what he is shown of it leads back to it. A pattern fits what a plain reading of RFC
 * 3501 says it fits. A list of rights keeps every entry but the one that is set.
 *
 * Input: one byte that picks the namespace, then name NUL pattern NUL list.
 */
#include <stdint.h>
#include <string.h>

#include "server/base/mem.h"
#include "server/session/listmatch.h"
#include "server/store/acl.h"
#include "server/store/mboxname.h"

#define MOST 40 /* bytes of name and pattern that the plain reading is asked about */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct mboxname_view views[] = {
	{.unixhierarchysep = true,
	 .altnamespace = true,
	 .virtdomains = true,
	 .userprefix = "Other Users",
	 .sharedprefix = "Shared Folders",
	 .defaultdomain = "internal",
	 .deletedprefix = "DELETED",
	 .userid = "admin",
	 .admin = true},
	{.unixhierarchysep = true,
	 .altnamespace = true,
	 .userprefix = "Other Users",
	 .sharedprefix = "Shared Folders",
	 .deletedprefix = "DELETED",
	 .userid = "bob"},
	{.unixhierarchysep = true, .deletedprefix = "DELETED", .userid = "bob"},
	{.deletedprefix = "DELETED", .userid = "bob"},
	{.unixhierarchysep = true,
	 .altnamespace = true,
	 .virtdomains = true,
	 .userprefix = "Other Users",
	 .sharedprefix = "Shared Folders",
	 .deletedprefix = "DELETED",
	 .userid = "kim@dom.example"},
};

/* ---- names --------------------------------------------------------------------------------------- */

static void check_internal(struct span internal)
{
	struct buf key = BUF_INIT, back = BUF_INIT;
	struct span parent = mboxname_parent(internal);

	us_assert(mboxname_check_storable(internal, NULL) == 0);
	mboxname_to_key(internal, &key);
	mboxname_from_key(buf_span(&key), &back);
	us_assert(span_eq(buf_span(&back), internal));
	us_assert(mboxname_cmp(internal, internal) == 0);
	if (parent.ptr)
		us_assert(mboxname_is_below(internal, parent) &&
			  mboxname_cmp(parent, internal) < 0);
	buf_free(&key);
	buf_free(&back);
}

static void check_name(const struct mboxname_view *view, struct span external)
{
	struct buf internal = BUF_INIT, shown = BUF_INIT, again = BUF_INIT;

	if (mboxname_from_external(view, external, &internal, NULL) == 0) {
		check_internal(buf_span(&internal));
		mboxname_to_external(view, buf_span(&internal), &shown);
		if (!view->virtdomains ||
		    !span_find(buf_span(&internal), '@')) { /* else ambiguous, as in Cyrus */
			us_assert(mboxname_from_external(view, buf_span(&shown), &again, NULL) ==
				  0);
			us_assert(span_eq(buf_span(&internal), buf_span(&again)));
		}
	} else {
		us_assert(!internal.len);
	}
	(void)mboxname_check_legal(external, NULL);
	buf_free(&internal);
	buf_free(&shown);
	buf_free(&again);
}

/* ---- patterns ------------------------------------------------------------------------------------ */

/* fits[i][j]: what is left of the pattern from i fits what is left of the name from j. */
static bool plain_fits(struct span pattern, struct span name, char separator)
{
	bool inbox =
		span_starts_nocase(name, "INBOX") && (name.len == 5 || name.ptr[5] == separator);
	bool fits[MOST + 1][MOST + 1] = {{false}};

	fits[pattern.len][name.len] = true;
	for (size_t i = pattern.len; i-- > 0;)
		for (size_t j = name.len + 1; j-- > 0;) {
			char want = pattern.ptr[i], c = j < name.len ? name.ptr[j] : '\0';
			bool any = want == '*' || want == '%';
			bool same = want == c ||
				    (inbox && j < 5 &&
				     us_lower((unsigned char)want) == us_lower((unsigned char)c));

			fits[i][j] = (any && fits[i + 1][j]) ||
				     (j < name.len && any && (want == '*' || c != separator) &&
				      fits[i][j + 1]) ||
				     (j < name.len && !any && same && fits[i + 1][j + 1]);
		}
	return fits[0][0];
}

static void check_pattern(struct span pattern, struct span name, char separator)
{
	const char *level = name.len ? memrchr(name.ptr, separator, name.len) : NULL;
	struct span prefix =
		level ? span_make(name.ptr, (size_t)(level - name.ptr) + 1) : SPAN_NULL;
	struct buf joined = BUF_INIT;
	bool fits = listmatch_fits(pattern, name, separator);

	if (pattern.len <= MOST && name.len <= MOST)
		us_assert(fits == plain_fits(pattern, name, separator));
	if (fits && prefix.len > 1 && prefix.len < name.len)
		us_assert(listmatch_reach(pattern, prefix, separator) == LISTMATCH_INSIDE);
	us_assert(listmatch_literal(pattern).len <= pattern.len);
	listmatch_join(SPAN_NULL, pattern, separator,
		       &joined); /* "**" becomes "*": the same names fit */
	us_assert(joined.len <= pattern.len);
	if (pattern.len <= LISTMATCH_MAX)
		us_assert(fits == listmatch_fits(buf_span(&joined), name, separator));
	buf_free(&joined);
}

/* ---- rights -------------------------------------------------------------------------------------- */

static size_t count_others(struct span acl, struct span who)
{
	struct span identifier, rights;
	size_t n = 0;

	while (acl_next(&acl, &identifier, &rights))
		n += !span_eq(identifier, who);
	return n;
}

static const char *const *group_x(void *ctx UNUSED, size_t *n)
{
	static const char *const groups[] = {"group:x"};

	*n = 1;
	return groups;
}

static void check_acl(struct span acl)
{
	struct acl_identity bob = {.userid = "bob", .groups = group_x};
	struct span who = SPAN_LIT("carol");
	struct buf given = BUF_INIT, taken = BUF_INIT;
	char bad;

	(void)acl_rights(acl, &bob, 'c');
	(void)acl_parse_rights(acl, 'd', &bad);
	acl_set(acl, who, ACL_LOOKUP | ACL_READ, 'c', &given);
	us_assert(count_others(buf_span(&given), who) == count_others(acl, who));
	us_assert(acl_rights(buf_span(&given), &bob, 'c') == acl_rights(acl, &bob, 'c'));
	acl_set(buf_span(&given), who, 0, 'c', &taken);
	us_assert(count_others(buf_span(&taken), SPAN_NULL) == count_others(acl, who));
	buf_clear(&given);
	acl_rename(buf_span(&taken), SPAN_LIT("bob"), SPAN_LIT("bob"), &given);
	us_assert(span_eq(buf_span(&given), buf_span(&taken)));
	buf_free(&given);
	buf_free(&taken);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest, name = SPAN_NULL, pattern = SPAN_NULL;
	const struct mboxname_view *view;

	if (!size)
		return 0;
	view = &views[data[0] % ARRAY_SIZE(views)];
	rest = span_make(data + 1, size - 1);
	(void)span_split(&rest, '\0', &name); /* what is not there stays empty */
	(void)span_split(&rest, '\0', &pattern);
	check_name(view, name);
	check_pattern(pattern, name, mboxname_separator(view));
	check_acl(rest);
	return 0;
}
