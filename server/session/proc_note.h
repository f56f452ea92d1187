/* proc_note.h - who is connected: each connection's process keeps a line in proc_path/<pid>, for cyr_info proc and scripts.
 *
 *	service TAB client TAB user TAB mailbox TAB command LF		as Cyrus writes it; command stays empty
 *
 * The file is locked while its process lives, so a note that a killed process left behind is known by its lock, whoever has
 * the process id now. Notes serve curiosity only: what goes wrong with one is nobody's failure.
 */
#ifndef US_SESSION_PROC_NOTE_H
#define US_SESSION_PROC_NOTE_H

#include <stdbool.h>
#include <sys/types.h>

#include "server/base/buf.h"
#include "server/base/span.h"

struct conf;
struct proc_note; /* opaque; NULL is a note that nobody keeps */

/* The directory, to free. */
char *proc_note_dir(const struct conf *conf);

/* Note that this process serves `client`, of whom no more is known yet. NULL if it cannot be written, or
 * somebody else keeps it locked. */
struct proc_note *proc_note_new(const struct conf *conf, const char *service, const char *client);
/* Who he is by now, and where; an internal name, SPAN_NULL: nowhere. */
void proc_note_user(struct proc_note *note, const char *user);
void proc_note_mailbox(struct proc_note *note, struct span mailbox);
void proc_note_free(struct proc_note **note);

/* The line of one process: 1 and appended without its LF, 0 if there is none or its process is dead. */
int proc_note_read(int dir, const char *pid, struct buf *out);
/* Take away the note of a process that has ended; 0: of all that have. */
void proc_note_clean(const struct conf *conf, pid_t pid);

#endif
