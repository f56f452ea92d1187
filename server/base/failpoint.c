/* failpoint.c - see failpoint.h. */
#include "server/base/failpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server/base/err.h"
#include "server/base/mem.h"

extern const struct failpoint *const __start_us_failpoints[] __attribute__((weak));
extern const struct failpoint *const __stop_us_failpoints[] __attribute__((weak));

static const char magic[8] = {'U', 'S', 'F', 'A', 'I', 'L', '1', '\n'};

/* The page of this process (failpoint.h says why it is here). */
static struct failpoint_page *page;

void failpoint_page_init(struct failpoint_page *p)
{
	memset(p, 0, sizeof(*p));
	memcpy(p->magic, magic, sizeof(magic));
}

void failpoint_use(struct failpoint_page *p)
{
	page = p;
}

static void print_name(const char *name, void *ctx UNUSED)
{
	puts(name);
}

static void map_page(const char *path)
{
	void *map;
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return;
	map = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map != MAP_FAILED && memcmp(map, magic, sizeof(magic)) == 0)
		page = map;
}

void failpoint_init(void)
{
	const char *path = getenv("US_FAILPOINTS");
	char own[PATH_MAX];

	if (!path)
		return;
	if (strcmp(path, "list") == 0) {
		failpoint_list(print_name, NULL);
		exit(0);
	}
	if (path[0] && path[strlen(path) - 1] == '/') {
		snprintf(own, sizeof(own), "%s%s", path, program_invocation_short_name);
		path = own;
	}
	map_page(path);
}

void failpoint_list(void (*fn)(const char *name, void *ctx), void *ctx)
{
	for (const struct failpoint *const *p = __start_us_failpoints; p < __stop_us_failpoints;
	     p++) {
		const struct failpoint *const *q = __start_us_failpoints;
		while (q < p && strcmp((*q)->name, (*p)->name) != 0)
			q++;
		if (q == p)
			fn((*p)->name, ctx);
	}
}

static void record(const char *name)
{
	for (size_t i = 0; i < FAILPOINT_HITS; i++) {
		if (!page->hit[i].name[0])
			snprintf(page->hit[i].name, FAILPOINT_NAME_MAX, "%s", name);
		if (strcmp(page->hit[i].name, name) == 0) {
			__atomic_add_fetch(&page->hit[i].hits, 1, __ATOMIC_SEQ_CST);
			return;
		}
	}
	us_panic("more than %d failpoints were hit", FAILPOINT_HITS);
}

void failpoint_die(void)
{
	kill(getpid(), SIGKILL);
	abort(); /* not reached */
}

static int act(enum failpoint_action action)
{
	__atomic_add_fetch(&page->fired, 1, __ATOMIC_SEQ_CST);
	switch (action) {
	case FAILPOINT_KILL:
		failpoint_die();
	case FAILPOINT_TORN:
		return -1;
	case FAILPOINT_ENOSPC:
		return ENOSPC;
	case FAILPOINT_EIO:
		return EIO;
	case FAILPOINT_STOP:
		raise(SIGSTOP);
		return 0;
	case FAILPOINT_OFF:
		break;
	}
	return 0;
}

int failpoint_hit(const struct failpoint *fp)
{
	uint32_t action;

	if (__builtin_expect(!page, 1) || !fp)
		return 0;
	if (page->recording)
		record(fp->name);
	action = __atomic_load_n(&page->action, __ATOMIC_SEQ_CST);
	if (action == FAILPOINT_OFF || strcmp(page->name, fp->name) != 0)
		return 0;
	if (__atomic_fetch_sub(&page->countdown, 1, __ATOMIC_SEQ_CST) > 0)
		return 0;
	if (!__atomic_compare_exchange_n(&page->action, &action, FAILPOINT_OFF, false,
					 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return 0; /* another process was first */
	return act((enum failpoint_action)action);
}
