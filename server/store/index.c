/* index.c - see index.h. */
#include "server/store/index.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "server/base/io.h"
#include "server/base/mem.h"

/* ---- reading ---------------------------------------------------------------------------------- */

static bool section_fits(const struct index_header *h, uint64_t offset, uint64_t length,
			 size_t file)
{
	return offset >= sizeof(*h) && offset % 8 == 0 && offset <= file && length <= file - offset;
}

static const char *fault_of(const struct index_header *h, size_t file)
{
	const char *bytes = (const char *)h;
	uint64_t blocks = (h->n_records + INDEX_BLOCK - 1) / INDEX_BLOCK;

	if (memcmp(h->magic, INDEX_MAGIC, 8) != 0)
		return "magic";
	if (h->crc != us_crc32c(0, h, offsetof(struct index_header, crc)))
		return "header checksum";
	if (h->version != INDEX_VERSION || h->record_size != sizeof(struct record))
		return "version";
	if (h->n_records > UINT32_MAX || !section_fits(h, h->names_offset, h->names_length, file) ||
	    !section_fits(h, h->maxima_offset, blocks * 8, file) ||
	    !section_fits(h, h->records_offset, h->n_records * sizeof(struct record), file))
		return "length";
	if (h->sections_crc != us_crc32c(us_crc32c(0, bytes + h->names_offset, h->names_length),
					 bytes + h->maxima_offset, blocks * 8))
		return "section checksum";
	return NULL;
}

int index_open(int dir, struct index_base *out, struct us_err *err)
{
	struct index_base base = {0};
	const char *fault;
	struct stat st;
	void *map;
	int fd = -1, rc;

	rc = io_open(NULL, dir, INDEX_FILE, O_RDONLY, 0, &fd, err);
	if (rc < 0)
		return rc;
	if (fstat(fd, &st) < 0 || (size_t)st.st_size < sizeof(struct index_header)) {
		io_close(&fd);
		return us_fail(err, US_ECORRUPT, INDEX_FILE " is short");
	}
	base.length = (size_t)st.st_size;
	map = mmap(NULL, base.length, PROT_READ, MAP_SHARED, fd, 0);
	io_close(&fd);
	if (map == MAP_FAILED)
		return us_fail_errno(err, "map " INDEX_FILE);
	base.header = map;
	fault = fault_of(base.header, base.length);
	if (fault) {
		munmap(map, base.length);
		return us_fail(err, US_ECORRUPT, INDEX_FILE ": wrong %s", fault);
	}
	base.n_records = base.header->n_records;
	base.records = (const void *)((const char *)map + base.header->records_offset);
	base.maxima = (const void *)((const char *)map + base.header->maxima_offset);
	base.checked = us_calloc(base.n_records / INDEX_BLOCK / 8 + 1, 1);
	base.first_is_sound = base.n_records && record_is_sound(&base.records[0]);
	*out = base;
	return 0;
}

void index_close(struct index_base *base)
{
	if (base->header)
		munmap((void *)base->header, base->length);
	free(base->checked);
	memset(base, 0, sizeof(*base));
}

struct span index_uniqueid(const struct index_base *base)
{
	const char *field = base->header->uniqueid;

	return span_make(field + 1, (uint8_t)field[0]);
}

void index_flag_names(const struct index_base *base, struct flag_names *names)
{
	index_names_of(span_make((const char *)base->header + base->header->names_offset,
				 base->header->names_length),
		       names);
}

void index_names_of(struct span section, struct flag_names *names)
{
	const char *at = section.ptr, *end = at + section.len;

	while (end - at >= 4) {
		uint16_t bit, len;
		memcpy(&bit, at, 2);
		memcpy(&len, at + 2, 2);
		if (bit >= USER_FLAGS || len == 0 || len > end - at - 4)
			return; /* padding */
		flag_names_set(names, bit, span_make(at + 4, len));
		at += 4 + len;
	}
}

static bool check_block(struct index_base *base, uint64_t block)
{
	uint64_t from = block * INDEX_BLOCK, to = from + INDEX_BLOCK;

	if (base->checked[block / 8] >> (block % 8) & 1)
		return true;
	for (uint64_t i = from; i < to && i < base->n_records; i++)
		if (!record_is_sound(&base->records[i]))
			return false;
	base->checked[block / 8] |= (uint8_t)(1u << (block % 8));
	return true;
}

const struct record *index_record(struct index_base *base, uint64_t i)
{
	us_assert(i < base->n_records);
	/* In a block with a bad record each is looked at by itself. */
	if (!check_block(base, i / INDEX_BLOCK) && !record_is_sound(&base->records[i]))
		return NULL;
	return &base->records[i];
}

#define LOOK_PAST 256 /* damaged records in a row: each look-up may meet them again */

/* From i on; `end` if there is none. */
static uint64_t next_sound(const struct index_base *base, uint64_t i, uint64_t end)
{
	for (uint64_t k = 0; k < LOOK_PAST && i + k < end; k++)
		if (record_is_sound(&base->records[i + k]))
			return i + k;
	return end;
}

/* UIDs rise by one or more a record: a UID that is n above the first stands at the n-th place, where nothing was ever
 * taken out, or before it. */
