/* process.c - privileges, descriptors, detaching: see process.h. */
#include "server/base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/base/child.h"

/* ---- privileges ------------------------------------------------------------------------------- */

int process_user_find(const char *user, const char *group, struct process_user *out,
		      struct us_err *err)
{
	struct group *gr = group && *group ? getgrnam(group) : NULL;
	struct process_user found;
	struct passwd *pw;
	int len;

	if (!user || !*user)
		user = PROCESS_DEFAULT_USER;
	pw = getpwnam(user);
	if (!pw)
		return us_fail(err, US_ECONFIG, "no such user: %s", user);
	if (group && *group && !gr)
		return us_fail(err, US_ECONFIG, "no such group: %s", group);
	found.uid = pw->pw_uid;
	found.gid = gr ? gr->gr_gid : pw->pw_gid;
	len = snprintf(found.name, sizeof(found.name), "%s", user);
	if (len < 0 || (size_t)len >= sizeof(found.name))
		return us_fail(err, US_ECONFIG, "user name is too long: %s", user);
	*out = found;
	return 0;
}

int process_become(const struct process_user *user, struct us_err *err)
{
	if (process_step_up(err) < 0)
		return err ? err->code : US_EPERM;
	if (initgroups(user->name, user->gid) < 0 ||
	    setresgid(user->gid, user->gid, user->gid) < 0 ||
	    setresuid(user->uid, user->uid, user->uid) < 0)
		return us_fail(err, US_EPERM, "become user %s: %s", user->name, strerror(errno));
	if (user->uid != 0 && (setuid(0) == 0 || seteuid(0) == 0))
		us_panic("root came back after it was given up");
	return 0;
}

int process_leave_root(const char *user, const char *group, struct us_err *err)
{
	struct process_user found;
	int rc;

	if (geteuid() != 0)
		return 0;
	rc = process_user_find(user, group, &found, err);
	return rc < 0 ? rc : process_become(&found, err);
}

int process_step_down(const struct process_user *user, struct us_err *err)
{
	if (initgroups(user->name, user->gid) < 0 || setegid(user->gid) < 0 ||
	    seteuid(user->uid) < 0)
		return us_fail(err, US_EPERM, "act as user %s: %s", user->name, strerror(errno));
	return 0;
}

int process_step_up(struct us_err *err)
{
	if (seteuid(0) < 0 || setegid(0) < 0)
		return us_fail(err, US_EPERM, "act as root: %s", strerror(errno));
	return 0;
}

int process_set_umask(const char *octal, struct us_err *err)
{
	char *end = NULL;
	unsigned long mask = strtoul(octal, &end, 8);

	if (octal[0] < '0' || octal[0] > '7' || *end || mask > 0777)
		return us_fail(err, US_ECONFIG, "umask: not a file mode in octal digits: %s",
			       octal);
	umask((mode_t)mask);
	return 0;
}

/* ---- descriptors and the terminal ------------------------------------------------------------- */

int process_reserve_fds(struct us_err *err)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
		if (fd < 0)
			return us_fail_errno(err, "open /dev/null");
	} while (fd <= CHILD_LISTEN_FD);
	close(fd);
	return 0;
}

int process_null_stdio(int first, struct us_err *err)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return us_fail_errno(err, "open /dev/null");
	for (int fd = first; fd <= STDERR_FILENO; fd++)
		if (dup2(null, fd) < 0)
			return us_fail_errno(err, "dup2 to %d", fd);
	if (null > STDERR_FILENO)
		close(null);
	return 0;
}

void process_close_from(int first)
{
	if (close_range((unsigned)first, ~0U, 0) == 0)
		return;
	for (int fd = first, most = (int)sysconf(_SC_OPEN_MAX); fd < most; fd++)
		close(fd); /* a kernel before 5.9 */
}

void process_close_on_exec_from(int first)
{
	if (close_range((unsigned)first, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
		return;
	for (int fd = first, most = (int)sysconf(_SC_OPEN_MAX); fd < most; fd++)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC); /* a kernel before 5.11 */
}

/* The parent's half of process_detach(): leave as the child tells us to. */
static void wait_for_word(int from) __attribute__((noreturn));
static void wait_for_word(int from)
{
	unsigned char status;
	ssize_t n;

	do
		n = read(from, &status, 1);
	while (n < 0 && errno == EINTR);
	_exit(n == 1 ? status : 1);
}

int process_detach(int *tell, struct us_err *err)
{
	int ends[2];
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return us_fail_errno(err, "pipe");
	child = fork();
	if (child < 0) {
		us_fail_errno(err, "fork");
		close(ends[0]);
		close(ends[1]);
		return err ? err->code : US_EIO;
	}
	if (child > 0) {
		close(ends[1]);
		wait_for_word(ends[0]);
	}
	close(ends[0]);
	setsid(); /* cannot fail: a new child leads no group */
	*tell = ends[1];
	return 0;
}

void process_detached(int *tell, int status)
{
	unsigned char word = (unsigned char)status;

	if (*tell < 0)
		return;
	(void)!write(*tell, &word, 1); /* if nobody waits for the word any more, nobody misses it */
	close(*tell);
	*tell = -1;
}
