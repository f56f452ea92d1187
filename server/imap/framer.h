/* framer.h - find the end of a command in the bytes so far: lines, literals, and limits on both.
 *
 * A *frame* is one whole command as it came, its literals inline, its last line end left out:
 *
 *	A1 LOGIN {3+}CRLFbob "x"
 *
 * Whoever owns the connection feeds bytes and does what the state says:
 *
 *	FRAMER_MORE	 feed more
 *	FRAMER_CONTINUE	 the client waits behind a synchronising literal: send "+ go ahead", feed more
 *	FRAMER_READY	 framer_frame() is whole; framer_restart() begins the next
 *	FRAMER_BAD	 over a limit or refused; the command's bytes are passed over already: answer, restart
 *	FRAMER_HAND_OVER the verb is one whose value somebody else reads from the connection
 *
 * The framer takes no byte behind the end of a command. Pure: it knows no socket, and its memory is bounded by
 * limits.frame whatever comes. An over-long literal is refused before it is sent where it is a synchronising
 * one (RFC 3501, 7.5), and passed over where it is not (RFC 7888, 4); the connection lives.
 *
 * Literals can go to a sink instead of the frame (APPEND's messages). Of each the frame then holds only its announcement,
 * "{n}CRLF", where frame.streamed says.
 */
#ifndef US_IMAP_FRAMER_H
#define US_IMAP_FRAMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/buf.h"
#include "server/base/err.h"
#include "server/base/span.h"

struct framer_limits {
	size_t word; /* longest run outside quotes and literals without a blank or bracket: maxword */
	size_t quoted;     /* longest quoted string: maxquoted */
	size_t literal;    /* longest literal in the frame: maxliteral */
	size_t frame;      /* longest frame: maxargssize */
	unsigned literals; /* most literals in a command */
};

/* A literal that is announced, before its octets are asked for. */
struct framer_literal {
	struct span before; /* the frame up to, not with, its announcement */
	uint64_t size;
	bool synchronizing; /* "{n}", not "{n+}" */
	bool is_literal8;   /* "~{n}" (RFC 3516) */
};

enum framer_verdict {
	FRAMER_KEEP,   /* it goes into the frame, within the limits */
	FRAMER_STREAM, /* it goes to put() */
	FRAMER_REFUSE, /* the command ends here, BAD with the code left in *err */
};

/* All may be NULL. */
struct framer_hooks {
	enum framer_verdict (*literal)(void *ctx, const struct framer_literal *literal,
				       struct us_err *err);
	/* Octets of a streamed literal. After a US_E code it is not called again; the code is in
	 * frame.streamed_code. */
	int (*put)(void *ctx, const void *data, size_t len, struct us_err *err);
	/* Is the value behind "tag verb " read by somebody else? */
	bool (*hand_over)(void *ctx, struct span verb);
	void *ctx;
};

struct framer_streamed {
	size_t at; /* offset of its "{" or "~" */
	uint64_t size;
};

struct frame {
	struct buf text;
	struct framer_streamed *streamed; /* in order */
	size_t n_streamed, cap_streamed;
	int streamed_code; /* 0, or what put() gave: nothing behind that was put */
};

enum framer_state {
	FRAMER_MORE,
	FRAMER_CONTINUE,
	FRAMER_READY,
	FRAMER_BAD,
	FRAMER_HAND_OVER,
};

struct framer {
	struct framer_limits limits;
	struct framer_hooks hooks;
	struct frame frame;
	enum { FRAMER_IN_LINE, FRAMER_IN_LITERAL, FRAMER_IN_STREAM, FRAMER_IN_SKIPPED } phase;
	uint64_t left; /* octets of the literal at hand */
	size_t run;    /* length of the word or quoted string at hand */
	unsigned literals, blanks;
	bool quoted, escaped; /* within quotes; behind a backslash there */
	bool bad;             /* passing over the rest */
	bool refused;         /* by a hook, which knows the answer */
	char tail[32];        /* the line's last bytes while it is passed over */
	size_t n_tail;
	struct us_err err; /* why bad; streamed_code's text */
};

/* hooks may be NULL; it is copied, what its ctx points to borrowed. */
void framer_init(struct framer *f, const struct framer_limits *limits,
		 const struct framer_hooks *hooks);
void framer_fini(struct framer *f); /* overwrites what it held */
/* Begin the next command. Memory of an unusually long one is given back. `wipe`: it held a secret. */
void framer_restart(struct framer *f, bool wipe);

/* Take bytes, at most up to the end of the command: *used is set to how many. */
enum framer_state framer_feed(struct framer *f, struct span in, size_t *used);

/* The tag of the frame so far, or "*" if it begins with none: for the answer to FRAMER_BAD. */
struct span framer_tag(const struct framer *f);
/* True between commands: nothing of the next one has come. */
bool framer_is_empty(const struct framer *f);

#endif
