/* commands.h - the table of commands: who may say one, how it is parsed, what runs.
 *
 * A row is all that dispatching knows. A parser is a pure function from the frame behind the verb to a struct of
 * its own, allocated from the command's pool; a handler gets that struct and the session. The unit tests and
 * fuzz_imap_args call the parsers through this table.
 *
 * A command's functions are parse_<name>() and run_<name>() in cmd_<name>.c, declared below; a parser or a handler
 * that several share is named after what they have in common.
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
#include "server/imap/resync.h"
#include "server/imap/token.h"

struct imap_session;
struct token_set;
struct command;
struct metadata_item;
struct metadata_name;

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
		1u
		<< 3, /* no EXPUNGE while it runs (RFC 3501, 7.4.1); in its UID form there may be */
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

/* What a command keeps beyond its frame: a literal that does not go into it (APPEND; the framer's hooks), and what is to be
 * given back. `end` comes behind every such command, whatever became of it, `fini` at the end of the session. `settle` is
 * called for who said imap_hold(), once: do the work, and answer. All may be NULL, `put` only with `literal`, `settle` only where
 * nothing is held. */
struct command_stream {
	enum framer_verdict (*literal)(struct imap_session *s, const struct framer_literal *literal,
				       struct us_err *err);
	int (*put)(struct imap_session *s, const void *data, size_t len, struct us_err *err);
	void (*end)(struct imap_session *s);
	void (*settle)(struct imap_session *s);
	void (*fini)(struct imap_session *s);
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
	const struct command_stream *stream; /* NULL: all its literals go into the frame */
};

/* NULL: no such command. Without case. */
const struct command *command_find(struct span name);
const struct command *command_at(size_t i); /* NULL behind the last */

/* ---- for parsers --------------------------------------------------------------------------------- */

/* Always US_EPROTO: "Missing required argument to Fetch", "Unexpected extra arguments to Fetch". */
int parse_missing(const struct parse *p, struct us_err *err);
int parse_extra(const struct parse *p, struct us_err *err);
/* SP sequence-set. US_EPROTO: it is missing, or none. */
int parse_sequence_set(struct parse *p, struct token_set *out, struct us_err *err);
/* How a parser ends: 0 if all was read and well; else whichever of the two fits. */
int parse_end(const struct parse *p, struct us_err *err);
/* The beginning of a word in small letters, for such a text. */
const char *parse_small(const struct parse *p, struct span word);

/* ---- the commands -------------------------------------------------------------------------------- */

#define COMMAND_PARSER(name) int parse_##name(struct parse *p, void **args, struct us_err *err)
#define COMMAND_HANDLER(name) \
	int run_##name(struct imap_session *s, const void *args, struct us_err *err)

/* SP mailbox. */
struct args_mailbox {
	struct span mailbox; /* as the client wrote it */
};
COMMAND_PARSER(mailbox);

/* any state */
COMMAND_HANDLER(capability);
COMMAND_HANDLER(noop);
COMMAND_HANDLER(logout);
struct args_id {
	struct span name, version; /* of the client's program; SPAN_NULL: not said */
};
COMMAND_PARSER(id);
COMMAND_HANDLER(id);
COMMAND_HANDLER(starttls);
struct args_compress {
	struct span algorithm;
};
COMMAND_PARSER(compress);
COMMAND_HANDLER(compress);

/* logging in */
struct args_authenticate {
	struct span mechanism;
	struct span initial; /* base64 as it came; SPAN_NULL: none */
};
COMMAND_PARSER(authenticate);
COMMAND_HANDLER(authenticate);
struct args_login {
	struct span user, password;
};
COMMAND_PARSER(login);
COMMAND_HANDLER(login);

/* logged in */
COMMAND_PARSER(enable);
COMMAND_HANDLER(enable);
COMMAND_HANDLER(namespace);
COMMAND_HANDLER(idle);

struct args_select {
	struct span mailbox;
	bool annotate, condstore, has_resync;
	struct resync_args resync;
};
COMMAND_PARSER(select);
COMMAND_HANDLER(select);
COMMAND_HANDLER(examine);
COMMAND_HANDLER(check);
COMMAND_HANDLER(close);
COMMAND_HANDLER(unselect);

