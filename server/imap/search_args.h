/* search_args.h - what a SEARCH asks for, as a tree (RFC 3501, sections 6.4.4 and 9; RFC 4731, RFC 5182).
 *
 *	search	   = [SP "RETURN" SP "(" [return *(SP return)] ")"] [SP "CHARSET" SP astring] 1*(SP search-key)
 *	return	   = "MIN" / "MAX" / "ALL" / "COUNT" / "SAVE"
 *	search-key = "(" search-key *(SP search-key) ")" / "NOT" SP search-key / "OR" SP search-key SP search-key /
 *		     sequence-set / "UID" SP sequence-set / "MODSEQ" [SP entry SP ("all" / "priv" / "shared")] SP modseq /
 *		     flag, date, size and string keys: known_keys[]
 *
 * Pure. The tree is simplified as it grows: a NOT is a mark on what it negates, an AND in an AND and an OR in an OR
 * are one list, UNSEEN is not SEEN. So a chain of a hundred ORs, as clients write them, is as flat as what it means.
 */
#ifndef US_IMAP_SEARCH_ARGS_H
#define US_IMAP_SEARCH_ARGS_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/span.h"
#include "server/imap/token.h"

enum search_key {
	SEARCH_ALL,
	SEARCH_FLAG,     /* flag: a FLAG_* of state.h */
	SEARCH_RECENT,   /* */
	SEARCH_KEYWORD,  /* name */
	SEARCH_NUMBERS,  /* set */
	SEARCH_UIDS,     /* set */
	SEARCH_SIZE,     /* within range */
	SEARCH_RECEIVED, /* days: INTERNALDATE within range */
	SEARCH_SENT,     /* days: the Date field within range */
	SEARCH_FIELD,    /* name and string */
	SEARCH_BODY,     /* string */
	SEARCH_TEXT,     /* string */
	SEARCH_AND,      /* children */
	SEARCH_OR,       /* children */
	SEARCH_SAVED,    /* days: when it came into this mailbox within range (RFC 8514) */
	SEARCH_MODSEQ,   /* within range (RFC 7162) */
	SEARCH_EMAILID,  /* string (RFC 8474) */
	SEARCH_THREADID, /* string */
	SEARCH_ANNOTATION, /* those whose entry fits `name`, of the kinds `flag` (annotate.h), contain `string` (RFC 5257) */
};

struct search_node {
	enum search_key key;
	bool inverse; /* NOT */
	uint32_t flag;
	struct token_set set;
	struct {
		int64_t from, to; /* from <= x < to; days are midnights as if in UTC */
	} range;
	struct span name;   /* of a field or keyword */
	struct span string; /* as it came, in the charset of the command */
	struct search_node *child, *next;
};

/* Keys within keys that the parser follows: what its stack is made for. search_nesting_max may allow less. */
#define SEARCH_DEPTH_MOST 1000

enum search_return {
	RETURN_MIN = 1u << 0,
	RETURN_MAX = 1u << 1,
	RETURN_ALL = 1u << 2,
	RETURN_COUNT = 1u << 3,
	RETURN_SAVE = 1u << 4,
	RETURN_SHOWN = RETURN_MIN | RETURN_MAX | RETURN_ALL | RETURN_COUNT,
};

struct search_args {
	bool modseq;         /* MODSEQ was searched for: the answer tells the highest */
	bool extended;       /* RETURN was given: the answer is an ESEARCH, if one is shown */
	unsigned returns;    /* enum search_return */
	struct span charset; /* SPAN_NULL: none named */
	struct search_node *root;
	unsigned depth;
};

/* parse_search() of commands.h. */

#endif
