/* notice.c - see notice.h. */
#include "server/session/notice.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/conf.h"
#include "server/base/io.h"
#include "server/base/mem.h"

bool notice_read(const struct host *host, const char *name, struct buf *out)
{
	char *path = us_asprintf("%s/msg/%s", conf_str(host->conf, CONF_configdirectory), name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[NOTICE_MAX + 1];
	ssize_t n = fd < 0 ? -1 : read(fd, text, NOTICE_MAX);

	io_close(&fd);
	free(path);
	if (n < 0)
		return false;
	text[n] = '\0';
	buf_add(out, text, strcspn(text, "\r\n"));
	return true;
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
