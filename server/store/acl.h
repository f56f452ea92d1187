/* acl.h - access control lists (RFC 4314 with Cyrus's letters).
 *
 * An ACL is text, kept as it was given: identifier TAB rights TAB, repeated; a negative entry's identifier
 * begins with "-". It is compared byte for byte between servers, so nothing here reorders what it does not
 * change.
 */
#ifndef US_STORE_ACL_H
#define US_STORE_ACL_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/base/span.h"

/* The canonical order "lrswipkxtecdan0123456789" is the order of the bits, c and d being the old letters that
 * stand for k x and t e. */
enum acl_right {
	ACL_LOOKUP = 1u << 0,       /* l */
	ACL_READ = 1u << 1,         /* r */
	ACL_SETSEEN = 1u << 2,      /* s */
	ACL_WRITE = 1u << 3,        /* w */
	ACL_INSERT = 1u << 4,       /* i */
	ACL_POST = 1u << 5,         /* p */
	ACL_CREATE = 1u << 6,       /* k */
	ACL_DELETEMBOX = 1u << 7,   /* x */
	ACL_DELETEMSG = 1u << 8,    /* t */
	ACL_EXPUNGE = 1u << 9,      /* e */
	ACL_OLD_CREATE = 1u << 10,  /* c */
	ACL_OLD_DELETE = 1u << 11,  /* d */
	ACL_ADMIN = 1u << 12,       /* a */
	ACL_ANNOTATEMSG = 1u << 13, /* n */
	ACL_USER0 = 1u << 14,       /* 0 to 9: ten bits */
};
#define ACL_ALL ((1u << 14) - 1) /* lrswipkxtecdan */

/* Letters to bits; "c" brings k (and x if deleteright is "c"), "d" brings t and e, as in RFC 4314 2.1.1, unless one
 * of those is given beside it ("lkc" is l and k). *bad is set to the first letter that is none, else 0. */
uint32_t acl_parse_rights(struct span letters, char deleteright, char *bad);
/* Canonical letters. c and d are shown when what they stand for is there. */
void acl_format_rights(uint32_t rights, char deleteright, struct buf *out);

/* Who asks: an id and the groups he is in. */
struct acl_identity {
	const char *userid; /* "anonymous" for nobody */
	/* Each "group:name"; asked for when an ACL names a group. NULL: he is in none. */
	const char *const *(*groups)(void *ctx, size_t *n);
	void *ctx;
};
/* The rights `acl` gives: the union of what fits minus the union of the negative ones that fit. Malformed ACLs
 * give what can be read of them. Owners and administrators are the caller's business. */
uint32_t acl_rights(struct span acl, const struct acl_identity *who, char deleteright);

/* Walk the entries: false at the end. *rest starts as the ACL. */
bool acl_next(struct span *rest, struct span *identifier, struct span *rights);
/* Give `identifier` exactly `rights` (0: remove its entry); the other entries keep their places and a new one goes
 * to the end. */
void acl_set(struct span acl, struct span identifier, uint32_t rights, char deleteright,
	     struct buf *out);
/* The same with another identifier instead of one, for user renames. */
void acl_rename(struct span acl, struct span from, struct span to, struct buf *out);

#endif