uint64_t index_lower_bound(const struct index_base *base, uint32_t uid)
{
	uint64_t low = 0, high = base->n_records, place;

	if (!high || (base->first_is_sound && uid <= base->records[0].uid))
		return 0;
	place = base->first_is_sound ? uid - base->records[0].uid : high;
	if (place < high && base->records[place].uid == uid &&
	    record_is_sound(&base->records[place]))
		return place;
	high = place < high ? place : high;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		uint64_t sound = next_sound(base, middle, high);
		if (sound < high && base->records[sound].uid < uid)
			low = sound + 1;
		else
			high = middle;
	}
	place = next_sound(base, low, base->n_records);
	return place < base->n_records && base->records[place].uid == uid ? place : low;
}

uint64_t index_block_modseq(const struct index_base *base, uint64_t i)
{
	return base->maxima[i / INDEX_BLOCK];
}

/* ---- writing ---------------------------------------------------------------------------------- */

static void pad(struct buf *b, size_t to)
{
	while (b->len % to)
		buf_add_char(b, '\0');
}

static void add_names(struct buf *out, const struct flag_names *names)
{
	for (uint16_t bit = 0; bit < USER_FLAGS; bit++) {
		struct span name = names->bit[bit].name;
		uint16_t len = (uint16_t)name.len;
		if (!name.len)
			continue;
		buf_add(out, &bit, 2);
		buf_add(out, &len, 2);
		buf_add_span(out, name);
	}
	pad(out, 8);
}

/* Write all records from header->records_offset on, collecting the block maxima. */
static int write_records(int fd, const struct index_header *header,
			 const struct index_source *source, uint64_t *maxima, struct us_err *err)
{
	struct buf chunk = BUF_INIT;
	uint64_t offset = header->records_offset, i = 0;
	const struct record *r;
	int rc = 0;

	while (rc == 0 && (r = source->next(source->ctx))) {
		struct record copy = *r;
		us_assert(i < header->n_records);
		copy.crc = record_crc(&copy);
		if (copy.modseq > maxima[i / INDEX_BLOCK])
			maxima[i / INDEX_BLOCK] = copy.modseq;
		i++;
		buf_add(&chunk, &copy, sizeof(copy));
		if (chunk.len < (size_t)1 << 20)
			continue;
		rc = io_pwrite(FP("store.index.write_records"), fd, chunk.data, chunk.len, offset,
			       err);
		offset += chunk.len;
		buf_clear(&chunk);
	}
	us_assert(rc < 0 || i == header->n_records);
	if (rc == 0 && chunk.len)
		rc = io_pwrite(FP("store.index.write_records"), fd, chunk.data, chunk.len, offset,
			       err);
	buf_free(&chunk);
	return rc;
}

static int write_all(int fd, struct index_header *h, const struct flag_names *names,
		     const struct index_source *source, struct us_err *err)
{
	uint64_t blocks = (h->n_records + INDEX_BLOCK - 1) / INDEX_BLOCK;
	uint64_t *maxima = us_calloc(blocks, 8);
	struct buf sections = BUF_INIT;
	int rc;

	add_names(&sections, names);
	h->names_offset = sizeof(*h);
	h->names_length = sections.len;
	h->maxima_offset = sizeof(*h) + sections.len;
	h->records_offset = (h->maxima_offset + blocks * 8 + 4095) / 4096 * 4096;
	rc = write_records(fd, h, source, maxima, err);
	buf_add(&sections, maxima, blocks * 8);
	h->sections_crc = us_crc32c(0, sections.data, sections.len);
	h->crc = us_crc32c(0, h, offsetof(struct index_header, crc));
	if (rc == 0)
		rc = io_pwrite(FP("store.index.write_header"), fd, h, sizeof(*h), 0, err);
	if (rc == 0 && sections.len)
		rc = io_pwrite(FP("store.index.write_sections"), fd, sections.data, sections.len,
			       sizeof(*h), err);
	/* An empty mailbox ends with its sections: give the mapping the length the header speaks of. */
	if (rc == 0 &&
	    ftruncate(fd, (off_t)(h->records_offset + h->n_records * sizeof(struct record))) < 0)
		rc = us_fail_errno(err, "set the length of " INDEX_FILE);
	buf_free(&sections);
	free(maxima);
	return rc;
}

int index_write_new(int dir, struct index_header *header, const struct flag_names *names,
		    uint64_t n_records, const struct index_source *source, struct us_err *err)
{
	struct timespec now;
	int fd = -1, rc;

	clock_gettime(CLOCK_REALTIME, &now);
	memcpy(header->magic, INDEX_MAGIC, 8);
	header->version = INDEX_VERSION;
	header->record_size = sizeof(struct record);
	header->n_records = n_records;
	header->written_ns = now.tv_sec * 1000000000 + now.tv_nsec;
	rc = io_open(FP("store.index.create"), dir, INDEX_FILE ".new", O_RDWR | O_CREAT | O_TRUNC,
		     0600, &fd, err);
	if (rc < 0)
		return rc;
	rc = write_all(fd, header, names, source, err);
	if (rc == 0)
		rc = io_fsync(FP("store.index.sync"), fd, err);
	io_close(&fd);
	return rc;
}
