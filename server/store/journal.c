/* journal.c - see journal.h. */
#include "server/store/journal_private.h"

#include <fcntl.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "server/base/io.h"
#include "server/base/mem.h"

void journal_name(uint32_t generation, char out[32])
{
	snprintf(out, 32, "mbox.jnl.%u", generation);
}

/* ---- the file --------------------------------------------------------------------------------- */

int journal_create(int dir, uint32_t generation, const struct storeid *storeid,
		   uint64_t base_serial, uint64_t boot_tag, uint64_t epoch, struct us_err *err)
{
	struct journal_header h = {.version = JOURNAL_VERSION,
				   .generation = generation,
				   .storeid = *storeid,
				   .base_serial = base_serial,
				   .publish_end = JOURNAL_PAGE,
				   .boot_tag = boot_tag,
				   .epoch = epoch};
	char name[32];
	int fd = -1, rc;

	memcpy(h.magic, JOURNAL_MAGIC, 8);
	if (RAND_bytes((unsigned char *)&h.salt, sizeof(h.salt)) != 1)
		us_panic("no random bytes");
	h.crc = us_crc32c(0, &h, offsetof(struct journal_header, crc));
	journal_name(generation, name);
	rc = io_open(FP("store.journal.create"), dir, name, O_RDWR | O_CREAT | O_TRUNC, 0600, &fd,
		     err);
	if (rc < 0)
		return rc;
	rc = io_pwrite(FP("store.journal.write_header"), fd, &h, sizeof(h), 0, err);
	if (rc == 0)
		rc = io_fsync(FP("store.journal.sync_header"), fd, err);
	io_close(&fd);
	return rc;
}

/* Map at least `size` bytes. More than the file has is well: nobody touches what lies behind publish_end. */
static int map_file(struct journal *j, size_t size, struct us_err *err)
{
	size_t wanted = (size + (1u << 20)) & ~((size_t)(1u << 20) - 1);
	void *map;

	if (j->mapped >= size)
		return 0;
	if (j->header)
		munmap(j->header, j->mapped);
	j->header = NULL;
	j->mapped = 0;
	map = mmap(NULL, wanted, PROT_READ | PROT_WRITE, MAP_SHARED, j->fd, 0);
	if (map == MAP_FAILED)
		return us_fail_errno(err, "map the journal");
	j->header = map;
	j->mapped = wanted;
	return 0;
}

static const char *fault_of(const struct journal_header *h, uint32_t generation,
			    const struct storeid *storeid)
{
	if (memcmp(h->magic, JOURNAL_MAGIC, 8) != 0)
		return "magic";
	if (h->crc != us_crc32c(0, h, offsetof(struct journal_header, crc)))
		return "header checksum";
	if (h->version != JOURNAL_VERSION)
		return "version";
	if (h->generation != generation || storeid_cmp(&h->storeid, storeid) != 0)
		return "identity";
	return NULL;
}

int journal_check_header(const struct journal_header *h, uint32_t generation,
			 const struct storeid *storeid, struct us_err *err)
{
	const char *fault = fault_of(h, generation, storeid);

	return fault ? us_fail(err, US_ECORRUPT, "mbox.jnl.%u: wrong %s", generation, fault) : 0;
}

int journal_open(int dir, uint32_t generation, const struct storeid *storeid, bool writable,
		 struct journal *out, struct us_err *err)
{
	struct journal j = {.fd = -1, .writable = writable};
	char name[32];
	struct stat st;
	int rc;

	journal_name(generation, name);
	rc = io_open(NULL, dir, name, O_RDWR, 0, &j.fd, err);
	if (rc < 0)
		return rc;
	if (fstat(j.fd, &st) < 0 || st.st_size < (off_t)JOURNAL_PAGE) {
		rc = us_fail(err, US_ECORRUPT, "%s is short", name);
		goto out;
	}
	rc = map_file(&j, (size_t)st.st_size, err);
	if (rc < 0)
		goto out;
	rc = journal_check_header(j.header, generation, storeid, err);
out:
	if (rc < 0)
		journal_close(&j);
	else
		*out = j;
	return rc;
}

