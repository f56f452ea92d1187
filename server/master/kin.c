/* kin.c - see kin.h.
 *
 * The kernel lists children in /proc/<pid>/task/<tid>/children where it was built so (Debian's is).
 * Otherwise every process is asked who its parent is.
 */
#include "server/master/kin.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "server/base/buf.h"
#include "server/base/io.h"
#include "server/base/mem.h"

#define MOST_TEXT (1u << 20)

struct pids {
	pid_t *items;
	size_t n, cap;
};

static void add(struct pids *pids, pid_t pid)
{
	us_grow(&pids->items, pids->n, &pids->cap, sizeof(*pids->items));
	pids->items[pids->n++] = pid;
}

int kin_become_reaper(struct us_err *err)
{
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return us_fail_errno(err, "become the reaper of orphans");
	return 0;
}

static int list_from_task(struct pids *pids, struct us_err *err)
{
	struct buf text;
	struct span rest, word;
	char path[64];
	uint64_t pid;
	int rc;

	buf_init(&text, 0);
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	rc = io_read_file(AT_FDCWD, path, MOST_TEXT, &text, err);
	rest = buf_span(&text);
	while (rc == 0 && span_word(&rest, &word))
		if (span_u64(word, INT32_MAX, &pid))
			add(pids, (pid_t)pid);
	buf_free(&text);
	return rc;
}

/* The parent of a process: the second word behind its name, which stands in parentheses and may hold any
 * byte, parentheses too. 0: it is gone. */
static pid_t parent_of(const char *pid)
{
	struct buf text;
	char path[280];
	const char *close_paren;
	long parent = 0;

	buf_init(&text, 0);
	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	if (io_read_file(AT_FDCWD, path, MOST_TEXT, &text, NULL) == 0) {
		close_paren = strrchr(text.data, ')');
		if (close_paren && strlen(close_paren) > 4)
			parent = strtol(close_paren + 4, NULL, 10);
	}
	buf_free(&text);
	return (pid_t)parent;
}

static int list_from_all(struct pids *pids, struct us_err *err)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	pid_t self = getpid();

	if (!proc)
		return us_fail_errno(err, "list /proc");
	while ((entry = readdir(proc)) != NULL)
		if (isdigit((unsigned char)entry->d_name[0]) && parent_of(entry->d_name) == self)
			add(pids, (pid_t)strtol(entry->d_name, NULL, 10));
	closedir(proc);
	return 0;
}

int kin_list(pid_t **out, size_t *n_out, struct us_err *err)
{
	struct pids pids = {NULL, 0, 0};
	int rc = list_from_task(&pids, err);

	if (rc == US_ENOENT)
		rc = list_from_all(&pids, err);
	if (rc < 0) {
		free(pids.items);
		return rc;
	}
	*out = pids.items;
	*n_out = pids.n;
	return 0;
}
