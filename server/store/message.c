/* message.c - see message.h. */
#include "server/store/message.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server/base/io.h"
#include "server/base/mem.h"
#include "server/base/pool.h"
#include "server/store/cache.h"
#include "server/store/mime/cache.h"
#include "server/store/mime/structure.h"

void message_examine(struct span bytes, struct record *r, struct buf *cache)
{
	struct pool *pool = pool_new();
	struct mime_tree *tree = mime_scan(bytes, NULL, pool);
	struct mime_cache facts;
	size_t before = cache->len;

	r->header_size = (uint32_t)tree->root->header_size;
	r->sentdate = r->gmtime = 0;
	if (mime_cache_encode(tree, cache, NULL) == 0 &&
	    mime_cache_decode(span_from(buf_span(cache), before), &facts, NULL) == 0 &&
	    facts.has_sent) {
		r->gmtime = facts.sent.time;
		r->sentdate = datetime_midnight(facts.sent) - facts.sent.zone_s;
	}
	pool_free(&pool);
}

int message_examine_file(int fd, uint64_t size, struct record *r, struct buf *cache,
			 struct us_err *err)
{
	void *map = size ? mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0) : NULL;

	if (map == MAP_FAILED)
		return us_fail_errno(err, "map a message file");
	message_examine(span_make(map ? map : "", size), r, cache);
	if (map)
		munmap(map, size);
	return 0;
}

int message_append(struct commit *c, struct staged *staged, const struct record *r,
		   uint32_t *uid_out, struct us_err *err)
{
	struct commit_source source = {.staged = staged};
	struct record record = *r;
	struct buf cache = BUF_INIT;
	int rc = message_examine_file(staged->fd, staged->size, &record, &cache, err);

	if (rc == 0)
		rc = commit_append(c, &record, &source, buf_span(&cache), uid_out, err);
	buf_free(&cache);
	return rc;
}

static int make_payload(struct mailbox *m, const struct record *r, struct buf *out,
			struct us_err *err)
{
	struct record scratch = *r;
	int fd = -1, rc = mailbox_open_message(m, r->uid, &fd, err);

	if (rc == 0)
		rc = message_examine_file(fd, r->size, &scratch, out, err);
	io_close(&fd);
	return rc;
}

int message_cache(struct mailbox *m, const struct record *r, struct buf *out, struct us_err *err)
{
	uint32_t uid = r->uid;
	size_t before = out->len;
	int rc;

	if (cache_read(m, r, out) > 0)
		return 0;
	rc = make_payload(m, r, out, err);
	if (rc < 0)
		return rc;
	/* The writer's own view must not move under him, and nobody waits for a cache. */
	if (store_is_writable(m->store) && !m->locked)
		cache_keep(m->store, buf_span(&m->name), uid, span_from(buf_span(out), before));
	return 0;
}
