/* fuzz_salvage.c - any bytes as index, journal and annotations of a mailbox: salvaged without harm, in order.
 *
 * Input: a byte of what to sum anew (1 the index header, 2 the journal header, 4 its frames as their lengths chain them), then the
 * three files, the first two behind their length (u32).
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/mem.h"
#include "server/store/index.h"
#include "server/store/journal_private.h"
#include "server/store/salvage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A file system in memory that has no name and that nobody else fills; it ends with us. Needs the rights of root. */
static int mount_memory(void)
{
	int fs = fsopen("tmpfs", FSOPEN_CLOEXEC), mount = -1;

	if (fs >= 0 && fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		mount = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	if (fs >= 0)
		close(fs);
	return mount;
}

static char path[] = "/dev/shm/us-fuzz-XXXXXX";

static void remove_directory(void)
{
	(void)rmdir(path);
}

/* One directory for the process, in memory where there is such a place; each run empties it. */
static int open_directory(void)
{
	int dir = mount_memory();

	if (dir >= 0)
		return dir;
	if (access("/dev/shm", W_OK) < 0)
		memcpy(path, "/tmp/us-fuzz-XXXXXX", sizeof("/tmp/us-fuzz-XXXXXX"));
	dir = mkdtemp(path) ? open(path, O_RDONLY | O_DIRECTORY) : -1;
	us_assert(dir >= 0);
	atexit(remove_directory);
	return dir;
}

static void write_file(int dir, const char *name, const uint8_t *bytes, size_t len)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	us_assert(fd >= 0);
	us_assert(write(fd, bytes, len) == (ssize_t)len);
	close(fd);
}

static void sum_frames(uint8_t *bytes, size_t len)
{
	const struct journal_header *h = (const void *)bytes;
	uint32_t crc = us_crc32c(0, &h->salt, sizeof(h->salt));
	uint64_t serial = h->base_serial;

	for (size_t at = JOURNAL_PAGE; len - at >= sizeof(struct journal_frame);) {
		struct journal_frame *f = (void *)(bytes + at);
		f->magic = JOURNAL_FRAME_MAGIC;
		f->serial = ++serial;
		if (!journal_frame_is_sane(f, len - at))
			return;
		f->crc = crc = journal_frame_crc(f, f->length, crc);
		at += f->length;
	}
}

static void sum_headers(uint8_t mode, uint8_t *idx, size_t n_idx, uint8_t *jnl, size_t n_jnl)
{
	struct index_header *ih = (void *)idx;
	struct journal_header *jh = (void *)jnl;

	if (mode & 1 && n_idx >= sizeof(*ih))
		ih->crc = us_crc32c(0, ih, offsetof(struct index_header, crc));
	if (mode & 2 && n_jnl >= sizeof(*jh))
		jh->crc = us_crc32c(0, jh, offsetof(struct journal_header, crc));
	if (mode & 4 && n_jnl >= sizeof(*jh))
		sum_frames(jnl, n_jnl);
}

/* The next file of the input, copied to where it is aligned. */
static uint8_t *take_part(const uint8_t **data, size_t *size, bool last, size_t *len)
{
	uint32_t wanted = 0;
	uint8_t *copy;

	if (!last && *size >= 4) {
		memcpy(&wanted, *data, 4);
		*data += 4;
		*size -= 4;
	}
	*len = last || wanted > *size ? *size : wanted;
	copy = us_malloc(*len + 1);
	memcpy(copy, *data, *len);
	*data += *len;
	*size -= *len;
	return copy;
}

static void check(const struct salvage *s)
{
	for (size_t i = 0; i < s->n; i++) {
		us_assert(s->records[i].uid);
		us_assert(i == 0 || s->records[i - 1].uid < s->records[i].uid);
	}
	for (size_t i = 1; i < s->annots.n; i++)
		us_assert(s->annots.uids[i - 1] <= s->annots.uids[i]);
	for (size_t i = 0; i < s->history.ops.len;) {
		const struct op_flaghist *op = (const void *)(s->history.ops.data + i);
		us_assert(op->op.kind == OP_FLAGHIST);
		i += op->op.length;
	}
	us_assert(s->damaged || !s->lost.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int dir = -1;
	struct storeid id = {0};
	struct salvage_place place = {.id = &id, .boot_tag = 1, .epoch = 1, .serial = 0};
	uint8_t mode = size ? *data : 0, *idx, *jnl, *ann;
	uint32_t generation = 1;
	size_t n_idx, n_jnl, n_ann;
	struct salvage s;
	char name[32], annots[32];

	if (!size)
		return 0;
	if (dir < 0)
		dir = open_directory();
	data++;
	size--;
	idx = take_part(&data, &size, false, &n_idx);
	jnl = take_part(&data, &size, false, &n_jnl);
	ann = take_part(&data, &size, true, &n_ann);
	sum_headers(mode, idx, n_idx, jnl, n_jnl);
	if (n_idx >= sizeof(struct index_header)) {
		id = ((struct index_header *)(void *)idx)->storeid;
		generation = ((struct index_header *)(void *)idx)->generation;
	}
	place.dir = dir;
	write_file(dir, INDEX_FILE, idx, n_idx);
	journal_name(generation, name);
	write_file(dir, name, jnl, n_jnl);
	annots_name(generation, annots);
	write_file(dir, annots, ann, n_ann);
	salvage_directory(&place, &s);
	check(&s);
	salvage_fini(&s);
	(void)unlinkat(dir, name, 0);
	(void)unlinkat(dir, annots, 0);
	(void)unlinkat(dir, INDEX_FILE, 0);
	free(idx);
	free(jnl);
	free(ann);
	return 0;
}
