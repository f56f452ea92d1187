/* generations.c - see generations.h. The file never shrinks and is never replaced while it has its name: others have
 * it mapped. */
#include "server/store/meta/generations.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/checksum.h"
#include "server/base/io.h"
#include "server/base/mem.h"

#define FILE_NAME  "generations"
#define MAGIC      "USGEN1\r\n"
#define N_COUNTERS 65536

struct generations_file {
	char magic[8];
	uint32_t version, reserved;
	uint64_t epoch; /* atomic */
	uint8_t zero[40];
	uint64_t count[N_COUNTERS]; /* atomic */
};

struct generations {
	struct generations_file *file;
	int fd;
};

static int map_file(int fd, int protection, struct generations **out, struct us_err *err)
{
	void *file = mmap(NULL, sizeof(struct generations_file), protection, MAP_SHARED, fd, 0);

	if (file == MAP_FAILED)
		return us_fail_errno(err, "map " FILE_NAME);
	*out = us_calloc(1, sizeof(**out));
	(*out)->file = file;
	(*out)->fd = fd;
	return 0;
}

static int make_size(int fd, struct us_err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return us_fail_errno(err, "stat " FILE_NAME);
	if (st.st_size < (off_t)sizeof(struct generations_file) &&
	    ftruncate(fd, sizeof(struct generations_file)) < 0)
		return us_fail_errno(err, "enlarge " FILE_NAME);
	return 0;
}

uint32_t generations_hash(enum meta_table table, struct span key)
{
	uint8_t number = (uint8_t)table;

	return us_crc32c(us_crc32c(0, &number, 1), key.ptr, key.len);
}

/* An epoch nobody has seen: a number drawn at random, for the file may have been another before. */
static int begin_epoch(struct generations *g, struct us_err *err)
{
	uint64_t epoch;

	if (getrandom(&epoch, sizeof(epoch), 0) != sizeof(epoch))
		return us_fail_errno(err, "getrandom");
	memcpy(g->file->magic, MAGIC, 8);
	g->file->version = 1;
	__atomic_store_n(&g->file->epoch, epoch, __ATOMIC_SEQ_CST);
	return 0;
}

int generations_own(int dir, struct generations **out, struct us_err *err)
{
	struct generations *g = NULL;
	int fd = -1;
	int rc = io_open(FP("meta.generations.open"), dir, FILE_NAME, O_RDWR | O_CREAT, 0600, &fd,
			 err);

	if (rc == 0)
		rc = make_size(fd, err);
	if (rc == 0)
		rc = map_file(fd, PROT_READ | PROT_WRITE, &g, err);
	if (rc < 0) {
		io_close(&fd);
		return rc;
	}
	rc = begin_epoch(g, err);
	if (rc < 0)
		generations_close(&g);
	else
		*out = g;
	return rc;
}

int generations_map(const char *directory, struct generations **out, struct us_err *err)
{
	char *path = us_asprintf("%s/" FILE_NAME, directory);
	struct stat st;
	int fd = -1;
	int rc = io_open(NULL, AT_FDCWD, path, O_RDONLY, 0, &fd, err);

	if (rc == 0 && fstat(fd, &st) < 0)
		rc = us_fail_errno(err, "stat %s", path);
	else if (rc == 0 && st.st_size < (off_t)sizeof(struct generations_file))
		rc = us_fail(err, US_ENOENT, "%s is being made", path);
	if (rc == 0)
		rc = map_file(fd, PROT_READ, out, err);
	if (rc < 0)
		io_close(&fd);
	free(path);
	return rc;
}

void generations_close(struct generations **g)
{
	if (!*g)
		return;
	munmap((*g)->file, sizeof(struct generations_file));
	io_close(&(*g)->fd);
	free(*g);
	*g = NULL;
}

void generations_raise(struct generations *g, uint32_t hash)
{
	__atomic_add_fetch(&g->file->count[hash % N_COUNTERS], 1, __ATOMIC_SEQ_CST);
}

struct generation generations_now(const struct generations *g, uint32_t hash)
{
	return (struct generation){__atomic_load_n(&g->file->epoch, __ATOMIC_ACQUIRE),
				   __atomic_load_n(&g->file->count[hash % N_COUNTERS],
						   __ATOMIC_ACQUIRE)};
}

bool generations_are_linked(const struct generations *g)
{
	struct stat st;

	return fstat(g->fd, &st) == 0 && st.st_nlink > 0;
}
