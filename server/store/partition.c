/* partition.c - see partition.h. */
#include "server/store/partition.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/checksum.h"
#include "server/base/io.h"
#include "server/base/log.h"
#include "server/base/mem.h"

#define MAGIC   "USPAR1\r\n"
#define VERSION 1

struct partition_state {
	char magic[8];
	uint32_t version;
	uint32_t poisoned;
	uint64_t epoch;
	uint8_t id[16];
	uint32_t crc; /* of epoch and id */
	uint32_t reserved[5];
};
static_assert(sizeof(struct partition_state) == 64, "doc/FORMATS.md 7");

static uint32_t crc_of_epoch(const struct partition_state *s, uint64_t epoch)
{
	return us_crc32c(us_crc32c(0, &epoch, sizeof(epoch)), s->id, sizeof(s->id));
}

/* The crc is read first, and may be of the epoch before: who raises it writes the epoch first, and may die then. */
static bool is_whole(const struct partition_state *s)
{
	uint32_t crc = __atomic_load_n(&s->crc, __ATOMIC_ACQUIRE);
	uint64_t epoch = __atomic_load_n(&s->epoch, __ATOMIC_ACQUIRE);

	return memcmp(s->magic, MAGIC, 8) == 0 && s->version == VERSION &&
	       (crc == crc_of_epoch(s, epoch) || crc == crc_of_epoch(s, epoch - 1));
}

static void raise_epoch(struct partition_state *s)
{
	uint64_t epoch = s->epoch;

	__atomic_store_n(&s->crc, crc_of_epoch(s, epoch), __ATOMIC_RELEASE); /* if one died there */
	__atomic_store_n(&s->epoch, epoch + 1, __ATOMIC_RELEASE);
	__atomic_store_n(&s->crc, crc_of_epoch(s, epoch + 1), __ATOMIC_RELEASE);
}

/* ---- the state file ---------------------------------------------------------------------------- */

/* Made whole under its own name in one link, so that two processes opening a new partition agree. */
static int make_state(int dir, struct us_err *err)
{
	struct partition_state s = {.version = VERSION};
	char temporary[40];
	int fd = -1, rc;

	memcpy(s.magic, MAGIC, 8);
	if (RAND_bytes(s.id, sizeof(s.id)) != 1)
		us_panic("no random bytes");
	s.crc = crc_of_epoch(&s, s.epoch);
	snprintf(temporary, sizeof(temporary), "state.%d", (int)getpid());
	rc = io_open(FP("store.partition.create_state"), dir, temporary,
		     O_WRONLY | O_CREAT | O_TRUNC, 0600, &fd, err);
	if (rc == 0)
		rc = io_write(FP("store.partition.write_state"), fd, &s, sizeof(s), err);
	if (rc == 0)
		rc = io_fsync(FP("store.partition.sync_state"), fd, err);
	if (rc == 0)
		rc = io_link(FP("store.partition.link_state"), dir, temporary, dir, "state", err);
	if (rc == US_EEXIST)
		rc = 0;
	io_close(&fd);
	(void)unlinkat(dir, temporary, 0); /* nothing of it is left, or nothing ever was */
	return rc;
}

