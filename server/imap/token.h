/* token.h - the words of RFC 3501's grammar (section 9), read from a frame (framer.h) one after another.
 *
 * Each scanner takes what it names from a struct scan or marks the scan bad and gives zero or SPAN_NULL; a parser asks
 * once, at its end. Pure and bounded by the frame: strings without escapes are borrowed from it, all else comes
 * from the pool of the command.
 *
 *	atom		= 1*ATOM-CHAR		printable but none of ( ) { % * " \ and, in an atom, ]
 *	astring		= 1*(ATOM-CHAR / "]") / string
 *	string		= quoted / literal		quoted may hold 8-bit octets; neither holds NUL
 *	list-mailbox	= 1*(ATOM-CHAR / "%" / "*" / "]") / string
 *	literal		= "{" number ["+"] "}" CRLF octets	as the framer left it
 *	literal8	= "~" literal			which may hold NUL (RFC 3516)
 */
#ifndef US_IMAP_TOKEN_H
#define US_IMAP_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/datetime.h"
#include "server/base/pool.h"
#include "server/base/scan.h"
#include "server/base/span.h"

struct uidset;

/* ---- words ------------------------------------------------------------------------------------- */

void token_space(struct scan *s); /* exactly one blank */
struct span token_tag(struct scan *s);
struct span token_atom(struct scan *s);
struct span token_astring(struct scan *s, struct pool *pool);
struct span token_string(struct scan *s, struct pool *pool);
struct span token_nstring(struct scan *s,
			  struct pool *pool); /* NIL: SPAN_NULL, and the scan is well */
struct span token_value(struct scan *s, struct pool *pool); /* nstring / literal8 */
struct span token_list_mailbox(struct scan *s, struct pool *pool);
bool token_is_word(struct scan *s,
		   const char *word); /* take this atom, without case, if it is next */

uint32_t token_number(struct scan *s);
uint32_t token_nz_number(struct scan *s);
uint64_t token_number64(struct scan *s); /* up to 2^63 - 1 (RFC 9051) */

/* "(" [item *(SP item)] ")" of astrings or of list-mailboxes. At most the frame's length of them; *out lives in pool. */
struct token_list {
	const struct span *item;
	size_t n;
};
struct token_list token_astring_list(struct scan *s, struct pool *pool);
struct token_list token_pattern_list(struct scan *s, struct pool *pool);

/* ---- flags -------------------------------------------------------------------------------------- */

/* flag = "\" atom / atom: with its backslash. Which of them exist is the command's question. */
struct span token_flag(struct scan *s);
struct token_list token_flag_list(struct scan *s, struct pool *pool); /* in brackets */
/* Parted into system flags (FLAG_*) and the others, which live in pool. False: a system flag that there is not. */
bool token_sort_flags(const struct token_list *flags, struct pool *pool, uint32_t *system,
		      const struct span **keyword, size_t *n_keywords);
/* FLAG_* of state.h for \Answered, \Flagged, \Deleted, \Draft, \Seen without case; 0: another. */
uint32_t token_system_flag(struct span flag);

/* ---- sequence sets ------------------------------------------------------------------------------ */

/* sequence-set = (seq-number / seq-range) *("," sequence-set), as it was written: either order, "*" is
 * TOKEN_STAR. Or "$", what the last SEARCH saved (RFC 5182), which only the selected mailbox knows (selected.h). */
#define TOKEN_STAR UINT32_MAX
struct token_range {
	uint32_t from, to;
};
struct token_set {
	const struct token_range *range; /* in pool */
	size_t n;
	bool saved; /* "$" */
};
struct token_set token_sequence_set(struct scan *s, struct pool *pool);

/* What the set stands for where the highest number there is, is `max` (0: there is none): "*" is max, and of a
 * range only what lies within 1..max; appended to *out. False if a number is above max: for sequence numbers an
 * error, for UIDs none. */
bool token_set_resolve(const struct token_set *set, uint32_t max, struct uidset *out);

/* ---- dates and sections -------------------------------------------------------------------------- */

/* date = date-text / DQUOTE date-text DQUOTE: that day's midnight as if in UTC. */
int64_t token_date(struct scan *s);
struct datetime token_date_time(struct scan *s); /* DQUOTE date-time DQUOTE */

/* section-part = nz-number *("." nz-number), stopping before a "." that no digit follows. */
struct token_part {
	const uint32_t *number; /* in pool */
	size_t n;
};
struct token_part token_section_part(struct scan *s, struct pool *pool);

/* ---- classes of bytes ---------------------------------------------------------------------------- */

bool token_is_atom_char(unsigned char c);
bool token_is_astring_char(unsigned char c);

#endif