void journal_close(struct journal *j)
{
	if (j->header)
		munmap(j->header, j->mapped);
	io_close(&j->fd);
	*j = (struct journal){.fd = -1};
}

struct journal_position journal_start(const struct journal *j)
{
	return (struct journal_position){JOURNAL_PAGE, j->header->base_serial,
					 us_crc32c(0, &j->header->salt, sizeof(j->header->salt))};
}

/* ---- reading frames --------------------------------------------------------------------------- */

uint32_t journal_frame_crc(const struct journal_frame *frame, uint32_t length, uint32_t before)
{
	static const uint32_t zero;
	const char *bytes = (const char *)frame;
	size_t behind = offsetof(struct journal_frame, crc) + sizeof(frame->crc);
	uint32_t crc = us_crc32c(before, bytes, offsetof(struct journal_frame, crc));

	crc = us_crc32c(crc, &zero, sizeof(zero));
	return us_crc32c(crc, bytes + behind, length - behind);
}

bool journal_frame_is_sane(const struct journal_frame *frame, uint64_t room)
{
	return frame->magic == JOURNAL_FRAME_MAGIC && frame->length >= sizeof(*frame) &&
	       frame->length % 8 == 0 && frame->length <= JOURNAL_LONGEST && frame->length <= room;
}

static int file_size(const struct journal *j, uint64_t *out, struct us_err *err)
{
	struct stat st;

	if (fstat(j->fd, &st) < 0)
		return us_fail_errno(err, "stat the journal");
	*out = (uint64_t)st.st_size;
	return 0;
}

int journal_next(struct journal *j, struct journal_position *at, uint64_t limit,
		 const struct journal_frame **frame, struct us_err *err)
{
	const struct journal_frame *f;
	int rc = 0;

	if (limit == UINT64_MAX)
		rc = file_size(j, &limit, err);
	if (rc < 0)
		return rc;
	if (at->offset > limit || limit - at->offset < sizeof(*f))
		return 0;
	rc = map_file(j, limit, err);
	if (rc < 0)
		return rc;
	f = (const void *)((const char *)j->header + at->offset);
	if (!journal_frame_is_sane(f, limit - at->offset) || f->serial != at->serial + 1 ||
	    f->crc != journal_frame_crc(f, f->length, at->crc))
		return 0;
	*at = (struct journal_position){at->offset + f->length, f->serial, f->crc};
	*frame = f;
	return 1;
}

static size_t least_length(uint16_t kind)
{
	switch (kind) {
	case OP_RECORD:
		return sizeof(struct op_record);
	case OP_FLAGS:
		return sizeof(struct op_flags);
	case OP_UNLINK:
		return sizeof(struct op_unlink);
	case OP_CACHEREF:
		return sizeof(struct op_cacheref);
	case OP_FLAGNAME:
		return sizeof(struct op_flagname);
	case OP_ANNOT:
		return sizeof(struct op_annot);
	case OP_COUNTERS:
		return sizeof(struct op_counters);
	case OP_FLAGHIST:
		return sizeof(struct op_flaghist);
	default:
		return sizeof(struct journal_op);
	}
}

static bool text_fits(const struct journal_op *op)
{
	struct span entry, userid, value;
	const struct op_flagname *name = (const void *)op;

	if (op->kind == OP_ANNOT)
		return op_annot_parts((const void *)op, &entry, &userid, &value);
	if (op->kind == OP_FLAGNAME)
		return name->bit < USER_FLAGS && name->length <= op->length - sizeof(*name);
	return true;
}

const struct journal_op *journal_op_next(const struct journal_frame *frame,
					 const struct journal_op *op, bool *bad)
{
	const char *end = (const char *)frame + frame->length;
	const char *at = op ? (const char *)op + op->length : (const char *)(frame + 1);

	*bad = false;
	if (at == end)
		return NULL;
	op = (const void *)at;
	*bad = (size_t)(end - at) < sizeof(*op) || op->length % 8 || op->length > end - at ||
	       op->length < least_length(op->kind) || !text_fits(op);
	return *bad ? NULL : op;
}