static int map_state(struct partition *p, struct us_err *err)
{
	struct stat st;
	void *map;
	int fd = -1, rc;

	rc = io_open(NULL, p->dir, "state", O_RDWR, 0, &fd, err);
	if (rc == US_ENOENT) {
		rc = make_state(p->dir, err);
		if (rc == 0)
			rc = io_open(NULL, p->dir, "state", O_RDWR, 0, &fd, err);
	}
	if (rc < 0)
		return rc;
	if (fstat(fd, &st) < 0 || st.st_size < (off_t)sizeof(struct partition_state)) {
		io_close(&fd);
		return us_fail(err, US_ECORRUPT, "%s/state is short", p->path);
	}
	map = mmap(NULL, sizeof(struct partition_state), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	io_close(&fd);
	if (map == MAP_FAILED)
		return us_fail_errno(err, "map %s/state", p->path);
	p->state = map;
	if (!is_whole(p->state))
		return us_fail(err, US_ECORRUPT, "%s/state is damaged", p->path);
	return 0;
}

bool partition_is_poisoned(const struct partition *p)
{
	return __atomic_load_n(&p->state->poisoned, __ATOMIC_ACQUIRE) != 0;
}

int partition_poison(struct partition *p, struct us_err *err)
{
	if (!__atomic_exchange_n(&p->state->poisoned, 1, __ATOMIC_ACQ_REL))
		log_event(LOG_ERR, "store.partition.poisoned",
			  LF_TEXT("IOERROR: a sync failed; nothing more is accepted on this "
				  "partition"),
			  LF_STR("partition", p->name), LF_STR("path", p->path));
	return us_fail(err, US_EIO, "partition %s is poisoned after a failed sync", p->name);
}

int partition_synced(struct partition *p, int rc, struct us_err *err)
{
	return rc < 0 ? partition_poison(p, err) : rc;
}

uint64_t partition_epoch(const struct partition *p)
{
	return __atomic_load_n(&p->state->epoch, __ATOMIC_ACQUIRE);
}

int partition_recover(struct partition *p, struct us_err *err)
{
	if (!partition_is_poisoned(p))
		return 0;
	raise_epoch(p->state);
	if (msync(p->state, sizeof(*p->state), MS_SYNC) < 0)
		return us_fail_errno(err, "sync %s/state", p->path);
	__atomic_store_n(&p->state->poisoned, 0, __ATOMIC_RELEASE);
	log_event(LOG_NOTICE, "store.partition.recovered", LF_STR("partition", p->name));
	return 0;
}

uint64_t partition_boot_tag(void)
{
	const char *given = getenv("US_BOOT_ID");
	char text[8] = {0};
	uint64_t tag;
	int fd;

	if (given) {
		memcpy(text, given, strnlen(given, sizeof(text)));
	} else {
		fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
		if (fd < 0 || read(fd, text, sizeof(text)) != (ssize_t)sizeof(text))
			us_panic("the kernel does not tell its boot id");
		close(fd);
	}
	memcpy(&tag, text, sizeof(tag));
	return tag;
}

/* ---- directories -------------------------------------------------------------------------------- */

/* The last one is made when the others are durable: where it is, they are. */
static int make_tops(const struct partition *p, struct us_err *err)
{
	static const char *const tops[] = {"u", "stage", "trash"};
	int rc = 0;

	if (faccessat(p->dir, "lost", F_OK, 0) == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(tops); i++) {
		rc = io_mkdir(FP("store.partition.mkdir"), p->dir, tops[i], 0700, err);
		if (rc < 0 && rc != US_EEXIST)
			return rc;
	}
	rc = io_fsync(FP("store.partition.sync"), p->dir, err);
	if (rc == 0)
		rc = io_mkdir(FP("store.partition.mkdir"), p->dir, "lost", 0700, err);
	return rc == US_EEXIST ? 0 : rc;
}

int partition_open(const char *name, const char *path, struct partition *out, struct us_err *err)
{
	struct partition p = {.dir = -1};
	int rc;

	rc = io_open(NULL, AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, &p.dir, err);
	if (rc < 0)
		return us_err_prefix(err, "partition %s", name);
	p.name = us_strdup(name);
	p.path = us_strdup(path);
	rc = make_tops(&p, err);
	if (rc == 0)
		rc = map_state(&p, err);
	if (rc < 0) {
		us_err_prefix(err, "partition %s", name);
		partition_close(&p);
		return rc;
	}
	*out = p;
	return 0;
}

void partition_close(struct partition *p)
{
	if (p->state)
		munmap(p->state, sizeof(*p->state));
	io_close(&p->dir);
	free(p->name);
	free(p->path);
	*p = (struct partition){.dir = -1};
}

void partition_mailbox_path(const struct storeid *id, struct buf *out)
{
	char hex[STOREID_HEX];

	storeid_format(id, hex);
	buf_printf(out, "u/%.2s/%s", hex, hex);
}

int partition_open_mailbox(const struct partition *p, const struct storeid *id, int *out,
			   struct us_err *err)
{
	struct buf path = BUF_INIT;
	int rc;

	partition_mailbox_path(id, &path);
	rc = io_open(NULL, p->dir, path.data, O_RDONLY | O_DIRECTORY, 0, out, err);
	buf_free(&path);
	return rc;
}

/* Not io_sync_dir(): a directory that cannot be opened poisons nothing. */
static int sync_below(struct partition *p, const struct failpoint *fp, const char *path,
		      struct us_err *err)
{
	int fd = -1, rc = io_open(NULL, p->dir, path, O_RDONLY | O_DIRECTORY, 0, &fd, err);

	if (rc == 0)
		rc = partition_synced(p, io_fsync(fp, fd, err), err);
	io_close(&fd);
	return rc;
}

/* Both directories and both names are durable before anything can point here. */
int partition_make_mailbox(struct partition *p, const struct storeid *id, int *out,
			   struct us_err *err)
{
	struct buf path = BUF_INIT;
	char first[8];
	int rc;

	if (partition_is_poisoned(p))
		return us_fail(err, US_EIO, "partition %s is poisoned after a failed sync",
			       p->name);
	partition_mailbox_path(id, &path);
	snprintf(first, sizeof(first), "%.4s", path.data);
	rc = io_mkdir(FP("store.mailbox.mkdir_hash"), p->dir, first, 0700, err);
	if (rc == US_EEXIST)
		rc = 0; /* whoever made it may have died before he made it durable */
	if (rc == 0)
		rc = sync_below(p, FP("store.mailbox.sync_hash"), "u", err);
	if (rc == 0)
		rc = io_mkdir(FP("store.mailbox.mkdir"), p->dir, path.data, 0700, err);
	if (rc == 0)
		rc = sync_below(p, FP("store.mailbox.sync_mkdir"), first, err);
	if (rc == 0)
		rc = partition_open_mailbox(p, id, out, err);
	buf_free(&path);
	return rc;
}

/* Durable on both sides: what a power cut brought back to its old place would look like a mailbox that lost its row. */
int partition_trash_mailbox(struct partition *p, const struct storeid *id, int64_t now,
			    struct us_err *err)
{
	struct buf from = BUF_INIT, to = BUF_INIT;
	char hex[STOREID_HEX];
	int rc;

	storeid_format(id, hex);
	partition_mailbox_path(id, &from);
	buf_printf(&to, "trash/%s.%llx", hex, (unsigned long long)now);
	rc = io_rename(FP("store.mailbox.trash"), p->dir, from.data, p->dir, to.data, err);
	if (rc == 0)
		rc = sync_below(p, FP("store.mailbox.sync_trash"), "trash", err);
	buf_truncate(&from, strlen("u/xx"));
	if (rc == 0)
		rc = sync_below(p, FP("store.mailbox.sync_gone"), from.data, err);
	buf_free(&from);
	buf_free(&to);
	return rc == US_ENOENT ? 0 : rc;
}

static int remove_entry(int dir, const char *name, struct us_err *err)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
		return partition_remove_tree(dir, name, err);
	return io_unlink(FP("store.tree.unlink"), dir, name, err);
}

