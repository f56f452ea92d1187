/* attempt.h - one mailbox the replica may refuse: what is tried, in what order, and what comes of it.
 *
 *	first --- fits ---------------------------------------------------------> done
 *	  |  \--- "changed since you asked", "sums differ" --> repeat --- fits --> done
 *	  |                                                     |
 *	  +--- needs a full comparison ------------------+     sums differ
 *	                                                 v      v
 *	                                                 full compare --> repeat --> done
 *
 * Any other failure is the result. With force (-O) nothing is compared in full: the second refusal is the result.
 */
#ifndef US_RECONCILE_ATTEMPT_H
#define US_RECONCILE_ATTEMPT_H

#include <stdbool.h>

enum attempt_step { ATTEMPT_FIRST, ATTEMPT_REPEAT, ATTEMPT_FULL, ATTEMPT_LAST, ATTEMPT_DONE };

/* Beside 0 and US_E codes, what a first attempt may come to. */
#define ATTEMPT_NEEDS_FULL 1

struct attempt {
	enum attempt_step step; /* what is to be tried now; LAST is a repeat too */
	int result;             /* when DONE: 0, or the code of the failure */
	bool force;
};

struct attempt attempt_begin(bool force);
/* Note what the present step came to; gives the next. */
enum attempt_step attempt_next(struct attempt *a, int result);

#endif
