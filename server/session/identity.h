/* identity.h - who a login makes somebody: the form of user ids, and who may act as whom. Pure.
 *
 *	userid = 1*IDCHAR, at most IDENTITY_MAX bytes, with a letter or a digit in it; its last "@" neither first nor last
 *	IDCHAR = printable ASCII but none of & * % / : ? (special in mailbox names, LIST or ACLs)
 *		 nor ! ^ (which stand for other things in internal names: two ids must never share a mailbox)
 *
 * Virtual domains are off: an "@" is a letter like others to us, but the part behind it is a realm that must
 * be listed in loginrealms.
 */
#ifndef US_SESSION_IDENTITY_H
#define US_SESSION_IDENTITY_H

#include <stdbool.h>

#include "server/base/err.h"
#include "server/base/span.h"

#define IDENTITY_MAX 255

struct groups;

/* What the configuration says. Lists are blank-separated ids; NULL: empty. All is borrowed. */
struct identity_policy {
	const char *admins;
	const char *
		proxyservers; /* may act as others; NULL too for a service that has no such thing */
	const char *loginrealms;
	bool username_tolower;
	bool admins_only; /* nobody else may log in (a mupdate master) */
	/* Is the user in "group:name", as it may stand in the lists? NULL: nobody is in any group. */
	bool (*in_group)(void *ctx, const char *user, struct span group);
	/* Does the user's own ACL let authname act for him (loginuseacl)? NULL: no. */
	bool (*acl_allows)(void *ctx, const char *authname, const char *user);
	void *ctx;
};

struct identity {
	char user[IDENTITY_MAX + 1];     /* whose rights hold from now on */
	char authname[IDENTITY_MAX + 1]; /* whose password it was */
	bool admin;                      /* listed in admins, and acting as himself */
	struct groups *
		groups; /* what ACLs may name him by, besides. Borrowed; whoever logs him in fills it; NULL: none */
	bool proxy_admin; /* an administrator for whom somebody else acts: not one himself here */
};

/* Bring an id into the one form under which it is known: without blanks around it, lower case where so
 * configured. US_EINVAL: it is no user id; *out is untouched. */
int identity_canonicalize(const struct identity_policy *policy, struct span id,
			  char out[IDENTITY_MAX + 1], struct us_err *err);

/* Is the user in this list of ids and groups? */
bool identity_listed(const struct identity_policy *policy, const char *list, const char *user);

/* May authname, whose password was right, go on as user? Both are canonical. Administrators, proxyservers, and
 * whom the user's ACL names may; nobody becomes an administrator by it.
 * Returns 0 with *out filled; US_EAUTH with a text for the log, *out untouched. */
int identity_authorize(const struct identity_policy *policy, const char *authname, const char *user,
		       struct identity *out, struct us_err *err);

#endif