int partition_remove_tree(int dir, const char *name, struct us_err *err)
{
	struct dirent *entry;
	int fd = -1, rc;
	DIR *d;

	rc = io_open(NULL, dir, name, O_RDONLY | O_DIRECTORY, 0, &fd, err);
	if (rc < 0)
		return rc == US_ENOENT ? 0 : rc;
	d = fdopendir(fd);
	if (!d) {
		io_close(&fd);
		return us_fail_errno(err, "read directory %s", name);
	}
	while (rc == 0 && (entry = readdir(d)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			rc = remove_entry(dirfd(d), entry->d_name, err);
	closedir(d);
	return rc < 0 ? rc : io_rmdir(FP("store.tree.rmdir"), dir, name, err);
}

/* Is it a name that partition_trash_mailbox() gave, before that time? */
static bool is_old_trash(const char *name, int64_t before)
{
	const char *dot = strchr(name, '.');
	char *end;
	long long when;

	if (!dot || dot - name != (ptrdiff_t)STOREID_HEX - 1)
		return false;
	errno = 0;
	when = strtoll(dot + 1, &end, 16);
	return errno == 0 && *end == '\0' && end != dot + 1 && when < before;
}

struct sweep {
	int dir;
	int64_t before;
	unsigned gone, failed;
};

static void trash_failed(struct sweep *s, const char *path, const struct us_err *err)
{
	s->failed++;
	log_event(LOG_WARNING, "store.trash.kept", LF_STR("path", path), LF_ERR(err));
}

static int sweep_one(void *ctx, const struct dirent *entry)
{
	struct sweep *s = ctx;
	struct us_err err;

	if (!is_old_trash(entry->d_name, s->before))
		return 0;
	if (partition_remove_tree(s->dir, entry->d_name, &err) == 0)
		s->gone++;
	else
		trash_failed(s, entry->d_name, &err);
	return 0;
}

unsigned partition_sweep_trash(const struct partition *p, int64_t before, unsigned *failed)
{
	struct sweep s = {.dir = -1, .before = before};
	struct us_err err;
	int rc = io_open(NULL, p->dir, "trash", O_RDONLY | O_DIRECTORY, 0, &s.dir, &err);

	if (rc == 0)
		rc = io_each_name(NULL, s.dir, ".", sweep_one, &s, &err);
	if (rc < 0)
		trash_failed(&s, p->path, &err);
	io_close(&s.dir);
	if (failed)
		*failed = s.failed;
	return s.gone;
}
