/* watch.c - see watch.h.
 *
 * The directory is watched rather than the log: the log is renamed and made anew all the time. Its state page lies in the
 * same directory but changes through a mapping, which inotify does not see.
 */
#include "channels/watch.h"

#include <sys/inotify.h>
#include <unistd.h>

int watch_open(const struct channel *ch, int *out, struct us_err *err)
{
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	if (fd < 0)
		return us_fail_errno(err, "inotify");
	if (inotify_add_watch(fd, ch->dir, IN_MODIFY | IN_MOVED_TO) < 0) {
		us_fail_errno(err, "watch %s", ch->dir);
		close(fd);
		return US_EIO;
	}
	*out = fd;
	return 0;
}

void watch_drain(int fd)
{
	char events[4096];

	while (read(fd, events, sizeof(events)) > 0)
		;
}
