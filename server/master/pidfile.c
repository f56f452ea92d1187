/* pidfile.c - see pidfile.h. */
#include "server/master/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int check_and_lock(int fd, const char *path, struct us_err *err)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct stat st;

	if (fstat(fd, &st) < 0)
		return us_fail_errno(err, "%s", path);
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
		return us_fail(err, US_EPERM, "%s is not a plain file of one name", path);
	if (fcntl(fd, F_SETLK, &lock) == 0)
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return us_fail(err, US_EBUSY, "%s is locked", path);
	return us_fail_errno(err, "lock %s", path);
}

static int write_pid(int fd, const char *path, struct us_err *err)
{
	char text[24];
	int len = snprintf(text, sizeof(text), "%d\n", (int)getpid());

	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)len, 0) != len)
		return us_fail_errno(err, "write %s", path);
	return 0;
}

int pidfile_lock(const char *path, int *out, struct us_err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	int rc;

	if (fd < 0)
		return us_fail_errno(err, "open %s", path);
	rc = check_and_lock(fd, path, err);
	if (rc == 0)
		rc = write_pid(fd, path, err);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	*out = fd;
	return 0;
}
