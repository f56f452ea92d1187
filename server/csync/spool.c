/* spool.c - see spool.h.
 *
 *	entry = u32 length of all of it, struct state_record (its pointers mean nothing), then strings, each u32 length and bytes:
 *		n_keywords names; n_annotations times entry, user, value, and u64 modseq
 *
 * A private file of this process: neither its byte order nor its layout is anybody else's business.
 */
#include "server/csync/spool.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/io.h"
#include "server/base/mem.h"

#define WINDOW 65536 /* bytes read back at once */

struct spool {
	int dir, fd;
	uint64_t most, size, count;
	struct buf memory; /* all of it, or what is not in the file yet */
	struct buf window; /* what was read back last; the first `used` bytes are done with */
	size_t used;
	uint64_t read; /* bytes of the file read so far */
};

#define HEAD (sizeof(uint32_t) + sizeof(struct state_record))

struct spool *spool_new(int dir, uint64_t most)
{
	struct spool *s = us_calloc(1, sizeof(*s));

	s->dir = dir;
	s->fd = -1;
	s->most = most;
	buf_init(&s->memory, 0);
	buf_init(&s->window, 0);
	return s;
}

void spool_free(struct spool **spool)
{
	if (!*spool)
		return;
	io_close(&(*spool)->fd);
	buf_free(&(*spool)->memory);
	buf_free(&(*spool)->window);
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
	size_t from = s->memory.len;
	uint32_t length = 0;

	buf_add(&s->memory, &length, sizeof(length));
	buf_add(&s->memory, r, sizeof(*r));
	add_strings(&s->memory, r);
	length = (uint32_t)(s->memory.len - from);
	memcpy(s->memory.data + from, &length, sizeof(length));
	s->size += length;
	s->count++;
	if (s->size > s->most)
		return us_fail(err, US_ELIMIT,
			       "the records of one mailbox take more than %llu bytes",
			       (unsigned long long)s->most);
	return s->memory.len > SPOOL_MEMORY ? spill(s, err) : 0;
}

/* ---- reading ----------------------------------------------------------------------------------- */

static int rewind_to_start(struct spool *s, struct us_err *err)
{
	int rc = s->fd >= 0 && s->memory.len ? spill(s, err) : 0;

	buf_clear(&s->window);
	s->used = 0;
	s->read = 0;
	return rc;
}

/* Show the next n bytes, which are there. */
static int show(struct spool *s, size_t n, const char **out, struct us_err *err)
{
	size_t have, more;
	int rc;

	if (s->fd < 0) {
		*out = s->memory.data + s->used;
		return 0;
	}
	have = s->window.len - s->used;
	if (have < n) {
		more = n - have > WINDOW ? n - have : WINDOW;
		if (more > s->size - s->read)
			more = (size_t)(s->size - s->read);
		buf_remove(&s->window, 0, s->used);
		s->used = 0;
		rc = io_pread(s->fd, buf_reserve(&s->window, more), more, s->read, err);
		if (rc < 0)
			return rc;
		s->window.len += more;
		s->read += more;
	}
	*out = s->window.data + s->used;
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

static void take_record(const char *at, struct pool *pool, struct state_record *out)
{
	struct span *keywords;
	struct state_annotation *annotations;

	memcpy(out, at + sizeof(uint32_t), sizeof(*out));
	at += HEAD;
	keywords = pool_alloc(pool, us_mul_size(out->n_keywords, sizeof(*keywords)));
	for (size_t i = 0; i < out->n_keywords; i++)
		keywords[i] = take_string(&at);
	annotations = pool_alloc(pool, us_mul_size(out->n_annotations, sizeof(*annotations)));
	for (size_t i = 0; i < out->n_annotations; i++) {
		annotations[i].entry = take_string(&at);
		annotations[i].userid = take_string(&at);
		annotations[i].value = take_string(&at);
		memcpy(&annotations[i].modseq, at, sizeof(uint64_t));
		at += sizeof(uint64_t);
	}
	out->keywords = keywords;
	out->annotations = annotations;
}

int spool_each(struct spool *s, struct pool *scratch,
	       int (*fn)(void *ctx, const struct state_record *r, struct us_err *err), void *ctx,
	       struct us_err *err)
{
	int rc = rewind_to_start(s, err);

	for (uint64_t i = 0; rc == 0 && i < s->count; i++) {
		struct state_record r;
		const char *at;
		uint32_t length;

		rc = show(s, sizeof(length), &at, err);
		if (rc < 0)
			break;
		memcpy(&length, at, sizeof(length));
		rc = show(s, length, &at, err);
		if (rc < 0)
			break;
		take_record(at, scratch, &r);
		rc = fn(ctx, &r, err);
		s->used += length;
		pool_clear(scratch);
	}
	return rc < 0 ? rc : 0;
}
