/* notice.c - see notice.h. */
#include "server/session/notice.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/conf.h"
#include "server/base/io.h"
#include "server/base/mem.h"

#define MOST_NOTICE 4096

bool notice_read(const struct host *host, const char *name, struct buf *out)
{
	char *path = us_asprintf("%s/msg/%s", conf_str(host->conf, CONF_configdirectory), name);
	size_t before = out->len;
	bool there = access(path, R_OK) == 0 &&
		     io_read_file(AT_FDCWD, path, MOST_NOTICE, out, NULL) == 0;

	free(path);
	if (there)
		buf_truncate(out, before + strcspn(out->data + before, "\r\n"));
	return there;
}

int notice_write(const struct host *host, const char *name, struct span text, struct us_err *err)
{
	const struct io_replace_points points = {FP("session.notice.write"),
						 FP("session.notice.sync"),
						 FP("session.notice.rename"),
						 FP("session.notice.dirsync")};
	char *dir = us_asprintf("%s/msg", conf_str(host->conf, CONF_configdirectory));
	char *path = us_asprintf("%s/%s", dir, name);
	int rc;

	if (text.len) {
		rc = io_mkdirs(FP("session.notice.mkdir"), dir, err);
		if (rc == 0)
			rc = io_replace(&points, AT_FDCWD, path, text.ptr, text.len, 0644, err);
	} else {
		rc = io_unlink(FP("session.notice.unlink"), AT_FDCWD, path, err);
	}
	free(dir);
	free(path);
	return rc;
}
