/* store.h - the mail store of one server: its partitions, its metadata, and who is told of changes.
 *
 * A store is opened for reading, or for writing with a change observer: there is no third way, so no program can
 * change mail without the sync logs hearing of it. The observer is told *before* a change is committed, under
 * the change's locks; if it fails, the change fails and nothing has happened. A change announced and then not
 * made is harmless (it costs one comparison).
 *
 * Order of every change (design): namespace lock, mailbox locks in ascending store id, observer, commit, publish,
 * release, acknowledge. Handles are not for threads; after a fork the child calls store_after_fork().
 */
#ifndef US_STORE_STORE_H
#define US_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/err.h"
#include "server/base/span.h"

struct meta;
struct partition;
struct store; /* opaque */

enum store_change_kind {
	CHANGE_MAILBOX,       /* a: mailbox */
	CHANGE_APPEND,        /* a: mailbox that got a message */
	CHANGE_DOUBLEMAILBOX, /* a: mailbox copied from, b: copied to */
	CHANGE_RENAME,        /* a: from, b: to */
	CHANGE_UNMAILBOX,     /* a: mailbox really deleted */
	CHANGE_USER,          /* a: user id */
	CHANGE_UNUSER,        /* a: user id */
	CHANGE_META,          /* a: user id (sieve scripts) */
	CHANGE_QUOTA,         /* a: quota root */
	CHANGE_ANNOTATION,    /* a: "" (server annotations) */
	CHANGE_SEEN,          /* a: user id, b: uniqueid */
	CHANGE_SUB,           /* a: user id, b: mailbox */
};

struct store_change {
	enum store_change_kind kind;
	struct span a, b;
};

struct store_observer {
	/* About to be committed: all of them, in this order. Anything but 0 stops the change. */
	int (*changing)(void *ctx, const struct store_change *changes, size_t n,
			struct us_err *err);
	void *ctx;
};

/* Copied. Where a name is NULL the default of Cyrus applies. */
struct store_config {
	const char *configdirectory;
	const char *lockpath; /* mboxname_lockpath; NULL: <configdirectory>/lock */
	const struct {
		const char *name, *path;
	} * partitions;
	size_t n_partitions;
	const char *defaultpartition;
	const char *deletedprefix; /* "DELETED" */
	const char *deleteright;   /* "c" */
	bool delete_delayed;       /* delete_mode: delayed */
	bool expunge_immediate;    /* expunge_mode: immediate */
	unsigned lock_wait_ms;     /* how long a lock is waited for; 0: 60,000 */
	bool may_own_meta;         /* a tool: open the metadata itself when no metad runs */
	unsigned meta_wait_ms;     /* how long an answer of metad is waited for; 0: 60,000 */
	size_t meta_cache_rows;    /* rows of metad's that are remembered, about; 0: 4,096 */
	uint32_t default_options;  /* mailbox_default_options, as state.h's bits */
	/* Guid of a message that storing fails for as if the disk were full (debug_writefail_guid); NULL: none. */
	const char *writefail_guid;
	struct store_limits {
		uint64_t message_size;     /* bytes; 0: none */
		size_t meta_request;       /* bytes of one change to the metadata; 0: 64 MiB */
		unsigned annotation_value; /* longest value of an annotation, bytes; 0: 65,536 */
	} limits;
};

/* *observer is borrowed until store_close(). US_ECONFIG for what the configuration has wrong. */
int store_open_write(const struct store_config *config, const struct store_observer *observer,
		     struct store **out, struct us_err *err);
int store_open_read(const struct store_config *config, struct store **out, struct us_err *err);
void store_close(struct store **store);
/* In a forked child, before any use: connections and lock descriptors are not shared with the parent. */
void store_after_fork(struct store *store);

const struct store_config *store_config(const struct store *store);
struct meta *store_meta(struct store *store);
bool store_is_writable(const struct store *store);
uint64_t store_boot_tag(const struct store *store);
/* NULL: no partition of that name. */
struct partition *store_partition(struct store *store, struct span name);
struct partition *store_default_partition(struct store *store);
struct partition *store_partition_at(struct store *store, size_t i); /* NULL behind the last */

/* Tell the observer. US_EPERM if the store was opened for reading. Called by every change of the store, with its
 * locks held, before its commit point. */
int store_announce(struct store *store, const struct store_change *changes, size_t n,
		   struct us_err *err);

/* ---- namespace locks --------------------------------------------------------------------------- */

enum store_lock_mode { STORE_SHARED, STORE_EXCLUSIVE };

/* The lock of the owner of `name` (or of the shared mailboxes); *out to be given to store_unlock_namespace(). Locks of
 * two owners are taken in byte order of their ids: store_lock_namespaces() does. */
int store_lock_namespace(struct store *store, struct span name, enum store_lock_mode mode, int *out,
			 struct us_err *err);
int store_lock_namespaces(struct store *store, struct span a, struct span b,
			  enum store_lock_mode mode, int out[2],
			  struct us_err *err); /* out[1] is -1 if both have one owner */
/* As store_lock_namespace(), but wait no longer than this. */
int store_lock_namespace_within(struct store *store, struct span name, enum store_lock_mode mode,
				unsigned wait_ms, int *out, struct us_err *err);
/* In which order the owners of two names have their locks taken; 0: it is one owner. */
int store_cmp_owners(struct store *store, struct span a, struct span b);
int store_lock_user(struct store *store, struct span userid, enum store_lock_mode mode, int *out,
		    struct us_err *err);
void store_unlock_namespace(int *lock);

int64_t store_now(void); /* seconds */
int64_t store_now_ns(void);
/* The INTERNALDATE of a message that is said to be of that second: csync carries 1 to 2^32 - 1, and a Cyrus takes 0 for now.
 * Now if it is earlier, 2^32 - 1 if it is later. */
int64_t store_internaldate_ns(int64_t time_s);

#endif
