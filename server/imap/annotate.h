/* annotate.h - annotations of messages as clients see them (RFC 5257, ANNOTATE-EXPERIMENT-1).
 *
 *	annotation	= "(" entries SP attributes ")"		what a FETCH asks for
 *	entries		= entry-match / "(" entry-match *(SP entry-match) ")"
 *	attributes	= attribute / "(" attribute *(SP attribute) ")"
 *	attribute	= ("value" / "size") [".priv" / ".shared"]	without: both
 *	entry-match	= list-mailbox: "*" is anything, "%" anything but "/"
 *	annotations	= "(" entry SP values *(SP entry SP values) ")"	what a STORE or APPEND sets
 *	values		= "(" value-att SP value *(SP value-att SP value) ")"
 *	value		= nstring / literal8
 *	value-att	= "value.priv" / "value.shared"
 *
 * Who may read a message may read what is shared of its annotations and his own, and set his own; to set what is
 * shared needs the right n (RFC 4314 and RFC 5257, 3.4). /flags is the server's, and of /vendor/cmu only what is
 * listed in annotate.c can be set.
 */
#ifndef US_IMAP_ANNOTATE_H
#define US_IMAP_ANNOTATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/err.h"
#include "server/base/span.h"
#include "server/base/stream.h"
#include "server/imap/token.h"
#include "server/store/state.h"

struct imap_session;
struct commit;
struct parse;

/* ---- arguments; pure ------------------------------------------------------------------------------ */

enum annotate_attribute {
	ANNOTATE_VALUE_PRIVATE = 1u << 0,
	ANNOTATE_SIZE_PRIVATE = 1u << 1,
	ANNOTATE_VALUE_SHARED = 1u << 2,
	ANNOTATE_SIZE_SHARED = 1u << 3,
};

/* In small letters, as entries are kept. */
struct span annotate_small(struct pool *pool, struct span entry);

struct annotate_query {
	struct token_list entries; /* lower case */
	unsigned attributes;
};
/* Behind "ANNOTATION". US_EPROTO. */
int annotate_query_parse(struct scan *s, struct pool *pool, struct annotate_query *out,
			 struct us_err *err);

struct annotate_value {
	struct span entry; /* lower case */
	bool shared;
	struct span value; /* SPAN_NULL: it goes */
};
struct annotate_values {
	struct annotate_value *item; /* in pool */
	size_t n;
};
/* Behind "ANNOTATION". US_EPROTO. */
int annotate_values_parse(struct scan *s, struct pool *pool, struct annotate_values *out,
			  struct us_err *err);

/* ---- reading; pure -------------------------------------------------------------------------------- */

/* What a message has (annots.h), and who looks. Borrowed: good as long as the view is. */
struct annotate_source {
	const struct state_annotation *item;
	size_t n;
	struct span userid;
};

/* "ANNOTATION (/comment (value.priv "x" ...))". An entry asked for by its name is there without a value, too. */
void annotate_put(struct stream *out, const struct annotate_query *query,
		  const struct annotate_source *source);
/* The names of those that have changed since: " ANNOTATION ("/comment")", as it is told unasked (RFC 5257, 4.6), or nothing. */
void annotate_put_changed(struct stream *out, const struct annotate_source *source,
			  uint64_t modseq);

/* Does one of the annotations that fit `entry` contain `text` (any case of ASCII letters)? `attributes`: which values. */
bool annotate_contains(const struct annotate_source *source, struct span entry, unsigned attributes,
		       struct span text);

/* ---- writing -------------------------------------------------------------------------------------- */

/* May he set all of that in a mailbox where he has these rights, and is it short enough? 0; US_EPERM; US_ELIMIT. */
int annotate_check(const struct imap_session *s, const struct annotate_values *values,
		   uint32_t rights, struct us_err *err);
/* By how many bytes a message that has these grows: for the quota. Below 0: it shrinks. */
int64_t annotate_growth(const struct imap_session *s, const struct annotate_values *values,
			const struct annotate_source *had);
/* Set them on a message of the commit's mailbox, with its modseq; the record's is the caller's to raise. US_ELIMIT: the message would
 * have too many. */
int annotate_message(const struct imap_session *s, struct commit *c,
		     const struct annotate_source *had, uint32_t uid,
		     const struct annotate_values *values, struct us_err *err);

#endif
