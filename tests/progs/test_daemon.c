/* test_daemon.c - a daemon for the tests of master, and a stand-in for metad.
 *
 *	-w ms	say ok so much later		-n	say something else
 *	-e ms	take so long to end
 *	-x n	end with that status at once	-i	hear no TERM
 *
 * Answers whoever connects to its descriptor 4 with a line: its pid, and whether the last stop was unclean.
 * Every start and end is a line in the file US_TEST_ROOT/<argv[0]>.log, with the monotonic time.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "server/base/child.h"
#include "server/base/process.h"
#include "server/base/wait.h"

static void note(const char *name, const char *what)
{
	const char *root = getenv("US_TEST_ROOT");
	char path[512], line[128];
	int fd, len;

	snprintf(path, sizeof(path), "%s/%s.log", root ? root : "/tmp", name);
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	len = snprintf(line, sizeof(line), "%s %d %lld unclean=%s\n", what, (int)getpid(),
		       (long long)wait_clock_ms(),
		       getenv(CHILD_ENV_UNCLEAN) ? getenv(CHILD_ENV_UNCLEAN) : "0");
	if (fd < 0 || write(fd, line, (size_t)len) != len)
		exit(EX_IOERR);
	close(fd);
}

static void answer_one(void)
{
	int fd = accept4(CHILD_LISTEN_FD, NULL, NULL, SOCK_CLOEXEC);
	char line[64];
	int len = snprintf(line, sizeof(line), "%d unclean=%s\n", (int)getpid(),
			   getenv(CHILD_ENV_UNCLEAN) ? getenv(CHILD_ENV_UNCLEAN) : "0");

	if (fd < 0)
		return;
	if (write(fd, line, (size_t)len) != len)
		note("test_daemon", "unheard");
	close(fd);
}

static void wait_for_end(int deaf)
{
	struct pollfd fd = {CHILD_LISTEN_FD, POLLIN, 0};
	int listening = 0;
	socklen_t len = sizeof(listening);

	if (getsockopt(CHILD_LISTEN_FD, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0 ||
	    !listening)
		fd.fd = -1;
	while (deaf || !process_flags.stop) {
		int rc = wait_ready(&fd, 1, -1, &process_flags.wake, NULL);

		process_flags.wake = 0;
		if (rc > 0)
			answer_one();
		if (process_flags.reload)
			return;
	}
}

int main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
	const char *word = "ok\r\n";
	int letter, deaf = 0, status = -1;
	unsigned delay_ms = 0, end_ms = 0;

	process_signals_catch();
	while ((letter = getopt(argc, argv, "C:w:e:nx:i")) != -1)
		switch (letter) {
		case 'w':
			delay_ms = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'e':
			end_ms = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'n':
			word = "no\r\n";
			break;
		case 'x':
			status = (int)strtol(optarg, NULL, 10);
			break;
		case 'i':
			deaf = 1;
			break;
		case 'C':
			break;
		default:
			return EX_USAGE;
		}
	note(name, "start");
	if (status >= 0)
		return status;
	(void)wait_ready(NULL, 0, (int)delay_ms, &process_flags.stop, NULL);
	if (strcmp(word, "ok\r\n") == 0)
		child_say_ok();
	else if (write(CHILD_STATUS_FD, word, 4) != 4)
		return EX_IOERR;
	wait_for_end(deaf);
	(void)wait_ready(NULL, 0, (int)end_ms, NULL, NULL);
	note(name, "end");
	return process_flags.stop ? EX_TEMPFAIL : 0;
}
