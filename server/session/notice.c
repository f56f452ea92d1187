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
