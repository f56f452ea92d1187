/* proctable.h - the processes master started, and the connections it inherited, by pid. */
#ifndef US_MASTER_PROCTABLE_H
#define US_MASTER_PROCTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "server/master/account.h"

struct instance;
struct daemon;

enum proc_kind {
	PROC_START,
	PROC_SERVICE,
	PROC_SURVIVOR, /* a connection whose service process died before it */
	PROC_EVENT,
	PROC_DAEMON,
};

struct proc {
	pid_t pid;
	enum proc_kind kind;
	char *name, *path; /* entry of cyrus.conf, program */
	int64_t born_ms;
	struct instance *instance; /* SERVICE, SURVIVOR; borrowed */
	struct daemon *daemon;     /* DAEMON; borrowed */
	enum account_state state;
	bool forking;       /* SERVICE: said so */
	bool told_to_go;    /* got HUP or TERM from us */
	bool before_reload; /* was there when the last HUP came */
};

struct proctable {
	struct proc *items; /* in order of birth */
	size_t n, cap;
};

#define PROCTABLE_INIT     \
	{                  \
		NULL, 0, 0 \
	}

/* Copies name and path. The result is valid until the table next changes. */
struct proc *proctable_add(struct proctable *t, pid_t pid, enum proc_kind kind, const char *name,
			   const char *path, int64_t now_ms);
struct proc *proctable_find(const struct proctable *t, pid_t pid); /* NULL: not ours */
void proctable_remove(struct proctable *t, pid_t pid);
void proctable_free(struct proctable *t);
const char *proc_kind_name(enum proc_kind kind); /* as in the log: START, SERVICE, EVENT, DAEMON */

#endif
