/* instance.h - one listening address of a service of cyrus.conf, with its processes.
 *
 * An entry whose `listen` means several addresses has as many instances, told apart by CYRUS_ID; each has a
 * listener, a status pipe and an account of its own. An instance taken out of cyrus.conf lives on, without a
 * listener, until the last of its processes is gone.
 *
 * An address that is in use is tried again for a moment before that is an error: processes of a master that was
 * killed, or of an entry that has just changed from one address to all, need it to leave.
 */
#ifndef US_MASTER_INSTANCE_H
#define US_MASTER_INSTANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/master/account.h"
#include "server/master/listener.h"
#include "server/master/settings.h"

struct master;
struct proc;

struct instance {
	struct entry entry; /* ours */
	char *program;      /* path; NULL: not found, so nothing can be started */
	int id;
	int type; /* SOCK_STREAM, SOCK_DGRAM */
	struct listener listener;
	int status_read, status_write;
	int64_t retry_until_ms; /* while the listener is closed for being in use; 0: not */
	bool refused;           /* the listener could not be opened */
	struct account account;
	bool knocking; /* a client was seen at the listener */
	bool removed;  /* no longer in cyrus.conf */
	bool kept;     /* found again while cyrus.conf is read anew */
};

struct instances {
	struct instance **items;
	size_t n, cap;
};

/* Make the instances an entry asks for, or take over what it says now into those that are there, and open
 * what listeners are closed. What fails is logged. False: its listen value means nothing, and
 * what instances of that name there are stay as they were. */
bool instance_set_entry(struct master *m, const struct entry *e);
/* Is it waiting for its address? Try again, if so. */
bool instance_retries(const struct instance *in);
void instance_retry(struct master *m, struct instance *in);
/* No longer wanted: close the listener. Its processes are told by the caller. */
void instance_retire(struct instance *in);
/* Free those that are retired and have no process left. */
void instance_sweep(struct master *m);
void instance_free_all(struct master *m);

/* Start as many processes as the account asks for. */
void instance_start_wanted(struct master *m, struct instance *in, int64_t now_ms);
/* Read what its processes wrote to the status pipe, up to the last byte there is. */
void instance_read_status(struct master *m, struct instance *in);
/* A process of it ended (already logged). */
void instance_bury(struct master *m, struct proc *p, int status, int64_t now_ms);
/* Connections whose process `dead` has just died, and which are our children now, become survivors. */
void instance_adopt(struct master *m, struct proc *dead, int64_t now_ms);

#endif