bool op_annot_parts(const struct op_annot *op, struct span *entry, struct span *userid,
		    struct span *value)
{
	size_t room = op->op.length - sizeof(*op);
	size_t value_length = op->value_length == OP_ANNOT_REMOVED ? 0 : op->value_length;

	if ((size_t)op->entry_length + op->user_length > room ||
	    value_length > room - op->entry_length - op->user_length)
		return false;
	*entry = span_make(op->text, op->entry_length);
	*userid = span_make(op->text + op->entry_length, op->user_length);
	*value = op->value_length == OP_ANNOT_REMOVED
			 ? SPAN_NULL
			 : span_make(op->text + op->entry_length + op->user_length, value_length);
	return true;
}

/* ---- writing frames --------------------------------------------------------------------------- */

/* A commit into blocks that are there already costs the disk one write; into a file that grows it costs the file
 * system's journal as well. So the file grows ahead of its frames, by what it has, up to 64 KiB at a time. */
#define MOST_AHEAD  65536
#define LARGE_FRAME 16384 /* one that pays for its own growth */

static int write_zeros(struct journal *j, uint64_t from, uint64_t to, struct us_err *err)
{
	static const char zeros[MOST_AHEAD];
	int rc = 0;

	while (rc == 0 && from < to) {
		size_t len = to - from < sizeof(zeros) ? (size_t)(to - from) : sizeof(zeros);
		rc = io_pwrite(FP("store.journal.extend"), j->fd, zeros, len, from, err);
		from += len;
	}
	return rc;
}

static int make_room(struct journal *j, uint64_t end, struct us_err *err)
{
	uint64_t ahead = end < MOST_AHEAD ? end : MOST_AHEAD, size = 0, target;
	int rc;

	if (end <= j->size)
		return 0;
	rc = file_size(j, &size, err); /* somebody else may have done it */
	if (rc < 0)
		return rc;
	target = size;
	if (end > size) {
		target = (end + ahead + 4095) & ~(uint64_t)4095;
		rc = write_zeros(j, size, target, err);
	}
	if (rc == 0)
		j->size = target;
	return rc;
}

int journal_write(struct journal *j, struct journal_position *at, const struct buf *ops,
		  uint32_t count, uint32_t flags, uint64_t highestmodseq, struct us_err *err)
{
	struct journal_frame f = {.magic = JOURNAL_FRAME_MAGIC,
				  .count = count,
				  .flags = flags,
				  .highestmodseq = highestmodseq};
	struct buf whole = BUF_INIT;
	struct timespec now;
	int rc;

	us_assert(j->writable && ops->len % 8 == 0 && ops->len <= JOURNAL_LONGEST - sizeof(f));
	clock_gettime(CLOCK_REALTIME, &now);
	f.time_ns = now.tv_sec * 1000000000 + now.tv_nsec;
	f.length = (uint32_t)(sizeof(f) + ops->len);
	f.serial = at->serial + 1;
	buf_add(&whole, &f, sizeof(f));
	buf_add(&whole, ops->data, ops->len);
	f.crc = journal_frame_crc((const void *)whole.data, f.length, at->crc);
	memcpy(whole.data, &f, sizeof(f));
	rc = whole.len < LARGE_FRAME ? make_room(j, at->offset + whole.len, err) : 0;
	if (rc == 0)
		rc = io_pwrite(FP("store.journal.write_frame"), j->fd, whole.data, whole.len,
			       at->offset, err);
	buf_free(&whole);
	if (rc < 0)
		return rc;
	*at = (struct journal_position){at->offset + f.length, f.serial, f.crc};
	return 0;
}

int journal_sync(struct journal *j, struct us_err *err)
{
	return io_fdatasync(FP("store.journal.sync"), j->fd, err);
}

/* ---- the words -------------------------------------------------------------------------------- */

uint64_t journal_word(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

void journal_set_word(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

uint64_t journal_publish_end(const struct journal *j)
{
	return journal_word(&j->header->publish_end);
}

void journal_publish(struct journal *j, uint64_t end)
{
	journal_set_word(&j->header->publish_end, end);
	__atomic_add_fetch(&j->header->commits, 1, __ATOMIC_RELEASE);
}
