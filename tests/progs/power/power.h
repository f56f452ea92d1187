/* power.h - a load on a store whose power is to fail, and a look at what is left; see power_load.c. */
#ifndef US_TESTS_PROGS_POWER_H
#define US_TESTS_PROGS_POWER_H

#include <stdint.h>

#include "server/base/buf.h"
#include "server/store/mailbox.h"
#include "server/store/record.h"
#include "server/store/store.h"

#define MOST_BOXES 12

struct box {
	char uniqueid[40];
	char name[120];
};

struct worker {
	unsigned number; /* his user is u<number> */
	unsigned seed;
	unsigned count; /* what was begun so far: makes ids unique, over rounds too by `epoch` */
	unsigned epoch;
	unsigned n_workers;
	const volatile char *cut; /* not 0: the power is gone, nothing counts any more */
	struct store *store;
	struct box boxes[MOST_BOXES]; /* his, in no order; the first is his INBOX */
	size_t n_boxes;
	struct buf wish, done; /* what the present operation wants, and what it did */
};

/* Open with that boot id; writes when told so. */
int power_open(const char *root, const char *root2, bool may_own, struct store **out,
	       struct us_err *err);

/* How a record is written in what is told: "<guid>/<system flags>/<keywords>/<internal flags>". */
void power_value(const struct mailbox *m, const struct record *r, struct buf *out);

/* Say what is about to be done: w->wish. */
void power_wish(const struct worker *w);

/* One operation, chosen at random. */
int power_step(struct worker *w, struct us_err *err);
/* Find his mailboxes, or make them. */
int power_begin(struct worker *w, struct us_err *err);

/* Tell everything that is there, a line each, and complain ("! ...") about what is not sound. */
int power_show(struct store *store, struct us_err *err);

#endif
