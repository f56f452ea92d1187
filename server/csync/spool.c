/* spool.c - see spool.h.
 *
 *	entry = u32 length, fixed fields (struct entry), then strings, each u32 length and bytes:
 *		n_keywords names; n_annotations times entry, user, value
 */
#include "server/csync/spool.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server/base/io.h"
#include "server/base/mem.h"

struct spool {
	int dir, fd;
	uint64_t most, size, count;
	struct buf memory; /* all of it, or what is not in the file yet */
	const char *map;   /* of the file, while it is read */
	uint64_t at;
};

struct entry {
	uint32_t length;
	struct state_record record; /* its pointers mean nothing here */
};

struct spool *spool_new(int dir, uint64_t most)
{
	struct spool *s = us_calloc(1, sizeof(*s));

	s->dir = dir;
	s->fd = -1;
	s->most = most;
	buf_init(&s->memory, 0);
	return s;
}

static void unmap(struct spool *s)
{
	if (s->map && s->fd >= 0)
		munmap((void *)s->map, s->size);
	s->map = NULL;
}

void spool_free(struct spool **spool)
{
	if (!*spool)
		return;
	unmap(*spool);
	io_close(&(*spool)->fd);
	buf_free(&(*spool)->memory);
	free(*spool);
	*spool = NULL;
}

uint64_t spool_count(const struct spool *spool)
{
	return spool->count;
}

/* ---- writing ----------------------------------------------------------------------------------- */

static void add_string(struct buf *out, struct span s)
{
	uint32_t len = (uint32_t)s.len;

	buf_add(out, &len, sizeof(len));
	buf_add_span(out, s);
}

static void add_strings(struct buf *out, const struct state_record *r)
{
	for (size_t i = 0; i < r->n_keywords; i++)
		add_string(out, r->keywords[i]);
	for (size_t i = 0; i < r->n_annotations; i++) {
		add_string(out, r->annotations[i].entry);
		add_string(out, r->annotations[i].userid);
		add_string(out, r->annotations[i].value);
		buf_add(out, &r->annotations[i].modseq, sizeof(uint64_t));
	}
}

static int spill(struct spool *s, struct us_err *err)
{
	int rc = 0;

	if (s->fd < 0)
		rc = io_open(FP("csync.spool.create"), s->dir, ".", O_TMPFILE | O_RDWR, 0600,
			     &s->fd, err);
	if (rc == 0)
		rc = io_write(FP("csync.spool.write"), s->fd, s->memory.data, s->memory.len, err);
	buf_clear(&s->memory);
	return rc;
}

int spool_put(struct spool *s, const struct state_record *r, struct us_err *err)
{
	struct entry e = {0, *r};
	size_t from = s->memory.len;

	buf_add(&s->memory, &e, sizeof(e));
	add_strings(&s->memory, r);
	e.length = (uint32_t)(s->memory.len - from);
	memcpy(s->memory.data + from, &e.length, sizeof(e.length));
	s->size += e.length;
	s->count++;
	if (s->size > s->most)
		return us_fail(err, US_ELIMIT,
			       "the records of one mailbox take more than %llu bytes",
			       (unsigned long long)s->most);
	return s->memory.len > SPOOL_MEMORY ? spill(s, err) : 0;
}

/* ---- reading ----------------------------------------------------------------------------------- */

int spool_rewind(struct spool *s, struct us_err *err)
{
	void *map;
	int rc;

	s->at = 0;
	if (s->map)
		return 0;
	if (s->fd < 0) {
		s->map = s->memory.data;
		return 0;
	}
	rc = s->memory.len ? spill(s, err) : 0;
	if (rc < 0)
		return rc;
	map = mmap(NULL, s->size, PROT_READ, MAP_SHARED, s->fd, 0);
	if (map == MAP_FAILED)
		return us_fail_errno(err, "map the spool");
	(void)madvise(map, s->size, MADV_SEQUENTIAL); /* only advice */
	s->map = map;
	return 0;
}

static struct span take_string(const char **at)
{
	uint32_t len;
	struct span s;

	memcpy(&len, *at, sizeof(len));
	s = span_make(*at + sizeof(len), len);
	*at += sizeof(len) + len;
	return s;
}

int spool_next(struct spool *s, struct pool *pool, struct state_record *out)
{
	struct span *keywords;
	struct state_annotation *annotations;
	struct entry e;
	const char *at;

	if (s->at == s->size)
		return 0;
	memcpy(&e, s->map + s->at, sizeof(e));
	at = s->map + s->at + sizeof(e);
	s->at += e.length;
	*out = e.record;
	keywords = pool_alloc(pool, out->n_keywords * sizeof(*keywords));
	for (size_t i = 0; i < out->n_keywords; i++)
		keywords[i] = take_string(&at);
	annotations = pool_alloc(pool, out->n_annotations * sizeof(*annotations));
	for (size_t i = 0; i < out->n_annotations; i++) {
		annotations[i].entry = take_string(&at);
		annotations[i].userid = take_string(&at);
		annotations[i].value = take_string(&at);
		memcpy(&annotations[i].modseq, at, sizeof(uint64_t));
		at += sizeof(uint64_t);
	}
	out->keywords = keywords;
	out->annotations = annotations;
	return 1;
}
