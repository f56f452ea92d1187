/* commands.h - the table of commands: who may say one, how it is parsed, what runs.
 *
 * A row is all that dispatching knows. A parser is a pure function from the frame behind the verb to a struct of
 * its own, allocated from the command's pool; a handler gets that struct and the session. The unit tests and
 * fuzz_imap_args call the parsers through this table.
 *
 * The name of a command's files and functions: cmd_<name>.c holds parse_<name>() and run_<name>(), declared
 * below; a parser shared by several is named after its shape (parse_mailbox).
 */
#ifndef US_IMAP_COMMANDS_H
#define US_IMAP_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>

#include "server/base/err.h"
#include "server/base/pool.h"
#include "server/base/scan.h"
#include "server/base/span.h"
#include "server/imap/framer.h"

struct imap_session;
struct command;

enum command_state {
	IN_NOT_AUTH = 1u << 0, /* before login */
	IN_AUTH = 1u << 1,     /* logged in, nothing selected */
	IN_SELECTED = 1u << 2,
	IN_LOGGED_IN = IN_AUTH | IN_SELECTED,
	IN_ANY = IN_NOT_AUTH | IN_LOGGED_IN,
};

enum command_flag {
	CMD_SECRET = 1u << 0,       /* its frame is wiped and stays out of logs */
	CMD_HAS_UID_FORM = 1u << 1, /* "UID name" is a command too */
	CMD_WRITES = 1u << 2,       /* refused where the server is read-only */
	CMD_KEEPS_NUMBERS =
		1u << 3, /* no EXPUNGE while it runs (RFC 3501, 7.4.1); not true of its UID form */
	CMD_ADMIN = 1u << 4,     /* unknown to all but administrators */
	CMD_NO_NEWS = 1u << 5,   /* no untagged news before its tagged line */
	CMD_HAND_OVER = 1u << 6, /* its value is read from the connection by the handler (SYNC*) */
};

/* What a parser works on. */
struct parse {
	struct scan s; /* the frame, at the blank behind the verb, or at its end */
	struct pool *pool;
	const struct frame *frame;
	const struct command *command;
	bool uid; /* the UID form */
};

struct command {
	const char *name;  /* "FETCH" */
	const char *shown; /* "Fetch", in texts */
	unsigned states, flags;
	/* US_EPROTO with a text that goes behind BAD; *args on success only. NULL: it has no arguments. */
	int (*parse)(struct parse *p, void **args, struct us_err *err);
	/* 0: answered by imap_ok(), imap_no(), imap_bad() (session.h), or by none of them: OK Completed. A
	 * US_E code: answered by the table of texts (texts.h). */
	int (*run)(struct imap_session *s, const void *args, struct us_err *err);
};

/* NULL: no such command. Without case. */
const struct command *command_find(struct span name);
const struct command *command_at(size_t i); /* NULL behind the last */

/* ---- for parsers --------------------------------------------------------------------------------- */

/* Always US_EPROTO: "Missing required argument to Fetch", "Unexpected extra arguments to Fetch". */
int parse_missing(const struct parse *p, struct us_err *err);
int parse_extra(const struct parse *p, struct us_err *err);
/* How a parser ends: 0 if all was read and well; else whichever of the two fits. */
int parse_end(const struct parse *p, struct us_err *err);

/* ---- the commands -------------------------------------------------------------------------------- */

#define COMMAND_PARSER(name) int parse_##name(struct parse *p, void **args, struct us_err *err)
#define COMMAND_HANDLER(name) \
	int run_##name(struct imap_session *s, const void *args, struct us_err *err)

/* Shapes shared by several commands. */
COMMAND_PARSER(mailbox); /* SP mailbox: struct args_mailbox */
struct args_mailbox {
	struct span mailbox; /* as the client wrote it */
};

COMMAND_HANDLER(noop);

#endif
