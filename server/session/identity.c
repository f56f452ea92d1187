/* identity.c - see identity.h. */
#include "server/session/identity.h"

#include <stdio.h>
#include <string.h>

/* ---- the form of an id ------------------------------------------------------------------------ */

static bool is_id_char(unsigned char c)
{
	return c >= ' ' && c < 0x7f && !strchr("&*%/:?!^", c);
}

static bool is_alphanumeric(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int check_chars(struct span id, struct us_err *err)
{
	const char *at = id.len ? memrchr(id.ptr, '@', id.len) : NULL;
	bool seen = false;

	for (size_t i = 0; i < id.len; i++) {
		if (!is_id_char((unsigned char)id.ptr[i]))
			return us_fail(err, US_EINVAL, "a user id may not contain byte 0x%02x",
				       (unsigned char)id.ptr[i]);
		seen = seen || is_alphanumeric(id.ptr[i]);
	}
	if (at && (at == id.ptr || at == id.ptr + id.len - 1)) /* "bob@" would own what is bob's */
		return us_fail(err, US_EINVAL, "nothing before or behind the @ of a user id");
	return seen ? 0 : us_fail(err, US_EINVAL, "a user id needs a letter or a digit");
}

int identity_canonicalize(const struct identity_policy *policy, struct span id,
			  char out[IDENTITY_MAX + 1], struct us_err *err)
{
	int rc;

	id = span_trim(id);
	if (id.len > IDENTITY_MAX)
		return us_fail(err, US_EINVAL, "a user id is longer than %d bytes", IDENTITY_MAX);
	rc = check_chars(id, err);
	if (rc < 0)
		return rc;
	/* "anyone" in an ACL is everybody: as an id it would be nobody's own */
	if (span_is_nocase(id, "anyone") || span_is_nocase(id, "anybody"))
		return us_fail(err, US_EINVAL, "\"%.*s\" is no user id", SPAN_ARG(id));
	for (size_t i = 0; i < id.len; i++)
		out[i] = policy->username_tolower ? (char)us_lower((unsigned char)id.ptr[i])
						  : id.ptr[i];
	out[id.len] = '\0';
	return 0;
}

/* ---- who may what ----------------------------------------------------------------------------- */

bool identity_listed(const struct identity_policy *policy, const char *list, const char *user)
{
	struct span rest = span_of(list), word;

	while (span_word(&rest, &word)) {
		if (span_is(word, user))
			return true;
		if (span_starts(word, "group:") && policy->in_group &&
		    policy->in_group(policy->ctx, user, span_from(word, strlen("group:"))))
			return true;
	}
	return false;
}

static int check_realm(const struct identity_policy *policy, const char *authname,
		       struct us_err *err)
{
	struct span rest = span_of(policy->loginrealms), word;
	const char *at = strchr(authname, '@');

	if (!at)
		return 0;
	while (span_word(&rest, &word))
		if (span_is_nocase(word, at + 1))
			return 0;
	return us_fail(err, US_EAUTH, "cross-realm login %s denied", authname);
}

static bool may_act(const struct identity_policy *policy, const char *authname, const char *user)
{
	return identity_listed(policy, policy->admins, authname) ||
	       identity_listed(policy, policy->proxyservers, authname) ||
	       (policy->acl_allows && policy->acl_allows(policy->ctx, authname, user));
}

int identity_authorize(const struct identity_policy *policy, const char *authname, const char *user,
		       struct identity *out, struct us_err *err)
{
	bool same = strcmp(authname, user) == 0;
	bool admin = identity_listed(policy, policy->admins, user);
	int rc = check_realm(policy, authname, err);

	if (rc < 0)
		return rc;
	if (policy->admins_only && !identity_listed(policy, policy->admins, authname))
		return us_fail(err, US_EAUTH, "only admins may authenticate");
	if (!same && !may_act(policy, authname, user))
		return us_fail(err, US_EAUTH, "user %s is not allowed to proxy", authname);
	snprintf(out->user, sizeof(out->user), "%s", user);
	snprintf(out->authname, sizeof(out->authname), "%s", authname);
	out->admin = admin && same;
	out->proxy_admin = admin && !same;
	return 0;
}
