/* mbexamine.h - what the parts of mbexamine(8) share. */
#ifndef US_ADMIN_MBEXAMINE_H
#define US_ADMIN_MBEXAMINE_H

#include <stdint.h>

#include "server/admin/tool.h"
#include "server/store/mailbox.h"
#include "server/store/mime/cache.h"
#include "server/store/mime/mime_text.h"

enum mbexamine_mode { MBEXAMINE_SHOW, MBEXAMINE_COMPARE, MBEXAMINE_QUOTA };
enum mbexamine_wanted { WANTED_ALL, WANTED_UID, WANTED_SEQNUM };

struct mbexamine {
	struct tool tool;
	const char *conf_path;
	enum mbexamine_mode mode;
	enum mbexamine_wanted wanted;
	uint32_t number;        /* of what is wanted */
	struct mime_text *text; /* decodes header fields */
	int status;             /* of what was found wrong first */
};

/* A mailbox differs from what it says of itself, or has not what was asked for; what that is was printed. */
void mbexamine_found(struct mbexamine *w);
/* Something could not be looked at: on stderr. */
void mbexamine_complain(struct mbexamine *w, struct mailbox *m, uint32_t uid, struct us_err *err);
void mbexamine_print_path(const struct mailbox *m);

/* What the cache says of a message: 1; 0 if that is nothing. *out is good until the mailbox is refreshed or the next call. */
int mbexamine_cached(struct mailbox *m, const struct record *r, struct mime_cache *out);
/* The fields that the cache keeps, read; NULL if it could not keep them. Lives in pool and in `cache`. */
const struct mime_envelope *mbexamine_fields(const struct mime_cache *cache, struct pool *pool);
/* The day of a Date field, or *otherwise, as midnight in UTC. */
int64_t mbexamine_day(const struct mime_envelope *e, int64_t otherwise);

/* All that index and cache say. */
void mbexamine_show(struct mbexamine *w, struct mailbox *m);
/* What differs between records and files. */
void mbexamine_compare(struct mbexamine *w, struct mailbox *m);
/* Whether sizes are as the index has them. */
void mbexamine_quota(struct mbexamine *w, struct mailbox *m);

#endif
