/* lock.c - one client at a time per replica and user (csync-protocol 16). */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/io.h"
#include "server/base/mem.h"
#include "server/store/lock.h"
#include "sync_client/sync_private.h"

#define WAIT_MS 600000

/* "*S*host*user" with dots and slashes out of the way of the file system. */
static void lock_path(const struct sync *s, struct span userid, struct buf *out)
{
	size_t from;

	buf_printf(out, "%s/sync/", store_config(s->store)->lockpath);
	from = out->len;
	buf_printf(out, "*S*%s*%.*s", s->lock_host, SPAN_ARG(userid));
	for (size_t i = from; i < out->len; i++)
		if (out->data[i] == '.' || out->data[i] == '/')
			out->data[i] = '^';
}

int sync_lock(struct sync *s, struct span userid, int *out, struct us_err *err)
{
	struct buf path = BUF_INIT;
	char *dir = us_asprintf("%s/sync", store_config(s->store)->lockpath);
	int fd = -1, rc = io_mkdirs(FP("sync.lock.mkdir"), dir, err);

	lock_path(s, userid, &path);
	if (rc == 0)
		rc = io_open(NULL, AT_FDCWD, path.data, O_RDWR | O_CREAT, 0600, &fd, err);
	if (rc == 0)
		rc = lock_take(fd, LOCK_EXCLUSIVE, s->no_wait ? 0 : WAIT_MS, err);
	if (rc < 0)
		io_close(&fd);
	buf_free(&path);
	free(dir);
	*out = fd;
	return rc;
}

void sync_unlock(int *lock)
{
	io_close(lock);
}
