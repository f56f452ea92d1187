/* options.h - the command line of sync_client. */
#ifndef US_SYNC_CLIENT_OPTIONS_H
#define US_SYNC_CLIENT_OPTIONS_H

#include <stdbool.h>

#include "server/base/err.h"

enum options_mode {
	MODE_NONE,
	MODE_USERS,     /* -u */
	MODE_MAILBOXES, /* -m */
	MODE_META,      /* -s */
	MODE_ALL,       /* -A */
	MODE_ROLLING,   /* -r, -R */
};

/* Everything points into argv. */
struct options {
	enum options_mode mode;
	const char *config;    /* -C */
	const char *server;    /* -S */
	const char *channel;   /* -n; "" without */
	const char *file;      /* -f */
	const char *shutdown;  /* -F */
	const char *partition; /* -p */
	bool background;       /* -r rather than -R */
	bool one_pass;         /* -1 */
	bool once;             /* -o: connect once */
	bool no_copyback;      /* -O */
	bool no_wait;          /* -N */
	bool compress;         /* -z */
	bool log_actions;      /* -l */
	bool local_only;       /* -L */
	bool archive;          /* -a: known, without effect: there are no archive partitions */
	unsigned verbose;      /* -v */
	long restart_s;        /* -t */
	long delay_s;          /* -d; -1: as configured */
	long wait_s;           /* -w */
	char **args;           /* what stands behind the options */
	int n_args;
};

/* US_EINVAL for what makes no sense together. */
int options_read(int argc, char **argv, struct options *out, struct us_err *err);
const char *options_usage(void);

#endif
