/* search_match.h - is a message what a SEARCH asks for?
 *
 * A search program is a tree of search_args.h made ready for one mailbox: strings folded, keywords found, sets
 * resolved, and every list sorted so that what costs least is asked first:
 *
 *	record	flags, numbers, size, INTERNALDATE
 *	cache	sent dates, the fields that are cached (server/store/mime/cache.h)
 *	file	other fields
 *	body	BODY, TEXT
 *
 * A message is loaded no further than the answer needs. Nothing here knows the store.
 */
#ifndef US_IMAP_SEARCH_MATCH_H
#define US_IMAP_SEARCH_MATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/err.h"
#include "server/base/pool.h"
#include "server/imap/annotate.h"
#include "server/imap/search_args.h"
#include "server/imap/uidset.h"
#include "server/store/mime/cache.h"
#include "server/store/mime/mime_text.h"
#include "server/store/record.h"

struct search_program; /* opaque */

/* What making ready needs to know of the mailbox. */
struct search_context {
	const struct flag_names *names;
	/* The UIDs that a set of numbers, or UIDs, stands for here, added to *out. */
	void (*resolve)(void *ctx, const struct token_set *set, bool by_uid, struct uidset *out);
	void *ctx;
};

/* `text` and what `args` points into are borrowed. US_EINVAL: no such charset; US_EPROTO: a string is not in it. */
int search_program_new(const struct search_args *args, struct mime_text *text,
		       const struct search_context *context, struct search_program **out,
		       struct us_err *err);
void search_program_free(struct search_program **program);

/* One message. What the functions give must live until the next message. */
struct search_message {
	const struct record *record;
	uint32_t flags; /* as this user sees them */
	bool recent;
	struct annotate_source annotations;
	int (*load_cache)(void *ctx, const struct record *r, struct mime_cache *out,
			  struct us_err *err);
	int (*load_bytes)(void *ctx, const struct record *r, struct span *out, struct us_err *err);
	void *ctx;
};

/* 1, 0, or the code of a load that failed. */
int search_matches(struct search_program *program, const struct search_message *message,
		   struct us_err *err);

#endif
