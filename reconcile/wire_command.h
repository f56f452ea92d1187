/* wire_command.h - what a client asks: a verb, a word behind it that says of what kind, one value.
 *
 *	command = verb SP ["LOCAL_"] word SP value CRLF		verb: GET, APPLY, RESTORE; words in any case
 *
 * A server reads in steps, for it must know the kind before it decides how to read the value:
 *
 *	(verb: its own business) --> wire_read_kind() --> APPLY MESSAGE: wire_read_messages()	wire_files.h
 *						      --> APPLY MAILBOX: wire_read_apply()	wire_mailbox.h
 *						      --> any other:	 wire_read_command()
 */
#ifndef US_RECONCILE_WIRE_COMMAND_H
#define US_RECONCILE_WIRE_COMMAND_H

#include <stdbool.h>

#include "reconcile/wire_types.h"
#include "server/base/dlist_lexer.h"
#include "server/base/err.h"
#include "server/base/pool.h"
#include "server/store/state.h"

enum wire_verb { WIRE_VERB_GET, WIRE_VERB_APPLY, WIRE_VERB_RESTORE };

/* The member of the union that a kind fills stands behind it. */
enum wire_kind {
	WIRE_GET_USER,           /* name */
	WIRE_GET_META,           /* name */
	WIRE_GET_MAILBOXES,      /* names */
	WIRE_GET_UNIQUEIDS,      /* names */
	WIRE_GET_FULLMAILBOX,    /* name */
	WIRE_GET_QUOTA,          /* name */
	WIRE_GET_ANNOTATION,     /* name */
	WIRE_GET_FETCH,          /* fetch */
	WIRE_GET_FETCH_SIEVE,    /* sieve: userid, script.filename */
	WIRE_GET_DIGESTS,        /* names: the first and the last user id of each range in turn */
	WIRE_APPLY_CAPABILITIES, /* names */
	WIRE_APPLY_FORCE,
	WIRE_APPLY_RESERVE,        /* reserve */
	WIRE_APPLY_MESSAGE,        /* wire_files.h */
	WIRE_APPLY_MAILBOX,        /* wire_mailbox.h */
	WIRE_APPLY_RENAME,         /* rename */
	WIRE_APPLY_UNMAILBOX,      /* name */
	WIRE_APPLY_EXPUNGE,        /* expunge */
	WIRE_APPLY_QUOTA,          /* quota */
	WIRE_APPLY_UNQUOTA,        /* name */
	WIRE_APPLY_SUB,            /* sub */
	WIRE_APPLY_UNSUB,          /* sub */
	WIRE_APPLY_SEEN,           /* seen */
	WIRE_APPLY_ANNOTATION,     /* annotation */
	WIRE_APPLY_UNANNOTATION,   /* annotation, without a value */
	WIRE_APPLY_SIEVE,          /* sieve: userid, script.filename, script.last_update, content */
	WIRE_APPLY_UNSIEVE,        /* sieve: userid, script.filename */
	WIRE_APPLY_ACTIVATE_SIEVE, /* sieve: userid, script.filename */
	WIRE_APPLY_UNACTIVATE_SIEVE, /* sieve: userid */
	WIRE_APPLY_UNUSER,           /* name */
	WIRE_KIND_UNKNOWN            /* a word nobody knows; also the number of kinds */
};

struct wire_fetch {
	struct span mboxname, partition, uniqueid;
	struct guid guid;
	uint32_t uid;
};

struct wire_reserve {
	struct span partition;
	struct wire_names mboxnames;
	struct wire_guids guids;
};

struct wire_rename {
	struct span oldname, newname, partition;
	uint32_t uidvalidity; /* 0: not said */
};

struct wire_expunge {
	struct span mboxname, uniqueid;
	struct wire_uids uids;
};

struct wire_sub {
	struct span userid, mboxname;
};

struct wire_seen {
	struct span userid;
	struct state_seen seen;
};

struct wire_sieve {
	struct span userid;
	struct state_sieve script;
	struct span content;
};

struct wire_command {
	enum wire_kind kind;
	bool local; /* LOCAL_: tell nobody else */
	union {
		struct span name; /* ptr NULL: the value was no string */
		struct wire_names names;
		struct wire_fetch fetch;
		struct wire_reserve reserve;
		struct wire_rename rename;
		struct wire_expunge expunge;
		struct state_quota quota;
		struct wire_sub sub;
		struct wire_seen seen;
		struct state_server_annotation annotation;
		struct wire_sieve sieve;
	} u;
};

const char *wire_verb_name(enum wire_verb verb);

/* ---- reading ----------------------------------------------------------------------------------- */

/* Read the word behind the verb into c->kind and c->local. A word nobody knows is WIRE_KIND_UNKNOWN and no error (all words
 * behind RESTORE are); US_EPROTO: there is no word. */
int wire_read_kind(struct dlist_lexer *lx, enum wire_verb verb, struct wire_command *c,
		   struct us_err *err);
/* Read the value and the line end; of an unknown kind they are passed over. Everything in c lives in `pool`. Codes as
 * in wire.h. No string holds a NUL, but the values of annotations and the content of scripts. */
int wire_read_command(struct dlist_lexer *lx, struct pool *pool, struct wire_command *c,
		      struct us_err *err);

/* ---- writing ----------------------------------------------------------------------------------- */

/* A whole command. `prefix` goes before the verb as it stands: "S1 SYNC" inside IMAP, empty in csync. */
void wire_put_command(struct dlist_writer *w, struct span prefix, const struct wire_command *c);
/* For the two that stream: verb and word; then the caller puts the value, then the end of the line. */
void wire_begin_command(struct dlist_writer *w, struct span prefix, enum wire_kind kind,
			bool local);
void wire_end_command(struct dlist_writer *w);

#endif
