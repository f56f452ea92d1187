/* process_title.c - see process.h.
 *
 * The kernel shows as a command line the bytes from the first word of argv to the end of the last, so that
 * is where a title has to be written. The environment's strings behind it are left alone: they tell an
 * operator, and our tests, which installation a process belongs to.
 */
#include "server/base/process.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Where the title may go; one a process, like the log's sink: the kernel has one too. */
static struct {
	char *start;
	size_t size;
} room;

void process_title_init(int argc, char **argv)
{
	char *end;

	room.size = 0;
	if (argc < 2)
		return;
	end = argv[1];
	for (int i = 1; i < argc; i++) {
		if (argv[i] != end)
			return; /* not as the kernel lays it out */
		end = argv[i] + strlen(argv[i]) + 1;
	}
	room.start = argv[1];
	room.size = (size_t)(end - argv[1]);
}

void process_title_set(const char *fmt, ...)
{
	va_list ap;

	if (room.size == 0)
		return;
	memset(room.start, 0, room.size);
	va_start(ap, fmt);
	vsnprintf(room.start, room.size, fmt, ap);
	va_end(ap);
}
