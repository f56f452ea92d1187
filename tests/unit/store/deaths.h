/* deaths.h - do something in a child that dies at each point it passes, one after the other, and look at what is left. */
#ifndef US_TESTS_UNIT_STORE_DEATHS_H
#define US_TESTS_UNIT_STORE_DEATHS_H

#include "tests/unit/store/rig.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "server/base/failpoint.h"

struct deaths {
	void (*prepare)(struct rig *rig); /* on a new store; may be NULL */
	int (*what)(struct rig *rig, struct us_err *err);
	/* Look at what is there after a recovery by being opened; `died` false: it was carried out. */
	void (*check)(struct rig *rig, bool died, const char *point);
};

/* In a child with a store of its own: do it, with that page of failpoints. What the child ended with. */
static inline int deaths_in_child(struct rig *rig, struct failpoint_page *page,
				  int (*what)(struct rig *rig, struct us_err *err))
{
	struct us_err err;
	int status;
	pid_t child;

	store_close(&rig->store);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		int rc = rig_try_open(rig, &err);
		failpoint_use(page);
		if (rc == 0)
			rc = what(rig, &err);
		failpoint_use(NULL);
		_exit(rc == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	rig_open(rig);
	return status;
}

/* One death, at hit `hit` of the point; whether there was one. Directories of mailboxes have random names: in one store of many
 * the folder two of them are in need not be made, and some points are not passed. Then another store is taken. */
static inline bool deaths_at(const struct deaths *d, enum failpoint_action action,
			     struct failpoint_page *page, const char *point, uint32_t hit)
{
	for (int tries = 0; tries < 5; tries++) {
		struct rig rig;
		int status;
		bool fired;

		rig_new(&rig);
		if (d->prepare)
			d->prepare(&rig);
		failpoint_page_init(page);
		snprintf(page->name, sizeof(page->name), "%s", point);
		page->countdown = (int32_t)hit;
		page->action = action;
		status = deaths_in_child(&rig, page, d->what);
		fired = page->fired == 1;
		if (fired)
			d->check(&rig, true, point);
		rig_free(&rig);
		if (fired)
			return WIFSIGNALED(status);
	}
	fail_msg("%s, hit %u: not passed again", point, hit);
	return false;
}

/* For every point, and every time it is passed: a new store, prepared; the child dies there; check. Gives how many
 * deaths there were. */
static inline unsigned deaths_everywhere(const struct deaths *d, enum failpoint_action action)
{
	static struct failpoint_page passed;
	struct failpoint_page *page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE,
					   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct rig rig;
	unsigned n = 0;

	rig_new(&rig);
	if (d->prepare)
		d->prepare(&rig);
	failpoint_page_init(page);
	page->recording = 1;
	assert_int_equal(deaths_in_child(&rig, page, d->what), 0);
	d->check(&rig, false, "none");
	rig_free(&rig);
	passed = *page;
	for (size_t i = 0; i < FAILPOINT_HITS && passed.hit[i].name[0]; i++)
		for (uint32_t hit = 0; hit < passed.hit[i].hits && hit < 3; hit++)
			n += deaths_at(d, action, page, passed.hit[i].name, hit);
	munmap(page, sizeof(*page));
	return n;
}

#endif
