/* meta_private.h - what stands behind a handle: metad at the other end of a socket, or the engine in this process. */
#ifndef US_STORE_META_META_PRIVATE_H
#define US_STORE_META_META_PRIVATE_H

#include "server/store/meta/engine.h"
#include "server/store/meta/generations.h"
#include "server/store/meta/meta.h"
#include "server/store/meta/rowcache.h"

struct client;

/* Rows come and go with their heads on (VALUE_HEAD); results are as meta.h has them. */
struct meta_ops {
	int (*get)(struct meta *meta, enum meta_table table, struct span key, struct buf *value,
		   struct us_err *err);
	int (*page)(struct meta *meta, const struct request *range, struct buf *entries,
		    struct us_err *err);
	int (*commit)(struct meta *meta, const struct meta_batch *batch, bool lazy,
		      struct us_err *err);
	int (*barrier)(struct meta *meta, struct us_err *err);
	int (*stat)(struct meta *meta, struct buf *out, struct us_err *err);
};

extern const struct meta_ops meta_client_ops; /* client.c: meta->client */
extern const struct meta_ops meta_local_ops;  /* local.c: meta->engine */

struct meta {
	const struct meta_ops *ops;
	char *directory;
	unsigned wait_ms;
	size_t max_request;

	struct engine *engine; /* one of the two */
	struct client *client;
	bool borrowed; /* the engine is another's */

	/* A client's memory; the generations are NULL while there is no such file. */
	struct generations *generations;
	struct rowcache *cache;
	struct meta_ahead *ahead; /* the caller's; NULL: nothing is read ahead */
	int64_t looked_ms; /* when we last made sure that we have the right file of generations */
};

/* A handle on an engine that stays the caller's: meta_close() leaves it open. */
struct meta *meta_of_engine(struct engine *engine);

/* ---- client.c ---------------------------------------------------------------------------------- */

struct client *client_new(const char *socket, unsigned wait_ms);
void client_free(struct client **client);
/* Connect if somebody listens: US_ENOENT if nobody does. */
int client_try(struct client *client, struct us_err *err);
void client_after_fork(struct client *client);

#endif
