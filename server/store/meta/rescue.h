/* rescue.h - open the tables, whatever has befallen them.
 *
 *	look --> recover from the last checkpoint --> verify, if it is suspected --> open
 *	  |              |                              |
 *	  +--------------+----- damaged or lost --------+
 *	                             |
 *	                             v
 *	set aside --> put the copy back --> recover from all logs since --> open
 *	    |             |                     |
 *	    +-------------+---- impossible -----+--> refuse, and say what is to be done
 *
 * Only tables that are themselves at fault are replaced: a disk that is full, files that may not be opened or memory that is
 * lacking are reported, and the next start tries the same again. A start that dies in the middle of a rescue is followed by one
 * that goes on with it (the file `rescue` says so). What was found broken is kept, under `broken-<time>`: the last two times.
 */
#ifndef US_STORE_META_RESCUE_H
#define US_STORE_META_RESCUE_H

#include "server/store/meta/bdb.h"

/* The row of META_COUNTERS with the highest version given, as decimal text. */
#define VERSION_KEY SPAN_LIT("version")

struct rescued {
	struct bdb *db;
	uint64_t version; /* the highest that was given, by the tables */
	bool verified;    /* every page was looked at, or made again */
};

/* `dir` is `directory`, which the caller owns. US_ECORRUPT: they cannot be had back, and *err says what somebody must do; with
 * `as_they_are` it says what is wrong, and nothing was set aside. */
int rescue_open(int dir, const char *directory, size_t cache_bytes, bool as_they_are,
		struct rescued *out, struct us_err *err);

/* A call failed in a way that may be the tables' fault: the next to open them shall verify every page. */
int rescue_suspect(int dir, struct us_err *err);

/* What a checkpoint has just left. */
int rescue_note(int dir, struct bdb *db, uint64_t version, struct us_err *err);

#endif
