/* failpoint.h - named places where a process can be made to die or an I/O made to fail.
 *
 * The binaries that are tested are the binaries that are shipped: a failpoint is always compiled in and
 * costs one load while none is armed. Every write, link, rename, unlink and sync of the store goes through
 * io.h, and each of those calls names one.
 *
 * A test gives processes a control page, a small file they map shared at start (environment
 * US_FAILPOINTS=<path>), or makes a private one inside itself. It arms one point at a time: a name, an
 * action and how many hits to let pass. Hits are counted over all processes of the page, so a test can
 * first ask which points an operation passes, and then break each of them. A path that ends in '/' is a
 * directory with a page for each program, named like it, so that a test can break one program of a server and
 * not another; a program without one there has none.
 *
 * US_FAILPOINTS=list makes a program print its points, one a line, and exit: failpoint_init() does it.
 *
 * The page pointer is file-scope state of failpoint.c: the points stand everywhere and have no handle.
 */
#ifndef US_BASE_FAILPOINT_H
#define US_BASE_FAILPOINT_H

#include <stdint.h>

struct failpoint {
	const char *name;
};

enum failpoint_action {
	FAILPOINT_OFF,
	FAILPOINT_KILL,   /* SIGKILL ourselves before the operation */
	FAILPOINT_TORN,   /* a write: do half of it, then SIGKILL; elsewhere as KILL */
	FAILPOINT_ENOSPC, /* the operation fails with that errno, once */
	FAILPOINT_EIO,
	FAILPOINT_STOP, /* SIGSTOP ourselves, for tests that look at the middle */
};

#define FAILPOINT_NAME_MAX 64
#define FAILPOINT_HITS     512

/* The control page. Written by the test while action is OFF; fields past `name` by everybody. */
struct failpoint_page {
	char magic[8]; /* "USFAIL1\n" */
	char name[FAILPOINT_NAME_MAX];
	uint32_t action;    /* enum failpoint_action; stored last when arming */
	int32_t countdown;  /* hits to let pass before it acts */
	uint32_t fired;     /* how often it acted */
	uint32_t recording; /* non-zero: note hits below */
	struct {
		char name[FAILPOINT_NAME_MAX]; /* "" : free */
		uint32_t hits;
	} hit[FAILPOINT_HITS];
};

/* A pointer to the one record of a name; listed by failpoint_list() in whatever program links it. (The
 * empty asm: clang 14 takes this for a constant where it initializes a local struct, and then gives the
 * address of a record that is all zeros.) */
#define FP(NAME)                                                                  \
	({                                                                        \
		static const struct failpoint fp_ __attribute__((used)) = {NAME}; \
		static const struct failpoint *const fpp_                         \
			__attribute__((section("us_failpoints"), used)) = &fp_;   \
		const struct failpoint *fpv_ = &fp_;                              \
		(void)fpp_;                                                       \
		__asm__("" : "+r"(fpv_));                                         \
		fpv_;                                                             \
	})

/* Map the page named by US_FAILPOINTS, if any. Called once, early, by every program. */
void failpoint_init(void);
/* For tests in one process: use this page (which must outlive its use); NULL: none. */
void failpoint_use(struct failpoint_page *page);
void failpoint_page_init(struct failpoint_page *page);

/* Pass the point (NULL: none): returns 0 to go on, an errno to fail with, or -1 for "half a write, then
 * failpoint_die()". May not return at all. */
int failpoint_hit(const struct failpoint *fp);
void failpoint_die(void) __attribute__((noreturn));

/* Call fn for every point linked into this program, each name once. */
void failpoint_list(void (*fn)(const char *name, void *ctx), void *ctx);

#endif
