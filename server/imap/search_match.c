/* search_match.c - see search_match.h. */
#include "server/imap/search_match.h"

#include <stdlib.h>

#include "server/base/datetime.h"
#include "server/base/mem.h"
#include "server/store/mime/address.h"
#include "server/store/mime/field.h"
#include "server/store/mime/matcher.h"
#include "server/store/mime/recall.h"

#define DAY 86400

enum cost { COST_RECORD, COST_CACHE, COST_FILE, COST_BODY };

struct node {
	const struct search_node *args;
	enum cost cost;
	int bit;                      /* of a keyword, -1: no message has it */
	struct uidset uids;           /* of a set */
	struct mime_matcher *matcher; /* of a string */
	bool is_address;              /* and the string could match across quotes */
	struct node *child, *next;
	struct node *made_before; /* all nodes, to be freed */
};

/* The message at hand, as far as it was loaded. */
struct loaded {
	const struct search_message *message;
	bool has_cache, has_bytes;
	struct mime_cache cache;
	struct span bytes;
	struct mime_tree *tree;
};

struct search_program {
	struct pool *pool;
	struct pool *scratch; /* of the message at hand */
	struct mime_text *text;
	const struct search_context *context;
	struct span charset;
	struct node *root, *last_made;
};

/* ---- making ready -------------------------------------------------------------------------------- */

static enum cost cost_of(const struct search_node *args)
{
	static const struct mime_cache complete = {.has_headers = true};

	switch (args->key) {
	case SEARCH_SENT:
		return COST_CACHE;
	case SEARCH_FIELD:
		return mime_cache_has_fields(&complete, &args->name, 1) ? COST_CACHE : COST_FILE;
	case SEARCH_BODY:
	case SEARCH_TEXT:
		return COST_BODY;
	default:
		return COST_RECORD;
	}
}

static bool has_string(const struct search_node *args)
{
	return args->key == SEARCH_FIELD || args->key == SEARCH_BODY || args->key == SEARCH_TEXT;
}

