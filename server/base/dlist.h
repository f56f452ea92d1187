/* dlist.h - the value syntax of csync: a tree of values, and how it is written.
 *
 *	value   = atom / quoted / literal / "NIL" / flag / list / kvlist / file
 *	list    = "(" [value *(SP value)] ")"
 *	kvlist  = "%(" [key SP value *(SP key SP value)] ")"
 *	file    = "%{" partition SP guid SP size "}" CRLF size*OCTET
 *	literal = "{" size ["+"] "}" CRLF size*OCTET
 *	flag    = "\" atom				written raw
 *
 * How a string is written (every string value and key):
 *	no value at all	NIL
 *	empty		""
 *	atom		1..1023 printable ASCII bytes, none of blank { ( ) " % * \ and not NIL
 *	quoted		shorter than 1024, no CR LF " % \ NUL nor any byte above 0x7f; TAB is well
 *	literal		all else; {n+} by a client, {n} by a server
 *
 * Reading is dlist_lexer.h's work; dlist_parse() below makes a tree of what it reads.
 */
#ifndef US_BASE_DLIST_H
#define US_BASE_DLIST_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/buf.h"
#include "server/base/checksum.h"
#include "server/base/err.h"
#include "server/base/pool.h"
#include "server/base/span.h"

enum dlist_kind { DLIST_NIL, DLIST_TEXT, DLIST_FLAG, DLIST_LIST, DLIST_KVLIST, DLIST_FILE };

/* Lives in a pool with all it points to. */
struct dlist {
	enum dlist_kind kind;
	struct span key;            /* inside a kvlist; else SPAN_NULL */
	struct span text;           /* TEXT; FLAG with its backslash; FILE: the partition */
	struct guid guid;           /* FILE */
	struct span bytes;          /* FILE */
	struct dlist *first, *next; /* LIST, KVLIST: children in order; siblings */
	uint32_t n_children;
};

/* ---- looking into a tree ---------------------------------------------------------------------- */

/* The child of that key, case exact, the first if there are several; NULL if there is none or kv is no
 * kvlist. */
const struct dlist *dlist_get(const struct dlist *kv, const char *key);
/* The getters below say false, leaving *out, when the key is missing or the value of another form. NIL is
 * no string. Numbers are decimal digits, quoted or not, up to 2^64-1. */
bool dlist_get_str(const struct dlist *kv, const char *key, struct span *out);
bool dlist_get_u64(const struct dlist *kv, const char *key, uint64_t *out);
bool dlist_get_u32(const struct dlist *kv, const char *key, uint32_t *out);
bool dlist_get_guid(const struct dlist *kv, const char *key, struct guid *out);
const struct dlist *dlist_get_list(const struct dlist *kv, const char *key);
const struct dlist *dlist_get_kv(const struct dlist *kv, const char *key);
bool dlist_u64(const struct dlist *d, uint64_t *out);

/* ---- writing ---------------------------------------------------------------------------------- */

/* Appends to *out, putting one blank between items and none after an opening bracket. */
struct dlist_writer {
	struct buf *out;
	bool literal_plus; /* a client writes {n+} */
	bool opened;       /* nothing written yet at this place */
};

struct dlist_writer dlist_writer(struct buf *out, bool literal_plus);
void dlist_put_list(struct dlist_writer *w);   /* "(" */
void dlist_put_kvlist(struct dlist_writer *w); /* "%(" */
void dlist_put_close(struct dlist_writer *w);
void dlist_put_str(struct dlist_writer *w, struct span s); /* SPAN_NULL is NIL; keys too */
void dlist_put_key(struct dlist_writer *w, const char *key);
void dlist_put_u64(struct dlist_writer *w, uint64_t n);
void dlist_put_guid(struct dlist_writer *w, const struct guid *guid);
void dlist_put_flag(struct dlist_writer *w, struct span flag); /* raw */
/* "%{...}" CRLF; the caller writes the bytes right after it. */
void dlist_put_file(struct dlist_writer *w, struct span partition, const struct guid *guid,
		    uint64_t size);
/* key and value in one go */
void dlist_put_kstr(struct dlist_writer *w, const char *key, struct span s);
void dlist_put_ku64(struct dlist_writer *w, const char *key, uint64_t n);
/* The whole tree, without its own key. */
void dlist_put_tree(struct dlist_writer *w, const struct dlist *d);

/* ---- whole texts ------------------------------------------------------------------------------ */

/* Parse one value that fills `text` (no line end). The tree and its strings live in `pool`. */
int dlist_parse(struct span text, struct pool *pool, struct dlist **out, struct us_err *err);

#endif
