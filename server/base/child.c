/* child.c - see child.h. */
#include "server/base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "server/base/log.h"

bool child_has_status_pipe(void)
{
	struct stat st;

	return fstat(CHILD_STATUS_FD, &st) == 0 && S_ISFIFO(st.st_mode);
}

void child_say(enum child_status status)
{
	struct child_message message = {.message = status, .pid = getpid()};
	ssize_t n;

	if (!child_has_status_pipe())
		return;
	do
		n = write(CHILD_STATUS_FD, &message, sizeof(message));
	while (n < 0 && errno == EINTR);
	/* Smaller than PIPE_BUF, so it goes whole or not at all; without a reader there is nobody to tell. */
}

void child_say_ok(void)
{
	if (!child_has_status_pipe())
		return;
	if (write(CHILD_STATUS_FD, "ok\r\n", 4) != 4)
		log_event(LOG_WARNING, "process.ready.unheard");
	close(CHILD_STATUS_FD);
}

int64_t child_env_number(const char *name, int64_t otherwise)
{
	const char *text = getenv(name);
	char *end = NULL;
	long long number;

	if (!text || !*text)
		return otherwise;
	errno = 0;
	number = strtoll(text, &end, 10);
	return errno || *end ? otherwise : number;
}

enum child_end child_end_of(int status)
{
	if (!WIFEXITED(status))
		return CHILD_END_FAILED;
	if (WEXITSTATUS(status) == 0)
		return CHILD_END_WELL;
	return WEXITSTATUS(status) == EX_TEMPFAIL ? CHILD_END_KILLED : CHILD_END_FAILED;
}

static void say_end(char *out, size_t size, int status)
{
	if (WIFSIGNALED(status))
		snprintf(out, size, "signaled to death by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else if (child_end_of(status) == CHILD_END_WELL)
		snprintf(out, size, "exited normally");
	else if (child_end_of(status) == CHILD_END_KILLED)
		snprintf(out, size, "was killed");
	else
		snprintf(out, size, "exited, status %d", WEXITSTATUS(status));
}

void child_log_end(const struct child_obituary *who)
{
	char end[96], text[512];

	say_end(end, sizeof(end), who->status);
	snprintf(text, sizeof(text), "process type:%s name:%s path:%s age:%lld.%03llds pid:%d %s",
		 who->type, who->name, who->path, (long long)who->age_ms / 1000,
		 (long long)who->age_ms % 1000, (int)who->pid, end);
	log_event(child_end_of(who->status) == CHILD_END_FAILED ? LOG_ERR : LOG_INFO,
		  "process.ended", LF_TEXT(text));
}
