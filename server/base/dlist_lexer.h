/* dlist_lexer.h - read dlist tokens from wherever bytes come from.
 *
 * The lexer pulls bytes through a source, so the same code reads a span in a unit test or a fuzzer and a
 * connection in sync_server. It holds one token at a time: a command with 100,000 records or a message of
 * a gigabyte passes through in bounded memory, and only who wants a tree asks for one.
 *
 * At the top level (depth 0) the end of a line is a token. Inside brackets it is an error: the peers never
 * break a line there, and a client that does would otherwise wait for an answer for ever.
 */
#ifndef US_BASE_DLIST_LEXER_H
#define US_BASE_DLIST_LEXER_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/buf.h"
#include "server/base/checksum.h"
#include "server/base/dlist.h"
#include "server/base/err.h"
#include "server/base/pool.h"
#include "server/base/span.h"

struct dlist_source {
	/* Show at least one byte in *out, valid until the next call: 1. 0: no more will come. Or a
	 * US_E code. May block. */
	int (*peek)(void *ctx, struct span *out, struct us_err *err);
	void (*take)(void *ctx, size_t n); /* n of those bytes are used up */
	void *ctx;
};

struct dlist_limits {
	size_t word;    /* longest atom, quoted string or key (config keys maxword, maxquoted) */
	size_t literal; /* longest literal kept in memory */
	size_t tree;    /* most bytes one tree may take in its pool */
	unsigned depth; /* deepest nesting */
};
#define DLIST_LIMITS_DEFAULT                   \
	{                                      \
		131072, 1u << 20, 8u << 20, 16 \
	}

enum dlist_token {
	DLIST_TOKEN_EOL, /* the line ended, or the source did (then `cut` is set) */
	DLIST_TOKEN_NIL,
	DLIST_TOKEN_TEXT,   /* atom, quoted or literal: in text */
	DLIST_TOKEN_FLAG,   /* text, with the backslash */
	DLIST_TOKEN_LIST,   /* "(" */
	DLIST_TOKEN_KVLIST, /* "%(" */
	DLIST_TOKEN_CLOSE,
	DLIST_TOKEN_FILE, /* text is the partition; guid, size; then call dlist_read_file() */
};

struct dlist_lexer {
	struct dlist_source source;
	struct dlist_limits limits;
	struct span window; /* bytes the source has shown us; the first `used` are taken */
	size_t used;
	unsigned depth;
	struct buf text; /* of the token last read */
	struct guid guid;
	uint64_t size, file_left; /* octets of a file token not read yet */
	/* What the line consumed so far ends in, so that an error can be followed by a clean skip. */
	bool percent;    /* the last byte was "%" */
	bool file_open;  /* "%{" stood on this line */
	uint64_t digits; /* number that the line ends in */
	enum { TAIL_OTHER, TAIL_OPEN, TAIL_DIGITS, TAIL_PLUS, TAIL_CLOSED } tail;
	uint64_t literal_left; /* octets of a literal not taken yet */
	bool ended;            /* the line end was taken */
	bool cut; /* the source ended where a line end should be: what was read may be half of it */
};

void dlist_lexer_init(struct dlist_lexer *lx, struct dlist_source source,
		      const struct dlist_limits *limits);
void dlist_lexer_fini(struct dlist_lexer *lx);
/* Begin another line, keeping the memory. */
void dlist_lexer_restart(struct dlist_lexer *lx);

/* Read the next token: an enum dlist_token, or US_EPROTO (malformed), US_ELIMIT, or what the source gave.
 * After EOL it gives EOL. */
int dlist_next(struct dlist_lexer *lx, struct us_err *err);

/* Hand the octets of a file token to put(), piece by piece. put() may give a US_E code, which comes back
 * after all octets were read anyway, so that the line goes on behind them. */
int dlist_read_file(struct dlist_lexer *lx,
		    int (*put)(void *ctx, const void *data, size_t len, struct us_err *err),
		    void *ctx, struct us_err *err);

/* Read one whole value, whose first token `token` was just read, into a tree. A file's octets are kept
 * too, within limits.literal. */
int dlist_read_tree(struct dlist_lexer *lx, int token, struct pool *pool, struct dlist **out,
		    struct us_err *err);

/* Skip to the end of the line and take it, with all literals and files on the way: what a server does
 * after a malformed command. Gives 0, or what the source gave. */
int dlist_skip_line(struct dlist_lexer *lx, struct us_err *err);

/* A source over a span; *rest advances, by the latest when the line ends or the lexer is given up. */
struct dlist_source dlist_source_span(struct span *rest);

#endif
