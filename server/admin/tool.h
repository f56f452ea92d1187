/* tool.h - what every admin tool begins and ends with.
 *
 *	main()	options of its own with getopt(3); -C is TOOL_CONF's letter everywhere
 *		tool_begin()	configuration, umask, leave root, log; then the parts of the host it asks for
 *		its work
 *		tool_end()	what went wrong is said once, on stderr and in the log; the exit status
 *
 * Exit statuses are those of sysexits(3): 0 all is well or was put right, 64 the command line, 65 the data, 75 try
 * again, 78 the configuration. Where Cyrus's tool has another status for a wrong command line, ours has that one.
 *
 * Whoever starts a tool as root gets it as the user of the services: files made by root would be lost on them.
 */
#ifndef US_ADMIN_TOOL_H
#define US_ADMIN_TOOL_H

#include "server/base/conf.h"
#include "server/base/err.h"
#include "server/session/host.h"

struct tool {
	const char *name;  /* the program; ident of its configuration and its log */
	struct conf *conf; /* NULL before tool_begin() */
	struct host host;  /* with the parts asked for */
};

/* Get ready. name: borrowed. conf_path: of -C, NULL for the default. parts: enum host_part without HOST_TOOL, which is
 * always meant; 0: the configuration is all that is needed. tool_end() is to be called whatever comes. */
int tool_begin(struct tool *t, const char *name, const char *conf_path, unsigned parts,
	       struct us_err *err);

/* Free everything. rc: what the work came to, a US_E code with *err, or an exit status. Returns the exit
 * status; it is not 0 if stdout could not be written. */
int tool_end(struct tool *t, int rc, const struct us_err *err);

/* Trouble that does not end the tool: "<text>" on stderr and in the log. */
void tool_warn(const struct tool *t, const struct us_err *err);

#endif
