/* fuzz_imap_search.c - any SEARCH of any message finds what a search without any cleverness finds: every key asked, in the order
 * in which it was written, of the whole message.
 *
 * Input: one byte of flags, the arguments behind SEARCH up to a line end, then the message.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/datetime.h"
#include "server/base/err.h"
#include "server/base/mem.h"
#include "server/imap/commands.h"
#include "server/imap/search_match.h"
#include "server/store/message.h"
#include "server/store/mime/field.h"
#include "server/store/mime/matcher.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST_MESSAGE 20000 /* each string key reads it, and there may be hundreds */

struct mail {
	struct span bytes;
	struct record record;
	struct buf payload;
	struct mime_tree *tree;
	uint32_t flags;
	bool recent;
};

static int load_cache(void *ctx, const struct record *r UNUSED, struct mime_cache *out,
		      struct us_err *err)
{
	struct mail *m = ctx;

	return mime_cache_decode(buf_span(&m->payload), out, err);
}

static int load_bytes(void *ctx, const struct record *r UNUSED, struct span *out,
		      struct us_err *err UNUSED)
{
	struct mail *m = ctx;

	*out = m->bytes;
	return 0;
}

/* It is the seventh message of nine, and its UID is its number. */
static void resolve(void *ctx UNUSED, const struct token_set *set, bool by_uid UNUSED,
		    struct uidset *out)
{
	(void)token_set_resolve(set, 9, out);
}

/* ---- without cleverness -------------------------------------------------------------------------- */

struct plain {
	const struct mail *mail;
	const struct flag_names *names;
	struct mime_text *text;
	struct span charset;
};

static bool field_matches(const struct plain *p, const struct search_node *node,
			  struct mime_matcher *matcher)
{
	struct span header = mime_part_header(p->mail->tree, p->mail->tree->root);
	struct mime_field field;

	while (mime_field_next(&header, &field))
		if (field.name.len && span_eq_nocase(field.name, node->name) &&
		    mime_matcher_value(matcher, field.value))
			return true;
	return false;
}

static bool string_matches(const struct plain *p, const struct search_node *node)
{
	struct mime_matcher *matcher;
	bool found;

	us_assert(mime_matcher_new(p->text, node->string, p->charset, &matcher, NULL) == 0);
	found = node->key == SEARCH_BODY   ? mime_matcher_body(matcher, p->mail->tree)
		: node->key == SEARCH_TEXT ? mime_matcher_text(matcher, p->mail->tree)
					   : field_matches(p, node, matcher);
	mime_matcher_free(&matcher);
	return found;
}

static bool is_in(const struct search_node *node, int64_t x)
{
	return x >= node->range.from && x < node->range.to;
}

static bool set_has(const struct search_node *node)
{
	struct uidset set = UIDSET_INIT;
	bool has;

	resolve(NULL, &node->set, false, &set);
	has = uidset_has(&set, 7);
	uidset_free(&set);
	return has;
}

static bool matches(const struct plain *p, const struct search_node *node);

static bool children_match(const struct plain *p, const struct search_node *node)
{
	bool all = true, any = false;

	for (const struct search_node *child = node->child; child; child = child->next) {
		bool found = matches(p, child);
		all &= found;
		any |= found;
	}
	return node->key == SEARCH_AND ? all : any;
}

