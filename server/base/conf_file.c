/* conf_file.c - see conf_file.h. */
#include "server/base/conf_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/base/io.h"
#include "server/base/mem.h"

#define MOST_BYTES (16u << 20)

static int read_whole(const char *path, struct buf *out, struct us_err *err)
{
	struct us_err why = US_ERR_INIT;

	if (io_read_file(AT_FDCWD, path, MOST_BYTES, out, &why) < 0)
		return us_fail(err, US_ECONFIG, "cannot read a configuration file: %s", why.text);
	return 0;
}

int conf_file_read(const char *path, struct buf *out, struct us_err *err)
{
	const char *prefix = getenv("CYRUS_PREFIX");
	char *full;
	int rc;

	if (!prefix || !*prefix)
		return read_whole(path, out, err);
	full = us_asprintf("%s%s%s", prefix, *path == '/' ? "" : "/", path);
	rc = read_whole(access(full, R_OK) == 0 ? full : path, out, err);
	free(full);
	return rc;
}
