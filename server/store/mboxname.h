/* mboxname.h - the two forms of a mailbox name, and what a name says about itself.
 *
 * The *internal* form is what the store, the wire and the logs use: [domain "!"] part *("." part), users'
 * mailboxes below "user.", a "." inside a part written "^". The *external* form is what a client sees; it depends
 * on the configuration and on who looks:
 *
 *	internal		admin (unixhierarchysep)   bob, altnamespace	    bob, without it
 *	user.bob		user/bob		   INBOX		    INBOX
 *	user.bob.Sent		user/bob/Sent		   Sent			    INBOX/Sent
 *	user.first^last.x	user/first.last/x	   Other Users/first.last/x user/first.last/x
 *	shared.pub		shared/pub		   Shared Folders/shared/pub shared/pub
 *	dom.example!user.kim	user/kim@dom.example	   (own domain not shown)
 *
 * Names stay in modified UTF-7 (RFC 3501 5.1.3), as Cyrus 3.6 keeps them.
 */
#ifndef US_STORE_MBOXNAME_H
#define US_STORE_MBOXNAME_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/base/span.h"

#define MBOXNAME_MAX 490 /* bytes of an internal name */
#define MBOXNAME_KEYSEP \
	0x1f /* what "." becomes in a key: children sort right behind their parent */

/* How names are shown. Filled from the configuration by session; the strings are borrowed. */
struct mboxname_view {
	bool unixhierarchysep, altnamespace, virtdomains;
	const char *userprefix, *sharedprefix; /* altnamespace: "Other Users", "Shared Folders" */
	const char *defaultdomain;
	const char *deletedprefix; /* "DELETED" */
	const char *userid;        /* who looks, external; NULL for nobody in particular */
	bool admin;
};

char mboxname_separator(const struct mboxname_view *view);

/* External to internal. US_EINVAL ("Invalid mailbox name") for what can be no name. `INBOX` in any case is the
 * viewer's INBOX unless he is an administrator without one. */
int mboxname_from_external(const struct mboxname_view *view, struct span external, struct buf *out,
			   struct us_err *err);
void mboxname_to_external(const struct mboxname_view *view, struct span internal, struct buf *out);

/* A user id as external ids are written ("first.last@dom") to his INBOX's internal name, and back. */
void mboxname_user_inbox(struct span userid, struct buf *out);
/* The external user id of the mailbox's owner, looking through DELETED too; false for shared names. */
bool mboxname_owner(struct span internal, const char *deletedprefix, struct buf *userid);
bool mboxname_is_inbox(struct span internal);     /* [dom!]user.X */
bool mboxname_in_user_tree(struct span internal); /* [dom!]user.X... */
bool mboxname_is_deleted(struct span internal, const char *deletedprefix);
struct span mboxname_domain(struct span internal);              /* SPAN_NULL: none */
struct span mboxname_local(struct span internal);               /* without "dom!" */
struct span mboxname_parent(struct span internal);              /* SPAN_NULL at the top */
bool mboxname_is_below(struct span name, struct span ancestor); /* strictly */
/* Where a delayed delete moves `internal`: [dom!]DELETED.<name>.<TIME in upper-case hex>. */
void mboxname_deleted(struct span internal, const char *deletedprefix, int64_t time,
		      struct buf *out);
/* Back from that: when it was deleted. False: it is no name that a delayed delete gives. */
bool mboxname_deleted_time(struct span internal, const char *deletedprefix, int64_t *time);

/* What a client may create: US_EINVAL with a reason. Replicated names only need to be storable. */
int mboxname_check_legal(struct span internal, struct us_err *err);
int mboxname_check_storable(struct span internal, struct us_err *err);

/* The key form, and back. */
void mboxname_to_key(struct span internal, struct buf *out);
void mboxname_from_key(struct span key, struct buf *out);
/* Where the keys of a name and of all below it begin and, without this one, end: no byte of a name is below a blank. */
void mboxname_tree_keys(struct span internal, struct buf *first, struct buf *end);
/* The order of the mailbox list: that of the keys. */
int mboxname_cmp(struct span a, struct span b);

#endif
