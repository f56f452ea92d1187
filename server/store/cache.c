/* cache.c - see cache.h. */
#include "server/store/cache.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/store/commit.h"
#include "server/store/mime/cache.h"

#define MAGIC        "USCCH1\r\n"
#define VERSION      1
#define MOST_PAYLOAD (16u << 20)
#define KEEP_AT      (1u << 20) /* bytes that are gathered before they are kept */

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
	/* A new file, for readers may have the old one mapped. */
	rc = io_unlink(FP("store.cache.replace"), dir, name, err);
	if (rc == 0)
		rc = io_open(FP("store.cache.create"), dir, name, O_WRONLY | O_CREAT | O_EXCL, 0600,
			     &fd, err);
	if (rc == 0)
		rc = io_pwrite(FP("store.cache.write_header"), fd, &h, sizeof(h), 0, err);
	io_close(&fd);
	return rc;
}

static bool is_header(const struct cache_header *h, uint32_t generation,
		      const struct storeid *storeid)
{
	return memcmp(h->magic, MAGIC, 8) == 0 && h->version == VERSION &&
	       h->generation == generation && storeid_cmp(&h->storeid, storeid) == 0;
}

bool cache_is_there(int dir, uint32_t generation, const struct storeid *storeid)
{
	struct cache_header h;
	char name[32];
	int fd = -1;
	bool there;

	cache_name(generation, name);
	there = io_open(NULL, dir, name, O_RDONLY, 0, &fd, NULL) == 0 &&
		io_pread(fd, &h, sizeof(h), 0, NULL) == 0 && is_header(&h, generation, storeid);
	io_close(&fd);
	return there;
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
	cache_unmap(m);
	io_close(&m->cache);
	cache_name(generation, name);
	rc = io_open(NULL, m->dir, name, O_RDWR, 0, &m->cache, err);
	if (rc == 0)
		rc = io_pread(m->cache, &h, sizeof(h), 0, err);
	if (rc == 0 && !is_header(&h, generation, &m->row.storeid))
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

/* ---- reading ------------------------------------------------------------------------------------- */

void cache_unmap(struct mailbox *m)
{
	if (m->cache_map)
		munmap(m->cache_map, m->cache_mapped);
	m->cache_map = NULL;
	m->cache_mapped = 0;
}

/* Map the file as far as it goes, which must be to `end`: it only grows. */
static bool map_to(struct mailbox *m, uint64_t end)
{
	struct stat st;
	void *map;

	if (end <= m->cache_mapped)
		return true;
	if (fstat(m->cache, &st) < 0 || (uint64_t)st.st_size < end)
		return false;
	cache_unmap(m);
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, m->cache, 0);
	if (map == MAP_FAILED)
		return false;
	m->cache_map = map;
	m->cache_mapped = (size_t)st.st_size;
	return true;
}

int cache_find(struct mailbox *m, const struct record *r, struct span *out)
{
	if (r->cache_version != MIME_CACHE_VERSION || !r->cache_length ||
	    r->cache_length > MOST_PAYLOAD || r->cache_offset > INT64_MAX - MOST_PAYLOAD ||
	    open_cache(m, NULL) < 0 || !map_to(m, r->cache_offset + r->cache_length) ||
	    us_crc32c(0, m->cache_map + r->cache_offset, r->cache_length) != r->cache_crc)
		return 0;
	*out = span_make(m->cache_map + r->cache_offset, r->cache_length);
	return 1;
}

/* ---- keeping what was made again ------------------------------------------------------------------ */

void cache_keeper_init(struct cache_keeper *k, const struct mailbox *m)
{
	*k = (struct cache_keeper){.store = m->store, .name = BUF_INIT, .payloads = BUF_INIT};
	buf_add_span(&k->name, buf_span(&m->name));
}

/* What does not come to be is made again the next time. */
static void keep_all(struct cache_keeper *k)
{
	struct commit_cached *list = us_calloc(k->n + 1, sizeof(list[0]));
	const char *at = k->payloads.data;
	struct mailbox *m;

	for (size_t i = 0; i < k->n; at += k->list[i++].length)
		list[i] = (struct commit_cached){k->list[i].uid, span_make(at, k->list[i].length)};
	if (mailbox_open(k->store, buf_span(&k->name), &m, NULL) == 0) {
		m->lock_wait_ms = 0;
		if (mailbox_lock(m, NULL) == 0)
			(void)commit_cache(m, list, k->n, NULL);
		mailbox_close(&m);
	}
	free(list);
	k->n = 0;
	buf_clear(&k->payloads);
}

void cache_keeper_add(struct cache_keeper *k, uint32_t uid, struct span payload)
{
	if (!store_is_writable(k->store) || !payload.len)
		return;
	us_grow(&k->list, k->n, &k->cap, sizeof(k->list[0]));
	k->list[k->n++] = (struct cache_kept){uid, payload.len};
	buf_add_span(&k->payloads, payload);
	if (k->payloads.len >= KEEP_AT)
		keep_all(k);
}

void cache_keeper_fini(struct cache_keeper *k)
{
	if (k->n)
		keep_all(k);
	free(k->list);
	buf_free(&k->name);
	buf_free(&k->payloads);
}
