/* acl.c - see acl.h. */
#include "server/store/acl.h"

#include <string.h>

#include "server/base/mem.h"

static const char letters[] = "lrswipkxtecdan0123456789";

/* What an old letter stands for. */
static uint32_t old_create(char deleteright)
{
	return ACL_OLD_CREATE | ACL_CREATE | (deleteright == 'c' ? ACL_DELETEMBOX : 0);
}

static uint32_t old_delete(char deleteright)
{
	return ACL_OLD_DELETE | ACL_DELETEMSG | ACL_EXPUNGE |
	       (deleteright == 'd' ? ACL_DELETEMBOX : 0);
}

/* An old letter beside one of those it stands for says nothing more: that is how rights are shown to old clients. */
static uint32_t expand(uint32_t rights, uint32_t letter, uint32_t meaning)
{
	if (rights & letter && !(rights & meaning & ~letter))
		rights |= meaning;
	return rights;
}

uint32_t acl_parse_rights(struct span s, char deleteright, char *bad)
{
	uint32_t rights = 0;

	*bad = 0;
	for (size_t i = 0; i < s.len; i++) {
		const char *at = s.ptr[i] ? strchr(letters, s.ptr[i]) : NULL;
		if (!at) {
			*bad = s.ptr[i] ? s.ptr[i] : '?';
			break;
		}
		rights |= 1u << (at - letters);
	}
	rights = expand(rights, ACL_OLD_CREATE, old_create(deleteright));
	return expand(rights, ACL_OLD_DELETE, old_delete(deleteright));
}

void acl_format_rights(uint32_t rights, char deleteright, struct buf *out)
{
	uint32_t c = old_create(deleteright) & ~(uint32_t)ACL_OLD_CREATE;
	uint32_t d = old_delete(deleteright) & ~(uint32_t)ACL_OLD_DELETE;

	rights &= ~(uint32_t)(ACL_OLD_CREATE | ACL_OLD_DELETE);
	if (rights & c)
		rights |= ACL_OLD_CREATE;
	if (rights & d)
		rights |= ACL_OLD_DELETE;
	for (size_t i = 0; letters[i]; i++)
		if (rights & 1u << i)
			buf_add_char(out, letters[i]);
}

bool acl_next(struct span *rest, struct span *identifier, struct span *rights)
{
	if (!rest->len || !span_split(rest, '\t', identifier) || !identifier->len)
		return false;
	if (!span_split(rest, '\t', rights))
		*rights = SPAN_NULL;
	return true;
}

static bool is_in(const struct acl_identity *who, struct span group)
{
	size_t n = 0;
	const char *const *groups = who->groups ? who->groups(who->ctx, &n) : NULL;

	for (size_t i = 0; i < n; i++)
		if (span_is(group, groups[i]))
			return true;
	return false;
}

static bool fits(struct span identifier, const struct acl_identity *who)
{
	return span_is(identifier, "anyone") || span_is(identifier, who->userid) ||
	       (span_starts(identifier, "group:") && is_in(who, identifier));
}

uint32_t acl_rights(struct span acl, const struct acl_identity *who, char deleteright)
{
	uint32_t given = 0, taken = 0;
	struct span identifier, rights;
	char bad;

	while (acl_next(&acl, &identifier, &rights)) {
		bool negative = identifier.ptr[0] == '-';
		if (!fits(span_from(identifier, negative), who))
			continue;
		*(negative ? &taken : &given) |= acl_parse_rights(rights, deleteright, &bad);
	}
	return given & ~taken;
}

static void add_entry(struct buf *out, struct span identifier, struct span rights)
{
	buf_add_span(out, identifier);
	buf_add_char(out, '\t');
	buf_add_span(out, rights);
	buf_add_char(out, '\t');
}

void acl_set(struct span acl, struct span identifier, uint32_t rights, char deleteright,
	     struct buf *out)
{
	struct buf wanted = BUF_INIT;
	struct span id, old;
	bool done = !rights;

	acl_format_rights(rights, deleteright, &wanted);
	while (acl_next(&acl, &id, &old)) {
		if (!span_eq(id, identifier)) {
			add_entry(out, id, old);
		} else if (!done) {
			add_entry(out, id, buf_span(&wanted));
			done = true;
		}
	}
	if (!done)
		add_entry(out, identifier, buf_span(&wanted));
	buf_free(&wanted);
}

void acl_rename(struct span acl, struct span from, struct span to, struct buf *out)
{
	struct span id, rights;

	while (acl_next(&acl, &id, &rights))
		add_entry(out, span_eq(id, from) ? to : id, rights);
}