static bool is_address_field(struct span name)
{
	static const char *const names[] = {"From", "To", "Cc", "Bcc", "Reply-To", "Sender"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (span_is_nocase(name, names[i]))
			return true;
	return false;
}

/* Can a string match where a quote was taken out? Only if it has what stands beside one: not a single word. */
static bool spans_words(struct span string)
{
	for (size_t i = 0; i < string.len; i++)
		if (span_find(SPAN_LIT(" \t<>(),"), string.ptr[i]))
			return true;
	return false;
}

/* Behind all that cost no more. */
static void insert_child(struct node *parent, struct node *child)
{
	struct node **at = &parent->child;

	while (*at && (*at)->cost <= child->cost)
		at = &(*at)->next;
	child->next = *at;
	*at = child;
	if (child->cost > parent->cost)
		parent->cost = child->cost;
}

static struct node *make_node(struct search_program *p, const struct search_node *args,
			      struct us_err *err)
{
	struct node *node = pool_alloc(p->pool, sizeof(*node));

	node->made_before = p->last_made;
	p->last_made = node;
	node->args = args;
	node->cost = cost_of(args);
	for (const struct search_node *child = args->child; child; child = child->next) {
		struct node *made = make_node(p, child, err);
		if (!made)
			return NULL;
		insert_child(node, made);
	}
	if (args->key == SEARCH_KEYWORD)
		node->bit = flag_names_find(p->context->names, args->name);
	else if (args->key == SEARCH_NUMBERS || args->key == SEARCH_UIDS)
		p->context->resolve(p->context->ctx, &args->set, args->key == SEARCH_UIDS,
				    &node->uids);
	node->is_address = args->key == SEARCH_FIELD && is_address_field(args->name) &&
			   spans_words(args->string);
	if (has_string(args) &&
	    mime_matcher_new(p->text, args->string, p->charset, &node->matcher, err) < 0)
		return NULL;
	return node;
}

void search_program_free(struct search_program **program)
{
	struct search_program *p = *program;

	if (!p)
		return;
	for (struct node *node = p->last_made; node; node = node->made_before) {
		mime_matcher_free(&node->matcher);
		uidset_free(&node->uids);
	}
	pool_free(&p->scratch);
	pool_free(&p->pool);
	free(p);
	*program = NULL;
}

/* A charset that nobody knows is an error even if no string is in it. */
static int check_charset(struct span charset, struct us_err *err)
{
	struct buf nothing = BUF_INIT;
	int rc = mime_text_convert(SPAN_LIT(""), charset, &nothing, err);

	buf_free(&nothing);
	return rc;
}

int search_program_new(const struct search_args *args, struct mime_text *text,
		       const struct search_context *context, struct search_program **out,
		       struct us_err *err)
{
	struct search_program *p = us_calloc(1, sizeof(*p));
	struct us_err why = US_ERR_INIT;

	p->pool = pool_new();
	p->scratch = pool_new();
	p->text = text;
	p->context = context;
	p->charset = args->charset;
	if (check_charset(args->charset, &why) == 0)
		p->root = make_node(p, args->root, &why);
	if (!p->root) {
		search_program_free(&p);
		return us_fail(err, why.code, "%s", why.text);
	}
	*out = p;
	return 0;
}

/* ---- the message as far as it is needed ------------------------------------------------------------ */

static int need_cache(struct loaded *l, struct us_err *err)
{
	const struct search_message *m = l->message;
	int rc = 0;

	if (!l->has_cache)
		rc = m->load_cache(m->ctx, m->record, &l->cache, err);
	l->has_cache = rc == 0;
	return rc;
}

static int need_bytes(struct loaded *l, struct us_err *err)
{
	const struct search_message *m = l->message;
	int rc = 0;

	if (!l->has_bytes)
		rc = m->load_bytes(m->ctx, m->record, &l->bytes, err);
	l->has_bytes = rc == 0;
	return rc;
}

static int need_tree(struct search_program *p, struct loaded *l, struct us_err *err)
{
	struct mime_table table;
	int rc = need_cache(l, err);

	if (rc == 0)
		rc = need_bytes(l, err);
	if (rc < 0 || l->tree)
		return rc;
	if (l->cache.message_size > l->bytes.len)
		return us_fail(err, US_ECORRUPT, "the file of message %u is short",
			       l->message->record->uid);
	table = mime_cache_table(&l->cache);
	l->tree = mime_recall(l->bytes, &table, p->scratch);
	return 0;
}

/* ---- dates ----------------------------------------------------------------------------------------- */

static bool is_in_range(const struct search_node *args, int64_t x)
{
	return x >= args->range.from && x < args->range.to;
}

/* INTERNALDATE, by the calendar in which we show it. */
static int64_t received_day(const struct record *r)
{
	struct datetime when = {.time = record_internaldate(r)};

	when.zone_s = datetime_local_zone(when.time);
	return datetime_midnight(when);
}

/* The same of when it came into this mailbox; of what has no such date no day is true. */
static bool match_saved(const struct search_node *args, const struct record *r)
{
	struct datetime when = {.time = r->savedate, .zone_s = datetime_local_zone(r->savedate)};

	return r->savedate > 0 && is_in_range(args, datetime_midnight(when));
}

static bool match_objectid(const struct search_node *args, const struct record *r)
{
	char id[RECORD_OBJECTID];
	bool has = true;

	if (args->key == SEARCH_EMAILID)
		record_emailid(r, id);
	else
		has = record_threadid(r, id);
	return has && span_is(args->string, id);
}

/* By the writer's calendar. The record keeps when that day began, but not in which zone, so the cache is asked. What has no
 * date was sent when it came, as in a Cyrus. */
static int match_sent(const struct search_node *args, struct loaded *l, struct us_err *err)
{
	int rc = need_cache(l, err);

	if (rc < 0)
		return rc;
	return is_in_range(args, l->cache.has_sent ? datetime_midnight(l->cache.sent)
						   : received_day(l->message->record));
}

/* ---- strings --------------------------------------------------------------------------------------- */

/* "Ann (at home)" <ann@x> as people read it: Ann (at home) <ann@x>. */
static void put_plain_addresses(struct span value, struct pool *pool, struct buf *out)
{
	struct mime_addresses list;
	struct mime_address a;

	mime_addresses_init(&list, mime_unfold(value, pool));
	while (mime_addresses_next(&list, &a)) {
		if (a.kind == MIME_ADDRESS_GROUP_END)
			continue;
		buf_add_str(out, out->len ? ", " : "");
		buf_add_span(out, a.name);
		if (a.kind == MIME_ADDRESS_GROUP)
			continue;
		buf_add_str(out, a.name.len ? " <" : "<");
		buf_add_span(out, a.local);
		buf_add_str(out, a.domain.ptr ? "@" : "");
		buf_add_span(out, a.domain);
		buf_add_char(out, '>');
	}
	mime_addresses_fini(&list);
}

/* As it stands there, and where it is quoted also without the quotes, which nobody types. */
static bool match_value(struct search_program *p, const struct node *node, struct span value)
{
	struct buf plain = BUF_INIT;
	bool found = mime_matcher_value(node->matcher, value);

	if (found || !node->is_address || !(span_find(value, '"') || span_find(value, '(')))
		return found;
	put_plain_addresses(value, p->scratch, &plain);
	found = mime_matcher_value(node->matcher, buf_span(&plain));
	buf_free(&plain);
	return found;
}

static bool match_fields(struct search_program *p, const struct node *node, struct span header)
{
	struct mime_field field;

	while (mime_field_next(&header, &field))
		if (span_eq_nocase(field.name, node->args->name) && field.name.len &&
		    match_value(p, node, field.value))
			return true;
	return false;
}

static int match_field(struct search_program *p, const struct node *node, struct loaded *l,
		       struct us_err *err)
{
	size_t header = l->message->record->header_size;
	int rc = need_cache(l, err);

	if (rc < 0)
		return rc;
	if (mime_cache_has_fields(&l->cache, &node->args->name, 1))
		return match_fields(p, node, l->cache.headers);
	rc = need_bytes(l, err);
	if (rc < 0)
		return rc;
	return match_fields(p, node,
			    span_make(l->bytes.ptr, header < l->bytes.len ? header : l->bytes.len));
}

static int match_body(struct search_program *p, const struct node *node, struct loaded *l,
		      struct us_err *err)
{
	int rc = need_tree(p, l, err);

	if (rc < 0)
		return rc;
	return node->args->key == SEARCH_BODY ? mime_matcher_body(node->matcher, l->tree)
					      : mime_matcher_text(node->matcher, l->tree);
}

/* ---- the tree -------------------------------------------------------------------------------------- */

static int match_node(struct search_program *p, const struct node *node, struct loaded *l,
		      struct us_err *err);

/* AND ends with the first that does not match, OR with the first that does. */
static int match_children(struct search_program *p, const struct node *node, struct loaded *l,
			  struct us_err *err)
{
	int end = node->args->key == SEARCH_OR;

	for (const struct node *child = node->child; child; child = child->next) {
		int rc = match_node(p, child, l, err);
		if (rc < 0 || rc == end)
			return rc;
	}
	return !end;
}

static int match_key(struct search_program *p, const struct node *node, struct loaded *l,
		     struct us_err *err)
{
	const struct search_message *m = l->message;

	switch (node->args->key) {
	case SEARCH_ALL:
		return 1;
	case SEARCH_FLAG:
		return (m->flags & node->args->flag) != 0;
	case SEARCH_RECENT:
		return m->recent;
	case SEARCH_KEYWORD:
		return node->bit >= 0 && record_has_user_flag(m->record, (unsigned)node->bit);
	case SEARCH_NUMBERS:
	case SEARCH_UIDS:
		return uidset_has(&node->uids, m->record->uid);
	case SEARCH_SIZE:
		return is_in_range(node->args, (int64_t)m->record->size);
	case SEARCH_RECEIVED:
		return is_in_range(node->args, received_day(m->record));
	case SEARCH_SENT:
		return match_sent(node->args, l, err);
	case SEARCH_FIELD:
		return match_field(p, node, l, err);
	case SEARCH_BODY:
	case SEARCH_TEXT:
		return match_body(p, node, l, err);
	case SEARCH_SAVED:
		return match_saved(node->args, m->record);
	case SEARCH_MODSEQ:
		return m->record->modseq >= (uint64_t)node->args->range.from;
	case SEARCH_ANNOTATION:
		return annotate_contains(&m->annotations, node->args->name, node->args->flag,
					 node->args->string);
	case SEARCH_EMAILID:
	case SEARCH_THREADID:
		return match_objectid(node->args, m->record);
	case SEARCH_AND:
	case SEARCH_OR:
		return match_children(p, node, l, err);
	}
	return 0;
}

static int match_node(struct search_program *p, const struct node *node, struct loaded *l,
		      struct us_err *err)
{
	int rc = match_key(p, node, l, err);

	return rc < 0 ? rc : rc ^ (int)node->args->inverse;
}

int search_matches(struct search_program *program, const struct search_message *message,
		   struct us_err *err)
{
	struct loaded l = {.message = message};

	if (program->root->cost > COST_RECORD)
		pool_clear(program->scratch);
	return match_node(program, program->root, &l, err);
}
