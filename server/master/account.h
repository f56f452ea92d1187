/* account.h - one listening address of a service: its processes are counted here, and from the counts
 * follows what to start. No file, process or clock in here.
 *
 * Two kinds of service programs run under us, and a program is known by what it says on the status pipe:
 *
 *	UNKNOWN --FORKING--> FORKING	ours: one process accepts and forks for each connection, so one is all
 *	   |				we start; its connections are its business and, when it is dead,
 *	   |				survivors here
 *	   +--other message,
 *	      or a second passes--> CLASSIC	Cyrus's: a process serves one connection at a time; we keep `prefork`
 *					of them ready and never more than `maxchild`
 *
 * While the kind is unknown one process at most is started. Whatever was thought, a message decides at once.
 */
#ifndef US_MASTER_ACCOUNT_H
#define US_MASTER_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/forkrate.h"
#include "server/master/throttle.h"

#define ACCOUNT_UNKNOWN_MS 1000  /* after so long without a word a program is CLASSIC */
#define ACCOUNT_PAUSE_MS   10000 /* a babysat service that keeps failing rests that long */

enum account_kind { ACCOUNT_UNKNOWN, ACCOUNT_CLASSIC, ACCOUNT_FORKING };

/* What cyrus.conf says. */
struct account_rules {
	unsigned prefork;
	int maxchild;         /* negative: no limit */
	unsigned maxforkrate; /* 0: no limit */
	bool babysit;
};

struct account {
	enum account_kind kind;
	unsigned active;      /* living processes we started */
	unsigned ready;       /* those of them waiting for a connection */
	unsigned survivors;   /* connections whose process died before them */
	uint64_t connections; /* taken, as far as we were told */
	uint64_t forks;
	int64_t first_fork_ms; /* of the present unknown program */
	struct forkrate rate;
	struct throttle pace;   /* deaths of any kind */
	struct throttle faults; /* its own failures while it was ready */
	bool off;               /* failed too often: until the next reload */
	int64_t rest_until_ms;  /* failed too often but babysat: until then */
	bool lost_all;          /* the babysitter must act */
};

/* Has the process a connection? In master's table, one a process. */
enum account_state { ACCOUNT_READY, ACCOUNT_BUSY };

/* How many processes to start now; `knocking`: a client waits at the listener. */
unsigned account_shortfall(const struct account *a, const struct account_rules *r, bool knocking,
			   int64_t now_ms);
/* Is a client at the listener a reason to start one? Then master watches it. */
bool account_watches(const struct account *a, const struct account_rules *r, int64_t now_ms);
/* Milliseconds after which the two answers above may differ without anything having happened; -1: never. */
int64_t account_wait_ms(const struct account *a, const struct account_rules *r, int64_t now_ms);

void account_forked(struct account *a, int64_t now_ms);
/* A message came from a process in `state`; returns its new state. false in *known: no such message. */
enum account_state account_heard(struct account *a, enum account_state state, int message,
				 bool *known);

/* What a death means for the service. */
enum account_verdict {
	ACCOUNT_GOES_ON,
	ACCOUNT_SWITCHED_OFF, /* close the listener until the next reload */
	ACCOUNT_RESTS,        /* babysat: try again after ACCOUNT_PAUSE_MS */
};
struct account_death {
	enum account_state state; /* of the process that died */
	bool failed;              /* it did not end as asked */
	bool by_kill;             /* SIGKILL, which is never its own doing */
	int64_t age_ms;
};
enum account_verdict account_buried(struct account *a, const struct account_rules *r,
				    const struct account_death *death, int64_t now_ms);
/* After a reload what was switched off is tried again; the program may be another one. */
void account_renew(struct account *a, bool other_program, int64_t now_ms);

#endif
