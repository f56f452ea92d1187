/* scripts.h - a user's Sieve scripts, read from the mailbox user.X.#sieve that holds them.
 *
 * One message a script, its name the Subject, the active one \\Flagged.
 */
#ifndef US_CSYNC_SCRIPTS_H
#define US_CSYNC_SCRIPTS_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/err.h"
#include "server/base/pool.h"
#include "server/store/mailbox.h"
#include "server/store/state.h"

/* Longest script, and bytes of its message around it. No key: all of a user's scripts are held at once whenever he is compared, and it
 * is what a literal of sync_maxline's default holds, 32 times sieve_maxscriptsize's. One that comes by itself is refused if it is
 * longer (sieve.c); a message that is too big for one is no script, as one without a Subject is none. */
#define SCRIPT_MAX  (1u << 20)
#define SCRIPT_HEAD (64u << 10)

struct script {
	uint32_t uid;
	bool active;
	int64_t date;
	struct span name, content; /* in the pool */
};

void scripts_mailbox(struct span userid, struct buf *out); /* "user.X.#sieve" */
/* The name before ".script" or ".bc"; SPAN_NULL if the file has another ending. */
struct span scripts_stem(struct span filename, const char *ending);
/* The live scripts of an open mailbox. */
int scripts_read(struct mailbox *m, struct pool *pool, struct script **out, size_t *n_out,
		 struct us_err *err);
const struct script *scripts_find(const struct script *scripts, size_t n, struct span name);
/* Open the mailbox too (*m to be closed by the caller): US_ENOENT if there is none. */
int scripts_open(struct store *store, struct span userid, struct pool *pool, struct mailbox **m,
		 struct script **out, size_t *n_out, struct us_err *err);
/* As the lines "name.script" and "name.bc" of peers that know only files. No mailbox is no script. */
int scripts_list(struct store *store, struct span userid, struct pool *pool,
		 const struct state_sieve **out, size_t *n_out, struct us_err *err);

#endif
