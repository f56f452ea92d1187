/* store.c - see store.h. */
#include "server/store/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "server/base/io.h"
#include "server/base/mem.h"
#include "server/base/pool.h"
#include "server/base/checksum.h"
#include "server/store/identity.h"
#include "server/store/lock.h"
#include "server/store/mboxname.h"
#include "server/store/meta/meta.h"
#include "server/store/partition.h"

#define DEFAULT_LOCK_WAIT_MS 60000
#define DEFAULT_ANNOTATION   65536

struct store {
	struct store_config config; /* its strings live in pool */
	struct pool *pool;
	struct meta *meta;
	struct partition *partitions;
	size_t n_partitions;
	const struct store_observer *observer; /* NULL: opened for reading */
	uint64_t boot_tag;
	int lock_dir; /* <lockpath>/ns */
};

/* ---- opening ----------------------------------------------------------------------------------- */

static const char *copy_or(struct pool *pool, const char *s, const char *otherwise)
{
	return s || otherwise ? pool_strdup(pool, s ? s : otherwise) : NULL;
}

static void copy_config(struct store *store, const struct store_config *from)
{
	struct store_config *c = &store->config;

	*c = *from;
	c->configdirectory = pool_strdup(store->pool, from->configdirectory);
	c->lockpath = from->lockpath ? pool_strdup(store->pool, from->lockpath)
				     : pool_printf(store->pool, "%s/lock", c->configdirectory);
	c->defaultpartition = copy_or(store->pool, from->defaultpartition, NULL);
	c->deletedprefix = copy_or(store->pool, from->deletedprefix, "DELETED");
	c->deleteright = copy_or(store->pool, from->deleteright, "c");
	c->writefail_guid = copy_or(store->pool, from->writefail_guid, NULL);
	c->partitions = NULL; /* they are in store->partitions */
	if (!c->lock_wait_ms)
		c->lock_wait_ms = DEFAULT_LOCK_WAIT_MS;
	if (!c->limits.annotation_value)
		c->limits.annotation_value = DEFAULT_ANNOTATION;
}

static int open_partitions(struct store *store, const struct store_config *from, struct us_err *err)
{
	store->partitions = us_calloc(from->n_partitions, sizeof(store->partitions[0]));
	for (size_t i = 0; i < from->n_partitions; i++) {
		int rc = partition_open(from->partitions[i].name, from->partitions[i].path,
					&store->partitions[i], err);
		if (rc < 0)
			return rc;
		store->n_partitions++;
	}
	if (store->config.defaultpartition &&
	    !store_partition(store, span_of(store->config.defaultpartition)))
		return us_fail(err, US_ECONFIG, "defaultpartition %s: there is no partition-%s",
			       store->config.defaultpartition, store->config.defaultpartition);
	return 0;
}

static int open_locks(struct store *store, struct us_err *err)
{
	char *path = us_asprintf("%s/ns", store->config.lockpath);
	int rc = io_mkdirs(FP("store.lock.mkdir"), path, err);

	if (rc == 0)
		rc = io_open(NULL, AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, &store->lock_dir,
			     err);
	free(path);
	return rc;
}

static int open_meta(struct store *store, struct us_err *err)
{
	char *dir = us_asprintf("%s/meta", store->config.configdirectory);
	char *socket = us_asprintf("%s/socket/metad", store->config.configdirectory);
	struct meta_config config = {.directory = dir,
				     .socket = socket,
				     .may_own = store->config.may_own_meta,
				     .wait_ms = store->config.meta_wait_ms,
				     .cache_rows = store->config.meta_cache_rows,
				     .max_request = store->config.limits.meta_request};
	int rc = meta_open(&config, &store->meta, err);

	free(dir);
	free(socket);
	return rc;
}

static int open_store(const struct store_config *config, const struct store_observer *observer,
		      struct store **out, struct us_err *err)
{
	struct store *store;
	int rc;

	if (!config->configdirectory)
		return us_fail(err, US_ECONFIG, "configdirectory is not set");
	store = us_calloc(1, sizeof(*store));
	store->pool = pool_new();
	store->lock_dir = -1;
	store->observer = observer;
	store->boot_tag = partition_boot_tag();
	copy_config(store, config);
	rc = open_locks(store, err);
	if (rc == 0)
		rc = open_partitions(store, config, err);
	if (rc == 0)
		rc = open_meta(store, err);
	if (rc < 0)
		store_close(&store);
	else
		*out = store;
	return rc;
}

int store_open_write(const struct store_config *config, const struct store_observer *observer,
		     struct store **out, struct us_err *err)
{
	int rc;

	us_assert(observer && observer->changing);
	if (!config->configdirectory)
		return us_fail(err, US_ECONFIG, "configdirectory is not set");
	rc = identity_ensure(config->configdirectory, err);
	return rc < 0 ? rc : open_store(config, observer, out, err);
}

int store_open_read(const struct store_config *config, struct store **out, struct us_err *err)
{
	return open_store(config, NULL, out, err);
}

void store_close(struct store **store)
{
	if (!*store)
		return;
	meta_close(&(*store)->meta);
	for (size_t i = 0; i < (*store)->n_partitions; i++)
		partition_close(&(*store)->partitions[i]);
	free((*store)->partitions);
	io_close(&(*store)->lock_dir);
	pool_free(&(*store)->pool);
	free(*store);
	*store = NULL;
}

void store_after_fork(struct store *store)
{
	meta_after_fork(store->meta);
}

const struct store_config *store_config(const struct store *store)
{
	return &store->config;
}

struct meta *store_meta(struct store *store)
{
	return store->meta;
}

bool store_is_writable(const struct store *store)
{
	return store->observer != NULL;
}

uint64_t store_boot_tag(const struct store *store)
{
	return store->boot_tag;
}

