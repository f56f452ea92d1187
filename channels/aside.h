/* aside.h - what a channel set aside: objects that failed while everybody else goes on (doc/FORMATS.md 11).
 *
 * Each entry is one line of work (a sync-log line without its end), when it is to be tried again, how often it was tried,
 * and why it failed the last time. The list is a text file, replaced whole.
 */
#ifndef US_CHANNELS_ASIDE_H
#define US_CHANNELS_ASIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "channels/retry.h"
#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/base/span.h"

struct aside_entry {
	int64_t due; /* seconds */
	unsigned attempts;
	char *line; /* "USER bob" */
	char *reason;
};

struct aside {
	struct aside_entry *entries;
	size_t n, cap;
	char *path;
	struct retry retry; /* pauses in ms */
};

/* Read the list of the channel whose directory that is; none is an empty one. A line that cannot be read is dropped and logged. */
int aside_open(const char *dir, struct retry retry, struct aside *out, struct us_err *err);
void aside_close(struct aside *a);
/* Put a line aside, or note that it failed once more. */
void aside_put(struct aside *a, struct span line, const char *reason, int64_t now);
/* It succeeded. 1 if it was there. */
int aside_remove(struct aside *a, struct span line);
/* Is this line there, and not due yet? */
bool aside_is_waiting(const struct aside *a, struct span line, int64_t now);
/* One that is due, or NULL. */
const struct aside_entry *aside_due(const struct aside *a, int64_t now);
/* When the next one is due, 0: there is none. */
int64_t aside_next(const struct aside *a);
/* The text of the file: add its entries to the list; append the list to *out. */
void aside_parse(struct aside *a, struct span text);
void aside_format(const struct aside *a, struct buf *out);
/* Write the list as it is now, durably. */
int aside_save(struct aside *a, struct us_err *err);

#endif
