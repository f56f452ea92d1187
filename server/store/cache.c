/* cache.c - see cache.h. */
#include "server/store/cache.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/store/commit.h"
#include "server/store/mime/cache.h"

#define MAGIC        "USCCH1\r\n"
#define VERSION      1
#define MOST_PAYLOAD (16u << 20)

struct cache_header {
	char magic[8];
	uint32_t version, generation;
	struct storeid storeid;
	char reserved[32];
};
static_assert(sizeof(struct cache_header) == 64, "doc/FORMATS.md 5");

struct cache_record {
	uint32_t length, uid;
	uint16_t version, dictionary;
	uint32_t crc;
};
static_assert(sizeof(struct cache_record) == 16, "doc/FORMATS.md 5");

void cache_name(uint32_t generation, char out[32])
{
	snprintf(out, 32, "mbox.cache.%u", generation);
}

int cache_create(int dir, uint32_t generation, const struct storeid *storeid, struct us_err *err)
{
	struct cache_header h = {.version = VERSION, .generation = generation, .storeid = *storeid};
	char name[32];
	int fd = -1, rc;

	memcpy(h.magic, MAGIC, 8);
	cache_name(generation, name);
	rc = io_open(FP("store.cache.create"), dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0600, &fd,
		     err);
	if (rc == 0)
		rc = io_pwrite(FP("store.cache.write_header"), fd, &h, sizeof(h), 0, err);
	io_close(&fd);
	return rc;
}

/* The file the view's index names; a damaged or missing one is as good as none. */
static int open_cache(struct mailbox *m, struct us_err *err)
{
	uint32_t generation = m->view.base.header->cache_generation;
	struct cache_header h;
	char name[32];
	int rc;

	if (m->cache >= 0 && m->cache_generation == generation)
		return 0;
	io_close(&m->cache);
	cache_name(generation, name);
	rc = io_open(NULL, m->dir, name, O_RDWR, 0, &m->cache, err);
	if (rc == 0)
		rc = io_pread(m->cache, &h, sizeof(h), 0, err);
	if (rc == 0 &&
	    (memcmp(h.magic, MAGIC, 8) != 0 || h.version != VERSION || h.generation != generation ||
	     storeid_cmp(&h.storeid, &m->row.storeid) != 0))
		rc = us_fail(err, US_ECORRUPT, "%s: wrong header", name);
	if (rc < 0) {
		io_close(&m->cache);
		return rc;
	}
	m->cache_generation = generation;
	return 0;
}

/* A cache file that a power cut took is made anew under its old name: records that pointed into the old one fail
 * their checksums and are made again when asked for. */
static int open_or_make(struct mailbox *m, struct us_err *err)
{
	int rc = open_cache(m, err);

	if (rc == 0)
		return 0;
	rc = cache_create(m->dir, m->view.base.header->cache_generation, &m->row.storeid, err);
	return rc < 0 ? rc : open_cache(m, err);
}

static int write_payload(struct mailbox *m, struct span payload, struct record *r,
			 struct us_err *err)
{
	struct cache_record head = {.length = (uint32_t)payload.len,
				    .uid = r->uid,
				    .version = MIME_CACHE_VERSION,
				    .crc = us_crc32c(0, payload.ptr, payload.len)};
	struct buf whole = BUF_INIT;
	struct stat st;
	uint64_t at;
	int rc = open_or_make(m, err);

	if (rc == 0 && fstat(m->cache, &st) < 0)
		rc = us_fail_errno(err, "stat the cache");
	if (rc < 0)
		return rc;
	at = ((uint64_t)st.st_size + 7) & ~(uint64_t)7;
	buf_add(&whole, &head, sizeof(head));
	buf_add_span(&whole, payload);
	rc = io_pwrite(FP("store.cache.append"), m->cache, whole.data, whole.len, at, err);
	buf_free(&whole);
	if (rc < 0)
		return rc;
	r->cache_offset = at + sizeof(head);
	r->cache_length = head.length;
	r->cache_crc = head.crc;
	r->cache_version = MIME_CACHE_VERSION;
	return 0;
}

void cache_append(struct mailbox *m, struct span payload, struct record *r)
{
	struct us_err err;

	r->cache_offset = 0;
	r->cache_length = r->cache_crc = r->cache_version = 0;
	if (!payload.len || payload.len > MOST_PAYLOAD)
		return;
	if (write_payload(m, payload, r, &err) < 0)
		log_event(LOG_WARNING, "store.cache.unwritable", LF_STR("mailbox", m->name.data),
			  LF_NUM("uid", r->uid), LF_ERR(&err));
}

int cache_read(struct mailbox *m, const struct record *r, struct buf *out)
{
	size_t before = out->len;

	if (r->cache_version != MIME_CACHE_VERSION || !r->cache_length ||
	    r->cache_length > MOST_PAYLOAD || open_cache(m, NULL) < 0)
		return 0;
	if (io_pread(m->cache, buf_reserve(out, r->cache_length), r->cache_length, r->cache_offset,
		     NULL) < 0)
		return 0;
	out->len += r->cache_length;
	out->data[out->len] = '\0';
	if (us_crc32c(0, out->data + before, r->cache_length) == r->cache_crc)
		return 1;
	buf_truncate(out, before);
	return 0;
}

void cache_keep(struct store *store, struct span name, uint32_t uid, struct span payload)
{
	struct mailbox *m;

	if (mailbox_open(store, name, &m, NULL) < 0)
		return;
	m->lock_wait_ms = 0;
	if (mailbox_lock(m, NULL) == 0)
		(void)commit_cache(m, uid, payload, NULL); /* it is made again the next time */
	mailbox_close(&m);
}
