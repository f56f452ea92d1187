/* syslog_to_file.c - preloaded into a peer under test: its syslog lines go to the file US_SYSLOG_FILE.
 *
 * A bare machine has no /dev/log, and on any other these lines are not the machine's business. The file is
 * opened for each line: a daemon that closes all its descriptors loses nothing.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

static const char *ident = "-";

static void add_line(int priority, const char *format, va_list ap)
{
	static const char *const levels[] = {"emerg",   "alert",  "crit", "err",
					     "warning", "notice", "info", "debug"};
	const char *path = getenv("US_SYSLOG_FILE");
	char text[8192], line[8400], when[32];
	struct timespec now;
	struct tm tm;
	int fd, len;

	if (!(setlogmask(0) & LOG_MASK(LOG_PRI(priority))))
		return;
	vsnprintf(text, sizeof(text), format, ap); /* glibc's has %m */
	clock_gettime(CLOCK_REALTIME, &now);
	strftime(when, sizeof(when), "%H:%M:%S", localtime_r(&now.tv_sec, &tm));
	len = snprintf(line, sizeof(line), "%s.%03ld %s %s[%d]: %s\n", when, now.tv_nsec / 1000000,
		       levels[LOG_PRI(priority)], ident, (int)getpid(), text);
	fd = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666) : -1;
	if (fd < 0)
		return;
	if (write(fd, line, (size_t)len) < 0)
		abort();
	close(fd);
}

void openlog(const char *name, int option, int facility)
{
	static char copy[64];

	(void)option;
	(void)facility;
	snprintf(copy, sizeof(copy), "%s", name ? name : "-");
	ident = copy;
}

void closelog(void)
{
}

void vsyslog(int priority, const char *format, va_list ap)
{
	add_line(priority, format, ap);
}

void syslog(int priority, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	add_line(priority, format, ap);
	va_end(ap);
}

/* What programs built with _FORTIFY_SOURCE call. */
void __syslog_chk(int priority, int flag, const char *format, ...);
void __vsyslog_chk(int priority, int flag, const char *format, va_list ap);

void __vsyslog_chk(int priority, int flag, const char *format, va_list ap)
{
	(void)flag;
	add_line(priority, format, ap);
}

void __syslog_chk(int priority, int flag, const char *format, ...)
{
	va_list ap;

	(void)flag;
	va_start(ap, format);
	add_line(priority, format, ap);
	va_end(ap);
}
