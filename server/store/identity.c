/* identity.c - see identity.h. */
#include "server/store/identity.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/io.h"
#include "server/base/mem.h"

#define FIRST_LINE "understudy-store 1\n"
#define SECOND     "identity "
#define MOST_BYTES 4096

/* Two processes may be first at the same time: each writes a file of its own, and the name is given once. */
static int make(const char *dir, const char *path, struct us_err *err)
{
	char *mine = us_asprintf("%s.%d", path, (int)getpid());
	char uuid[UUID_TEXT], text[120];
	int rc, fd = -1;

	uniqueid_new(uuid);
	snprintf(text, sizeof(text), FIRST_LINE SECOND "%s\n", uuid);
	rc = io_open(FP("store.identity.create"), AT_FDCWD, mine, O_WRONLY | O_CREAT | O_TRUNC,
		     0600, &fd, err);
	if (rc == 0)
		rc = io_write(FP("store.identity.write"), fd, text, strlen(text), err);
	if (rc == 0)
		rc = io_fsync(FP("store.identity.sync"), fd, err);
	if (rc == 0)
		rc = io_link(FP("store.identity.link"), AT_FDCWD, mine, AT_FDCWD, path, err);
	if (rc == US_EEXIST)
		rc = 0;
	if (rc == 0)
		rc = io_sync_dir(FP("store.identity.sync_dir"), AT_FDCWD, dir, err);
	io_close(&fd);
	(void)unlink(mine); /* if it stays it is in nobody's way */
	free(mine);
	return rc;
}

int identity_ensure(const char *configdirectory, struct us_err *err)
{
	char *path = us_asprintf("%s/store", configdirectory);
	int rc = access(path, F_OK) == 0 ? 0 : make(configdirectory, path, err);

	free(path);
	return rc;
}

static bool parse(struct span text, char uuid[UUID_TEXT])
{
	if (!span_starts(text, FIRST_LINE SECOND))
		return false;
	text = span_from(text, strlen(FIRST_LINE SECOND));
	if (text.len != UUID_TEXT || text.ptr[UUID_TEXT - 1] != '\n')
		return false;
	memcpy(uuid, text.ptr, UUID_TEXT - 1);
	uuid[UUID_TEXT - 1] = '\0';
	return true;
}

int identity_read(const char *configdirectory, char uuid[UUID_TEXT], struct us_err *err)
{
	char *path = us_asprintf("%s/store", configdirectory);
	struct buf text = BUF_INIT;
	int rc = io_read_file(AT_FDCWD, path, MOST_BYTES, &text, err);

	if (rc == 0 && !parse(buf_span(&text), uuid))
		rc = us_fail(err, US_ECORRUPT, "%s is not what it should be", path);
	buf_free(&text);
	free(path);
	return rc;
}
