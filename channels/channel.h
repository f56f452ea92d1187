/* channel.h - one replication channel: where its log is and how its link is doing.
 *
 * The figures live in a small page that writers, the channel's sync_client and whoever shows them map shared
 * (doc/FORMATS.md 11). Everything in it is a 64-bit word read and written atomically; nobody locks it. It is volatile:
 * what must survive a crash is the log itself and the marks in metad.
 *
 *	    +--------> connecting <---------------+
 *	    |              |                      |
 *	  idle             v          error       |
 *	    ^            live ----------------> backing-off
 *	    |           ^    |                    ^
 *	    +-----------+    v                    |
 *	             catching-up -----------------+
 *
 * channel_enter() makes the moves. Any state may go to refused (the other side will not have us) or paused (an operator
 * stopped it), and back to connecting.
 */
#ifndef US_CHANNELS_CHANNEL_H
#define US_CHANNELS_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/err.h"
#include "server/base/span.h"
#include "synclog/log.h"

enum channel_state {
	CHANNEL_IDLE,
	CHANNEL_CONNECTING,
	CHANNEL_LIVE,
	CHANNEL_CATCHING_UP,
	CHANNEL_COLLAPSED, /* the backlog was too long: everything is compared */
	CHANNEL_PAUSED,
	CHANNEL_REFUSED,
	CHANNEL_BACKING_OFF,
	CHANNEL_STATES
};

struct channel_page; /* mapped */

struct channel {
	char *name; /* "" for the nameless one */
	char *dir;  /* <configdirectory>/sync or sync/<name> */
	struct channel_page *page;
	struct synclog_writer *writer;
};

/* Open (making directory and page if need be) the channel of that name. */
int channel_open(const char *configdirectory, const char *name, struct channel **out,
		 struct us_err *err);
void channel_close(struct channel **channel);

const char *channel_state_name(enum channel_state state);
enum channel_state channel_state(const struct channel *ch);
/* Move, check that the move is lawful, log it. The same state again is nothing. */
void channel_enter(struct channel *ch, enum channel_state next);

/* What the figures are now; times in ns since 1970, 0: never. */
struct channel_figures {
	enum channel_state state;
	int64_t since_ns;
	uint64_t pid;
	uint64_t lines_waiting; /* in the log that is being worked on */
	uint64_t backlog_bytes; /* of all logs, measured now */
	int64_t oldest_ns;      /* of the oldest line not confirmed */
	int64_t last_success_ns, last_error_ns;
	int last_error; /* US_E code, 0: none */
	char error_text[256];
	uint64_t users_aside;
	uint64_t octets_sent, octets_received, connections;
	int64_t lag_ns, worst_lag_ns;
	struct synclog_position taken, confirmed;
};
void channel_figures(const struct channel *ch, struct channel_figures *out);

/* What the sync_client of this channel notes. */
void channel_note_client(struct channel *ch, uint64_t pid);
void channel_note_connection(struct channel *ch);
void channel_note_octets(struct channel *ch, uint64_t sent, uint64_t received); /* to be added */
/* The lines before `end` (NULL: a log whose position is not known) are in work. */
void channel_note_taken(struct channel *ch, const struct synclog_position *end, uint64_t lines,
			int64_t oldest_ns);
void channel_note_lines(struct channel *ch, uint64_t lines_waiting);
/* Everything before `end` (NULL: not known) is on the replica; `oldest_ns` is when its oldest line was written. */
void channel_note_confirmed(struct channel *ch, const struct synclog_position *end,
			    int64_t oldest_ns);
void channel_note_error(struct channel *ch, const struct us_err *err);
void channel_note_aside(struct channel *ch, uint64_t users);

/* The generation word of the log, for synclog. */
uint64_t *channel_generation(struct channel *ch);

#endif