struct partition *store_partition(struct store *store, struct span name)
{
	for (size_t i = 0; i < store->n_partitions; i++)
		if (span_is(name, store->partitions[i].name))
			return &store->partitions[i];
	return NULL;
}

struct partition *store_default_partition(struct store *store)
{
	struct partition *p = NULL;

	if (store->config.defaultpartition)
		p = store_partition(store, span_of(store->config.defaultpartition));
	return p ? p : store_partition_at(store, 0);
}

struct partition *store_partition_at(struct store *store, size_t i)
{
	return i < store->n_partitions ? &store->partitions[i] : NULL;
}

int store_announce(struct store *store, const struct store_change *changes, size_t n,
		   struct us_err *err)
{
	int rc;

	if (!store->observer)
		return us_fail(err, US_EPERM, "the store was opened for reading only");
	rc = store->observer->changing(store->observer->ctx, changes, n, err);
	return rc < 0 ? us_err_prefix(err, "sync log") : 0;
}

int64_t store_now(void)
{
	return store_now_ns() / 1000000000;
}

int64_t store_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t store_internaldate_ns(int64_t time_s)
{
	if (time_s <= 0)
		return store_now_ns();
	return (time_s < UINT32_MAX ? time_s : UINT32_MAX) * 1000000000;
}

/* ---- namespace locks --------------------------------------------------------------------------- */

#define SHARED_OWNER "%shared"

/* "<hh>/<owner>" below ns/. */
static void lock_path(struct span owner, struct buf *out)
{
	buf_printf(out, "%02x/", us_crc32c(0, owner.ptr, owner.len) & 0xff);
	for (size_t i = 0; i < owner.len; i++) {
		if (owner.ptr[i] == '/')
			buf_add_str(out, "%2f");
		else if (owner.ptr[i] == '%' && !span_is(owner, SHARED_OWNER))
			buf_add_str(out, "%25");
		else
			buf_add_char(out, owner.ptr[i]);
	}
}

/* Nearly always the file is there: directories are made only when it is not. */
static int open_lock(struct store *store, const char *path, int *out, struct us_err *err)
{
	int rc = io_open(NULL, store->lock_dir, path, O_RDWR | O_CREAT, 0600, out, err);
	char hash[3] = {path[0], path[1], 0};

	if (rc != US_ENOENT)
		return rc;
	rc = io_mkdir(FP("store.lock.mkdir_hash"), store->lock_dir, hash, 0700, err);
	if (rc < 0 && rc != US_EEXIST)
		return rc;
	return io_open(NULL, store->lock_dir, path, O_RDWR | O_CREAT, 0600, out, err);
}

static int lock_owner(struct store *store, struct span owner, enum store_lock_mode mode,
		      unsigned wait_ms, int *out, struct us_err *err)
{
	struct buf path = BUF_INIT;
	int fd = -1, rc;

	lock_path(owner, &path);
	rc = open_lock(store, path.data, &fd, err);
	if (rc == 0)
		rc = lock_take(fd, mode == STORE_SHARED ? LOCK_SHARED : LOCK_EXCLUSIVE, wait_ms,
			       err);
	buf_free(&path);
	if (rc < 0) {
		io_close(&fd);
		return us_err_prefix(err, "namespace of %.*s", SPAN_ARG(owner));
	}
	*out = fd;
	return 0;
}

static void owner_of(struct store *store, struct span name, struct buf *owner)
{
	if (!mboxname_owner(name, store->config.deletedprefix, owner))
		buf_add_str(owner, SHARED_OWNER);
}

int store_lock_namespace_within(struct store *store, struct span name, enum store_lock_mode mode,
				unsigned wait_ms, int *out, struct us_err *err)
{
	struct buf owner = BUF_INIT;
	int rc;

	owner_of(store, name, &owner);
	rc = lock_owner(store, buf_span(&owner), mode, wait_ms, out, err);
	buf_free(&owner);
	return rc;
}

int store_lock_namespace(struct store *store, struct span name, enum store_lock_mode mode, int *out,
			 struct us_err *err)
{
	return store_lock_namespace_within(store, name, mode, store->config.lock_wait_ms, out, err);
}

int store_cmp_owners(struct store *store, struct span a, struct span b)
{
	struct buf x = BUF_INIT, y = BUF_INIT;
	int order;

	owner_of(store, a, &x);
	owner_of(store, b, &y);
	order = span_cmp(buf_span(&x), buf_span(&y));
	buf_free(&x);
	buf_free(&y);
	return order;
}

int store_lock_user(struct store *store, struct span userid, enum store_lock_mode mode, int *out,
		    struct us_err *err)
{
	return lock_owner(store, userid, mode, store->config.lock_wait_ms, out, err);
}

int store_lock_namespaces(struct store *store, struct span a, struct span b,
			  enum store_lock_mode mode, int out[2], struct us_err *err)
{
	struct buf x = BUF_INIT, y = BUF_INIT;
	int order, rc, fd[2] = {-1, -1};

	owner_of(store, a, &x);
	owner_of(store, b, &y);
	order = span_cmp(buf_span(&x), buf_span(&y));
	rc = lock_owner(store, buf_span(order <= 0 ? &x : &y), mode, store->config.lock_wait_ms,
			&fd[0], err);
	if (rc == 0 && order != 0)
		rc = lock_owner(store, buf_span(order <= 0 ? &y : &x), mode,
				store->config.lock_wait_ms, &fd[1], err);
	buf_free(&x);
	buf_free(&y);
	if (rc < 0) {
		io_close(&fd[0]);
		return rc;
	}
	out[0] = fd[0];
	out[1] = fd[1];
	return 0;
}

void store_unlock_namespace(int *lock)
{
	io_close(lock); /* the lock falls with its only descriptor */
}
