/* log.h - what an operator reads.
 *
 * A line is the text monitors of a Cyrus search for, if the event has one, then `event=area.thing.what`,
 * then key=value pairs, then the context that hangs on the process (session, user, mailbox, channel):
 *
 *	Delivered: <1@x> to mailbox: user.bob event=lmtp.delivered uid=7 session=a-1-2
 *
 * doc/logkeys.txt lists every key; `make check` rejects others. ERR: someone must act. WARNING: we worked
 * round it. NOTICE: the texts of Cyrus. INFO: one line a session or run. Never bodies, never secrets.
 *
 * Lines go through syslog(3), which sites interpose, and to a file if one is set. The sink and the
 * context are file-scope state of log.c, one of the few such places: a process has one log.
 */
#ifndef US_BASE_LOG_H
#define US_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <syslog.h>

#include "server/base/err.h"
#include "server/base/span.h"

struct log_field {
	enum {
		LOG_FIELD_END,
		LOG_FIELD_EVENT,
		LOG_FIELD_TEXT,
		LOG_FIELD_STR,
		LOG_FIELD_NUM,
		LOG_FIELD_ERR
	} kind;
	const char *key;
	struct span text;
	int64_t number;
};

#define LF_TEXT(s)      ((struct log_field){LOG_FIELD_TEXT, NULL, span_of(s), 0}) /* first on the line */
#define LF_STR(key, s)  ((struct log_field){LOG_FIELD_STR, key, span_of(s), 0})
#define LF_SPAN(key, s) ((struct log_field){LOG_FIELD_STR, key, s, 0})
#define LF_NUM(key, n)  ((struct log_field){LOG_FIELD_NUM, key, SPAN_NULL, (int64_t)(n)})
#define LF_ERR(err)     ((struct log_field){LOG_FIELD_ERR, "error", span_of((err)->text), (err)->code})

#define log_event(level, event, ...)                                                  \
	log_write((level), (const struct log_field[]){{LOG_FIELD_EVENT,               \
						       "event",                       \
						       {"" event, sizeof(event) - 1}, \
						       0},                            \
						      ##__VA_ARGS__,                  \
						      {LOG_FIELD_END, NULL, {NULL, 0}, 0}})

/* fields ends with LOG_FIELD_END. A value with blanks, quotes or control bytes is quoted. */
void log_write(int level, const struct log_field *fields);

/* `ident` is what syslog shows ("prefix/program"); facility as for openlog(3). */
void log_open(const char *ident, int facility);
/* Also append to this file, each line with its time and process; NULL: no file. Errors go to syslog. */
void log_set_file(const char *path);
/* Also write to standard error (tools run by hand). */
void log_set_stderr(bool on);
void log_set_debug(bool on);

/* Hang key=value on every later line of this process; a NULL value takes it off. Keys are literals. */
void log_context(const char *key, const char *value);
void log_context_clear(void);

#endif