struct args_create {
	struct span mailbox, partition; /* SPAN_NULL: none given */
	struct span uses;               /* blank-separated; empty: none */
};
COMMAND_PARSER(create);
COMMAND_HANDLER(create);
COMMAND_HANDLER(delete);
struct args_rename {
	struct span from, to, partition;
};
COMMAND_PARSER(rename);
COMMAND_HANDLER(rename);
COMMAND_HANDLER(subscribe);
COMMAND_HANDLER(unsubscribe);

enum list_select {
	LIST_SELECT_SUBSCRIBED = 1u << 0,
	LIST_SELECT_REMOTE = 1u << 1, /* of other servers too; there are none */
	LIST_SELECT_RECURSIVE = 1u << 2,
	LIST_SELECT_SPECIAL_USE = 1u << 3,
};
enum list_return {
	LIST_RETURN_SUBSCRIBED = 1u << 0,
	LIST_RETURN_CHILDREN = 1u << 1, /* which is told anyway */
	LIST_RETURN_SPECIAL_USE = 1u << 2,
	LIST_RETURN_MYRIGHTS = 1u << 3,
	LIST_RETURN_STATUS = 1u << 4,
};
struct args_list {
	struct span reference;
	struct token_list patterns;
	bool extended; /* RFC 5258's form; the rest is of it */
	unsigned select, returns;
	unsigned status; /* enum status_item */
};
COMMAND_PARSER(list);
COMMAND_HANDLER(list);
COMMAND_PARSER(lsub);
COMMAND_HANDLER(lsub);

enum status_item {
	STATUS_MESSAGES = 1u << 0,
	STATUS_RECENT = 1u << 1,
	STATUS_UIDNEXT = 1u << 2,
	STATUS_UIDVALIDITY = 1u << 3,
	STATUS_UNSEEN = 1u << 4,
	STATUS_SIZE = 1u << 5,
	STATUS_MAILBOXID = 1u << 6,     /* RFC 8474 */
	STATUS_HIGHESTMODSEQ = 1u << 7, /* RFC 7162 */
};
struct args_status {
	struct span mailbox;
	unsigned items;
};
COMMAND_PARSER(status);
COMMAND_HANDLER(status);

enum metadata_depth { METADATA_ITSELF, METADATA_CHILDREN, METADATA_ALL };
struct args_getmetadata {
	struct span mailbox; /* empty: the server */
	struct metadata_name *names;
	size_t n;
	enum metadata_depth depth;
	bool has_maxsize;
	uint32_t maxsize;
};
COMMAND_PARSER(getmetadata);
COMMAND_HANDLER(getmetadata);
struct args_setmetadata {
	struct span mailbox;
	struct metadata_item *items; /* metadata.h */
	size_t n;
};
COMMAND_PARSER(setmetadata);
COMMAND_HANDLER(setmetadata);

struct args_acl {
	struct span mailbox, identifier, rights; /* those the command has */
};
COMMAND_HANDLER(getacl);
COMMAND_HANDLER(myrights);
COMMAND_PARSER(acl_identifier); /* mailbox, identifier */
COMMAND_HANDLER(listrights);
COMMAND_HANDLER(deleteacl);
COMMAND_PARSER(setacl);
COMMAND_HANDLER(setacl);

COMMAND_HANDLER(getquota);
COMMAND_HANDLER(getquotaroot);
struct args_setquota {
	struct span root;
	const struct quota_wish {
		struct span resource;
		uint64_t limit;
	} * wishes;
	size_t n;
};
COMMAND_PARSER(setquota);
COMMAND_HANDLER(setquota);

/* replication, for administrators */
COMMAND_HANDLER(sync);
COMMAND_HANDLER(syncrestart);
extern const struct command_stream sync_stream;

/* messages; the first two have headers of their own for what was parsed: fetch_args.h, search_args.h */
COMMAND_PARSER(fetch);
COMMAND_HANDLER(fetch);
COMMAND_PARSER(search);
COMMAND_HANDLER(search);
COMMAND_PARSER(store);
COMMAND_HANDLER(store);
COMMAND_PARSER(copy);
COMMAND_HANDLER(copy);
COMMAND_HANDLER(move);
COMMAND_PARSER(expunge);
COMMAND_HANDLER(expunge);
COMMAND_PARSER(append);
COMMAND_HANDLER(append);

#endif
