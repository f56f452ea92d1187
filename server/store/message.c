/* message.c - see message.h. */
#include "server/store/message.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
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

int message_open(struct mailbox *m, const struct record *r, int *out, struct us_err *err)
{
	struct stat st;
	int fd = -1, rc = mailbox_open_message(m, r->uid, &fd, err);

	if (rc == 0 && fstat(fd, &st) < 0)
		rc = us_fail_errno(err, "stat message %u", r->uid);
	else if (rc == 0 && (uint64_t)st.st_size != r->size)
		rc = us_fail(err, US_ECORRUPT, "message %u of %s has %lld bytes, not %llu", r->uid,
			     m->name.data, (long long)st.st_size, (unsigned long long)r->size);
	if (rc < 0)
		io_close(&fd);
	else
		*out = fd;
	return rc;
}

int message_map(struct mailbox *m, const struct record *r, struct span *out, struct us_err *err)
{
	void *map = NULL;
	int fd = -1, rc = message_open(m, r, &fd, err);

	if (rc < 0)
		return rc;
	if (r->size)
		map = mmap(NULL, r->size, PROT_READ, MAP_SHARED, fd, 0);
	io_close(&fd);
	if (map == MAP_FAILED)
		return us_fail_errno(err, "map message %u", r->uid);
	*out = map ? span_make(map, r->size) : SPAN_LIT("");
	return 0;
}

void message_unmap(struct span *bytes)
{
	if (bytes->len)
		munmap((void *)bytes->ptr, bytes->len);
	*bytes = SPAN_NULL;
}

static int make_payload(struct mailbox *m, const struct record *r, struct buf *out,
			struct us_err *err)
{
	struct record scratch = *r;
	struct span bytes = SPAN_NULL;
	int rc = message_map(m, r, &bytes, err);

	if (rc == 0)
		message_examine(bytes, &scratch, out);
	message_unmap(&bytes);
	return rc;
}

int message_payload(struct mailbox *m, const struct record *r, struct buf *made, struct span *out,
		    struct us_err *err)
{
	int rc;

	if (cache_find(m, r, out) > 0)
		return 0;
	buf_clear(made);
	rc = make_payload(m, r, made, err);
	if (rc < 0)
		return rc;
	*out = buf_span(made);
	return 1;
}
