/* cyrusconf_private.h - the line of an entry in cyrus.conf; for cyrusconf*.c only. */
#ifndef US_BASE_CYRUSCONF_PRIVATE_H
#define US_BASE_CYRUSCONF_PRIVATE_H

#include "server/base/cyrusconf.h"

#define CYRUSCONF_MOST_ARGS 64 /* the array below; more than there are words to say */

/* name *(key "=" value), borrowed from the text. */
struct cyrusconf_line {
	struct span name;
	struct cyrusconf_arg {
		struct span key, value;
	} args[CYRUSCONF_MOST_ARGS];
	size_t n_args;
};

/* `text` is without a comment and begins with the name. US_ECONFIG without the place. */
int cyrusconf_line_parse(struct span text, struct cyrusconf_line *out, struct us_err *err);

bool cyrusconf_is_space(char c);

#endif