static bool key_matches(const struct plain *p, const struct search_node *node)
{
	const struct mail *m = p->mail;
	struct datetime sent = {0, 0};
	int bit;

	switch (node->key) {
	case SEARCH_ALL:
		return true;
	case SEARCH_FLAG:
		return m->flags & node->flag;
	case SEARCH_RECENT:
		return m->recent;
	case SEARCH_KEYWORD:
		bit = flag_names_find(p->names, node->name);
		return bit >= 0 && record_has_user_flag(&m->record, (unsigned)bit);
	case SEARCH_NUMBERS:
	case SEARCH_UIDS:
		return set_has(node);
	case SEARCH_SIZE:
		return is_in(node, (int64_t)m->bytes.len);
	case SEARCH_RECEIVED:
		return is_in(node, 86400); /* the second of January 1970 */
	case SEARCH_SENT:
		return is_in(node, datetime_parse_mail(m->tree->root->envelope->date, &sent)
					   ? datetime_midnight(sent)
					   : 86400);
	case SEARCH_SAVED:
		return is_in(node, 2 * 86400); /* the third, as the search shows no hours */
	case SEARCH_MODSEQ:
		return is_in(node, 17);
	case SEARCH_EMAILID:
		return span_is(node->string, "M000000000000000000000000");
	case SEARCH_THREADID:
		return span_is(node->string, "T0000000000000005");
	case SEARCH_ANNOTATION:
		return false; /* none of these has any */
	case SEARCH_FIELD:
	case SEARCH_BODY:
	case SEARCH_TEXT:
		return string_matches(p, node);
	case SEARCH_AND:
	case SEARCH_OR:
		return children_match(p, node);
	}
	us_panic("a key that is none");
}

static bool matches(const struct plain *p, const struct search_node *node)
{
	return key_matches(p, node) != node->inverse;
}

/* Addresses are also looked at as people read them: not compared. */
static bool can_be_compared(const struct search_node *node)
{
	static const char *const addresses[] = {"From", "To", "Cc", "Bcc", "Reply-To", "Sender"};

	for (size_t i = 0; node->key == SEARCH_FIELD && i < ARRAY_SIZE(addresses); i++)
		if (span_is_nocase(node->name, addresses[i]))
			return false;
	for (const struct search_node *child = node->child; child; child = child->next)
		if (!can_be_compared(child))
			return false;
	return true;
}

/* ---- both ------------------------------------------------------------------------------------------ */

static void compare(const struct search_args *args, struct mail *m, struct mime_text *text)
{
	struct flag_names names = {0};
	struct search_context context = {&names, resolve, NULL};
	struct plain plain = {m, &names, text, args->charset};
	struct search_message message = {.record = &m->record,
					 .flags = m->flags,
					 .recent = m->recent,
					 .load_cache = load_cache,
					 .load_bytes = load_bytes,
					 .ctx = m};
	struct search_program *program;
	int rc;

	flag_names_set(&names, 3, SPAN_LIT("work"));
	if (search_program_new(args, text, &context, &program, NULL) < 0)
		return;
	rc = search_matches(program, &message, NULL);
	us_assert(rc >= 0);
	if (!m->tree->limited && can_be_compared(args->root))
		us_assert(rc == matches(&plain, args->root));
	search_program_free(&program);
}

static void search(const struct search_args *args, uint8_t flags, struct span bytes,
		   struct pool *pool)
{
	struct mime_text *text = mime_text_new(NULL);
	struct mail m = {.bytes = bytes,
			 .payload = BUF_INIT,
			 .flags = flags & 31u,
			 .recent = flags & 32};

	m.record = (struct record){.uid = 7,
				   .size = bytes.len,
				   .internaldate_ns = 90000ll * 1000000000,
				   .savedate = 200000,
				   .modseq = 17,
				   .cid = 5};
	record_set_user_flag(&m.record, 3, flags & 64);
	message_examine(bytes, &m.record, &m.payload);
	m.tree = mime_scan(bytes, NULL, pool);
	compare(args, &m, text);
	buf_free(&m.payload);
	mime_text_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct command command = {.name = "SEARCH", .shown = "Search"};
	static bool started;
	const uint8_t *end = size ? memchr(data + 1, '\n', size - 1) : NULL;
	struct pool *pool = pool_new();
	struct parse p = {.pool = pool, .command = &command};
	void *args;

	if (!started) {
		setenv("TZ", "UTC", 1);
		mime_text_start();
		started = true;
	}
	if (end && size < MOST_MESSAGE) {
		p.s = scan_init(span_make(data + 1, (size_t)(end - data) - 1));
		if (parse_search(&p, &args, NULL) == 0)
			search(args, data[0], span_make(end + 1, size - (size_t)(end - data) - 1),
			       pool);
	}
	pool_free(&pool);
	return 0;
}
