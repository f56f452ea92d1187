/* recipient.c - see recipient.h. */
#include "server/lmtp/recipient.h"

#include "server/base/buf.h"
#include "server/session/identity.h"
#include "server/store/mboxname.h"

static int nobody(struct us_err *err)
{
	return us_fail(err, US_ENOENT, "no such user");
}

/* Nobody has the domain "[192.0.2.1]"; what could end a domain in an internal name is in none. */
static bool is_domain(struct span domain)
{
	return domain.len && domain.ptr[0] != '[' && !span_find(domain, '!') &&
	       !span_find(domain, '/');
}

/* The domain as it counts: SPAN_NULL if it does not. */
static int domain_of(const struct recipient_rules *rules, const struct lmtp_address *address,
		     struct pool *pool, struct span *out, struct us_err *err)
{
	char *lower;

	*out = SPAN_NULL;
	if (!rules->virtdomains || !address->domain.ptr ||
	    (rules->defaultdomain && span_is_nocase(address->domain, rules->defaultdomain)))
		return 0;
	if (!is_domain(address->domain))
		return nobody(err);
	lower = pool_strndup(pool, address->domain.ptr, address->domain.len);
	for (size_t i = 0; i < address->domain.len; i++)
		lower[i] = (char)us_lower((unsigned char)lower[i]);
	*out = span_make(lower, address->domain.len);
	return 0;
}

/* Append the path a folder's outer name stands for: false if it stands for none. */
static bool add_path(const struct recipient_rules *rules, struct span name, struct buf *out)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];
		if (c == '!' || (rules->unixhierarchysep && c == '^'))
			return false;
		if (rules->unixhierarchysep && (c == '/' || c == '.'))
			c = c == '/' ? '.' : '^';
		buf_add_char(out, c);
	}
	return mboxname_check_legal(buf_span(out), NULL) == 0;
}

static int shared_name(const struct recipient_rules *rules, struct span folder, struct span domain,
		       struct pool *pool, struct recipient_name *out, struct us_err *err)
{
	struct buf name = BUF_INIT;
	bool well;

	if (domain.ptr)
		buf_printf(&name, "%.*s!", SPAN_ARG(domain));
	well = folder.len && add_path(rules, folder, &name);
	if (well)
		*out = (struct recipient_name){.folder = pool_span(pool, buf_span(&name))};
	buf_free(&name);
	return well ? 0 : nobody(err);
}

/* "first.last@dom"; the policy of logins has the last word on what is an id. */
static int user_id(const struct recipient_rules *rules, struct span user, struct span domain,
		   struct pool *pool, struct span *out, struct us_err *err)
{
	const struct identity_policy form = {.username_tolower = rules->downcase};
	char id[IDENTITY_MAX + 1];

	if (!user.len || span_find(user, '@') || user.ptr[0] == ' ' ||
	    user.ptr[user.len - 1] == ' ' || (!rules->unixhierarchysep && span_find(user, '.')) ||
	    identity_canonicalize(&form, user, id, NULL) < 0 || span_is(user, "anonymous"))
		return nobody(err);
	*out = domain.ptr ? span_of(pool_printf(pool, "%s@%.*s", id, SPAN_ARG(domain)))
			  : span_of(pool_strdup(pool, id));
	return 0;
}

static int user_names(const struct recipient_rules *rules, struct span folder, struct pool *pool,
		      struct recipient_name *out, struct us_err *err)
{
	struct buf name = BUF_INIT;
	int rc = 0;

	mboxname_user_inbox(out->userid, &name);
	if (mboxname_check_legal(buf_span(&name), NULL) < 0)
		rc = nobody(err);
	out->inbox = pool_span(pool, buf_span(&name));
	out->folder = SPAN_NULL;
	buf_add_char(&name, '.');
	if (folder.len && add_path(rules, folder, &name))
		out->folder = pool_span(pool, buf_span(&name));
	buf_free(&name);
	return rc;
}

int recipient_name(const struct recipient_rules *rules, const struct lmtp_address *address,
		   struct pool *pool, struct recipient_name *out, struct us_err *err)
{
	struct span rest = address->local, user, domain;
	struct recipient_name name = {0};
	int rc = domain_of(rules, address, pool, &domain, err);

	if (rc < 0)
		return rc;
	(void)span_split(&rest, '+', &user); /* behind it *rest is what follows, or SPAN_NULL */
	if (rest.ptr && (rules->downcase ? span_is_nocase(user, rules->postuser)
					 : span_is(user, rules->postuser)))
		return shared_name(rules, rest, domain, pool, out, err);
	rc = user_id(rules, user, domain, pool, &name.userid, err);
	if (rc == 0)
		rc = user_names(rules, rest, pool, &name, err);
	if (rc == 0)
		*out = name;
	return rc;
}
